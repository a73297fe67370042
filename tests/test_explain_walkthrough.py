"""The chain rule on the page in Chromium: chosen, played, searched, at every width.

Run with `pytest -m browser tests`, with the `browser` extra and chromium on the PATH.
"""

import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import compare, explain
from jaxgrad.inspection import Argument, Explanation, Operand, Source, Step
from jaxgrad.inspection.report.data import ChainRule, Contribution
from jaxgrad.inspection.trajectories.result import Row, TrainingComparison
from jaxgrad.losses import cross_entropy
from tests.test_explain_page import anyone as anyone
from tests.test_explain_page import (
    boxes,
    first_report,
    ids,
    looped_report,
    marked_report,
)
from tests.test_explain_page import visitor as visitor

pytestmark = pytest.mark.browser

MIDDLE_OF_EDGE = """
edge => {
  const point = edge.getPointAtLength(edge.getTotalLength() * 0.4);
  const { x, y } = point.matrixTransform(edge.getScreenCTM());
  return [x, y];
}
"""


def panel(page):
    return page.inner_text("#panel")


def table(page, number):
    """The cells of a table of the panel, without line breaks."""
    script = """tables => tables.map(table => [...table.querySelectorAll("tbody tr")]
      .map(row => [...row.cells].map(cell => cell.innerText.replace("\\n", ": "))))"""
    return page.eval_on_selector_all("#panel table", script)[number]


def test_a_step_shows_its_derivative_what_came_in_and_what_it_sends(visitor):
    page = visitor.read(first_report())
    page.click("#step-2")
    shown = panel(page)
    assert "multiply, step 2" in shown and "y = w2 * h1 + b2" in shown
    assert "reads w2 = 4, h1 = -4" in shown and "multiply = -16" in shown
    assert "d backprop / d multiply 2 = 1" in shown
    assert table(page, 0) == [["y (add)", "1"]]
    assert table(page, 1) == [
        ["w2", "d multiply 2 / d w2: h1 = -4", "1 × (-4) = -4"],
        ["h1 (add)", "d multiply 2 / d h1: w2 = 4", "1 × 4 = 4"],
    ]
    assert page.locator(".flow").all_text_contents() == ["-4", "4"]
    page.click("#panel a:text('w2') >> nth=0")
    assert table(page, 0) == [["multiply 2", "-4"]]
    assert ids(page, ".chosen") == ["row-argument-2"]


def test_an_edge_shows_the_step_and_marks_what_it_sends_along_it(visitor):
    page = visitor.read(first_report())
    edge = '.edge[data-ends="argument-0 step-0"]'
    page.mouse.click(*page.eval_on_selector(edge, MIDDLE_OF_EDGE))
    assert "multiply, step 0" in panel(page)
    assert page.inner_text("#panel .chosen td >> nth=0") == "w1"
    assert page.locator(".edge.lit").count() == 1


def fan_out(a):
    h = jnp.sin(a)
    return (h * h + jnp.exp(h)).sum()


def test_contributions_of_several_readers_are_listed_with_their_sum(visitor):
    page = visitor.read(explain(fan_out)(jnp.array([1.0, 2.0])))
    page.click("#step-0")
    *parts, total = table(page, 0)
    assert total[0] == "sum" and len(parts) == 2
    numbers = [np.array(eval(text)) for _, text in (*parts, total)]
    np.testing.assert_allclose(numbers[0] + numbers[1], numbers[2], 1e-4)


def hidden(page, kind):
    """The nodes whose value or gradient is not shown."""
    script = f"""nodes => nodes.filter(node => [...node.querySelectorAll("text.{kind}")]
      .some(text => getComputedStyle(text).visibility === "hidden"))
      .map(node => node.id)"""
    return page.eval_on_selector_all("g.node", script)


def test_values_appear_forward_and_gradients_backward(visitor):
    page = visitor.read(first_report())
    steps = [f"step-{i}" for i in range(4)]
    given = [f"argument-{i}" for i in range(4)]
    assert hidden(page, "value") == hidden(page, "grad") == []
    page.click("#start")
    assert hidden(page, "value") == steps
    assert hidden(page, "grad") == given + steps
    for i in range(4):
        page.click("#next")
        assert hidden(page, "value") == steps[i + 1 :]
        assert ids(page, "g.now") == [steps[i]]
    assert hidden(page, "grad") == given + steps
    for left in (3, 2, 1, 0):
        page.keyboard.press("n")
        assert ids(page, "g.now") == [steps[left]]
        assert set(hidden(page, "grad")) & set(steps) == set(steps[:left])
    assert page.locator(".flow").all_text_contents() == ["12"]
    assert hidden(page, "grad") == []
    page.keyboard.press("p")
    assert hidden(page, "grad") == ["argument-0", "step-0"]
    assert "7 of 9. Backward: h1 (add)" in page.inner_text("#now")
    page.click("#end")
    assert hidden(page, "value") == hidden(page, "grad") == ids(page, "g.now") == []


def test_it_plays_by_itself_and_by_the_slider(visitor):
    page = visitor.read(first_report())
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "true"
    page.wait_for_function("document.getElementById('moment').value >= 2")
    page.click("#play")
    assert page.inner_text("#play") == "Play"
    before = page.input_value("#moment")
    page.wait_for_timeout(1000)
    assert page.input_value("#moment") == before
    page.focus("#moment")
    page.keyboard.press("Home")
    assert hidden(page, "value") == [f"step-{i}" for i in range(4)]
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#moment", "aria-valuetext") == "Forward: multiply 0"


def test_the_search_finds_steps_in_the_table_and_in_the_graph(visitor):
    page = visitor.read(first_report())
    page.keyboard.press("/")
    page.keyboard.type("H1 =")
    assert page.inner_text("#hits") == "1 of 9"
    seen = page.locator("tbody tr[id]:visible")
    assert seen.count() == 1 and seen.get_attribute("id") == "row-step-0"
    assert page.locator("g.node:not(.miss)").count() == 1
    page.keyboard.press("Enter")
    assert "multiply, step 0" in panel(page)
    page.keyboard.press("Escape")
    assert page.locator("tbody tr:visible").count() == 9 + 2  # and those of the panel
    assert page.locator("g.miss").count() == 0


def test_a_column_is_sorted_by_its_numbers(visitor):
    page = visitor.read(first_report())
    page.click("th button:text('value')")
    column = ".scroll td.value"
    up = page.locator(column).all_text_contents()
    assert up == ["-16", "-10", "-9", "-4", "2", "3", "4", "6", "7"]
    page.focus("th button:text('value')")
    page.keyboard.press("Enter")
    assert page.locator(column).all_text_contents() == up[::-1]
    assert (
        page.get_attribute("th:has(button:text('value'))", "aria-sort") == "descending"
    )


def perceptron(params, images, labels):
    x = images
    for name in ("fc1", "fc2"):
        x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"])
    logits = x @ params["fc3"]["kernel"] + params["fc3"]["bias"]
    loss = cross_entropy(logits, labels)
    return loss  # noqa: RET504


@pytest.fixture(scope="module")
def mnist():
    """The first batch of the MNIST perceptron, at its sizes."""
    sizes, params = (784, 1024, 512, 10), {}
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), 1):
        kernel = jax.random.normal(jax.random.key(i), (fan_in, fan_out)) / fan_in**0.5
        params[f"fc{i}"] = {"kernel": kernel, "bias": jnp.zeros(fan_out)}
    images = jax.random.uniform(jax.random.key(0), (8, 784))
    return explain(perceptron)(params, images, jnp.arange(8))


LETTERS = """
nodes => nodes.flatMap(node => [...node.querySelectorAll("text")].map(
  text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))
"""


def test_the_mnist_graph_is_legible_at_1280_pixels_without_a_click(visitor, mnist):
    visitor.page.set_viewport_size({"width": 1280, "height": 800})
    page = visitor.read(mnist)
    assert min(page.eval_on_selector_all("g.node", LETTERS)) >= 11.5
    heights = [bottom - top for _, top, _, bottom in boxes(page, "g.node rect")]
    assert min(heights) >= 45
    (graph,) = boxes(page, ".graph")
    for left, top, right, bottom in boxes(page, "g.node rect"):  # the result as well
        assert graph[0] <= left < right <= graph[2]
        assert graph[1] <= top < bottom <= graph[3] <= 800
    for part in ("html", ".graph", ".scroll"):
        wide, seen = page.eval_on_selector(part, "e => [e.scrollWidth, e.clientWidth]")
        assert wide <= seen, part
    for left, _, right, _ in boxes(page, "td.source"):
        assert 200 < right - left and right <= 1280
    page.click("#to-result")
    assert "cross_entropy" in panel(page)
    ((_, top, _, bottom),) = boxes(page, "g.result rect")
    assert 0 <= top < bottom <= 800


def test_the_page_follows_the_step_that_is_played(visitor, mnist):
    visitor.page.set_viewport_size({"width": 1280, "height": 600})
    page = visitor.read(mnist)
    page.click("#start")
    for _ in range(2 * len(mnist.steps)):
        page.keyboard.press("n")
        ((_, top, _, bottom),) = boxes(page, "g.now rect")
        ((_, high, _, low),) = boxes(page, ".graph")
        assert 0 <= high <= top < bottom <= low <= 600


def test_large_arrays_have_a_formula_and_a_summary(visitor, mnist):
    page = visitor.read(mnist)
    page.click("#step-0")
    ((to, local, sent),) = table(page, 1)
    assert to == "params['fc1']['kernel']" and "images.T @ cotangent" in local
    assert ".." in sent and "|" in sent


def compared():
    return compare(first_report(), first_report())


def trained():
    rows = [Row(i, 1.0, 1.0, None, 0.0, 0.0) for i in range(4)]
    return TrainingComparison(None, "agree", rows)


CHECKED = (first_report, looped_report, marked_report, compared, trained)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(visitor, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    visitor.page.set_viewport_size({"width": width, "height": 740})
    visitor.page.emulate_media(color_scheme=scheme)
    for report in CHECKED:
        page = visitor.read(report())
        if page.locator("#start").count():
            page.click("#start")
            page.click("#next")
        found = Axe().run(page).response["violations"]
        grave = [f for f in found if f["impact"] in ("serious", "critical")]
        named = {f["id"]: [node["html"][:200] for node in f["nodes"]] for f in grave}
        assert named == {}


def test_axe_notices_a_fault(visitor):
    from axe_playwright_python.sync_playwright import Axe

    page = visitor.read(first_report())
    page.eval_on_selector("#moment", "e => e.removeAttribute('aria-label')")
    found = Axe().run(page).response["violations"]
    assert any(f["impact"] in ("serious", "critical") for f in found)


def long_report(count):
    """A chain of `count` steps with its contributions, written down by hand."""
    one = np.float32(1)
    place = Source("/home/user/long.py", 3, "long", "h = sin(h) + a")

    def made(i):
        before = Operand("step", f"h{i - 1}", i - 1)
        inputs = (before,) if i else (Operand("argument", "a", 0),)
        return Step(i, f"h{i}", "sin", inputs, (), np.dtype("f4"), one, one, place)

    sent = [Contribution((), "step", count - 1, 0, one)]
    for i in range(count):
        to = ("step", i - 1) if i else ("argument", 0)
        sent.append(Contribution((i,), *to, 0, one, "1", one, "gradient"))
    chain = ChainRule(tuple(sent))
    given = (Argument(0, "a", (), np.dtype("f4"), one, one),)
    steps = tuple(map(made, range(count)))
    whole = ("long", one, (one,), given, steps, count - 1)
    return Explanation(*whole, _chain=lambda _: chain)


def test_a_program_of_2000_steps_opens_in_2_seconds_and_stays_usable(visitor):
    page, path = visitor.page, visitor.folder / "report.html"
    long_report(2000).save(path)
    opened = []
    for _ in range(3):  # the best of three, on a machine that does other things
        began = time.perf_counter()
        page.goto(path.as_uri())
        page.evaluate("new Promise(done => requestAnimationFrame(() => done()))")
        opened.append(time.perf_counter() - began)
    assert min(opened) < 2, opened
    for selector in ("#start", "#next", "#end", "#to-result"):
        began = time.perf_counter()
        page.click(selector)
        assert time.perf_counter() - began < 1, selector
    assert "h1999" in panel(page)
    began = time.perf_counter()
    page.fill("#search", "h1500")
    assert page.inner_text("#hits") == "1 of 2001"
    page.press("#search", "Enter")
    assert "h1500 (sin), step 1500" in panel(page)
    assert time.perf_counter() - began < 1
    ((_, top, _, bottom),) = boxes(page, "#step-1500 rect")
    (_, low, _, high) = boxes(page, ".graph")[0]
    assert low <= top < bottom <= high


def test_the_page_of_the_seed_s_example_is_small(tmp_path):
    first_report().save(tmp_path / "seed.html")
    assert (tmp_path / "seed.html").stat().st_size < 100_000
