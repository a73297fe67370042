"""A table of the ledger, in Markdown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Table(NamedTuple):
    """A table, printed as Markdown."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        rows = [self.header, ["---"] * len(self.header), *self.lines]
        text = ("| " + " | ".join(map(str, row)) + " |" for row in rows)
        return "\n".join([f"## {self.title}\n", *text, ""])


def rounded(number: float) -> str:
    """One digit; only the bound below 1e-12, where machines round differently."""
    if np.isnan(number):
        return "NaN"
    return "< 1e-12" if number < 1e-12 else f"{number:.0e}"


def code(name: str) -> str:
    """A function's name as code; "-" unchanged."""
    return name if name == "-" else f"`{name}`"
