"""The race as a recording: the paths of every picture, point by point, for a page.

The coordinates are tenths of a pixel in a frame of 480 x 360 pixels. They are read from
the pictures of the paths, so the recording shows the same contour lines, axes, colours
and labels.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxgrad.descent import Race

WIDTH, HEIGHT = 4800, 3600
FAR = 5 * WIDTH  # a path that is this far outside ends there


class Recording(NamedTuple):
    """What the page draws, by the name of the surface."""

    surfaces: dict[str, dict[str, Any]]

    def save(self, path: Path) -> None:
        """Write it as JSON; the suffix becomes .json."""
        text = json.dumps(self.surfaces, separators=(",", ":"), allow_nan=False)
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def recording(pictures: Mapping[str, Figure], races: Mapping[str, Race]) -> Recording:
    """The recording of races, from the pictures of `plots.contours`."""
    return Recording({name: _drawn(pictures[name], races[name]) for name in races})


def _drawn(picture: Figure, race: Race) -> dict[str, Any]:
    (axes,) = picture.axes
    lines = {
        str(line.get_label()): np.asarray(line.get_data()).T for line in axes.lines
    }
    colours = [line.get_color() for line in axes.lines]
    minima, *paths, start = lines.items()
    return {
        "contours": _contours(axes),
        "ticks": [_ticks(axes, 0), _ticks(axes, 1)],
        "minima": _pixels(axes, minima[1]),
        "start": _pixels(axes, start[1])[0],
        "steps": race.num_steps,
        "paths": [
            {
                "label": label,
                "colour": colour,
                "points": _pixels(axes, points),
                "arrival": _arrival(points, race),
            }
            for (label, points), colour in zip(paths, colours[1:-1], strict=True)
        ],
    }


def _pixels(axes: Axes, points: np.ndarray) -> list[list[int]]:
    """Points as pixels, up to the first one that is not finite or far outside."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    share = (points - [left, bottom]) / [right - left, top - bottom]
    pixels = np.nan_to_num(share * [WIDTH, -HEIGHT] + [0, HEIGHT], nan=np.inf)
    outside = np.flatnonzero((np.abs(pixels) > FAR).any(axis=1))
    end = outside[0] if len(outside) else len(pixels)
    return np.rint(pixels[:end]).astype(int).tolist()


def _contours(axes: Axes) -> str:
    """The contour lines as the path of an SVG."""
    levels = axes.collections[0].get_paths()
    lines = [line for level in levels for line in level.to_polygons(closed_only=False)]
    drawn = (
        " ".join(f"{x},{y}" for x, y in _pixels(axes, np.asarray(line)))
        for line in lines
    )
    return "".join(f"M{line}" for line in drawn)


def _ticks(axes: Axes, axis: int) -> list[tuple[int, str]]:
    """The places and the numbers of the ticks inside the frame."""
    marks = (axes.get_xticks(), axes.get_yticks())[axis]
    low, high = (axes.get_xlim(), axes.get_ylim())[axis]
    inside = marks[(low <= marks) & (marks <= high)]
    places = _pixels(axes, np.column_stack([inside, inside]))
    return [(p[axis], f"{m:g}") for p, m in zip(places, inside, strict=True)]


def _arrival(points: np.ndarray, race: Race) -> int | None:
    """The step from which a path stays within the race's tolerance of a minimum."""
    minima = np.asarray(race.surface.minimum)
    distance = np.linalg.norm(points[:, None] - minima, axis=-1).min(axis=1)
    return arrival(distance, race.tolerance)


def arrival(distance: np.ndarray, near: float) -> int | None:
    """The step from which on no distance exceeds `near`; None if there is none."""
    outside = np.flatnonzero(~(distance <= near))
    first = int(outside[-1]) + 1 if len(outside) else 0
    return first if first < len(distance) else None
