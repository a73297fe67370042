"""Short texts for numbers, shapes and lines.

Every text that comes from the user's program passes through `plain`, so that no file
name or source line can break a page, a picture or a terminal.
"""

import re
from pathlib import PurePath
from typing import Any

import numpy as np

from jaxgrad.inspection.report.data import Source
from jaxgrad.inspection.report.summary import Summary

LONGEST = 300
RANGE = "min .. mean .. max |Euclidean norm|"
MEAN = "mean |Euclidean norm|"
DTYPES = {"bfloat": "bf", "float": "f", "uint": "u", "int": "i", "complex": "c"}


def plain(text: str, longest: int = LONGEST) -> str:
    """Printable text in one line: any other character is escaped, as in `repr`."""
    spaced = cut(text, longest).replace("\t", " ")
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in spaced)
    return cut(shown, longest)


def prose(text: str) -> str:
    """Sentences as one printable paragraph of at most 2,000 characters."""
    return plain(" ".join(text.split()), longest=2000)


def cut(text: str, width: int) -> str:
    """At most `width` characters: of a path (`params['w']`) the end, else the start."""
    if len(text) <= width:
        return text
    if text.endswith("']") and width > 3:
        return "…" + text[1 - width :]
    return text[: width - 1] + "…"


def number(value: int | float | complex, digits: int = 4) -> str:
    """A number with `digits` significant digits; integers below a million in full."""
    if isinstance(value, complex):
        imaginary = number(value.imag, digits)
        plus = "" if imaginary.startswith("-") else "+"
        return f"{number(value.real, digits)}{plus}{imaginary}j"
    if np.isfinite(value) and value == int(value) and abs(value) < 10**6:
        return str(int(value))
    return f"{value:.{digits}g}"


def summary_text(
    summary: Summary | None, why: str, short: bool = False, boolean: bool = False
) -> str:
    """A scalar in full, an array as `min .. mean .. max |norm|`; `why` without one."""
    if summary is None:
        return plain(why)
    if summary.size == 0:
        return "empty"
    if np.isnan(summary.norm) and not summary.nonfinite:
        return "-"  # random keys have no numbers to show
    if boolean:
        true = summary.size - summary.zeros
        several = summary.size > 1
        return f"{true} of {summary.size} true" if several else str(bool(true))
    if summary.size == 1:
        return number(summary.mean, 6)
    if summary.nonfinite:
        return f"{summary.nonfinite} of {summary.size} non-finite"
    if summary.zeros == summary.size:
        return "all 0"
    return _range_text(summary, short)


def _range_text(summary: Summary, short: bool) -> str:
    numbers = summary.minimum, summary.mean, summary.maximum, summary.norm
    low, mean, high, norm = (number(x, 3) for x in numbers)
    if low == high:
        equal = summary.minimum == summary.maximum
        return f"{'all' if equal else 'about'} {mean} |{norm}|"
    return f"{mean} |{norm}|" if short else f"{low} .. {mean} .. {high} |{norm}|"


def type_text(shape: Any, dtype: Any) -> str:
    """Type and shape: `f32[2,4]`."""
    name = getattr(dtype, "name", str(dtype))
    name = re.sub(r"^[a-z]+(?=\d+$)", lambda m: DTYPES.get(m[0], m[0]), name)
    return f"{name}[{','.join(map(str, shape))}]"


def location(source: Source) -> str:
    """`loss.py:12`, or nothing if the line is not known."""
    file = plain(PurePath(source.file).name)
    return f"{file}:{source.line}" if source.line else ""
