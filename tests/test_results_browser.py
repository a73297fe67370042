"""The results page in Chromium: filter, race, small and dark screens, keyboard, axe.

Run with `pytest -m browser tests`, with the `browser` extra and chromium on the PATH.
"""

import pytest

from tests import results_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return results_page.make(tmp_path_factory.mktemp("run")).as_uri()


@pytest.fixture
def visit(browser, address):
    """Opens the page; it must cause no console message, error or request."""
    faults, contexts = [], []

    def opened(width=1280, **options):
        size = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    inside = (address, "data:", "about:")
    assert [fault for fault in faults if not fault.startswith(inside)] == []


def rows(page):
    shown = "all => all.filter(row => row.offsetHeight).map(row => row.id.slice(4))"
    return page.eval_on_selector_all("tr[data-kind]", shown)


def state(page):
    return page.locator("#race-now").text_content()


def test_the_filter_shows_the_rows_that_match_and_their_number(visit):
    page = visit()
    assert len(rows(page)) == 6
    page.select_option("[name=notebook]", "001")
    assert rows(page) == ["1.7", "1.8", "1.16"]
    page.select_option("[name=kind]", "deterministic")
    assert rows(page) == ["1.7", "1.8"]
    page.select_option("[name=result]", "fails")
    assert rows(page) == ["1.8"]
    assert page.locator("#shown").text_content() == "1 of 6 rows"
    page.select_option("[name=kind]", "")
    page.select_option("[name=notebook]", "")
    page.select_option("[name=result]", "not run")
    assert rows(page) == ["3.32"]
    page.get_by_role("link", name="Row 1.8").click()  # a hidden row is shown again
    page.wait_for_function("document.querySelector('#row-1\\\\.8').offsetHeight > 0")
    assert len(rows(page)) == 6


def test_the_race_plays_pauses_and_follows_the_slider(visit):
    page = visit()
    assert state(page) == "step 0 of 60"
    page.click("#race-play")
    page.wait_for_function("document.querySelector('#race-play').textContent == 'Play'")
    assert state(page) == "step 60 of 60"
    legend = page.locator("#race-legend li")
    assert legend.nth(0).text_content() == "SGD, lr 0.1: arrived after 2 steps"
    assert legend.nth(1).text_content().endswith("outside the picture")
    page.fill("#race-step", "1")
    assert state(page) == "step 1 of 60"
    assert legend.nth(0).text_content().endswith("on its way")
    page.click("#race-play")
    assert page.locator("#race-play").text_content() == "Pause"
    page.click("#race-play")
    assert page.locator("#race-play").text_content() == "Play"
    page.select_option("#race-surface", "bowl")
    assert state(page) == "step 0 of 60"
    assert "bowl" in page.locator("#race-drawing").get_attribute("aria-label")
    assert page.locator("#race-drawing polyline").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_nothing_scrolls_sideways_and_axe_finds_no_serious_fault(visit, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(width, color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = "all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    cells = f"all => ({outside})(all).map(e => e.outerHTML.slice(0, 80))"
    assert page.eval_on_selector_all("td, img, form, svg, .value", cells) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    found = Axe().run(page, options={"iframes": False}).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_inverted_on_a_dark_page(visit, scheme):
    filters = "all => [...new Set(all.map(one => getComputedStyle(one).filter))]"
    (applied,) = visit(color_scheme=scheme).eval_on_selector_all("figure img", filters)
    assert (applied == "none") == (scheme == "light")


def test_a_picture_is_shown_in_full_size_and_scrolls_inside(visit):
    page = visit(360)
    button = page.get_by_role("button", name="Full size: contours_rosenbrock")
    image = button.locator("img")
    fitting = image.bounding_box()["width"]
    button.press("Enter")
    assert image.bounding_box()["width"] > 600 > 360 > fitting
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    button.click()
    assert image.bounding_box()["width"] == fitting


def test_the_keyboard_reaches_and_works_everything(visit):
    page = visit()
    reached = []
    focus = "e => (e.name || e.id || e.tagName) + (e.href ? e.hash : '')"
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(f"({focus})(document.activeElement)"))
        if reached[-1] == "race-play":
            page.keyboard.press("Enter")
            assert page.locator("#race-play").text_content() == "Pause"
            page.keyboard.press("Enter")
        if reached[-1] == "race-step":
            page.keyboard.press("Home")
            page.keyboard.press("ArrowRight")
            assert state(page) == "step 1 of 60"
        if reached[-1] in ("BODY", "HTML") or reached.count(reached[0]) > 1:
            break
    assert reached[0] == "A#main"
    # SUMMARY: a folded number, a report, what was printed.
    order = "notebook kind result SUMMARY race-surface race-play race-step"
    order = [*order.split(), "SUMMARY", "SUMMARY"]
    assert [name for name in reached if name in order] == order


def test_without_a_script_everything_but_the_race_is_there(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("tr[data-kind]").count() == 6
    assert page.locator("figure img").count() == 3
