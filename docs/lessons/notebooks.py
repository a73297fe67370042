"""A lesson's notebook in one language, from its prose and its cells.

The prose names each cell in a line of its own, `{{id}}`. In the notebook PyTorch's code
stands there, then the prediction that the last paragraph of the prose asks for, then
PyTorch's output, folded, and then our code in a cell.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from docs.lessons.cells import Cell, Lesson

LANGUAGES = ("en", "ja")
PLACEHOLDER = re.compile(r"^\{\{(.+)\}\}$", re.MULTILINE)
PREDICTION = re.compile(r"(Predict|予想)[:：]\s*(.*)", re.DOTALL)
# Markdown shows the end of a line as a space, which Japanese does not have.
WIDE = r"[\u3000-\u9fff\uff00-\uffef]"
WRAPPED = re.compile(rf"(?<={WIDE})\n *(?={WIDE})|(?<=[、。])\n *(?=[A-Za-z`$(])")
OUTPUT = {"en": "PyTorch's output", "ja": "PyTorch の出力"}
INSTALL = """\
# Installs jaxgrad if it is missing, from the checkout that holds this notebook.
# In Colab, clone the repository and %cd into it first.
from importlib.util import find_spec
from pathlib import Path

if find_spec("jaxgrad") is None:
    folders = [Path.cwd(), *Path.cwd().parents]
    checkouts = [f for f in folders if (f / "jaxgrad" / "__init__.py").exists()]
    assert checkouts, "clone the repository of jaxgrad first, and %cd into it"
    %pip install -q "{checkouts[0]}[experiments]"
"""
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def notebook(lesson: Lesson, language: str) -> str:
    """The notebook as JSON, without outputs."""
    title, _, rest = WRAPPED.sub("", lesson.prose(language)).partition("\n")
    cells = [markdown("title", title), code("install", INSTALL, tags=["remove-cell"])]
    cells += body(lesson, language, rest)
    content = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def body(lesson: Lesson, language: str, prose: str) -> Iterator[dict[str, Any]]:
    """Text and code by turns."""
    ours = {cell.id: cell for cell in lesson.cells}
    *parts, last = PLACEHOLDER.split(prose)
    for text, id in zip(parts[::2], parts[1::2], strict=True):
        if id not in ours:
            raise ValueError(f"{lesson.name}/{language}.md: there is no cell {id!r}")
        torch, output = lesson.torch.get(id), lesson.outputs.get(id, "")
        before = "\n\n".join(introduction(text.strip(), torch, output, language))
        if before:
            yield markdown(f"before-{id}", before)
        yield code(id, ours[id].code)
    if last.strip():
        yield markdown("end", last.strip())


def introduction(
    text: str, torch: Cell | None, output: str, language: str
) -> Iterator[str]:
    """What stands before a cell: prose, PyTorch's code, a prediction, its output."""
    prose, prediction = split_prediction(text)
    if prose:
        yield prose
    if torch:
        yield f"**PyTorch**\n\n```python\n{torch.code}\n```"
    if prediction:
        yield "> " + prediction.replace("\n", "\n> ")
    if output:
        summary = f"<details><summary>{OUTPUT[language]}</summary>"
        yield f"{summary}\n\n```text\n{output}\n```\n\n</details>"


def split_prediction(text: str) -> tuple[str, str]:
    """The prose, and its last paragraph if that asks for a prediction."""
    prose, _, last = text.rpartition("\n\n")
    question = PREDICTION.fullmatch(last)
    if question is None:
        return text, ""
    return prose, f"**{question[1]}:** {question[2]}"


def markdown(id: str, text: str) -> dict[str, Any]:
    """A cell of text."""
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": lines(text)}


def code(id: str, text: str, **metadata: Any) -> dict[str, Any]:
    """A cell of code that has not run."""
    empty = {"execution_count": None, "outputs": [], "source": lines(text)}
    return {"cell_type": "code", "id": id, "metadata": metadata, **empty}


def lines(text: str) -> list[str]:
    """A source as Jupyter stores it: lines that keep their ends."""
    return text.rstrip("\n").splitlines(keepends=True)
