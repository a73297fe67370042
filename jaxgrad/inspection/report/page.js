// A card with the details of the node or edge under the pointer, the edges of that node
// highlighted, the arrow keys along the edges, and links between table and graph.
"use strict";
const card = document.querySelector(".jaxgrad-card");
// Listeners are on the frame: one on the SVG would make that reachable by the Tab key.
const graph = document.querySelector(".jaxgrad .graph");
const panel = document.getElementById("panel");
const byId = id => document.getElementById(id);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const endsOf = edge => edge.dataset.ends.split(" ");

// The edges by the nodes at their ends.
const edgesOf = new Map();
for (const edge of all(".jaxgrad-graph .edge")) {
  for (const id of new Set(endsOf(edge))) {
    if (!edgesOf.has(id)) edgesOf.set(id, []);
    edgesOf.get(id).push(edge);
  }
}
const edgesAt = id => edgesOf.get(id) || [];

let lit = [];
const light = edges => {
  lit.forEach(edge => edge.classList.remove("lit"));
  lit = edges;
  lit.forEach(edge => edge.classList.add("lit"));
};
const hide = () => {
  card.style.display = "none";
  light([]);
};
const show = (text, x, y, edges) => {
  card.textContent = text;
  card.style.display = "block";
  const wide = card.offsetWidth, high = card.offsetHeight;
  card.style.left = Math.max(4, Math.min(x + 14, innerWidth - wide - 8)) + "px";
  card.style.top = Math.max(4, Math.min(y + 14, innerHeight - high - 8)) + "px";
  light(edges);
};
const labelOf = node => node.getAttribute("aria-label");
// The panel already says everything about the chosen node.
let chosen = null;
const showNode = (node, x, y) => {
  if (!panel || node !== chosen) show(labelOf(node), x, y, edgesAt(node.id));
};

// Choose a node: mark its row; a page with a panel shows it there (chain.js), another
// scrolls to the row.
const mark = row => {
  all(".chosen").forEach(old => old.classList.remove("chosen"));
  if (row) row.classList.add("chosen");
};
const choose = (node, edge) => {
  const row = byId("row-" + node.id);
  hide();
  chosen = node;
  mark(row);
  if (!panel && row) row.scrollIntoView({ block: "center" });
  graph.dispatchEvent(new CustomEvent("choose", { detail: { node, edge } }));
};
// Scroll the window of the graph, not the page.
const reveal = node => {
  const box = node.getBoundingClientRect();
  const seen = graph.getBoundingClientRect();
  const off = (low, high, from, to) =>
    low < from || high > to ? (low + high - from - to) / 2 : 0;
  graph.scrollLeft += off(box.left, box.right, seen.left, seen.right);
  graph.scrollTop += off(box.top, box.bottom, seen.top, seen.bottom);
};

for (const node of all(".jaxgrad-graph g.node")) {
  const title = node.querySelector("title");
  node.setAttribute("aria-label", title.textContent);
  node.setAttribute("role", "button");
  title.remove();
}
for (const edge of all(".jaxgrad-graph .edge")) {
  const broad = edge.cloneNode();  // the edge itself is too thin to hit
  broad.setAttribute("class", "broad");
  broad.removeAttribute("marker-end");
  edge.after(broad);
}
const nodeAt = event => event.target.closest("g.node");
const edgeAt = event => {
  const broad = event.target.closest(".broad");
  return broad && broad.previousElementSibling;
};
if (graph) {
  graph.addEventListener("mousemove", event => {
    const node = nodeAt(event), edge = edgeAt(event);
    if (node) showNode(node, event.clientX, event.clientY);
    else if (edge) {
      const names = endsOf(edge).map(id => labelOf(byId(id)).split("\n")[0]);
      show(names.join("\n\u2193\n"), event.clientX, event.clientY, [edge]);
    } else hide();
  });
  graph.addEventListener("mouseleave", hide);
  graph.addEventListener("focusin", event => {
    const node = nodeAt(event);
    if (!node || !node.matches(":focus-visible")) return;
    reveal(node);
    const box = node.getBoundingClientRect();
    showNode(node, box.right - 8, box.bottom - 8);
  });
  graph.addEventListener("focusout", hide);
  graph.addEventListener("click", event => {
    const node = nodeAt(event), edge = edgeAt(event);
    if (node) choose(node);
    else if (edge) choose(byId(endsOf(edge)[1]), edge);
  });
  graph.addEventListener("keydown", event => {
    const node = nodeAt(event);
    if (!node) return;
    if (event.key === "Escape") hide();
    const ways = { ArrowLeft: 0, ArrowUp: 0, ArrowRight: 1, ArrowDown: 1 };
    const way = ways[event.key];
    const next = way !== undefined && edgesAt(node.id)
      .map(endsOf)
      .filter(ends => ends[1 - way] === node.id && ends[way] !== node.id)
      .map(ends => byId(ends[way]))[0];
    const press = event.key === "Enter" || event.key === " ";
    if (next) next.focus();
    if (press) choose(node);
    if (next || press) event.preventDefault();
  });
}
for (const table of all(".jaxgrad .scroll table")) {
  table.addEventListener("click", event => {
    const link = event.target.closest("td a");
    const node = link && byId(link.getAttribute("href").slice(1));
    if (!node || !node.matches("g.node")) return;
    event.preventDefault();
    node.scrollIntoView({ block: "center", inline: "center" });
    node.focus({ focusVisible: true });
    choose(node);
    mark(link.closest("tr"));
  });
}
// If the step to blame is outside the window of a long graph, scroll to it.
const blamed = document.querySelector(".jaxgrad-graph g.blamed");
if (blamed) reveal(blamed);
