"""A real JupyterLab in Chromium: trusted and not, light and dark, against the system.

Run with `pytest -m browser tests`, with the `browser` extra and chromium on the PATH.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import jax.numpy as jnp
import pytest

from jaxgrad import explain
from tests.notebook import executed
from tests.test_explain_page import (
    CELL_AND_GROUND,
    TEXT_AND_GROUND,
    contrast,
    luminance,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),  # Jupyter's own packages warn
]

THEME = """theme => jupyterapp.commands.execute(
  'apputils:change-theme', { theme: `JupyterLab ${theme}` })"""
STYLE = "(e, name) => getComputedStyle(e)[name]"
GROUND = "e => getComputedStyle(e).backgroundColor"
RED = {"Light": "rgb(254, 226, 226)", "Dark": "rgb(95, 19, 19)"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a JupyterLab with a trusted notebook and one that is not."""
    home = tmp_path_factory.mktemp("jupyter")
    port = _free_port()
    lab = _start(home, port)
    try:
        _write_notebooks(home)
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/api")
        yield address
    finally:
        lab.terminate()
        lab.wait(30)


def _start(home, port):
    folders = {f"JUPYTER_{x}_DIR": str(home) for x in ("CONFIG", "DATA", "RUNTIME")}
    options = (
        *("--no-browser", "--allow-root", "--expose-app-in-browser", f"--port={port}"),
        *(f"--ServerApp.root_dir={home}", "--IdentityProvider.token="),
        "--LabApp.news_url=None",
    )
    return subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        env=os.environ | folders | {"HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _write_notebooks(home):
    import nbformat
    from nbformat.sign import NotebookNotary

    notebook = executed()
    nbformat.write(notebook, home / "untrusted.ipynb")
    notebook.metadata["title"] = "another"  # a signature covers the content
    nbformat.write(notebook, home / "trusted.ipynb")
    notary = NotebookNotary(data_dir=str(home))
    notary.sign(nbformat.read(home / "trusted.ipynb", 4))
    notary.store.close()


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_for(address):
    for _ in range(300):
        try:
            urllib.request.urlopen(address).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def trusted(browser, server):
    return opened(browser, f"{server}/lab/tree/trusted.ipynb")


@pytest.fixture(scope="module")
def untrusted(browser, server):
    return opened(browser, f"{server}/lab/workspaces/other/tree/untrusted.ipynb")


def opened(browser, address):
    page = browser.new_page(viewport={"width": 1400, "height": 6000})
    page.set_default_timeout(60_000)
    page.goto(address)
    last = page.locator(".jp-OutputArea-output", has_text="cell 21, line 4")
    last.wait_for()
    return page


def use(page, theme, system):
    page.emulate_media(color_scheme=system)
    page.evaluate(THEME, theme)
    light = str(theme == "Light").lower()
    page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")


def colours(page, selector):
    return page.eval_on_selector_all(selector, CELL_AND_GROUND)


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_a_report_takes_the_theme_of_the_lab(trusted, theme, system):
    use(trusted, theme, system)
    grounds = [ground for _, _, ground in colours(trusted, ".jaxgrad")]
    assert len(grounds) == 3
    for ground in grounds:
        assert (luminance(ground) < 0.1) == (theme == "Dark")
    found = trusted.eval_on_selector_all(".jaxgrad g.node", TEXT_AND_GROUND)
    found += colours(trusted, ".jaxgrad :is(td, th, pre)")
    assert len(found) > 100
    for text, ink, ground in found:
        assert not text or contrast(ink, ground) >= 4.5, (text, ink, ground)


def test_the_style_of_the_lab_does_not_win(trusted):
    use(trusted, "Light", "dark")
    every = trusted.locator(".jaxgrad :is(td, th), .jaxgrad-shown :is(td, th)").all()
    assert {cell.evaluate(STYLE, "textAlign") for cell in every} == {"left"}
    assert {ground for _, _, ground in colours(trusted, ".jaxgrad pre")} == {
        RED["Light"]
    }
    blame = trusted.locator(".jaxgrad-shown pre.bad")
    assert blame.evaluate(STYLE, "backgroundColor") == "rgba(220, 38, 38, 0.18)"
    widths = "e => [e.scrollWidth, e.clientWidth]"
    wide, seen = trusted.locator(".jaxgrad .scroll").first.evaluate(widths)
    assert wide == seen
    assert trusted.locator(".live svg").first.is_visible()
    assert not trusted.locator(".still").first.is_visible()


def test_the_table_of_a_result_is_legible_in_every_theme(trusted):
    """It has no ground of its own: the ground is that of the notebook."""
    for theme in ("Light", "Dark"):
        use(trusted, theme, "light" if theme == "Dark" else "dark")
        ((_, _, ground),) = colours(trusted, ".jp-NotebookPanel .jp-Notebook")
        inks = colours(trusted, ".jaxgrad-shown :is(td, th, p, pre)")
        assert len(inks) > 20
        for _, ink, _ in inks:
            channels = ink.strip("rgba()").split(",")
            assert contrast(f"rgb({','.join(channels[:3])})", ground) >= 7


def test_an_untrusted_notebook_shows_an_image_and_a_plain_table(untrusted):
    cell = untrusted.locator(".jp-RenderedHTML").first
    assert cell.locator("svg, style, input:visible").count() == 0
    image = cell.locator("img.still")
    assert image.evaluate("e => e.complete && e.naturalWidth > 100")
    assert "5 steps" in image.get_attribute("alt")
    words = cell.inner_text()
    assert "1 non-finite element" in words and "grad" not in words.split()
    assert "readable size" not in words
    assert cell.locator("table tr").count() == 8
    assert cell.locator("td", has_text="cell 2, line 4").first.is_visible()


# How other places say which theme they have: light, then dark.
HOSTS = {
    "VS Code": ("<body class=vscode-light>", "<body class=vscode-dark>"),
    "VS Code, high contrast": (
        "<body class='vscode-high-contrast-light vscode-high-contrast'>",
        "<body class=vscode-high-contrast>",
    ),
    "Colab": ("<html theme=light>", "<html theme=dark>"),
    "Sphinx": ("<html data-theme=light>", "<html data-theme=dark>"),
    "Furo": ("<body data-theme=light>", "<body data-theme=dark>"),
    "any page, which is white unless it says so": (
        "<body>",
        "<body style='color-scheme: dark'>",
    ),
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_report_takes_the_theme_of_other_hosts(browser, host):
    cell = explain(lambda x: jnp.sin(x) * 2)(1.0)._repr_html_()
    for tag, system in zip(HOSTS[host], ("dark", "light"), strict=True):
        page = browser.new_page(color_scheme=system)
        page.set_content(f"<!DOCTYPE html>{tag}{cell}")
        ground = page.eval_on_selector(".jaxgrad", GROUND)
        assert (luminance(ground) > 0.1) == (system == "dark")
        page.close()


def test_nbconvert_keeps_its_theme(browser, tmp_path):
    from nbconvert import HTMLExporter

    for theme, system in (("light", "dark"), ("dark", "light")):
        text, _ = HTMLExporter(theme=theme, embed_images=True).from_notebook_node(
            executed()
        )
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        page = browser.new_page(color_scheme=system)
        page.route("http**", lambda route: route.abort())
        page.goto((tmp_path / "page.html").as_uri())
        ground = page.eval_on_selector(".jaxgrad", GROUND)
        assert (luminance(ground) < 0.1) == (theme == "dark")
        assert page.locator(".live svg").first.is_visible()
        page.close()
