"""A table of the ledger, written in Markdown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Table(NamedTuple):
    """A title, the headers of the columns, and the lines."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        rows = [self.header, ["---"] * len(self.header), *self.lines]
        text = ("| " + " | ".join(map(str, row)) + " |" for row in rows)
        return "\n".join([f"## {self.title}\n", *text, ""])


def rounded(number: float) -> str:
    """One digit; below 1e-12 only the bound, as rounding differs between machines."""
    if np.isnan(number):
        return "NaN"
    return "< 1e-12" if number < 1e-12 else f"{number:.0e}"


def code(name: str) -> str:
    """The name of a function as code; "-" stays as it is."""
    return name if name == "-" else f"`{name}`"
