"""The lessons: every cell of the seeds, both languages in step, PyTorch's numbers."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from docs.lessons import build, cells, execute, notebooks, store, table

ROOT = Path(__file__).parents[1]
SEEDS = ROOT.parent / "shared" / "seeds"
LESSONS = {lesson.name: lesson for lesson in cells.lessons()}
NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)(?![a-z])")
each_lesson = pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)


def numbers(text):
    """The numbers of an output, without those in names such as float32."""
    return [float(number) for number in NUMBER.findall(text)]


def code_in(text):
    """The code that a text names, without the ends of its lines."""
    return {" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)}


def agree(ours, theirs):
    """Equal up to the four decimals that PyTorch prints."""
    ours, theirs = numbers(ours), numbers(theirs)
    return len(ours) == len(theirs) and np.allclose(
        ours, theirs, rtol=1e-4, atol=6e-5, equal_nan=True
    )


def predicted(lesson, language):
    """The cells with a prediction before them."""
    texts = notebooks.PLACEHOLDER.split(lesson.prose(language))
    before = zip(texts[1::2], texts[::2], strict=False)
    return {id for id, text in before if notebooks.split_prediction(text.strip())[1]}


def test_numbers_of_both_libraries_are_read_alike():
    theirs = "tensor([[1., -0.0006]], grad_fn=<AddBackward0>, dtype=torch.float64)"
    assert numbers(theirs) == [1, -0.0006]
    assert agree("[[ 1.0e+00 -5.93e-04]] float32", theirs)
    assert not agree("[[ 1.0 -7.93e-04]]", theirs)
    assert not agree("1.0", theirs)
    assert agree("nan inf", "tensor([nan, inf])")


def test_every_cell_of_the_seeds_has_a_counterpart():
    counterparts = table.counterparts(list(LESSONS.values()))
    missing = [cell for cell, found in counterparts.items() if not found]
    assert not missing
    assert f"{len(counterparts)} of {len(counterparts)} cells" in table.page(
        list(LESSONS.values())
    )


@pytest.mark.skipif(not SEEDS.exists(), reason="the notebooks are not here")
def test_the_cells_of_the_seeds_are_counted():
    counted = {
        path.name[:3]: len(re.findall(r"^In \[", path.read_text("utf-8"), re.M))
        for path in sorted(SEEDS.glob("*.txt"))
    }
    assert counted == table.SEED_CELLS


def test_what_is_written_is_current(capsys):
    assert build.main(["--check"]) == 0, capsys.readouterr().out
    written = set(build.NOTEBOOKS.glob("*/*.ipynb"))
    assert written == {path for path in build.pages() if path.suffix == ".ipynb"}


@each_lesson
def test_a_lesson_in_pytorch_has_the_same_cells_in_the_same_order(lesson):
    ids = [cell.id for cell in lesson.cells]
    assert len(set(ids)) == len(ids)
    assert list(lesson.torch) == [id for id in ids if id in lesson.torch]
    assert set(lesson.outputs) <= set(lesson.torch)
    for cell in lesson.cells:
        assert bool(cell.title) == bool(cell.seeds), cell.id
        assert cell.id in lesson.torch or not cell.seeds, cell.id


@each_lesson
@pytest.mark.parametrize("language", notebooks.LANGUAGES)
def test_both_languages_show_every_cell_in_order(lesson, language):
    prose = lesson.prose(language)
    shown = notebooks.PLACEHOLDER.findall(prose)
    assert shown == [cell.id for cell in lesson.cells]
    assert prose.startswith("# ")


@each_lesson
@pytest.mark.parametrize("language", notebooks.LANGUAGES)
def test_a_prediction_precedes_every_output_of_pytorch(lesson, language):
    assert not set(lesson.outputs) - predicted(lesson, language)


@each_lesson
def test_both_languages_have_the_same_headings_and_predictions(lesson):
    def outline(language):
        kinds = re.compile(r"^(?:(#+) |(Predict|予想)[:：]|(\d\.|-) )", re.M)
        found = kinds.findall(lesson.prose(language))
        return [(level, bool(predict), item) for level, predict, item in found]

    assert outline("en") == outline("ja")


@each_lesson
def test_both_languages_name_the_same_code_between_two_cells(lesson):
    english, japanese = (
        notebooks.PLACEHOLDER.split(lesson.prose(language))[::2]
        for language in notebooks.LANGUAGES
    )
    for ours, theirs in zip(english, japanese, strict=True):
        assert code_in(ours) == code_in(theirs), ours


@pytest.mark.slow
@each_lesson
def test_the_numbers_are_predicted_and_pytorchs_unless_marked(lesson, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.delenv("JAXGRAD_DATA_DIR", raising=False)  # MNIST would take minutes
    with jax.numpy_dtype_promotion("standard"):
        ours = execute.run_cells(lesson.cells, lesson.folder / "jax_cells.py")
    assert not {id for id, text in ours.items() if text} - predicted(lesson, "en")
    for cell in lesson.torch.values():
        same = agree(ours[cell.id], lesson.outputs.get(cell.id, ""))
        assert same != cell.differs, f"{cell.id}: {ours[cell.id]}"


# Twenty epochs of MNIST take minutes.
QUICK = {name: lesson for name, lesson in LESSONS.items() if name != "08_mnist"}


@pytest.mark.parity
@pytest.mark.parametrize("lesson", QUICK.values(), ids=QUICK)
def test_the_stored_outputs_are_pytorchs(lesson, tmp_path):
    outputs = store.torch_outputs(lesson, tmp_path)
    assert outputs.keys() == lesson.outputs.keys()
    for id, output in outputs.items():
        timed = "µs" in output
        assert timed or agree(output, lesson.outputs[id]), f"{id}: {output}"


@each_lesson
@pytest.mark.parametrize("language", notebooks.LANGUAGES)
def test_a_notebook_names_no_folder_of_this_machine(lesson, language):
    content = json.loads(notebooks.notebook(lesson, language))
    text = "\n".join("".join(cell["source"]) for cell in content["cells"])
    assert not re.search(r"(?<![\w.])/(home|root|work|tmp|Users)/", text)
    assert "jaxgrad" in "".join(content["cells"][1]["source"])
    assert not any(cell.get("outputs") for cell in content["cells"])
