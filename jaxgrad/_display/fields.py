"""A dataclass or named tuple by its fields: in one line, and as a table."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from jaxgrad._display.html import table
from jaxgrad._display.text import brief, described


def short_repr(self: Any) -> str:
    """`Epoch(epoch=0, train_loss=0.25, ...)`, with arrays by their types."""
    shown = ", ".join(f"{name}={brief(value)}" for name, value in _fields(self))
    return f"{type(self).__name__}({shown})"


def fields_html(self: Any) -> str:
    """A row for each field that is not empty."""
    rows = [(name, described(value)) for name, value in _fields(self)]
    return table(type(self).__name__, (), [row for row in rows if row[1] not in EMPTY])


EMPTY = ("", "()", "None")


def _fields(thing: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(thing):
        names = [field.name for field in dataclasses.fields(thing) if field.repr]
    else:
        names = thing._fields
    return ((name, getattr(thing, name)) for name in names)
