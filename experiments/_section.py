"""A section of an experiment: a claim, its table, and the notebook rows it reproduces.

Many tables hold facts: a line of PyTorch, the line of JAX that replaces it, and what
the JAX line returned. The value itself is kept, so that tests can use it.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments._terminal import table, wrapped

FACTS = ("PyTorch", "JAX", "JAX shows")


class Section(NamedTuple):
    """What is printed, in this order: title, claim, table, note."""

    title: str
    claim: str
    """What the table shows, and what its columns are."""
    entries: Sequence[Sequence[Any]] = ()
    """The lines of the table: facts, unless `header` is given."""
    rows: Mapping[str, Any] = {}
    """What the section reproduces, by row of `seed_results.toml`."""
    header: Sequence[str] = FACTS
    note: str = ""
    """Lines printed as they are if they fit; the claim is wrapped."""
    data: Any = None
    """Measurements that the table omits; figures and tests use them."""

    def column(self, name: str) -> list[Any]:
        index = self.header.index(name)
        return [entry[index] for entry in self.entries]

    def shows(self, line: str) -> Any:
        """The result of a JAX line: the last entry of its row."""
        return next(entry[-1] for entry in self.entries if entry[1].strip() == line)

    def text(self) -> str:
        """Everything but the title, as wide as the terminal."""
        cells = [[shown(value) for value in entry] for entry in self.entries]
        printed = table(self.header, cells) if cells else ""
        parts = (wrapped(self.claim), printed, wrapped(self.note))
        return "\n\n".join(part for part in parts if part)


def also(jax: str, jax_shows: Any) -> tuple[str, str, Any]:
    """A fact about the line above it."""
    return "", f"    {jax}", jax_shows


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
    """A value as shown in a table: arrays by dtype, shape and content."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, jax.Array | np.ndarray):
        return _array_text(np.asarray(value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(str(shown(entry)) for entry in value)
    return str(value) if isinstance(value, tuple) else value


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
