"""The built site: links, requests, accessibility, narrow windows.

Run with `pytest -m browser tests`, with the `browser` and `docs` extras and chromium on
the PATH. The site is built without running the lessons' notebooks, or `JAXGRAD_SITE`
names the folder of a built one.
"""

import os
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

from docs._site import docstrings
from docs._site.names import public_names

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
PAGES = ["index.html", "guides/porting.html", "api/jaxgrad.gradcheck.html"]
LESSON = "lessons/notebooks/ja/01_first_gradient.html"
LOADING = {"src", "srcset", "data", "poster"}


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = {name: value for name, value in attrs if value}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        self.loads += [given[name] for name in LOADING & set(given)]
        if "href" in given:
            (self.loads if tag == "link" else self.links).append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if built := os.environ.get("JAXGRAD_SITE"):
        return Path(built)
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-D", "nb_execution_mode=off", "-d", str(out / "trees")]
    done = subprocess.run(
        [*command, "docs", str(out / "html")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def broken(pages):
    """The links to files of the site, or to places in them, that do not exist."""
    for path, page in pages.items():
        for link in page.links + page.loads:
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            file = (path.parent / unquote(target.path)).resolve()
            file = file if target.path else path
            place = unquote(target.fragment)
            lost = place and file in pages and place not in pages[file].anchors
            if lost or not file.exists():
                yield f"{path.name}: {link}"


def foreign(pages, site):
    """What the pages and style sheets load from other hosts."""
    for path, page in pages.items():
        yield from (f"{path.name}: {x}" for x in page.loads if urlsplit(x).netloc)
    for path in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import )['\"]?(https?:|//)", path.read_text())
        yield from (f"{path.name}: {x}" for x in found)


def test_every_link_inside_the_site_leads_somewhere(pages):
    assert len(pages) > 60  # with the sources
    assert not list(broken(pages))


def test_nothing_is_loaded_from_another_host(pages, site):
    assert not list(foreign(pages, site))


def test_these_tests_notice_a_broken_link_and_a_foreign_script(tmp_path):
    path = tmp_path / "page.html"
    path.write_text('<a href="gone.html"></a><a href="#gone"></a><a href="page.html">')
    pages = {path: Page(path)}
    assert list(broken(pages)) == ["page.html: gone.html", "page.html: #gone"]
    path.write_text('<script src="https://example.org/x.js"></script>')
    (tmp_path / "x.css").write_text("a { background: url(//example.org/x.png) }")
    pages = {path: Page(path)}
    assert len(list(foreign(pages, tmp_path))) == 2


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, format, *args):
        del format, args


@pytest.fixture(scope="module")
def address(site):
    handler = partial(Quiet, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def window(browser, address):
    """A window that must see no error and no request to another host."""
    faults: list[str] = []
    context = browser.new_context(
        viewport={"width": 360, "height": 800}, base_url=address
    )
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda r: r.url.startswith(address) or faults.append(r.url))
    yield page
    context.close()
    assert not faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_fault(window, name, scheme):
    from axe_playwright_python.sync_playwright import Axe

    window.emulate_media(color_scheme=scheme)
    window.goto(name)
    window.set_viewport_size({"width": 1280, "height": 900})
    found = Axe().run(window).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious]


@pytest.mark.parametrize("name", [*PAGES, "parity.html", "limitations.html", LESSON])
def test_a_narrow_window_does_not_scroll_sideways(window, name):
    window.goto(name)
    assert window.evaluate("document.documentElement.scrollWidth") <= 360


def test_search_finds_a_function(window):
    window.goto("search.html?q=find_nonfinite")
    window.get_by_role("link", name="jaxgrad.find_nonfinite").first.wait_for()


def test_search_in_a_site_opened_as_a_file_causes_no_error(browser, site):
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto((site / "search.html").as_uri() + "?q=gradient")
    page.get_by_role("link", name="Finding a wrong gradient").first.wait_for()
    page.wait_for_timeout(300)
    page.close()
    assert said == []


def test_a_japanese_page_says_so(window):
    window.goto(LESSON)
    assert window.locator("html").get_attribute("lang") == "ja"
    window.goto(PAGES[0])
    assert window.locator("html").get_attribute("lang") == "en"


def test_every_public_module_has_a_page_and_every_name_an_entry(site):
    modules = {f"jaxgrad.{room}" for room in public(ROOT / "jaxgrad")}
    for package in ("torch_state", "training"):
        inside = public(ROOT / "jaxgrad" / package)
        modules |= {f"jaxgrad.{package}.{module}" for module in inside}
    described = {path.stem for path in (ROOT / "docs" / "api").glob("jaxgrad*.md")}
    assert described == modules | {"jaxgrad"}
    for module in described:
        names = {name.name for name in public_names(import_module(module))}
        text = (site / "api" / f"{module}.html").read_text(encoding="utf-8")
        missing = [name for name in names if f'title="jaxgrad.{name}"' not in text]
        assert not [n for n in missing if f'title="{module}.{n}"' not in text]


def public(folder):
    entries = (path for path in folder.iterdir() if path.suffix in ("", ".py"))
    return {path.stem for path in entries if not path.stem.startswith("_")}


def test_a_docstring_becomes_text_fields_and_examples():
    text = docstrings.as_myst(
        "One line with $x$.\n\nArgs:\n    x: A\n        number.\n    *rest: More.\n"
        "Returns: Its\n    square.\n\nExamples:\n    >>> 2\n    2\n\nThe end."
    )
    assert text.split("\n") == [
        "One line with $x$.", "", "The end.", "",
        ":Args:", "    - **x**: A", "        number.", "    - **\\*rest**: More.", "",
        ":Returns:", "    Its", "    square.", "", "",
        "*Examples*", "", "```pycon", ">>> 2", "2", "```", "",
    ]  # fmt: skip
