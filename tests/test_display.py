"""How results look in a cell and in a list: every public class, short and escaped."""

import dataclasses
import importlib
import inspect
import linecache
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import _display as display
from jaxgrad import check_gradients, descent, explain, plots, training
from jaxgrad.inspection import Blames, Summary
from jaxgrad.inspection.program import cells
from jaxgrad.inspection.report.data import Source
from jaxgrad.inspection.report.format import location
from jaxgrad.training import assessment

LIBRARY = Path(display.__file__).parents[1]
ENTRIES = ("inspection", "gradcheck", "descent", "training", "training.assessment")
ENTRIES += ("training.checkpoints", "datasets", "plots", "losses", "optimizers")
ENTRIES += ("torch_state",)
# A few numbers, or arrays to compute with: their own repr is what one wants to see.
PLAIN = {"AdaptiveOutput", "BatchCount", "PlateauState"}


def results():
    """The public dataclasses and named tuples by name."""
    found = {}
    for entry in ENTRIES:
        for name, value in vars(importlib.import_module(f"jaxgrad.{entry}")).items():
            fields = hasattr(value, "_fields") or dataclasses.is_dataclass(value)
            if isinstance(value, type) and fields and not name.startswith("_"):
                found[name] = value
    return found


def test_every_public_result_is_a_table_and_has_a_short_text():
    found = results()
    assert len(found) > 40 and set(found) >= PLAIN
    for name in set(found) - PLAIN:
        assert hasattr(found[name], "_repr_html_"), name
        # Not the one that `dataclass` or `NamedTuple` writes.
        code = inspect.unwrap(found[name].__repr__).__code__
        assert Path(code.co_filename).is_relative_to(LIBRARY), name


def network():
    layer = {"kernel": jnp.ones((784, 128)), "bias": jnp.ones(128)}
    return {f"layer{i}": layer for i in range(20)}


def state():
    return training.init(jax.random.key(0), network(), optax.adam(1e-3))


def odd_state():
    """Leaves that are no arrays, or whose numbers are gone."""
    gone = jnp.ones((2, 3))
    gone.delete()
    params = {"a": 1.0, "b": gone, "c": jax.ShapeDtypeStruct((4,), jnp.bfloat16)}
    key = jax.random.key(0)
    return training.TrainState(
        {**params, "k": key}, (), key, jnp.int32(1), jnp.int32(2)
    )


def surface_race():
    surface = descent.SURFACES["bowl"]
    starts, lrs = jnp.ones((3, 2)), jnp.array([0.1, 0.01])
    return descent.race({"<sgd>": optax.sgd}, surface, starts, lrs, 5)


def assessed():
    confusion = np.array([[3, 1], [0, 4]])
    scores = assessment.class_scores(confusion)
    none = np.zeros(0)
    predictions = assessment.Predictions(none, none, none, none, none)
    mistakes = assessment.Mistakes(none, none, predictions)
    return assessment.Assessment(0.875, confusion, scores, mistakes)


SHOWN = {
    "state": (state, "784,128", 41),
    "odd state": (odd_state, "12 parameters", 5),
    "race": (surface_race, "&lt;sgd&gt;", 2),
    "assessment": (assessed, "75.00%", 3),
    "epoch": (lambda: training.Epoch(0, 0.3, None, 0.25, 0.9, 1.0), "test_loss", 5),
    "path": (
        lambda: descent.descend(optax.sgd(0.1), jnp.sum, jnp.ones(9), 9),
        "f32",
        2,
    ),
    "step": (lambda: explain(jnp.sin)(1.0).steps[0], "operation", 9),
    "check": (lambda: check_gradients(jnp.sin)(1.0), "1 derivative agrees", 0),
    "nothing": (Blames, "Nothing found", 0),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_result_is_shown(name):
    make, words, rows = SHOWN[name]
    result = make()
    html = result._repr_html_()
    assert words in html and html.count("<tr") == rows
    assert len(repr(result)) < 400 and "\n" not in repr(result)


def test_everything_is_escaped():
    hostile = "<script>\x1b[31m&"
    for html in (
        display.table(hostile, (hostile,), [(hostile,)]),
        display.note(hostile),
        display.fields_html(Source(hostile, 1, hostile)),
    ):
        assert "<script" not in html and "&lt;script&gt;" in html
    assert "\x1b" not in display.table(hostile, (hostile,), [(hostile,)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.30000000000000004"),
        (np.float32(0.3), "0.3"),
        (jnp.bfloat16(0.5), "0.5"),
        (jnp.arange(3), "[0, 1, 2]"),
        (np.zeros((2, 2)), "f64[2,2]"),
        (jax.random.key(0), "key<fry>[]"),
        (jax.ShapeDtypeStruct((2,), jnp.float32), "f32[2]"),
        (jnp.sin, "sin"),
        ((1, [2.5, None]), "(1, [2.5, None])"),
        ({i: i for i in range(9)}, "{0: 0, 1: 1, 2: 2, 3: 3, ... 9 in all}"),
        ([[[[[[1]]]]]], "[[[...]]]"),
        (
            Summary(1, 0.0, 0.0, 0.0, 0.0, 1, 0),
            repr(Summary(1, 0.0, 0.0, 0.0, 0.0, 1, 0)),
        ),
        ("x" * 900, f"'{'x' * 298}…"),
    ],
)
def test_a_value_in_one_line(value, text):
    assert display.brief(value, 300) == text


def test_an_array_without_numbers_at_hand_is_shown_by_its_type():
    gone = jnp.ones(3)
    gone.delete()
    assert display.brief(gone) == "f32[3]"
    seen = []
    jax.jit(lambda x: seen.append(display.brief({"x": x})) or x)(1.0)
    assert seen == ["{'x': f32[]}"]


def test_an_array_of_a_table_is_shown_by_its_range():
    values = np.linspace(-1, 3, 9)
    assert display.described(values) == "f64[9]  -1 .. 1 .. 3"
    values[0] = np.nan
    assert display.described(values) == "f64[9]  1 of 9 non-finite"


@pytest.fixture
def history(monkeypatch):
    """A history of IPython, filled by `run`, which compiles as IPython does."""
    past = SimpleNamespace(input_hist_raw=[""], input_hist_parsed=[""])
    past.shell = SimpleNamespace(transform_cell=lambda text: text.lstrip("\n"))
    monkeypatch.setattr(cells, "_history", lambda: past)

    def run(raw, compiled=None, file="/tmp/ipykernel_1/123.py"):
        past.input_hist_raw.append(raw.rstrip("\n"))
        past.input_hist_parsed.append(raw.strip("\n"))
        text = raw.lstrip("\n") if compiled is None else compiled
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        return compile(text, file, "exec")

    yield run
    cells._cell.cache_clear()
    cells._timed_cell.cache_clear()


def test_the_cell_of_a_line(history):
    assert cells.in_cell(history("a = 1\nb = 2\n"), 2) == ("cell 1", 2)
    assert cells.in_cell(history("\n\nc = 3"), 1) == ("cell 2", 3)
    assert cells.in_cell(history("%%capture\nd = 4\n", "d = 4\n"), 1) == ("cell 3", 2)
    assert cells.in_cell(history("a = 1\nb = 2"), 1) == ("cell 4", 1)
    old = history("e = 5", file="<ipython-input-5-0a1b>")
    history("f = 6", file="/tmp/other.py")
    assert cells.in_cell(old, 1) == ("cell 5", 1)


def test_the_timed_cell_of_a_function(history):
    """All of them have one file name; the text of the latest says nothing of others."""
    bodies = "def f(x):\n    return 2 * x", "\ndef f(x):\n    return 3 * x"
    timed = [history(f"%%time\n{b}", b.lstrip(), cells.TIMED[0]) for b in bodies]
    history("%%capture\n%%time\nc = lambda x: x", "c = lambda x: x", cells.TIMED[0])
    for i, above, factor in ((0, 1, 2), (1, 2, 3)):
        (f, *_) = timed[i].co_consts
        assert cells.in_cell(f, 2) == (f"cell {i + 1}", 2 + above)
        assert cells.lines_of(f)[1] == f"    return {factor} * x"
    unknown = compile("g = 5", cells.TIMED[0], "exec")
    assert cells.in_cell(unknown, 1) == (cells.TIMED[0], 1)
    assert cells.lines_of(unknown) == []


def in_file(file, line):
    return cells.in_cell(compile("", file, "exec"), line)


def test_a_file_is_no_cell(history, tmp_path):
    file = tmp_path / "loaded.py"
    file.write_text("g = 7\n")
    history("g = 7")
    assert in_file(str(file), 1) == (str(file), 1)
    assert in_file("<stdin>", 3) == ("<stdin>", 3)


def test_without_ipython_there_are_no_cells():
    assert in_file("<ipython-input-5-0a1b>", 1) == ("<ipython-input-5-0a1b>", 1)


def test_the_place_of_a_line():
    file, cell = Source("/home/a/loss.py", 12, "f"), Source("cell 3", 2, "f")
    assert (location(file), file.place) == ("loss.py:12", "/home/a/loss.py:12")
    assert location(cell) == cell.place == "cell 3, line 2"
    assert location(Source("cell 3", 0, "f")) == ""


def test_a_line_and_an_operand_are_short_texts():
    (step,) = explain(jnp.sin)(1.0).steps
    assert repr(step) == "<Step 0: sin, f32[]>"
    assert repr(step.inputs) == "(<argument x>,)"
    assert (
        display.brief((step, step.source)) == f"(<Step 0: sin, f32[]>, {step.source!r})"
    )
    assert repr(Source("cell 3", 2, "f", "y = x")) == "<cell 3, line 2 y = x>"


def test_a_figure_is_a_picture_without_pyplot():
    figure = plots.curves({"loss": np.arange(3.0)})
    assert figure._repr_png_().startswith(b"\x89PNG")
    users = [path.name for path in (LIBRARY / "plots").glob("*.py")]
    users = [
        name
        for name in users
        if "matplotlib.figure import" in (LIBRARY / "plots" / name).read_text()
    ]
    assert users == []
