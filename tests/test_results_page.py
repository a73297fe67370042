"""The results page: what it shows of a run, and that it needs no other file."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from experiments._results import pictures, values
from experiments._results.notebooks import NOTEBOOKS
from experiments._results.page import write
from experiments._results.pictures import captions, text_for
from jaxgrad import activations
from jaxgrad.descent import SURFACES
from tests import results_page

EXPERIMENTS = (
    "arrays derivatives backprop activations optimizers cross_entropy two_layer_net "
    "mnist_mlp explain port"
).split()


class Elements(HTMLParser):
    """All elements with their attributes, and the text of each."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))
        if tag not in {"meta", "link", "img", "input", "br"}:
            self.open.append(self.found[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        for *_, texts in self.open:
            texts.append(data)

    def all(self, tag, **attributes):
        return [
            (given, "".join(texts))
            for name, given, texts in self.found
            if name == tag and attributes.items() <= given.items()
        ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def text(folder):
    return results_page.make(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    elements = Elements(text)
    assert not elements.open
    return elements


def test_the_verdict_and_what_failed_come_first(page):
    ((_, verdict),) = page.all("p", **{"class": "verdict bad"})
    assert verdict.startswith("2 of 3 seed results reproduced")
    links = [given["href"] for given, _ in page.all("a")]
    assert {"#row-1.8", "#row-3.32"} <= set(links) and "#row-1.7" not in links
    ids = [given["id"] for _, given, _ in page.found if "id" in given]
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in links if link[0] == "#"} <= set(ids)


def test_every_row_has_its_verdict_and_its_keys(page):
    found = {
        given["id"]: (given["data-notebook"], given["data-result"])
        for given, _ in page.all("tr", role="row")
        if "data-kind" in given
    }
    assert found == {
        "row-0.1": ("000", "agrees"),
        "row-1.7": ("001", "agrees"),
        "row-1.8": ("001", "differs"),
        "row-1.16": ("001", "agrees"),
        "row-3.C11": ("003", "shown wrong"),
        "row-3.32": ("003", "not run"),
    }


def test_numbers_are_whole_and_none_is_left_out(page, text):
    assert f"-4.0, {results_page.EXACT}" in text
    shown = [body for _, body in page.all("div", **{"class": "value"})]
    assert ", ".join(map(str, results_page.LONG)) in shown
    assert "..." not in "".join(shown) and "…" not in "".join(shown)


def test_text_is_escaped_and_the_scripts_data_cannot_end_early(text, page, folder):
    assert "a shape &amp; a &lt;dtype&gt;" in text
    ((_, data),) = page.all("script", id="race-data")
    assert "<" not in data
    assert set(json.loads(data)) == {"sphere", "bowl"}


def test_every_picture_has_a_sentence_and_a_description(page):
    images = [given for given, _ in page.all("img")]
    assert len(images) == 3 == len(page.all("figcaption"))
    assert all(given["alt"] and given["width"] for given in images)
    said = {sentence for _, sentence in page.all("figcaption")}
    assert "contours_rosenbrock Each optimizer on rosenbrock" in " ".join(said)


def test_small_drawings_are_svg_and_crowded_ones_png(page, folder):
    kinds = [given["src"][:24] for given, _ in page.all("img")]
    assert sorted(kinds) == [
        "data:image/png;base64,iV",
        *["data:image/svg+xml;base6"] * 2,
    ]
    assert not (folder / "optimizers" / "contours_rosenbrock.svg").exists()


def test_nothing_is_loaded_from_elsewhere(page):
    addresses = [
        (tag, given[name])
        for tag, given, _ in page.found
        for name in ("src", "href", "action", "data")
        if given.get(name)
    ]
    outside = {(tag, to) for tag, to in addresses if not to.startswith(("#", "data:"))}
    assert outside == {("a", NOTEBOOKS["002"].address)}
    styles = "".join(body for _, body in page.all("style"))
    assert not re.search(r"url\(|@import|https?:", styles)


def test_reports_are_inside(page):
    ((given, _),) = page.all("iframe")
    assert given["srcdoc"] == results_page.REPORT and given["title"]


def test_what_was_printed_is_inside(page):
    ((_, printed),) = page.all("pre")
    assert printed == f"A claim & <its> table\n{'=' * 180}"


def test_without_mnist_it_says_how_to_get_it(page, tmp_path):
    (notice,) = [body for _, body in page.all("li") if "--data-dir FOLDER" in body]
    assert "JAXGRAD_DATA_DIR" in notice
    mnist = results_page.make(tmp_path / "b", dataset=None).read_text()
    other = write(tmp_path, {}, dataset=results_page.DATA).read_text()
    assert "--data-dir FOLDER" not in mnist + other


def test_options_versions_and_times(page):
    facts = {header: None for _, header in page.all("th", scope="row")}
    assert {"--epochs", "--output-dir", "data", "jax", "Python", "backprop"} <= set(
        facts
    )


def test_one_experiment_shows_its_rows_only(folder, tmp_path):
    rows = [row._replace(agrees=None) for row in results_page.ROWS[1:]]
    rows[0] = rows[0]._replace(agrees=True)
    path = write(tmp_path, {"backprop": folder / "backprop"}, rows)
    page = Elements(path.read_text(encoding="utf-8"))
    shown = [given["id"] for given, _ in page.all("tr", role="row") if "id" in given]
    assert shown == ["row-1.7", "row-1.8", "row-1.16"]
    assert len(page.all("img")) == 1 and not page.all("iframe")
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_a_run_without_rows_or_files_is_a_page(tmp_path):
    page = Elements(write(tmp_path, {"new": tmp_path}).read_text(encoding="utf-8"))
    assert not page.all("form") and not page.all("img")


def test_an_experiment_that_stopped_is_named(folder, tmp_path):
    text = write(tmp_path, {}, results_page.ROWS[:1], stopped=["port"]).read_text()
    assert "<code>port</code> stopped early" in text and "verdict bad" in text


def test_the_recording_follows_the_picture(page):
    ((_, data),) = page.all("script", id="race-data")
    sphere = json.loads(data)["sphere"]
    descent, leaving = sphere["paths"]
    assert descent["label"] == "SGD, lr 0.1" and descent["arrival"] == 2
    assert descent["points"][0] == sphere["start"]
    assert descent["points"][-1] == sphere["minima"][0]
    assert leaving["arrival"] is None and len(leaving["points"]) == 2
    assert "leaves the picture" in leaving["label"]
    assert sphere["contours"].startswith("M") and len(sphere["ticks"][0]) > 3


def test_every_picture_of_the_experiments_has_its_own_sentence():
    texts = captions()
    assert set(texts) == set(EXPERIMENTS)
    for name, table in texts.items():
        assert table["title"] and table["about"].endswith(".")
        assert all(s.endswith(".") for s in table["captions"].values())
        alts = table.get("alt", {})
        for picture in table["captions"] if alts else ():
            assert text_for(picture, alts) in map(text_for, [picture], [alts])
            assert text_for(picture, alts) != picture.replace("_", " "), (name, picture)
    drawn = {f"card_{name}" for name in activations.CATALOGUE}
    assert drawn <= set(texts["activations"]["captions"])
    said = {
        text_for(f"contours_{s}", texts["optimizers"]["captions"]) for s in SURFACES
    }
    assert len(said) == len(SURFACES)


def test_a_large_picture_loses_colours_but_no_pixel(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    pictures.Image.fromarray(noise).save(tmp_path / "a.png")
    ((picture,),) = (pictures.shown("new", tmp_path).pictures,)
    content = base64.b64decode(picture.address.partition(",")[2])
    assert picture.size == (400, 400)
    assert len(content) < 0.6 * (tmp_path / "a.png").stat().st_size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-300, "1e-300"),
        (True, "yes"),
        (None, "–"),
        ([1, [2.5, 3]], "1, [2.5, 3]"),
        ({"a": [1], "b": {"c": "x"}}, "a: [1]\nb: (c: x)"),
        ([], ""),
    ],
)
def test_values_as_text(value, text):
    assert values.whole(value) == text
