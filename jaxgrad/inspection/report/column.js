// On a narrow page the nodes are one column, each argument above its first reader, and
// the edges are arcs at its left. A wide page shows the graph as it was drawn, smaller
// if it then fits the window, else in full size.
{
  const LEFT = 44, GAP = 16;
  const svg = document.querySelector("svg.jaxgrad-graph");
  const nodes = all("g.node", svg), edges = all(".edge, .broad", svg);
  const changed = [
    ...["viewBox", "width", "height", "style"].map(name => [svg, name]),
    ...nodes.map(node => [node, "transform"]), ...edges.map(edge => [edge, "d"]),
  ];
  const drawn = changed.map(([element, name]) => element.getAttribute(name));

  const isStep = id => id.startsWith("step");
  const inOrder = () => {
    const order = new Set();
    for (const { id } of nodes.filter(node => isStep(node.id))) {
      const sources = edgesAt(id).map(edge => endsOf(edge)[0]);
      sources.filter(source => !isStep(source)).forEach(source => order.add(source));
      order.add(id);
    }
    nodes.forEach(node => order.add(node.id));
    return [...order];
  };
  const arc = (from, to) => {
    const steps = to.index - from.index;
    if (steps === 1) return `M${LEFT + 24},${from.bottom}V${to.top}`;
    const x = LEFT - Math.min(LEFT - 4, 10 + 6 * Math.abs(steps));
    const start = from.bottom - 20, end = to.top + 20;
    return `M${LEFT},${start}C${x},${start} ${x},${end} ${LEFT},${end}`;
  };
  const stack = () => {
    const places = new Map();
    let high = 0, wide = 0;
    inOrder().forEach((id, index) => {
      const box = byId(id).querySelector("rect");
      const side = name => Number(box.getAttribute(name));  // also while it is hidden
      const width = side("width"), height = side("height");
      byId(id).setAttribute("transform", `translate(${LEFT},${high})`);
      places.set(id, { index, top: high, bottom: high + height });
      wide = Math.max(wide, LEFT + width + 4);
      high += height + GAP;
    });
    for (const edge of edges) {
      edge.setAttribute("d", arc(...endsOf(edge).map(id => places.get(id))));
    }
    svg.setAttribute("viewBox", `0 -4 ${wide} ${high}`);
    svg.setAttribute("width", wide);
    svg.setAttribute("height", high);
    svg.setAttribute("style", `--width:${wide}px;--ratio:${wide / high}`);
  };

  const narrow = matchMedia("(max-width: 600px)");
  const arrange = () => {
    if (narrow.matches) stack();
    else changed.forEach(([element, name], i) => element.setAttribute(name, drawn[i]));
    fit();
  };
  const fit = () => {
    graph.classList.remove("tall");
    graph.classList.toggle("tall", graph.scrollHeight > graph.clientHeight);
    if (blamed) reveal(blamed);
  };
  if (narrow.matches) arrange();
  else fit();
  narrow.addEventListener("change", arrange);
  addEventListener("resize", fit);
}
