"""The values and the verdict of a row as text, with all of their digits."""

from collections.abc import Mapping
from typing import Any

from experiments._reproduction import Row, agreed

LONG = 240  # characters; the page folds longer values


def whole(value: Any) -> str:
    """A value with every digit; each entry of a mapping on its own line.

    Examples:
        >>> print(whole({"a": 0.1, "b": [1, 2.5e-17], "c": True}))
        a: 0.1
        b: [1, 2.5e-17]
        c: yes
    """
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_entry(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(_entry, value))
    return _entry(value)


def _entry(value: Any) -> str:
    if isinstance(value, Mapping | list):
        inside = whole(value).replace("\n", "; ")
        return f"({inside})" if isinstance(value, Mapping) else f"[{inside}]"
    if value is None:
        return "–"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def numbers(value: Any) -> int:
    """How many numbers and words a value holds."""
    if isinstance(value, Mapping):
        return sum(map(numbers, value.values()))
    return sum(map(numbers, value)) if isinstance(value, list) else 1


def verdict(row: Row) -> str:
    """One of agrees, differs, shown wrong, not shown wrong, not run."""
    if row.agrees is None:
        return "not run"
    if row.kind == "corrected":
        return "shown wrong" if agreed(row) else "not shown wrong"
    return "agrees" if agreed(row) else "differs"
