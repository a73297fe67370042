"""The errors of a classifier: confusion matrix, accuracy by class, examples.

Colour-blind readers can tell the colours (of Okabe and Ito) apart, and colour is never
the only cue.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jaxgrad._types import ArrayLike
from jaxgrad.plots._colours import BLUE, VERMILION
from jaxgrad.plots._figure import Figure
from jaxgrad.plots._numbers import number, wrapped

GREY = "0.9"


def confusion(
    matrix: Int[ArrayLike, "label prediction"],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """A confusion matrix whose colours show the errors.

    Correct predictions have a grey background: they outnumber the errors so far that
    on one colour scale all errors would be equally pale.

    Args:
        matrix: Counts; rows are labels, columns predictions.
        names: The classes' names; by default 0, 1, 2, ...
        title: Title of the figure.

    Returns: The figure, 8 x 7 inches for ten classes.
    """
    counts = np.asarray(matrix)
    size = max(4.0, 0.62 * len(counts) + 1)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.add_subplot()
    right = np.eye(len(counts), dtype=bool)
    errors = np.ma.masked_array(counts, right)
    most = int(np.where(right, 0, counts).max())
    axes.set_facecolor(GREY)
    shown = axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, most))
    whole = MaxNLocator(integer=True)
    figure.colorbar(shown, ax=axes, label="errors", shrink=0.8, ticks=whole)
    for place, count in np.ndenumerate(counts):
        _write_count(axes, place, int(count), most)
    labels = _names(names, len(counts))
    axes.set(xlabel="prediction", ylabel="label", title=wrapped(title, 8 * int(size)))
    axes.set_xticks(range(len(counts)), labels)
    axes.set_yticks(range(len(counts)), labels)
    return figure


def class_accuracy(
    recall: Float[ArrayLike, "classes"],
    precision: Float[ArrayLike, "classes"],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Two dots for each class: its recall and its precision.

    Args:
        recall: The fraction of a class's images that was recognised.
        precision: The fraction of a class's predictions that was right.
        names: The classes' names; by default 0, 1, 2, ...
        title: Title of the figure.

    Returns: The figure, 8 x 5 inches.
    """
    recall, precision = 100 * np.asarray(recall), 100 * np.asarray(precision)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(recall))
    axes.vlines(places, recall, precision, color="0.7", zorder=1)
    label = "accuracy: fraction of the class's images that was recognised"
    axes.plot(places, recall, "o", color=BLUE, markersize=8, label=label)
    label = "precision: fraction of the class's predictions that was right"
    axes.plot(places, precision, "D", color=VERMILION, fillstyle="none", label=label)
    axes.set(xlabel="class", ylabel="%", title=wrapped(title, 75))
    axes.set_xticks(places, _names(names, len(recall)))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center")
    return figure


def gallery(
    images: Shaped[ArrayLike, "k height width"],
    captions: Sequence[str],
    *,
    columns: int = 5,
    title: str = "",
) -> Figure:
    """Grey images in rows, each with a caption above it.

    Args:
        images: The images, black on white: the larger the entry, the darker.
        captions: One for each image; it may have several lines.
        columns: The number of images in a row.
        title: Title of the figure.

    Returns: The figure, 1.7 inches wide and 2.1 high for each image.
    """
    pictures = np.asarray(images)
    rows = max(1, -(-len(pictures) // columns))
    figure = Figure(figsize=(1.7 * columns, 2.1 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, picture, caption in zip(panels, pictures, captions, strict=False):
        axes.imshow(picture, cmap="gray_r")
        axes.set_title(caption, fontsize="medium", pad=3)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("0.8")
    for axes in panels[len(pictures) :]:
        axes.set_axis_off()
    figure.suptitle(wrapped(title, 14 * columns))
    return figure


def _write_count(
    axes: Axes, place: tuple[int, ...], count: int, most_errors: int
) -> None:
    """Write a count into its cell, except a zero, which would be clutter."""
    row, column = place
    if not count:
        return
    dark = row != column and count > 0.6 * most_errors
    axes.text(
        column,
        row,
        number(count),
        ha="center",
        va="center",
        color="white" if dark else "black",
        fontsize="medium" if count < 10_000 else "x-small",
    )


def _names(names: Sequence[str] | None, count: int) -> list[str]:
    return [str(i) for i in range(count)] if names is None else list(names)
