// The chain rule: the chosen step in the panel, and the player, which shows values
// forward and gradients backward.
{
  const walkthrough = JSON.parse(byId("walkthrough").textContent);
  const { things, steps, sent, name: program } = walkthrough;
  const grouped = keys => {
    const groups = new Map();
    for (const part of sent) {
      for (const key of keys(part)) {
        if (!groups.has(key)) groups.set(key, []);
        groups.get(key).push(part);
      }
    }
    return key => groups.get(key) || [];
  };
  const sentBy = grouped(part => part.by), sentTo = grouped(part => [part.to]);

  // The moments: the start, each step forward, each step backward, the end.
  const backward = [...steps].reverse().filter(key => things[key].differentiated);
  const moments = [
    { text: "Start: only the arguments are known." },
    ...steps.map(key => ({ key, way: "forward" })),
    ...backward.map(key => ({ key, way: "backward" })),
    { text: "End: all values and gradients." },
  ];
  const last = moments.length - 1;
  const valueAt = new Map(steps.map((key, i) => [key, i + 1]));
  const ownAt = new Map(backward.map((key, i) => [key, 1 + steps.length + i]));
  const gradientAt = key => {
    if (ownAt.has(key)) return ownAt.get(key);
    const times = sentTo(key).flatMap(part => part.by.map(by => ownAt.get(by) || last));
    return times.length ? Math.max(...times) : last;
  };
  const nodes = all(".jaxgrad-graph g.node").map(node => ({
    node, value: valueAt.get(node.id) || 0, gradient: gradientAt(node.id),
  }));

  // Small builders of elements, always from text.
  const make = (tag, content = "", name = "") => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.append(...[content].flat());
    return element;
  };
  // A step without a variable is named by its operation and its number.
  const short = key => {
    const { name, operation } = things[key];
    return name === operation ? `${name} ${key.slice(5)}` : name;
  };
  const nameOf = key => {
    const { name, operation } = things[key];
    return operation && operation !== name ? `${name} (${operation})` : short(key);
  };
  const link = (key, text) => {
    const anchor = make("a", text || nameOf(key));
    anchor.href = "#" + key;
    anchor.dataset.key = key;
    return anchor;
  };
  const table = (titles, rows) => {
    const head = make("tr", titles.map(title => {
      const cell = make("th", title);
      cell.scope = "col";
      return cell;
    }));
    return make("table", [make("thead", head), make("tbody", rows)]);
  };
  const row = (cells, name) => make("tr", cells.map(cell => make("td", cell)), name);

  const scalar = text => text !== "" && !isNaN(text);
  const negative = text => text.startsWith("-") ? `(${text})` : text;
  // What multiplies the cotangent, in a formula and in numbers.
  const local = (part, key) => {
    const parts = [`d ${short(key)} / d ${part.part || short(part.to)}`];
    const same = part.slope === part.formula;
    const known = [part.formula, same ? "" : part.slope].filter(Boolean).join(" = ");
    const notes = {
      elements: "one for each element",
      jacobian: "the Jacobian",
      gradient: "",
    };
    if (known) parts.push(make("br"), make("code", known));
    if (part.slope && !scalar(part.slope) && notes[part.form]) {
      parts.push(make("br"), make("span", notes[part.form], "muted"));
    }
    if (!known) parts.push(make("br"), make("span", "as its rule applies it", "muted"));
    return parts;
  };
  const product = (part, thing) => {
    const cotangent = thing.arrays[0].gradient;
    const plain = scalar(cotangent) && scalar(part.slope) && scalar(part.value);
    return plain
      ? `${cotangent} × ${negative(part.slope)} = ${part.value}` : part.value;
  };

  const senders = part => part.by.length
    ? part.by.flatMap((key, i) => i ? [", ", link(key)] : [link(key)])
    : [`the result itself: d ${program} / d ${program}`];
  const received = (key, thing) => {
    const parts = sentTo(key);
    if (!thing.differentiated) return [make("p", thing.arrays[0].gradient, "muted")];
    const sums = thing.arrays.map(array => {
      const name = thing.arrays.length > 1 ? array.name : short(key);
      return make("p", make("code", `d ${program} / d ${name} = ${array.gradient}`));
    });
    if (walkthrough.why) {
      return [...sums, make("p", `Its parts: ${walkthrough.why}.`, "muted")];
    }
    if (!parts.length) return [...sums, make("p", "No step sends anything to it.")];
    const several = thing.arrays.length > 1;
    const rows = parts.map(part => row(
      [senders(part), (several ? `${part.part}: ` : "") + part.value]));
    if (parts.length > 1 && !several) {
      rows.push(row(["sum", thing.arrays[0].gradient], "total"));
    }
    return [...sums, table(["comes from", "contribution"], rows)];
  };
  const sends = (key, thing, edge) => {
    const parts = sentBy(key);
    if (!parts.length) return [];
    const from = edge && endsOf(edge)[0];
    const rows = parts.map(part => row(
      [link(part.to, part.part), local(part, key), product(part, thing)],
      part.to === from ? "chosen" : ""));
    return [
      make("h3", "It sends back: local derivative × gradient"),
      table(["to", "local derivative", "sends"], rows),
    ];
  };
  const read = (operand, i) => {
    const thing = things[operand.key];
    const known = thing && thing.arrays.length === 1 ? ` = ${thing.arrays[0].value}` : "";
    const name = operand.key && thing ? link(operand.key, operand.name) : operand.name;
    return [i ? ", " : "reads ", name, known];
  };
  const forward = thing => [
    make("p", thing.reads.flatMap(read)),
    ...thing.arrays.map(array => make("p", make("code", `${array.name} = ${array.value}`))),
  ];
  const render = (key, edge) => {
    const thing = things[key];
    if (!thing) return;
    const isStep = thing.operation !== undefined;
    const same = thing.name === thing.operation;
    const title = !isStep ? thing.name
      : `${same ? thing.name : nameOf(key)}, step ${key.slice(5)}`;
    const parts = [make("h2", title)];
    if (isStep) {
      if (thing.line) parts.push(make("p", [thing.line + " ", make("code", thing.source)]));
      parts.push(make("h3", "Forward"), ...forward(thing));
      parts.push(make("h3", "Backward: the gradient comes in"));
    } else {
      parts.push(make("p", make("code", `${thing.name} = ${thing.arrays[0].value}`)));
      parts.push(make("h3", "Its gradient"));
    }
    parts.push(...received(key, thing), ...sends(key, thing, edge));
    panel.replaceChildren(...parts);
    panel.scrollTop = 0;
  };

  // What flows along the edges of a step, written on them.
  const SVG = "http://www.w3.org/2000/svg";
  const flows = key => {
    all(".jaxgrad-graph .flow").forEach(old => old.remove());
    const seen = new Set();
    for (const part of sentBy(key)) {
      const ends = `${part.to} ${key}`;
      const edge = edgesAt(key).find(each => each.dataset.ends === ends);
      if (!edge || seen.has(ends) || part.value.length > 24) continue;
      seen.add(ends);
      const point = edge.getPointAtLength(edge.getTotalLength() / 2);
      const text = document.createElementNS(SVG, "text");
      text.setAttribute("class", "flow");
      text.setAttribute("x", point.x);
      text.setAttribute("y", point.y + 4);
      text.textContent = part.value;
      edge.parentNode.append(text);
    }
  };
  const clear = () => {
    all(".jaxgrad-graph g.now").forEach(old => old.classList.remove("now"));
    all(".jaxgrad-graph .flow").forEach(old => old.remove());
  };
  const point = (key, edge) => {
    clear();
    const node = byId(key);
    if (node) node.classList.add("now");
    render(key, edge);
  };

  // Keep the step in view; a narrow page stays where it is read.
  const follow = node => {
    reveal(node);
    const { top, bottom } = node.getBoundingClientRect();
    if (innerWidth > 900 && (top < 0 || bottom > innerHeight)) {
      node.scrollIntoView({ block: "center" });
    }
  };

  const slider = byId("moment"), now = byId("now"), play = byId("play");
  slider.max = last;
  let moment = last, timer = 0;
  const phrase = ({ key, way, text }) => {
    if (text) return text;
    const verb = way === "forward" ? "Forward" : "Backward";
    return `${verb}: ${nameOf(key)}`;
  };
  const go = to => {
    moment = Math.max(0, Math.min(last, to));
    const { key, way } = moments[moment];
    slider.value = moment;
    slider.setAttribute("aria-valuetext", phrase(moments[moment]));
    now.textContent = `${moment} of ${last}. ${phrase(moments[moment])}`;
    for (const { node, value, gradient } of nodes) {
      node.classList.toggle("later", value > moment);
      node.classList.toggle("unsent", gradient > moment);
    }
    clear();
    light([]);
    if (!key) return;
    point(key);
    mark(byId("row-" + key));
    light(edgesAt(key).filter(edge => endsOf(edge)[1] === key));
    if (way === "backward") flows(key);
    if (byId(key)) follow(byId(key));
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    if (moment === last) go(0);
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    // A long program is played faster: it takes half a minute at most.
    timer = setInterval(() => {
      go(moment + 1);
      if (moment === last) stop();
    }, Math.max(50, Math.min(900, 30000 / last)));
  };
  const leap = to => {
    stop();
    go(to);
  };
  play.addEventListener("click", () => (timer ? stop() : start()));
  byId("start").addEventListener("click", () => leap(0));
  byId("back").addEventListener("click", () => leap(moment - 1));
  byId("next").addEventListener("click", () => leap(moment === last ? 0 : moment + 1));
  byId("end").addEventListener("click", () => leap(last));
  slider.addEventListener("input", () => leap(Number(slider.value)));
  document.addEventListener("keydown", event => {
    if (event.target.closest("input[type=search]") || event.ctrlKey || event.metaKey) {
      return;
    }
    if (event.key === "n") leap(moment === last ? 0 : moment + 1);
    if (event.key === "p") leap(moment - 1);
  });

  graph.addEventListener("choose", ({ detail: { node, edge } }) => {
    stop();
    point(node.id, edge);
    if (things[node.id]) flows(node.id);
    if (edge) light([edge]);
  });
  panel.addEventListener("click", event => {
    const anchor = event.target.closest("a[data-key]");
    const node = anchor && byId(anchor.dataset.key);
    if (!node) return;
    event.preventDefault();
    follow(node);
    choose(node);
  });
  const result = byId("to-result");
  result.hidden = !byId(walkthrough.result);
  result.addEventListener("click", event => {
    event.preventDefault();
    const node = byId(walkthrough.result);
    node.scrollIntoView({ block: "center" });
    choose(node);
  });

  go(last);
}
