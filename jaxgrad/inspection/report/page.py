"""The style and the script of the page: all that is not computed from a report.

The style alone serves a notebook too; every rule of it is confined to `.jaxgrad`, so
that nothing else on the notebook's page changes. The script adds what CSS cannot:
a card at the pointer, the edges of a node lit, and its row of the table on a click.
"""

from jaxgrad.inspection.report.palette import DARK, LIGHT, graph_rules, page_rules

GEOMETRY = """
.jaxgrad { font: 13px/1.45 system-ui, sans-serif; }
.jaxgrad h1 { font-size: 1.15rem; margin: 0 0 .6rem; color: inherit; }
.jaxgrad .graph { overflow: auto; max-height: 70vh; border: 1px solid;
  border-radius: 6px; }
.jaxgrad .graph svg { display: block; width: 100%; height: auto;
  max-width: var(--width); min-width: calc(.65 * var(--width)); }
.jaxgrad .broad { fill: none; stroke: transparent; stroke-width: 9; }
.jaxgrad .whole:checked ~ .graph svg { min-width: 0; }
.jaxgrad .full:checked ~ .graph svg { min-width: var(--width); }
.jaxgrad input { vertical-align: middle; margin: 0 .3rem .2rem 0; }
.jaxgrad .zoom { font-size: 12px; margin-right: 1rem; white-space: nowrap; }
.jaxgrad .scroll { overflow-x: auto; }
.jaxgrad table { border: 0; border-collapse: collapse; margin: 1rem 0 0;
  font: 12px/1.45 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.jaxgrad th, .jaxgrad td { text-align: left; vertical-align: top; white-space: pre;
  padding: .18rem .55rem; border: 0; border-bottom: 1px solid; color: inherit; }
.jaxgrad td.source { white-space: pre-wrap; min-width: 18rem; }
.jaxgrad td.mark { font-weight: 600; }
.jaxgrad td a { color: inherit; text-decoration: none; }
.jaxgrad td a:hover, .jaxgrad td a:focus { text-decoration: underline; }
.jaxgrad .chosen td, .jaxgrad tr:target td { outline: 2px solid; outline-offset: -2px; }
.jaxgrad pre { padding: .6rem .8rem; border-radius: 6px; white-space: pre-wrap;
  color: inherit; }
.jaxgrad dl { display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem;
  margin: .8rem 0; }
.jaxgrad dt { font-weight: 600; }
.jaxgrad dd { margin: 0; }
.jaxgrad-card { position: fixed; display: none; z-index: 9; max-width: 46rem;
  padding: .5rem .7rem; white-space: pre-wrap; border-radius: 6px;
  font: 12px/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  pointer-events: none; box-shadow: 0 4px 14px rgb(0 0 0 / .3); }
"""

STYLE = f"""{GEOMETRY}{page_rules(LIGHT)}
@media (max-width: 900px) {{
.jaxgrad td.source {{ white-space: pre; }}
}}
@media (prefers-color-scheme: dark) {{
{page_rules(DARK)}
{graph_rules(DARK, ".jaxgrad ")}
}}
"""

SCRIPT = """
const card = document.querySelector(".jaxgrad-card");
const edges = [...document.querySelectorAll(".jaxgrad-graph .edge")];
const hide = () => {
  card.style.display = "none";
  edges.forEach(edge => edge.classList.remove("lit"));
};
const choose = row => {
  document.querySelectorAll(".chosen").forEach(old => old.classList.remove("chosen"));
  if (!row) return;
  row.classList.add("chosen");
  row.scrollIntoView({ block: "center" });
};
const near = (node, from, to) => edges
  .map(edge => edge.dataset.ends.split(" "))
  .filter(ends => ends[from] === node.id && ends[to] !== node.id)
  .map(ends => document.getElementById(ends[to]))[0];

for (const node of document.querySelectorAll(".jaxgrad-graph g.node")) {
  const title = node.querySelector("title"), more = title.textContent;
  title.remove();
  node.setAttribute("aria-label", more);
  const own = edges.filter(edge => edge.dataset.ends.split(" ").includes(node.id));
  const row = () => document.getElementById("row-" + node.id);
  const show = (x, y) => {
    hide();
    card.textContent = more;
    card.style.display = "block";
    const wide = card.offsetWidth, high = card.offsetHeight;
    card.style.left = Math.max(4, Math.min(x + 14, innerWidth - wide - 8)) + "px";
    card.style.top = Math.max(4, Math.min(y + 14, innerHeight - high - 8)) + "px";
    own.forEach(edge => edge.classList.add("lit"));
  };
  node.addEventListener("mousemove", event => show(event.clientX, event.clientY));
  node.addEventListener("mouseleave", hide);
  node.addEventListener("focus", () => {
    node.scrollIntoView({ block: "nearest", inline: "nearest" });
    const box = node.getBoundingClientRect();
    show(box.right - 8, box.bottom - 8);
  });
  node.addEventListener("blur", hide);
  node.addEventListener("click", () => choose(row()));
  node.addEventListener("keydown", event => {
    if (event.key === "Enter") choose(row());
    if (event.key === "Escape") hide();
    const ends = { ArrowLeft: [1, 0], ArrowRight: [0, 1] }[event.key];
    const next = ends && near(node, ...ends);
    if (next) {
      event.preventDefault();
      next.focus();
    }
  });
}
for (const edge of edges) {
  const ends = edge.dataset.ends.split(" ").map(id => document.getElementById(id));
  const broad = edge.cloneNode();  // for a line as thin as the edge is hard to hit
  broad.setAttribute("class", "broad");
  broad.removeAttribute("marker-end");
  edge.after(broad);
  broad.addEventListener("mousemove", event => {
    hide();
    card.textContent = ends.map(end => end.getAttribute("aria-label").split("\\n")[0])
      .join("\\n\\u2193\\n");
    card.style.display = "block";
    card.style.left = event.clientX + 14 + "px";
    card.style.top = event.clientY + 14 + "px";
    edge.classList.add("lit");
  });
  broad.addEventListener("mouseleave", hide);
}
for (const link of document.querySelectorAll(".jaxgrad td a")) {
  link.addEventListener("click", event => {
    event.preventDefault();
    const node = document.getElementById(link.getAttribute("href").slice(1));
    node.scrollIntoView({ block: "center", inline: "center" });
    node.focus();
    choose(null);
    link.closest("tr").classList.add("chosen");
  });
}
"""
