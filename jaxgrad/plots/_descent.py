"""Surfaces, the paths of optimizers down them, and the outcome of a race."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from jaxgrad.descent import Race, Surface
from jaxgrad.plots._colours import BLUE, OKABE_ITO
from jaxgrad.plots._curves import STYLES
from jaxgrad.plots._figure import Figure

Pair = tuple[int | float, int | float]


def surface(of: Surface, *, points: int = 50) -> Figure:
    """A surface in three dimensions.

    Args:
        of: The surface, drawn inside its bounds.
        points: Grid points along each axis.

    Returns: The figure, 8 x 6 inches.
    """
    figure = Figure(figsize=(8, 6))
    axes: Any = figure.add_axes((0.0, 0.03, 0.95, 0.9), projection="3d")
    axes.plot_surface(*_grid(of, points, *of.bounds), cmap="viridis")
    axes.set(xlabel="x", ylabel="y", zlabel="f(x, y)", title=of.name)
    for axis in (axes.xaxis, axes.yaxis):  # more numbers would overlap at the corner
        axis.set_major_locator(MaxNLocator(5))
    return figure


def paths(
    points: Mapping[str, ArrayLike],
    *,
    start: Pair,
    xlim: Pair,
    ylim: Pair,
    of: Surface | None = None,
) -> Figure:
    """Paths in the plane, each in its own panel, with the same axes.

    Args:
        points: The points of each path, shape `(steps, 2)`, by label.
        start: The start of all paths, marked by a cross.
        xlim: The horizontal axis.
        ylim: The vertical axis.
        of: The surface of the paths. Draws its contour lines, and stars at its minima.

    Returns: The figure, at most three panels wide.
    """
    figure, panels = _panels(len(points))
    for axes, (label, path) in zip(panels, points.items(), strict=True):
        if of is not None:
            _draw_surface(axes, of, (xlim[0], ylim[0]), (xlim[1], ylim[1]))
        axes.scatter(*np.asarray(path).T, s=12, color=BLUE, zorder=2, label="a step")
        axes.plot(*start, "k+", markersize=12, linestyle="none", label="start")
        axes.set(title=label, xlabel="x", ylabel="y", xlim=xlim, ylim=ylim)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=len(labels))
    return figure


def contours(of: Surface, points: Mapping[str, ArrayLike]) -> Figure:
    """Paths over the contour lines of a surface.

    Args:
        of: The surface, drawn inside its bounds and around the paths that stay near
            them; its minima are marked by stars.
        points: The points of each path, shape `(steps, 2)`, by label; the first point
            is marked by a cross. A path that goes further beyond the bounds than their
            width is cut off, and its label says so.

    Returns: The figure, 9 x 6 inches.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    drawn = {label: np.asarray(path) for label, path in points.items()}
    low, high = _limits(of, drawn)
    _draw_surface(axes, of, low, high)
    looks = zip(cycle(OKABE_ITO), cycle(STYLES), strict=False)
    for (label, path), (colour, style) in zip(drawn.items(), looks, strict=False):
        inside = np.all((path >= low) & (path <= high))
        label = label if inside else f"{label} (leaves the picture)"
        # Dots at some distance leave the dashes visible where steps are short.
        dots: Any = {"marker": ".", "ms": 4, "markevery": 0.03}
        axes.plot(*path.T, color=colour, linestyle=style, label=label, **dots)
    starts = np.array([path[0] for path in drawn.values()]).reshape(-1, 2)
    axes.plot(*starts.T, "k+", markersize=12, linestyle="none", label="start", zorder=3)
    (left, bottom), (right, top) = low, high
    axes.set(title=of.name, xlabel="x", ylabel="y")
    axes.set(xlim=(left, right), ylim=(bottom, top))
    figure.legend(loc="outside right upper", fontsize="small")
    return figure


def sensitivity(races: Sequence[Race]) -> Figure:
    """The final distance by learning rate: a flat, low curve means low sensitivity.

    Args:
        races: One or more races; each has its own panel.

    Returns: The figure, at most three panels wide: the median over the starts of the
        distance from the nearest minimum, for each optimizer, cut off at the edges.
    """
    figure, panels = _panels(len(races))
    for axes, race in zip(panels, races, strict=True):
        edges = race.tolerance * 1e-3, race.tolerance * 1e5
        curves = zip(race.optimizers, race.distance, strict=True)
        looks = zip(cycle(OKABE_ITO), cycle(STYLES), strict=False)
        for (label, distance), (colour, style) in zip(curves, looks, strict=False):
            median = np.clip(_median_distance(distance), *edges)
            axes.plot(race.lrs, median, c=colour, ls=style, marker=".", label=label)
        axes.axhline(race.tolerance, c="grey", lw=1, label="arrived below this")
        axes.set(
            title=race.surface.name,
            xlabel="learning rate",
            ylabel="median distance from a minimum",
            xscale="log",
            yscale="log",
            ylim=(edges[0] / 1.5, edges[1] * 1.5),
        )
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=len(labels))
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, at most three to a row."""
    columns = min(count, 3)
    rows = -(-count // 3)
    figure = Figure(figsize=(5 * columns, 5 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def _draw_surface(axes: Axes, of: Surface, low: Pair, high: Pair) -> None:
    """Contour lines at even steps of the logarithm of the height, and the minima."""
    x, y, height = _grid(of, 200, low, high)
    above = height - height.min() + 1e-4 * np.ptp(height)
    levels = np.geomspace(above.min(), above.max(), 25)
    axes.contour(
        x, y, above, levels, norm=LogNorm(), cmap="Greys", linewidths=0.7, alpha=0.6
    )
    minima = np.asarray(of.minimum).T
    axes.plot(*minima, "k*", markersize=12, linestyle="none", label="minimum", zorder=3)


def _limits(of: Surface, paths: Mapping[str, np.ndarray]) -> tuple[Pair, Pair]:
    """The corners of a box around the surface and every path that stays near it."""
    low, high = np.asarray(of.bounds)
    size = high - low
    near = [
        path
        for path in paths.values()
        if np.all((path >= low - size) & (path <= high + size))
    ]
    margin = 0.02 * size  # a path must not touch the edge
    points = np.concatenate([[low + margin, high - margin], *near])
    left, bottom = (points.min(axis=0) - margin).tolist()
    right, top = (points.max(axis=0) + margin).tolist()
    return (left, bottom), (right, top)


def _grid(
    of: Surface, points: int, low: Pair, high: Pair
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (left, bottom), (right, top) = low, high
    x, y = np.meshgrid(
        np.linspace(left, right, points, dtype=np.float32),
        np.linspace(bottom, top, points, dtype=np.float32),
    )
    return x, y, np.asarray(of.function(jnp.stack([x, y], -1)))


def _median_distance(distance: np.ndarray) -> np.ndarray:
    """The median over the starts, the last axis; NaN counts as infinite."""
    return np.median(np.where(np.isnan(distance), np.inf, distance), axis=-1)
