"""What a notebook executed by nbclient holds: pictures, short texts, lines of cells."""

import base64
import re
import subprocess
import sys

import pytest

from tests.notebook import outputs

pytestmark = [
    pytest.mark.slow,
    # Jupyter's own packages warn of each other.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def shown():
    pytest.importorskip("nbclient")
    return outputs()


def printed(cell):
    return "".join(each["text"] for each in cell)


def test_lines_are_those_of_the_cell(shown):
    """Cell 2 begins with two empty lines, cell 9 with a magic."""
    text = printed(shown["text"])
    assert "cell 2, line 4  h = jnp.log(w * x)" in text
    assert "  cell 2, line 4 in loss\n    h = jnp.log(w * x)\n" in text
    assert "cell 9, line 3  y = jnp.sin(w)" in printed(shown["out"])
    found = shown["compare"][0]["data"]["text/html"]
    assert "theirs: h = log, cell 2, line 4" in found
    assert "ours: h = log1p, cell 6, line 2" in found
    assert "cell 8, line 1" in shown["diagnose"][0]["data"]["text/html"]


def test_a_cell_with_the_text_of_an_earlier_one_is_the_later(shown):
    assert "cell 21, line 4" in printed(shown["again"])


def test_a_function_in_a_timed_cell_has_its_line_and_names(shown):
    text = printed(shown["timed text"])
    assert "cell 19, line 3  h = jnp.log(w * x)" in text
    assert re.search(r"\bh +log\b", text)


def test_an_error_names_the_line_of_the_cell(shown):
    (error,) = shown["refused"]
    assert "explain: at cell 11, line 1, in <lambda>" in "\n".join(error["traceback"])


def test_no_made_up_file_is_named(shown):
    texts = str({name: each for name, each in shown.items() if name != "refused"})
    assert not re.findall(r"ipykernel_\d+|\d{6,}\.py", texts)


def test_text_is_one_short_line_beside_a_picture_or_table(shown):
    rich = [each for cell in shown.values() for each in cell if "data" in each]
    assert len(rich) == 10
    for each in rich:
        kinds = set(each["data"]) - {"text/plain"}
        assert kinds <= {"text/html", "image/png"} and kinds
        assert len(each["data"]["text/plain"]) < 300


@pytest.mark.parametrize("name", ["figure", "inline"])
def test_a_figure_is_shown_once(shown, name):
    (each,) = shown[name]
    assert each["output_type"] == "execute_result"
    assert base64.b64decode(each["data"]["image/png"]).startswith(b"\x89PNG")
    assert printed(shown["pyplot"]) == "[]\n"


def test_a_terminal_of_ipython_names_its_cells():
    pytest.importorskip("IPython")
    lines = (
        "import jax.numpy as jnp; from jaxgrad import explain",
        "def f(x): return jnp.sin(x) * 2",
        "print(explain(f)(1.0))",
    )
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"]
    text = "\n\n".join(lines) + "\n"
    run = subprocess.run(command, input=text, capture_output=True, text=True)
    assert "cell 2, line 1  def f(x)" in run.stdout
