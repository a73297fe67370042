"""Which distance of two runs is real, and which one rounding explains.

A step adds a few units of its dtype. What it inherits from the steps before is
measured: theirs is run again from a start that is moved by a unit, and how far it is
then from itself is what rounding makes of the same training.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.trajectories.series import Distances, Series

OWN = 16.0  # Times the distance that theirs has to itself
STORED = 4.0  # Units of a parameter that an update may differ


class Precision(NamedTuple):
    """In which units two runs are compared.

    Attributes:
        unit: The unit of the arithmetic that may have been used anywhere.
        stored: The unit in which the parameters are stored.
        factor: The relative error of a scalar, as a learning rate or 1 - 0.999.
        step: Units that one step may differ.
    """

    unit: float
    stored: float
    factor: float
    step: float = 64.0


class Excess(NamedTuple):
    """A distance that rounding does not explain."""

    step: int
    what: str  # "loss", "gradient", "update" or "parameter"
    leaf: int | None  # The number of the pair
    difference: float  # In units of what rounding explains
    relative: float
    leaves: tuple[int, ...] = ()  # All pairs that differ


class Runs(NamedTuple):
    """Theirs, ours, and theirs from moved starts, with their distances."""

    theirs: Series
    ours: Series
    apart: Distances
    own: list[Distances]
    precision: Precision
    ranks: np.ndarray  # The number of axes of each parameter


def first_excess(runs: Runs) -> Excess | None:
    """The first distance that rounding does not explain."""
    return next(excesses(runs), None)


def excesses(runs: Runs) -> Iterator[Excess]:
    """All of them, in the order of the training."""
    apart, own = runs.apart, runs.own
    unit, stored, _, units = runs.precision
    yield from _start(apart, units * stored)
    for step in range(len(apart.loss)):
        inherited = _inherited([o.loss[:, None] for o in own], step)[0]
        allowed = units * unit + OWN * inherited
        if not apart.loss[step] <= allowed:
            relative = float(apart.loss[step])
            yield Excess(step, "loss", None, relative / allowed, relative)
        allowed = units * unit + OWN * _inherited([o.gradient for o in own], step)
        yield from _leaf(step, "gradient", apart.gradient[step], allowed)
        allowed = units * unit + OWN * _inherited([o.update for o in own], step)
        allowed += STORED * stored * _sizes(runs.theirs, step)
        yield from _leaf(step, "update", _updates(runs, step), allowed)


def _start(apart: Distances, most: float) -> Iterator[Excess]:
    allowed = np.full(apart.parameter.shape[1], most)
    yield from _leaf(0, "parameter", apart.parameter[0], allowed)


def _leaf(
    step: int, what: str, apart: np.ndarray, allowed: np.ndarray
) -> Iterator[Excess]:
    """The parameter that differs: the last one, from which gradients come back."""
    ratio = apart[:-1] / allowed[:-1]
    parted = np.flatnonzero(ratio > 1)
    if parted.size:
        clear = parted[ratio[parted] > 0.01 * ratio[parted].max()]
        leaf = int(
            clear[-1] if what == "gradient" else parted[np.argmax(ratio[parted])]
        )
        found = float(ratio[leaf]), float(apart[leaf])
        yield Excess(step, what, leaf, *found, tuple(parted.tolist()))


def _inherited(own: Sequence[np.ndarray], step: int) -> np.ndarray:
    """The largest distance of theirs to itself up to the next step, for each pair."""
    if not own:
        return np.zeros(1)
    most = [np.nan_to_num(x[: step + 2], nan=0.0).max(axis=0) for x in own]
    largest = np.max(most, axis=0)
    return np.maximum(largest, largest[-1])


def _sizes(theirs: Series, step: int) -> np.ndarray:
    """How much larger a parameter is than its update: the error of storing it."""
    updates, parameters = theirs.updates(step), theirs.parameters[step + 1]
    ratios = [
        np.nan
        if u is None or p is None
        else np.linalg.norm(p) / max(np.linalg.norm(u), 1e-300)
        for u, p in zip(updates, parameters, strict=True)
    ]
    known = [float(x) for x in ratios if np.isfinite(x)]
    return np.array([*ratios, max(known, default=0.0)])


def _updates(runs: Runs, step: int) -> np.ndarray:
    """The distances of the updates, without a common factor that rounding explains."""
    both = runs.theirs.updates(step), runs.ours.updates(step)
    known = [
        (a, b) for a, b in zip(*both, strict=True) if a is not None and b is not None
    ]
    apart = runs.apart.update[step].copy()
    if not known:
        return apart
    size = sum(float(a @ a) for a, _ in known)
    factor = sum(float(a @ b) for a, b in known) / size if size > 0 else 1.0
    if not 0 < abs(factor - 1) <= runs.precision.factor:
        return apart
    for i, (a, b) in enumerate(zip(*both, strict=True)):
        if a is not None and b is not None and np.any(a):
            rest = float(np.linalg.norm(b - factor * a) / np.linalg.norm(a))
            apart[i] = min(apart[i], rest)
    return apart
