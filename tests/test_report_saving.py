"""Files by their suffix: what each holds, what is refused, what to install."""

import errno
import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxgrad import compare, diagnose, explain, load_record
from jaxgrad.inspection.report import raster
from jaxgrad.inspection.trajectories.result import Row, TrainingComparison

STARTS = {
    ".html": b"<!DOCTYPE html>",
    ".svg": b"<svg ",
    ".dot": b"digraph ",
    ".json": b"{",
    ".png": b"\x89PNG\r\n",
    ".pdf": b"%PDF-",
}


def loss(w, x):
    h = jnp.tanh(w @ x)
    large = jnp.outer(h, jnp.ones(600))
    return jnp.log(large.sum() - large.sum() + h[0]) + jnp.inf * 0.0


@pytest.fixture(scope="module")
def report():
    return explain(loss)(jnp.eye(2), jnp.array([0.5, 1.0]))


@pytest.fixture(scope="module")
def results(report):
    training = TrainingComparison(None, "agree", [Row(0, 1.0, 1.0, None, 0.0, 0.0)])
    diagnosis = diagnose(jnp.sum)(jnp.ones(3))
    return {
        "explanation": (report, list(STARTS)),
        "diagnosis": (diagnosis, list(STARTS)),
        "comparison": (compare(report, report), [".html", ".svg", ".json"]),
        "training": (training, [".html", ".json"]),
    }


RESULTS = ("explanation", "diagnosis", "comparison", "training")


@pytest.mark.parametrize("name", RESULTS)
def test_a_file_holds_what_its_suffix_says(results, name, tmp_path):
    result, suffixes = results[name]
    for suffix in suffixes:
        for path in (tmp_path / f"a{suffix}", tmp_path / f"B{suffix.upper()}"):
            result.save(path)
            assert path.read_bytes().startswith(STARTS[suffix]), suffix
    ElementTree.parse(tmp_path / "a.svg") if ".svg" in suffixes else None
    json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))


@pytest.mark.message
@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("file", ["a.jpg", "a", "html", ".html", "a.html.bak", "a."])
def test_another_suffix_is_refused_with_the_list(results, name, file, tmp_path):
    result, suffixes = results[name]
    with pytest.raises(ValueError, match=r"^save: expected path to end in ") as error:
        result.save(tmp_path / file)
    assert all(suffix in str(error.value) for suffix in suffixes)
    assert repr(file) in str(error.value) and list(tmp_path.iterdir()) == []


def test_a_name_that_no_file_can_hold_is_escaped(tmp_path):
    def loss(x):
        return jnp.sum(x * 2.0)

    loss.__name__ = "<b>\x1b\x00\ud800"
    odd = explain(loss)(jnp.ones(2))
    for result in (odd, diagnose(loss)(jnp.ones(2)), compare(odd, odd)):
        for suffix in (".html", ".svg", ".json"):
            result.save(tmp_path / f"a{suffix}")
        ElementTree.parse(tmp_path / "a.svg")
        assert r"\x1b\x00\ud800" in (tmp_path / "a.svg").read_text(encoding="utf-8")
        result._repr_html_().encode()


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_without_matplotlib_the_error_says_what_to_install(
    report, suffix, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=rf"^save: {suffix} needs .*pip install"):
        report.save(tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(report, tmp_path, monkeypatch):
    missing, folder = tmp_path / "no" / "a.svg", tmp_path / "b.svg"
    folder.mkdir()
    for path, kind in ((missing, FileNotFoundError), (folder, IsADirectoryError)):
        with pytest.raises(kind) as error:
            report.save(path)
        assert error.value.filename == str(path) and error.value.filename2 is None

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: .*c\.svg"):
        report.save(tmp_path / "c.svg")
    assert list(tmp_path.iterdir()) == [folder]


def scaled(ѫ):
    return ѫ * 2.0


def test_a_font_that_is_installed_draws_what_the_first_one_lacks(monkeypatch, tmp_path):
    """Of matplotlib's own fonts, STIXGeneral has a letter that the monospaced lacks."""
    monkeypatch.setattr(raster, "OTHER_FONTS", ("no such font", "STIXGeneral"))
    explain(scaled)(1.0).save(tmp_path / "a.png")
    monkeypatch.setattr(raster, "OTHER_FONTS", ())
    with pytest.warns(UserWarning, match="missing from font"):
        explain(scaled)(1.0).save(tmp_path / "a.png")


def test_the_json_holds_the_numbers_and_the_chain_rule(report, tmp_path):
    report.save(tmp_path / "a.json")
    read = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert read["name"] == "loss" and read["value"]["numbers"] == "nan"
    assert len(read["steps"]) == len(report.steps)
    (w, x) = read["arguments"]
    assert w["value"] == {
        "dtype": "float32",
        "shape": [2, 2],
        "numbers": [[1.0, 0.0], [0.0, 1.0]],
    }
    assert x["gradient"] is None and x["why"] == "not differentiated"
    large = read["steps"][report["large"].index]["value"]
    assert "numbers" not in large and large["summary"]["size"] == 1200
    assert read["nonfinite"]["kind"] == "nonfinite"
    sent = read["chain_rule"]["contributions"]
    assert len(sent) == len(report.chain_rule.contributions)
    assert {part["kind"] for part in sent} == {"argument", "step"}


def odd(key, n, h, c):
    del key
    return (h.sum() * n.astype(h.dtype)) + (c * c).real.astype(h.dtype)


def test_every_dtype_can_be_written(tmp_path):
    given = jax.random.key(0), jnp.int8(3), jnp.ones(2, jnp.bfloat16), jnp.array(1j)
    explain(odd, argnums=2)(*given).save(tmp_path / "a.json")
    read = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    values = dict(zip("hknc", (a["value"] for a in read["arguments"]), strict=True))
    assert values["k"]["shape"] == [] and "numbers" not in values["k"]
    assert values["n"]["numbers"] == 3 and values["h"]["numbers"] == [1.0, 1.0]
    assert values["c"]["numbers"] == {"real": 0.0, "imaginary": 1.0}


def test_a_loaded_report_is_saved_as_the_original(report, tmp_path):
    report.save_record(tmp_path / "a.npz")
    loaded = load_record(tmp_path / "a.npz")
    for name, each in (("one", report), ("other", loaded)):
        each.save(tmp_path / f"{name}.html")
    one, other = ((tmp_path / f"{n}.html").read_bytes() for n in ("one", "other"))
    assert one == other and b'"sent":[{' in one
