"""Sections that compare PyTorch and JAX line by line.

A section is a claim and a table. Most tables hold facts: a line of PyTorch, the line
of JAX that replaces it, and what the JAX line returned. The value itself is kept, so
that tests can use it.
"""

import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments._command import table

CLAIM_WIDTH = 88
CELL_WIDTH = 48
SPELLING = {"pytorch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}


class Fact(NamedTuple):
    """One line of PyTorch, the line of JAX that replaces it, and its result."""

    pytorch: str
    jax: str
    jax_shows: Any


def also(jax: str, jax_shows: Any) -> Fact:
    """A fact about the line above it."""
    return Fact("", f"    {jax}", jax_shows)


class Section(NamedTuple):
    """A claim and what was measured."""

    title: str
    claim: str
    entries: Sequence[Any]
    """The rows of the table: named tuples of one type."""
    rows: Mapping[str, Any] = {}
    """What the section reproduces, by row of `seed_results.toml`."""

    def shows(self, line: str) -> Any:
        """The result of a line of JAX."""
        return next(e.jax_shows for e in self.entries if e.jax.strip() == line)

    def text(self) -> str:
        """The claim and the table, whose columns are the fields of an entry.

        A text that is too long for its cell becomes a numbered note below the table.
        """
        header = [_spelled(field) for field in self.entries[0]._fields]
        notes: list[str] = []
        rows = [[_cell(value, notes) for value in entry] for entry in self.entries]
        body = [_wrapped(self.claim), "", table(header, rows)]
        return "\n".join([*body, "", *notes] if notes else body)


def error_of(action: Callable[[], Any]) -> str:
    """The error that `action` raises, up to its first sentence, or "no error"."""
    try:
        action()
    except Exception as error:  # any error is a result here
        return f"{type(error).__name__}: {_first_sentence(str(error))}"
    return "no error"


def warning_of(action: Callable[[], Any]) -> str:
    """The first warning of `action`, up to its first sentence, or "no warning"."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    if not caught:
        return "no warning"
    first = caught[0]
    return f"{first.category.__name__}: {_first_sentence(str(first.message))}"


def shown(value: Any) -> Any:
    """A value as a table shows it: arrays by dtype, shape and content."""
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
