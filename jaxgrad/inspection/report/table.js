// Search and sort the table. An array without a key of its own stays below its step.
{
  const body = document.querySelector(".explained .scroll tbody");
  const rows = all("tr", body), groups = [];
  for (const row of rows) {
    if (row.id) groups.push([row]);
    else groups[groups.length - 1].push(row);
  }
  const search = byId("search"), hits = byId("hits");
  const texts = groups.map(group =>
    group.map(row => row.textContent).join(" ").toLowerCase());
  let last = "";
  const find = () => {
    const wanted = search.value.trim().toLowerCase();
    if (wanted === last) return;
    last = wanted;
    let count = 0;
    groups.forEach((group, i) => {
      const hit = texts[i].includes(wanted);
      count += hit;
      group.forEach(row => { row.hidden = !hit; });
      const node = byId(group[0].id.slice(4));
      if (node) node.classList.toggle("miss", !hit);
    });
    hits.textContent = wanted ? `${count} of ${groups.length}` : "";
  };
  const first = () => {
    const group = groups.find(group => !group[0].hidden);
    const node = group && byId(group[0].id.slice(4));
    if (!node) return;
    reveal(node);
    choose(node);
  };
  search.addEventListener("input", find);
  search.addEventListener("keydown", event => {
    if (event.key === "Enter") first();
    if (event.key === "Escape") {
      search.value = "";
      find();
    }
  });
  document.addEventListener("keydown", event => {
    if (event.key !== "/" || event.target.closest("input")) return;
    event.preventDefault();
    search.focus();
  });

  // By the norm of an array, by a number, else by the text.
  const key = cell => {
    const text = cell.textContent;
    const found = /\|([^|]+)\|/.exec(text), value = found ? found[1] : text;
    return value === "" || isNaN(value) ? value : Number(value);
  };
  const compare = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a < b ? -1 : a > b ? 1 : 0;
  };
  all(".explained .scroll th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = "Sort";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      all(".explained .scroll th").forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = groups.map((group, i) => [key(group[0].cells[column]), i, group]);
      keyed.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]) || a[1] - b[1]);
      body.append(...keyed.flatMap(each => each[2]));
    });
  });
}
