// The race of the optimizers: play, pause, and a slider over the steps.
// Coordinates are tenths of a pixel in a frame of 480 x 360 pixels.
{
  const data = document.getElementById("race-data");
  const [surface, play, slider, now, drawing, legend] = ["surface", "play", "step", "now", "drawing", "legend"]
    .map(name => document.getElementById(`race-${name}`));
  const races = data ? JSON.parse(data.textContent) : {};
  let race, frames, timer;

  const svg = (name, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return parent.appendChild(element);
  };
  const label = (x, y, text, anchor) =>
    (svg("text", { x, y, "text-anchor": anchor }, drawing).textContent = text);

  const axes = () => {
    const [across, up] = race.ticks;
    for (const [x, text] of across) label(x / 10, 375, text, "middle");
    for (const [y, text] of up) label(-6, y / 10 + 4, text, "end");
    label(240, 393, "x", "middle");
    label(-40, 184, "y", "middle");
  };

  const star = ([x, y]) => {
    const corner = i => {
      const radius = i % 2 ? 3 : 8, angle = (Math.PI * i) / 5;
      return [x / 10 + radius * Math.sin(angle), y / 10 - radius * Math.cos(angle)];
    };
    svg("polygon", { class: "mark", points: [...Array(10).keys()].map(corner).join(" ") }, drawing);
  };

  const cross = ([x, y]) =>
    svg("path", { class: "mark", d: `M${x / 10 - 7},${y / 10}h14M${x / 10},${y / 10 - 7}v14` }, drawing);

  // Each path as a growing line and a dot at its end; one that has left stays drawn.
  const draw = step => {
    for (const { path, line, dot, state } of frames) {
      const points = path.points.slice(0, step + 1), [x, y] = points.at(-1);
      line.setAttribute("points", points.join(" "));
      dot.setAttribute("cx", x / 10);
      dot.setAttribute("cy", y / 10);
      const arrived = path.arrival !== null && step >= path.arrival;
      const gone = step >= path.points.length || x < 0 || x > 4800 || y < 0 || y > 3600;
      state.textContent = arrived ? `arrived after ${path.arrival} steps` : gone ? "outside the picture" : "on its way";
    }
    now.textContent = `step ${step} of ${race.steps}`;
  };

  const choose = () => {
    pause();
    race = races[surface.value];
    drawing.replaceChildren();
    legend.replaceChildren();
    drawing.setAttribute("aria-label", `The paths of six optimizers over contour lines of ${surface.value}`);
    const clip = svg("clipPath", { id: "race-clip" }, drawing);
    svg("rect", { width: 480, height: 360 }, clip);
    const inside = svg("g", { "clip-path": "url(#race-clip)" }, drawing);
    const scaled = svg("g", { transform: "scale(.1)" }, inside);
    svg("path", { class: "contours", d: race.contours }, scaled);
    svg("rect", { class: "frame", width: 480, height: 360 }, drawing);
    axes();
    frames = race.paths.map(path => {
      const line = svg("polyline", { class: "path", stroke: path.colour }, scaled);
      const dot = svg("circle", { r: 5, fill: path.colour }, inside);
      const item = legend.appendChild(document.createElement("li"));
      item.appendChild(document.createElement("i")).style.background = path.colour;
      item.append(`${path.label}: `);
      return { path, line, dot, state: item.appendChild(document.createElement("span")) };
    });
    race.minima.forEach(star);
    cross(race.start);
    slider.max = race.steps;
    slider.value = 0;
    draw(0);
  };

  // The first steps one by one, later ones faster: all take about six seconds.
  const advance = () => {
    const step = Math.min(race.steps, +slider.value + 1 + Math.floor(slider.value / 40));
    slider.value = step;
    draw(step);
    if (step === race.steps) pause();
  };
  const pause = () => {
    clearInterval(timer);
    timer = undefined;
    play.textContent = "Play";
  };
  const toggle = () => {
    if (timer) return pause();
    if (+slider.value === race.steps) slider.value = 0;
    play.textContent = "Pause";
    timer = setInterval(advance, 33);
  };

  if (data) {
    surface.append(...Object.keys(races).map(name => new Option(name)));
    surface.addEventListener("input", choose);
    play.addEventListener("click", toggle);
    slider.addEventListener("input", () => { pause(); draw(+slider.value); });
    choose();
  }
}
