"""Named curves over a common axis: losses, accuracies, errors.

Each has a colour (of Okabe and Ito) that colour-blind readers can tell apart, and its
own line style, which survives a greyscale copy.
"""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from jax.typing import ArrayLike
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, MaxNLocator

from jaxgrad.plots._colours import OKABE_ITO
from jaxgrad.plots._figure import Figure
from jaxgrad.plots._numbers import number, wrapped

STYLES = ("-", "--", "-.", ":")


def curves(
    series: Mapping[str, ArrayLike],
    *,
    x: ArrayLike | None = None,
    xlabel: str = "epoch",
    ylabel: str = "loss",
    title: str = "",
    log: bool = False,
) -> Figure:
    """Named curves over a common axis.

    Args:
        series: Values of shape `(points,)`, by label.
        x: The common axis, shape `(points,)`; by default 0, 1, 2, ...
        xlabel: Name (and unit) of the horizontal axis.
        ylabel: Name (and unit) of the vertical axis.
        title: Title of the figure.
        log: Whether the vertical axis is logarithmic.

    Returns: The figure, 8 x 5 inches.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    looks = zip(cycle(OKABE_ITO), cycle(STYLES), strict=False)
    for (label, values), (colour, style) in zip(series.items(), looks, strict=False):
        values = np.asarray(values)
        axes.plot(
            np.arange(len(values)) if x is None else np.asarray(x),
            values,
            marker="." if len(values) < 40 else None,
            color=colour,
            linestyle=style,
            label=label,
        )
    axes.set(xlabel=xlabel, ylabel=ylabel, title=wrapped(title, 75))
    if log:
        axes.set_yscale("log")
        _write_plainly(axes)
    if x is None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if len(series) > 1:
        axes.legend()
    return figure


def broken(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The points of a curve with a gap where it jumps, so that no line joins them.

    A jump is a step, or two steps with one point on the way, that is ten times as high
    as the steps beside it and higher than a hundredth of the whole curve. At a pole,
    such as that of 1 / x, it is a step against the direction of the steps beside it,
    and higher than both together. A curve with a single step has no jump.

    Args:
        x: The axis, shape `(points,)`.
        y: The curve, shape `(points,)`.

    Returns: Both, with NaN between the points on the two sides of each jump.

    Examples:
        >>> broken(np.arange(4), np.array([0.0, 0.0, 5.0, 5.0]))[1].tolist()
        [0.0, 0.0, nan, 5.0, 5.0]
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    jumps = np.flatnonzero(_jumps(y)) + 1
    return np.insert(x, jumps, x[jumps]), np.insert(y, jumps, np.nan)


def lone(y: ArrayLike) -> np.ndarray:
    """The finite points between two gaps, which no line shows."""
    gap = np.pad(~np.isfinite(np.asarray(y)), 1, constant_values=True)
    return np.flatnonzero(~gap[1:-1] & gap[:-2] & gap[2:])


def _jumps(y: np.ndarray) -> np.ndarray:
    """Which steps from a point to the next are jumps."""
    finite = np.isfinite(y)
    step = np.diff(np.where(finite, y, np.nan))
    size, height = np.abs(step), np.ptp(y[finite]) if finite.any() else 0.0
    ahead, behind = (_shifted(size, n) for n in (1, -1))
    single = size > 10 * np.fmax(ahead, behind)
    first = np.fmin(size, ahead) > 10 * np.fmax(behind, _shifted(size, 2))
    double = first | (_shifted(first, -1) == 1)
    turns = (step * _shifted(step, 1) < 0) & (step * _shifted(step, -1) < 0)
    pole = turns & (size > ahead + behind)
    return (single | double | pole) & (size > height / 100)


def _shifted(steps: np.ndarray, by: int) -> np.ndarray:
    """`steps[i + by]` at i; NaN beyond the ends."""
    padded = np.pad(steps.astype(float), abs(by), constant_values=np.nan)
    return padded[abs(by) + by :][: len(steps)]


def _write_plainly(axes: Axes) -> None:
    """Write 0.02 instead of 2 x 10^-2, unless the axis has many decades."""
    bottom, top = axes.get_ylim()
    if bottom >= 1e-3 and top <= 1e5:
        # Within one decade all minor ticks are labelled, within two some.
        axes.yaxis.set_major_formatter(_Plain())
        axes.yaxis.set_minor_formatter(_Plain(minor_thresholds=(2, 1)))


class _Plain(LogFormatter):
    """Writes 0.2 instead of Matplotlib's 2 x 10^-1."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return number(x) if super().__call__(x, pos) else ""
