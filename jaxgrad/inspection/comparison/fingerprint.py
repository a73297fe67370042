"""Numbers that describe an array and that no layout changes.

A transposed, reshaped or permuted array has the same fingerprint. All numbers have the
unit of the elements, so that their differences are measured by the array's scale.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgrad.inspection.report.summary import Summary

# Below this an element is a mask's "minus infinity": -1e4, -1e9, the least float.
MASKED = -9e3
# No number of a fingerprint, for a `Summary` without it.
UNKNOWN = np.nan
# Closeness of fingerprints that agree to the last digit, and that differ wholly.
EQUAL = 1e-14


class Fingerprint(NamedTuple):
    """What no layout changes; `plain` arrays hold one number, or counts and flags."""

    size: int
    scale: float  # Root of the mean square
    numbers: tuple[float, ...]
    plain: bool


def floats(value: Any) -> np.ndarray:
    """An array in double precision; what a mask fills in becomes -inf."""
    given = np.asarray(value)
    if np.iscomplexobj(given):
        given = np.stack([np.real(given), np.imag(given)], -1)
    x = given.astype(np.float64)
    if x.size > 1 and x.min() <= MASKED:
        filled = x <= MASKED
        if np.abs(np.where(filled, 0.0, x)).max() < 1e3:
            x = np.where(filled, -np.inf, x)
    return x


def fingerprint(value: Any) -> Fingerprint:
    """The fingerprint of an array or of a `Summary`."""
    if value is None:
        return Fingerprint(-1, 0.0, (UNKNOWN,) * 7, True)
    if isinstance(value, Summary):
        return _of_summary(value)
    raw, x = np.asarray(value), floats(value).reshape(-1)
    if x.size and not (np.isfinite(x.min()) and np.isfinite(x.max())):
        x = x[np.isfinite(x)]
    if x.size == 0:
        return Fingerprint(raw.size, 0.0, (0.0,) * 7, True)
    low, high = float(x.min()), float(x.max())
    most = max(abs(low), abs(high))
    unit = x / most if most > 0 else x
    size = np.abs(unit)
    squares = unit * size  # Without `np.dot`, whose threads spin for longer than this
    scale = float(np.sqrt(np.abs(squares).mean()))
    moments = unit.mean(), size.mean(), low / (most or 1), high / (most or 1)
    if scale > 0:
        moments += squares.mean() / scale, (squares * size).mean() / scale**2
    else:
        moments += 0.0, 0.0
    numbers = tuple(float(most * m) for m in (scale, *moments))
    plain = low == high if x.size > 1 else round(low, 6) == low
    return Fingerprint(
        raw.size, most * scale, numbers, plain or raw.dtype.kind in "biu"
    )


def _of_summary(s: Summary) -> Fingerprint:
    scale = s.norm / np.sqrt(max(s.size, 1))
    numbers = scale, s.mean, UNKNOWN, s.minimum, s.maximum, UNKNOWN, UNKNOWN
    return Fingerprint(s.size, scale, numbers, s.minimum == s.maximum)


def distances(theirs: Sequence[Fingerprint], ours: Sequence[Fingerprint]) -> np.ndarray:
    """Each of theirs against each of ours: 0 for equal, inf for other sizes."""
    sizes = [np.array([f.size for f in side], float) for side in (theirs, ours)]
    scales = [np.array([f.scale for f in side]) for side in (theirs, ours)]
    a, b = (np.array([f.numbers for f in side], float) for side in (theirs, ours))
    farthest = np.zeros((len(theirs), len(ours)))
    with np.errstate(all="ignore"):
        for k in range(a.shape[1] if a.ndim == 2 and b.ndim == 2 else 0):
            gap = np.abs(a[:, k, None] - b[None, :, k])
            np.fmax(farthest, gap, out=farthest)
        unit = np.maximum(scales[0][:, None], scales[1][None, :])
        farthest = np.where(unit > 0, farthest / np.where(unit > 0, unit, 1), 0.0)
    unlike = (sizes[0][:, None] != sizes[1][None, :]) | (sizes[0][:, None] < 0)
    return np.where(unlike, np.inf, np.fmin(farthest, 1e30))
