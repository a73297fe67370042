"""Short texts for numbers, arrays and trees.

Every text that comes from the user's program passes through `plain`, so that no file
name or source line can break a page, a picture or a terminal.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import accumulate, islice, takewhile
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

LONGEST = 300
DTYPES = {"bfloat": "bf", "float": "f", "uint": "u", "int": "i", "complex": "c"}
# An array of at most so many elements is shown in full.
FEW = 6
# A container is shown by so many entries, and an entry to this depth.
ENTRIES, DEPTH = 4, 3


def plain(text: str, longest: int = LONGEST) -> str:
    """Printable text in one line: any other character is escaped, as in `repr`."""
    spaced = cut(text, longest).replace("\t", " ")
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in spaced)
    return cut(shown, longest)


def columns_of(text: str) -> int:
    """Columns on a terminal: 2 for each kanji or emoji, 0 for a combining accent."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, most: int) -> str:
    """At most `most` columns: of a path (`params['w']`) the end, else the start."""
    if len(_start(text, most)) == len(text):
        return text
    if text.endswith("']") and most > 3:
        return "…" + _start(text[::-1], most - 1)[::-1]
    return _start(text, most - 1) + "…"


def padded(text: str, columns: int, right: bool = False) -> str:
    """The text in so many columns, at the left or at the right."""
    spaces = " " * (columns - columns_of(text))
    return spaces + text if right else text + spaces


def _start(text: str, most: int) -> str:
    """The part that fits; the rest, which can be a megabyte, is not looked at."""
    if text.isascii():
        return text[: max(most, 0)]
    ends = accumulate(map(_columns, text))
    return text[: sum(1 for _ in takewhile(lambda end: end <= most, ends))]


def _columns(character: str) -> int:
    wide = unicodedata.east_asian_width(character) in "WF"
    return 0 if unicodedata.combining(character) else 1 + wide


def number(value: int | float | complex, digits: int = 4) -> str:
    """A number with `digits` significant digits; integers below a million in full."""
    if isinstance(value, complex):
        imaginary = number(value.imag, digits)
        plus = "" if imaginary.startswith("-") else "+"
        return f"{number(value.real, digits)}{plus}{imaginary}j"
    if np.isfinite(value) and value == int(value) and abs(value) < 10**6:
        return str(int(value))
    return f"{value:.{digits}g}"


def type_text(shape: Any, dtype: Any) -> str:
    """Type and shape: `f32[2,4]`."""
    name = getattr(dtype, "name", str(dtype))
    name = re.sub(r"^[a-z]+(?=\d+$)", lambda m: DTYPES.get(m[0], m[0]), name)
    return f"{name}[{','.join(map(str, shape))}]"


def brief(value: Any, longest: int = 80) -> str:
    """A value in one line: numbers in full, arrays by type, containers by entries."""
    return plain(_brief(value, DEPTH), longest)


def _brief(value: Any, depth: int) -> str:
    if hasattr(type(value), "_repr_html_"):  # among them all results of this package
        return repr(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _array(value)
    if depth == 0:
        return "..."
    if isinstance(value, Mapping):
        items = (f"{k!r}: {_brief(v, depth - 1)}" for k, v in value.items())
        return f"{{{_joined(items, len(value))}}}"
    if isinstance(value, tuple):
        fields = getattr(value, "_fields", None)
        kind = type(value).__name__ if fields else ""
        names = [f"{name}=" for name in fields] if fields else [""] * len(value)
        pairs = zip(names, value, strict=True)
        items = (f"{name}{_brief(v, depth - 1)}" for name, v in pairs)
        return f"{kind}({_joined(items, len(value))})"
    if isinstance(value, list):
        items = (_brief(each, depth - 1) for each in value)
        return f"[{_joined(items, len(value))}]"
    return _other(value)


def _joined(items: Iterable[str], count: int) -> str:
    shown = ", ".join(islice(items, ENTRIES))
    return shown if count <= ENTRIES else f"{shown}, ... {count} in all"


def _other(value: Any) -> str:
    """A function by its name, an object with arrays by their number, else its repr."""
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, (str, int, float, complex, type(None))):
        return repr(value)
    leaves = jax.tree.leaves(value)
    if len(leaves) == 1 and leaves[0] is value:
        return repr(value)
    return f"{type(value).__name__} of {len(leaves)} arrays" if leaves else repr(value)


def _array(value: Any) -> str:
    """A few numbers in full, in the digits of their dtype; else type and shape."""
    if not _readable(value) or value.size > FEW or len(value.shape) > 1:
        return type_text(value.shape, value.dtype)
    shown = [str(each) for each in np.ravel(np.asarray(value))]
    return shown[0] if not value.shape else f"[{', '.join(shown)}]"


def described(value: Any) -> str:
    """As `brief`, a string without quotes, an array also as `min .. mean .. max`."""
    if isinstance(value, str):
        return value
    text = brief(value, 200)
    if not (hasattr(value, "shape") and _readable(value) and FEW < value.size < 2**20):
        return text
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return text
    numbers = np.asarray(value).astype(np.float64)
    bad = int(np.sum(~np.isfinite(numbers)))
    if bad:
        return f"{text}  {bad} of {numbers.size} non-finite"
    low, mean, high = (number(float(f(numbers)), 3) for f in (np.min, np.mean, np.max))
    return f"{text}  {low} .. {mean} .. {high}"


def _readable(value: Any) -> bool:
    """Whether the numbers are here: not traced, not donated, not on another host."""
    if isinstance(value, jax.core.Tracer) or not hasattr(value, "__array__"):
        return False
    if isinstance(value, jax.Array) and (
        value.is_deleted() or not value.is_fully_addressable
    ):
        return False
    numeric = jnp.issubdtype(value.dtype, jnp.number)
    return bool(numeric or value.dtype == np.dtype(bool))
