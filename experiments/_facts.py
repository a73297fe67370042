"""Sections of facts: a PyTorch line, the JAX line in its place, what JAX shows.

An experiment that compares line by line collects its facts here and prints them
all alike; what a fact shows is the value itself, so that tests can use it.
"""

import textwrap
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments._command import table

CLAIM_WIDTH = 88
CELL_WIDTH = 48
SPELLING = {"pytorch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}


class Fact(NamedTuple):
    """One line of PyTorch, the line of JAX in its place, and what that line gave."""

    pytorch: str
    jax: str
    jax_shows: Any


class Section(NamedTuple):
    """A claim, and its measured entries by name: named tuples of one type."""

    title: str
    claim: str
    entries: Mapping[str, Any]

    def shows(self, name: str) -> Any:
        """The value that the fact of this name measured."""
        return self.entries[name].jax_shows

    def text(self) -> str:
        """The claim, a table whose columns are the entries' fields, and notes.

        An error or warning too long for its cell is named there and told in a note.
        """
        entries = list(self.entries.values())
        header = [_spelled(field) for field in entries[0]._fields]
        notes: list[str] = []
        rows = [[_cell(value, notes) for value in entry] for entry in entries]
        body = [_wrapped(self.claim), "", table(header, rows)]
        return "\n".join([*body, "", *notes] if notes else body)


def refusal(action: Callable[[], Any]) -> str:
    """The error that `action` raises, to its first sentence; "no error" if none."""
    try:
        action()
    except Exception as fault:  # whatever the library raises is the finding
        return f"{type(fault).__name__}: {_first_sentence(str(fault))}"
    return "no error"


def warning_of(action: Callable[[], Any]) -> str:
    """The first warning of `action`, to its first sentence; "no warning" if none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    if not caught:
        return "no warning"
    first = caught[0]
    return f"{first.category.__name__}: {_first_sentence(str(first.message))}"


def shown(value: Any) -> Any:
    """What a table shows: arrays by dtype, shape and content, answers as yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, jax.Array | np.ndarray):
        return _array_text(np.asarray(value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(str(shown(entry)) for entry in value)
    return str(value) if isinstance(value, tuple) else value


def _cell(value: Any, notes: list[str]) -> Any:
    """A table cell; a text that is too long goes to the notes."""
    if not isinstance(value, str) or len(value) <= CELL_WIDTH:
        return shown(value)
    number = f"({len(notes) + 1})"
    notes.append(_wrapped(f"{number} {value}"))
    return f"{value.partition(':')[0]} {number}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, CLAIM_WIDTH)


def _spelled(field: str) -> str:
    return " ".join(SPELLING.get(word, word) for word in field.split("_"))


def _first_sentence(text: str) -> str:
    return text.splitlines()[0].split(". ")[0]


def _array_text(array: np.ndarray) -> str:
    if array.size <= 8:
        content = np.array2string(
            array, precision=4, suppress_small=True, separator=", "
        )
        return f"{array.dtype} {content}".replace("\n", "")
    least, most = array.min(), array.max()
    content = f"all {least:.4g}" if least == most else f"{least:.4g} to {most:.4g}"
    return f"{array.dtype} {array.shape}, {content}"
