"""Named curves over a common axis: losses, accuracies, errors."""

from collections.abc import Mapping

import numpy as np
from jax.typing import ArrayLike
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


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
        series: Label to values, each of shape `(points,)`.
        x: The common axis, shape `(points,)`; by default 0, 1, 2, ...
        xlabel: Name (and unit) of the horizontal axis.
        ylabel: Name (and unit) of the vertical axis.
        title: Title of the picture.
        log: Whether the vertical axis is logarithmic.

    Returns:
        The figure, 8 x 5 inches.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for label, values in series.items():
        values = np.asarray(values)
        axes.plot(
            np.arange(len(values)) if x is None else np.asarray(x),
            values,
            marker="." if len(values) < 40 else None,
            label=label,
        )
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        axes.set_yscale("log")
    if x is None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if len(series) > 1:
        axes.legend()
    return figure
