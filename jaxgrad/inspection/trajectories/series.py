"""Two trajectories as numbers that can be subtracted: in one order and one layout."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxgrad.inspection.trajectories.leaves import Pair
from jaxgrad.inspection.trajectories.records import Arrays, Trajectory

Leaves = list[np.ndarray | None]


@dataclass(eq=False)
class Series:
    """A run, with the parameters in the order of the pairs, flat and in float64.

    Attributes:
        losses: One for each step.
        gradients: For each step, one array for each pair; None if not known.
        parameters: The same, with the start in front of the first step.
        raw: The gradients before they were clipped, as far as they are known.
        used: The gradients after they were clipped.
    """

    losses: np.ndarray
    gradients: list[Leaves]
    parameters: list[Leaves]
    raw: list[Leaves]
    used: list[Leaves]

    def updates(self, step: int) -> Leaves:
        """How the parameters change in a step."""
        before, after = self.parameters[step], self.parameters[step + 1]
        return [
            None if a is None or b is None else b - a
            for a, b in zip(before, after, strict=True)
        ]


@dataclass(eq=False)
class Distances:
    """How far two runs are apart, relative to the sizes of theirs.

    The last column of an array is all parameters together. What is not known is NaN.
    """

    loss: np.ndarray  # steps
    gradient: np.ndarray  # steps, pairs + 1
    update: np.ndarray  # steps, pairs + 1
    parameter: np.ndarray  # steps + 1, pairs + 1


def series_of(run: Trajectory, pairs: Sequence[Pair], side: int) -> Series:
    """A run in the order of the pairs; ours (side 1) in the layout of theirs."""

    def leaves(arrays: Arrays) -> Leaves:
        return [
            _flat(arrays.get((pair.theirs, pair.ours)[side]), pair, side)
            for pair in pairs
        ]

    records = run.records
    gradients = [leaves(r.gradients) for r in records]
    return Series(
        np.array([r.loss for r in records]),
        gradients,
        [leaves(run.start), *(leaves(r.parameters) for r in records)],
        [leaves(r.raw) for r in records],
        gradients,
    )


def _flat(array: np.ndarray | None, pair: Pair, side: int) -> np.ndarray | None:
    if array is None:
        return None
    if np.iscomplexobj(array):
        whole: np.ndarray = array.astype(np.complex128)
        parts = [_flat(x, pair, side) for x in (np.real(whole), np.imag(whole))]
        return np.concatenate(parts)  # pyright: ignore
    array = np.asarray(array, np.float64)
    return (pair.arrange(array) if side else array).ravel()


def distances(theirs: Series, ours: Series) -> Distances:
    """How far two runs are apart."""
    steps = range(min(len(theirs.losses), len(ours.losses)))
    loss = [_norm_of(theirs.losses[i : i + 1], ours.losses[i : i + 1]) for i in steps]
    gradients = [_apart(theirs.gradients[i], ours.gradients[i]) for i in steps]
    updates = [_apart(theirs.updates(i), ours.updates(i)) for i in steps]
    parameters = [
        _apart(a, b) for a, b in zip(theirs.parameters, ours.parameters, strict=False)
    ]
    relative = np.array([d / s if s > 0 else np.sign(d) for d, s in loss])
    arrays = [np.array(x, float) for x in (gradients, updates, parameters)]
    return Distances(relative, *arrays)


def _apart(theirs: Leaves, ours: Leaves) -> list[float]:
    """The relative distance of each pair, then that of all together."""
    found = [
        (np.nan, np.nan) if a is None or b is None else _norm_of(a, b)
        for a, b in zip(theirs, ours, strict=True)
    ]
    known = [x for x in found if not np.isnan(x[1])]
    total = tuple(
        float(np.hypot.reduce([x[i] for x in known] or [np.nan])) for i in (0, 1)
    )
    # A gradient that only one side has is as far away as can be.
    return [d / s if s > 0 else np.sign(d) + 0 * s for d, s in (*found, total)]


def _norm_of(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The norm of the difference, and of theirs."""
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        apart = np.where(same, 0.0, a - b)
        distance = float(np.linalg.norm(apart))
        size = float(np.linalg.norm(a[np.isfinite(a)]))
    if not np.isfinite(distance):
        return max(size, 1.0), max(size, 1.0)
    return distance, max(size, float(np.linalg.norm(b[np.isfinite(b)])) * 1e-3)
