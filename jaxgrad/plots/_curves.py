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
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
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

    A jump is a step ten times as high as both steps beside it, and higher than a
    hundredth of the whole curve. A curve with a single step has no jump.

    Args:
        x: The axis, shape `(points,)`.
        y: The curve, shape `(points,)`.

    Returns: Both, with NaN between the points on the two sides of each jump.

    Examples:
        >>> broken(np.arange(4), np.array([0.0, 0.0, 5.0, 5.0]))[1].tolist()
        [0.0, 0.0, nan, 5.0, 5.0]
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    finite = np.isfinite(y)
    step = np.abs(np.diff(np.where(finite, y, np.nan)))
    beside = np.fmax(np.append(step[1:], np.nan), np.append(np.nan, step[:-1]))
    height = np.ptp(y[finite]) if finite.any() else 0.0
    jumps = np.flatnonzero(step > np.maximum(10 * beside, height / 100)) + 1
    return np.insert(x, jumps, x[jumps]), np.insert(y, jumps, np.nan)


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
        return f"{x:g}" if super().__call__(x, pos) else ""
