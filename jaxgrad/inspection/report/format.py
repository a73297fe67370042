"""Short texts for summaries and lines; those for numbers and types are re-exported."""

from dataclasses import replace
from pathlib import PurePath

import numpy as np

from jaxgrad._display import columns_of as columns_of
from jaxgrad._display import cut as cut
from jaxgrad._display import number as number
from jaxgrad._display import padded as padded
from jaxgrad._display import plain as plain
from jaxgrad._display import type_text as type_text
from jaxgrad.inspection.report.data import Source
from jaxgrad.inspection.report.summary import Summary

RANGE = "min .. mean .. max |Euclidean norm|"
MEAN = "mean |Euclidean norm|"


def prose(text: str) -> str:
    """Sentences as one printable paragraph of at most 2,000 characters."""
    return plain(" ".join(text.split()), longest=2000)


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


def location(source: Source) -> str:
    """`loss.py:12` or `cell 3, line 2`, or nothing if the line is not known."""
    return replace(source, file=PurePath(source.file).name).place
