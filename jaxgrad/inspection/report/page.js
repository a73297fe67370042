// A card with the details of the node under the pointer, its edges highlighted, its row
// of the table on a click, and the arrow keys along the edges.
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
// The node at the other end of the first edge that leaves or enters `node`.
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
  const broad = edge.cloneNode();  // the edge itself is too thin to hit
  broad.setAttribute("class", "broad");
  broad.removeAttribute("marker-end");
  edge.after(broad);
  broad.addEventListener("mousemove", event => {
    hide();
    card.textContent = ends.map(end => end.getAttribute("aria-label").split("\n")[0])
      .join("\n\u2193\n");
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
// If the step to blame is outside the window of a long graph, scroll to it.
const blamed = document.querySelector(".jaxgrad-graph g.blamed");
if (blamed) {
  const graph = blamed.closest(".graph"), box = blamed.getBoundingClientRect();
  const shown = graph.getBoundingClientRect();
  const beyond = box.right - shown.right;
  if (beyond > 0) graph.scrollLeft += beyond + shown.width / 2;
}
