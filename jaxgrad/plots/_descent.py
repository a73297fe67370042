"""Surfaces, the paths of optimizers down them, and the outcome of a race."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from jaxgrad.descent import Race, Surface


def surface(of: Surface, *, points: int = 50) -> Figure:
    """A surface in three dimensions.

    Args:
        of: The surface, drawn inside its bounds.
        points: Grid points along each axis.

    Returns: The figure, 8 x 6 inches.
    """
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot(projection="3d")
    axes.plot_surface(*_grid(of, points), cmap="viridis")  # pyright: ignore
    axes.set(xlabel="x", ylabel="y", title=of.name)
    return figure


def paths(
    points: Mapping[str, ArrayLike],
    *,
    start: tuple[float, float],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
) -> Figure:
    """Paths in the plane, each in its own panel, with the same axes.

    Args:
        points: The points of each path, shape `(steps, 2)`, by label.
        start: The start of all paths, marked by a cross.
        xlim: The horizontal axis.
        ylim: The vertical axis.

    Returns: The figure, three panels wide.
    """
    figure, panels = _panels(len(points))
    for axes, (label, path) in zip(panels, points.items(), strict=True):
        axes.scatter(*np.asarray(path).T, s=12)
        axes.plot(*start, "k+", markersize=12)
        axes.set(title=label, xlabel="x", ylabel="y", xlim=xlim, ylim=ylim)
    return figure


def contours(of: Surface, points: Mapping[str, ArrayLike]) -> Figure:
    """Paths over the contour lines of a surface.

    Args:
        of: The surface, drawn inside its bounds; its minima are marked by stars.
        points: The points of each path, shape `(steps, 2)`, by label; the first point
            is marked by a cross.

    Returns: The figure, 8 x 6 inches.
    """
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot()
    x, y, height = _grid(of, 200)
    # Even steps of the logarithm of the height above the ground.
    above = height - height.min() + 1e-4 * np.ptp(height)
    levels = np.geomspace(above.min(), above.max(), 25)
    axes.contour(x, y, above, levels, norm=LogNorm(), cmap="Greys", linewidths=0.7)
    for label, path in points.items():
        path = np.asarray(path)
        axes.plot(*path.T, marker=".", markersize=3, label=label)
        axes.plot(*path[0], "k+", markersize=12)
    axes.plot(*np.asarray(of.minimum).T, "k*", markersize=12, linestyle="none")
    (left, bottom), (right, top) = of.bounds
    axes.set(
        title=of.name, xlabel="x", ylabel="y", xlim=(left, right), ylim=(bottom, top)
    )
    axes.legend()
    return figure


def sensitivity(races: Sequence[Race]) -> Figure:
    """The final distance by learning rate: a flat, low curve is best.

    Args:
        races: One or more races; each has its own panel.

    Returns: The figure, three panels wide: the median over the starts of the distance
        from the nearest minimum, for each optimizer, cut off at the edges.
    """
    figure, panels = _panels(len(races))
    for axes, race in zip(panels, races, strict=True):
        edges = race.tolerance * 1e-3, race.tolerance * 1e5
        for label, distance in zip(race.optimizers, race.distance, strict=True):
            median = np.clip(_median_distance(distance), *edges)
            axes.plot(race.lrs, median, marker=".", label=label)
        axes.axhline(race.tolerance, color="black", linestyle=":", linewidth=1)
        axes.set(
            title=race.surface.name,
            xlabel="learning rate",
            ylabel="distance from a minimum",
            xscale="log",
            yscale="log",
            ylim=edges,
        )
        axes.grid(alpha=0.3)
    panels[0].legend()
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, three to a row."""
    rows = -(-count // 3)
    figure = Figure(figsize=(15, 5 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, 3, i + 1) for i in range(count)]


def _grid(of: Surface, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (left, bottom), (right, top) = of.bounds
    x, y = np.meshgrid(
        np.linspace(left, right, points, dtype=np.float32),
        np.linspace(bottom, top, points, dtype=np.float32),
    )
    return x, y, np.asarray(of.function(jnp.stack([x, y], -1)))


def _median_distance(distance: np.ndarray) -> np.ndarray:
    """The median over the starts, the last axis; NaN counts as infinite."""
    return np.median(np.where(np.isnan(distance), np.inf, distance), axis=-1)
