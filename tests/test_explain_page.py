"""The pages in Chromium: nodes, hover, keyboard, colours, and no network requests.

Run with `pytest -m browser tests`, with the `browser` extra and chromium on the PATH.
"""

import itertools

import jax
import jax.numpy as jnp
import pytest

from jaxgrad import explain

pytestmark = pytest.mark.browser

TEXT_AND_GROUND = """
nodes => nodes.flatMap(node => [...node.querySelectorAll("text")].map(text => [
  text.textContent, getComputedStyle(text).fill,
  getComputedStyle(node.querySelector("rect")).fill]))
"""
CELL_AND_GROUND = """
cells => cells.map(cell => [cell.textContent, getComputedStyle(cell).color,
  getComputedStyle(cell).backgroundColor])
"""
# The nodes that each edge crosses, except the two that it connects.
PIERCED = """
() => {
  const boxes = [...document.querySelectorAll("g.node")].map(
    node => [node.id, node.querySelector("rect").getBoundingClientRect()]);
  return [...document.querySelectorAll(".edge:not(.previous)")].flatMap(edge => {
    const matrix = edge.getScreenCTM(), length = edge.getTotalLength();
    const ends = edge.dataset.ends.split(" ");
    return Array.from({ length: 60 }, (_, i) => edge.getPointAtLength(length * i / 59))
      .map(point => point.matrixTransform(matrix))
      .flatMap(({ x, y }) => boxes.filter(([id, b]) => !ends.includes(id) &&
        b.left < x && x < b.right && b.top < y && y < b.bottom))
      .map(([id]) => [edge.dataset.ends, id]);
  });
}
"""
MIDDLE = """
edge => {
  const point = edge.getPointAtLength(edge.getTotalLength() / 2);
  const { x, y } = point.matrixTransform(edge.getScreenCTM());
  return [x, y];
}
"""


def backprop(w1, b1, w2, b2, x):
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    return y  # noqa: RET504 - the report shows the name


def looped(params, xs):
    h = xs[0]
    for w in params:
        h = jax.nn.relu(h @ w)
    last, ys = jax.lax.scan(lambda c, x: (jnp.tanh(c * x), c.sum()), h, xs)
    return last.sum() + jnp.log(ys - ys[0]).sum()


def marked(w, x):
    a = w * x
    zero = a * 0.0
    dead = jax.nn.relu(-jnp.abs(a) - 1.0)
    large = jnp.exp(5.0 * a)
    loss = 1e3 * large.sum() + dead.sum() + zero.sum()
    return loss  # noqa: RET504


def deep(params, x):
    h = x
    for w, b in params:
        z = h @ w
        h = jnp.tanh(z + b) + x
    loss = jnp.mean(h**2)
    return loss  # noqa: RET504


def first_report():
    return explain(backprop, argnums=(0, 1, 2, 3))(2.0, -10.0, 4.0, 7.0, 3.0)


def looped_report():
    return explain(looped)([0.1 * jnp.ones((4, 4))] * 3, jnp.ones((5, 4)))


def marked_report():
    return explain(marked)(jnp.array([1.0, 2.0, 3.0]), jnp.ones(3))


def deep_report():
    layers = [(0.5 * jnp.eye(4), jnp.zeros(4))] * 40
    return explain(deep, depth="user")(layers, jnp.ones((2, 4)))


class Visitor:
    """One window, which records console messages, errors and requests."""

    def __init__(self, page, folder):
        self.page, self.folder, self.faults, self.requests = page, folder, [], []
        page.on("console", lambda m: self.faults.append(m.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._note(request.url))

    def _note(self, url):
        if not url.startswith(("file:", "data:")):
            self.requests.append(url)

    def open(self, text, name="page.html"):
        (self.folder / name).write_text(text, encoding="utf-8")
        self.page.goto((self.folder / name).as_uri())
        return self.page

    def read(self, report):
        report.save(self.folder / "report.html")
        self.page.goto((self.folder / "report.html").as_uri())
        return self.page


@pytest.fixture
def anyone(browser, tmp_path):
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(20_000)
    yield Visitor(context.new_page(), tmp_path)
    context.close()


@pytest.fixture
def visitor(anyone):
    """A visitor whose pages cause no console message, error or request."""
    yield anyone
    assert anyone.faults == [] and anyone.requests == []


def card(page):
    shown = page.locator(".jaxgrad-card")
    return (shown.text_content() or "") if shown.is_visible() else ""


def ids(page, selector):
    return page.eval_on_selector_all(selector, "all => all.map(one => one.id)")


def lit(page):
    script = "all => all.map(edge => edge.dataset.ends).sort()"
    return page.eval_on_selector_all(".edge.lit", script)


def boxes(page, selector):
    return page.eval_on_selector_all(
        selector,
        "all => all.map(one => one.getBoundingClientRect())"
        ".map(b => [b.left, b.top, b.right, b.bottom])",
    )


def test_a_node_a_row_and_a_card_for_each_step(visitor):
    report = first_report()
    page = visitor.read(report)
    keys = [f"argument-{a.index}" for a in report.arguments]
    keys += [f"step-{s.index}" for s in report.steps]
    assert sorted(ids(page, "g.node")) == sorted(keys)
    assert ids(page, "tbody tr") == [f"row-{key}" for key in keys]
    for key, thing in zip(keys, (*report.arguments, *report.steps), strict=True):
        page.hover(f"#{key}")
        assert str(getattr(thing, "name", getattr(thing, "path", ""))) in card(page)


def test_hovering_a_node_shows_the_detail_and_its_edges(visitor):
    page = visitor.read(first_report())
    assert card(page) == ""
    page.hover("#step-1")
    shown = card(page)
    for part in ("h1 = add, step 1", "value -4", "gradient 4", "h1 = w1 * x + b1"):
        assert part in shown
    assert lit(page) == ["argument-1 step-1", "step-0 step-1", "step-1 step-2"]
    page.mouse.move(2, 2)
    assert card(page) == "" and lit(page) == []


def test_hovering_an_edge_shows_its_ends(visitor):
    page = visitor.read(first_report())
    page.mouse.move(*page.eval_on_selector('.edge[data-ends="step-1 step-2"]', MIDDLE))
    assert card(page).split("\n") == ["h1 = add, step 1", "↓", "multiply, step 2"]
    assert lit(page) == ["step-1 step-2"]
    page.mouse.move(2, 2)
    assert card(page) == "" and lit(page) == []


def test_a_click_leads_from_the_graph_to_the_table_and_back(visitor):
    page = visitor.read(first_report())
    page.click("#step-3")
    assert ids(page, ".chosen") == ["row-step-3"]
    page.click("#row-step-1 a")
    assert ids(page, ".chosen") == ["row-step-1"]
    assert page.evaluate("document.activeElement.id") == "step-1"
    assert "h1 (add), step 1" in page.inner_text("#panel h2")


def test_the_keyboard_reaches_everything(visitor):
    page = visitor.read(first_report())
    page.focus("#to-result")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "argument-0"
    assert "gradient 12" in card(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "step-1"
    page.keyboard.press("Enter")
    assert ids(page, ".chosen") == ["row-step-1"]
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") in ("step-0", "argument-1")
    page.keyboard.press("Escape")
    assert card(page) == ""
    page.focus("#row-step-3 a")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "step-3"


def test_screen_readers_find_names_for_everything(visitor):
    page = visitor.read(first_report())
    assert page.get_by_role("button", name="h1 = add, step 1").count() == 1
    assert page.get_by_role("group", name="The graph of backprop: 4 steps").count() == 1
    assert page.get_by_role("table").count() == 1
    assert page.get_by_role("columnheader", name="gradient").count() == 1
    assert page.get_by_role("slider", name="Moment of the computation").count() == 1
    assert page.get_by_role("searchbox", name="Search").count() == 1
    assert page.get_by_role("radio", name="whole graph").count() == 1


def long_report():
    def loss(params):
        return sum(jnp.sum(jnp.sin(value)) for value in params.values())

    loss.__name__ = "f" * 300
    return explain(loss)({"w" * 250: jnp.arange(3.0)})


REPORTS = {"loops": looped_report, "marks": marked_report, "deep": deep_report}
NARROW = {**REPORTS, "seed": first_report, "long": long_report}


@pytest.mark.parametrize("name", REPORTS)
def test_nothing_overlaps_and_no_edge_crosses_a_node(visitor, name):
    page = visitor.read(REPORTS[name]())
    page.check("#full")
    rects = boxes(page, "g.node rect")
    for (x, y, right, bottom), (u, v, r, b) in itertools.combinations(rects, 2):
        assert x >= r or u >= right or y >= b or v >= bottom
    for line in (1, 2, 3):
        texts = boxes(page, f"g.node text:nth-of-type({line})")
        for (x, y, right, bottom), (u, v, r, b) in zip(texts, rects, strict=True):
            assert u <= x and right <= r and v <= y and bottom <= b
    assert page.evaluate(PIERCED) == []


def test_a_graph_runs_down_from_the_arguments_to_the_loss(visitor):
    page = visitor.read(marked_report())
    steps = boxes(page, "g.step rect")
    (loss,) = boxes(page, "g.result rect")
    for argument in boxes(page, "g.argument rect"):
        assert all(argument[3] < step[1] for step in steps)
    assert all(step[3] < loss[1] for step in steps)
    # A graph of a dozen steps fits the page beside the chosen step.
    (graph,) = boxes(page, ".graph")
    assert graph[0] < min(s[0] for s in steps) and max(s[2] for s in steps) < graph[2]


def wide(a, x):
    return jnp.stack([jnp.sin(a[i]) * x for i in range(12)]).sum()


def test_a_graph_with_many_parallel_steps_runs_from_left_to_right(visitor):
    page = visitor.read(explain(wide)(jnp.ones(12), 2.0))
    (loss,) = boxes(page, "g.result rect")
    (argument,) = boxes(page, "#argument-0 rect")
    assert argument[2] < loss[0]


def test_a_program_of_200_steps_can_be_navigated(visitor):
    report = deep_report()
    page = visitor.read(report)
    assert len(report.steps) > 150
    high, seen = page.eval_on_selector(
        ".graph", "e => [e.scrollHeight, e.clientHeight]"
    )
    assert high > 10 * seen > 3000  # It scrolls inside its window.
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400
    page.focus(f"#row-step-{report.result} a")
    page.keyboard.press("Enter")  # A row of the table leads to its node.
    ((left, top, right, bottom),) = boxes(page, f"#step-{report.result} rect")
    assert 0 <= left < right <= 1400 and 0 <= top < bottom <= 900
    page.check("#whole")
    ((left, _, right, _),) = boxes(page, "svg.jaxgrad-graph")
    assert right - left <= 1400


@pytest.mark.parametrize("name", NARROW)
def test_nothing_scrolls_sideways_in_a_narrow_window(visitor, name):
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    page = visitor.read(NARROW[name]())
    page.click(".find label")
    page.click("#next")
    for part in ("html", ".graph", ".scroll", ".panel"):
        wide, seen = page.eval_on_selector(part, "e => [e.scrollWidth, e.clientWidth]")
        assert wide <= seen <= 360, part


def letters(page):
    """The size of the graph's letters, in pixels."""
    share = "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
    return 12 * page.eval_on_selector("svg.jaxgrad-graph", share)


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_window_shows_the_graph_as_one_column(visitor, name):
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    page = visitor.read(NARROW[name]())
    assert letters(page) > 11
    rects = sorted(boxes(page, "g.node rect"), key=lambda box: box[1])
    assert len({round(left) for left, *_ in rects}) == 1
    for (_, _, _, bottom), (_, top, _, _) in itertools.pairwise(rects):
        assert bottom < top
    assert page.evaluate(PIERCED) == []
    page.set_viewport_size({"width": 1280, "height": 800})  # as drawn again
    assert page.evaluate(PIERCED) == []


def test_a_page_that_loads_unseen_is_one_column_when_it_is_shown(visitor):
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.read(first_report())
    frame = "<iframe src=report.html style='width: 100%; height: 80vh'></iframe>"
    page = visitor.open(
        f"<!DOCTYPE html><details><summary>it</summary>{frame}</details>"
    )
    (_, inside) = page.frames
    inside.wait_for_selector("svg", state="attached")
    page.click("summary")
    inside.wait_for_selector("svg")
    assert letters(inside) > 11
    ((left, top, right, bottom),) = boxes(inside, "svg.jaxgrad-graph")
    for x, y, r, b in boxes(inside, "g.node rect"):
        assert left < x < r < right and top < y < b < bottom


def luminance(colour):
    """The luminance of `rgb(r, g, b)` by the Web Content Accessibility Guidelines."""
    channels = [int(c) / 255 for c in colour[4:-1].split(",")]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["loops", "marks"])
def test_every_text_is_legible_in_both_schemes(visitor, scheme, name):
    visitor.page.emulate_media(color_scheme=scheme)
    page = visitor.read(REPORTS[name]())
    found = page.eval_on_selector_all("g.node", TEXT_AND_GROUND)
    found += page.eval_on_selector_all("td, th", CELL_AND_GROUND)
    assert len(found) > 60
    for text, ink, ground in found:
        assert not text or contrast(ink, ground) >= 4.5, (text, ink, ground)
    ground = page.eval_on_selector(
        ".jaxgrad", "e => getComputedStyle(e).backgroundColor"
    )
    assert (luminance(ground) < 0.1) == (scheme == "dark")


def test_marks_are_words_on_the_nodes_and_in_the_table(visitor):
    page = visitor.read(marked_report())
    script = "all => [...new Set(all.map(one => one.textContent))].sort()"
    words = ["dead", "exploding", "zero"]
    assert page.eval_on_selector_all("g.node .mark", script) == words
    assert page.eval_on_selector_all("td.mark", script) == ["", *words]
    assert page.eval_on_selector_all("dt[class]", script) == words


def test_a_nan_is_explained_above_the_graph(visitor):
    page = visitor.read(looped_report())
    assert page.locator("pre").text_content().startswith("log")
    assert page.locator("tr.non-finite").count() > 0
    assert page.locator("g.node.non-finite").count() > 0


def late_nan(x):
    for _ in range(30):
        x = jnp.tanh(x)
    return jnp.log(x).sum()


def test_a_long_graph_opens_at_the_step_to_blame(visitor):
    page = visitor.read(explain(late_nan)(jnp.zeros(2)))
    assert page.locator("g.blamed").count() == 1
    ((_, top, _, bottom),) = boxes(page, "g.blamed rect")
    ((_, low, _, high),) = boxes(page, ".graph")
    assert low < top < bottom < high
    assert page.evaluate("scrollY") == 0


def test_a_notebook_s_cell_changes_nothing_around_it(visitor):
    head = "<!DOCTYPE html><meta charset=utf-8><style>table { color: green }</style>"
    around = head + "<h1>t</h1><table><tr><td>c</table>CELLS<pre>p</pre>"
    styles = """all => all.map(one => { const s = getComputedStyle(one);
      return [s.color, s.backgroundColor, s.font, s.margin, s.padding, s.border]; })"""
    outside = "body, body > h1, body > table td, body > pre"
    page = visitor.open(around.replace("CELLS", ""))
    before = page.eval_on_selector_all(outside, styles)
    twice = [first_report()] * 2  # as in two cells that show the same
    cells = "".join(r._repr_html_() for r in (*twice, looped_report()))
    page = visitor.open(around.replace("CELLS", cells))
    assert page.eval_on_selector_all(outside, styles) == before
    every = ids(page, "[id]")
    assert len(set(every)) == len(every)
    # The size of the graph and the titles on hover work without a script.
    assert page.locator("script").count() == 0
    page.set_viewport_size({"width": 320, "height": 700})
    page.locator("input.full").last.check()
    wide, seen = page.locator(".graph").last.evaluate(
        "e => [e.scrollWidth, e.clientWidth]"
    )
    assert wide > seen
    assert page.locator("g.node title").first.text_content().startswith("w1: f32[]")


def test_the_svg_is_a_file_of_its_own(visitor):
    page = visitor.open(first_report().to_svg(), "graph.svg")
    assert page.locator("g.node").count() == 9
    (box,) = boxes(page, "#step-3 rect")
    assert box[2] - box[0] > 40


def test_these_tests_notice_an_error_and_a_request(anyone):
    page = anyone.open("<script>nothing()</script><img src='http://127.0.0.1:9/x.png'>")
    for _ in range(100):  # events arrive after the page
        if len(anyone.faults) < 2:
            page.wait_for_timeout(50)
    assert anyone.requests == ["http://127.0.0.1:9/x.png"]
    assert len(anyone.faults) == 2


def test_these_tests_notice_an_edge_through_a_node(visitor):
    page = visitor.read(first_report())
    assert page.evaluate(PIERCED) == []
    page.eval_on_selector(
        '.edge[data-ends="argument-0 step-0"]',
        """e => {
          const place = document.getElementById("step-2").getAttribute("transform");
          const [x, y] = place.match(/[-\\d.]+/g).map(Number);
          e.setAttribute("d", `M${x + 20},${y - 20} V${y + 80}`);
        }""",
    )
    assert page.evaluate(PIERCED) != []
