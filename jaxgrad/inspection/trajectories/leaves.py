"""Which parameters of two trainings correspond, and in which layouts."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxgrad._checks import wrong_value
from jaxgrad.inspection.comparison.align import alike
from jaxgrad.inspection.comparison.arrange import layout
from jaxgrad.inspection.comparison.fingerprint import distances, fingerprint
from jaxgrad.inspection.trajectories.records import Arrays, Trajectory

DIGITS = 6.0  # Equal fingerprints count as much as six common digits
NAMES = 3.0  # The same words in both names


class Pair(NamedTuple):
    """Two corresponding parameters, and how ours is brought into their layout."""

    theirs: str
    ours: str
    arrange: Callable[[np.ndarray], np.ndarray]


class Leaf(NamedTuple):
    """A parameter by its name on each side."""

    theirs: str
    ours: str


def pairs_of(
    theirs: Trajectory, ours: Trajectory, names: Mapping[str, str] | None
) -> list[Pair]:
    """The corresponding parameters: those in `names`, then the most alike."""
    known = (_known(theirs), _known(ours))
    chosen = _given(dict(names or {}), known)
    free = [
        [n for n in side if n not in {pair[i] for pair in chosen}]
        for i, side in enumerate(known)
    ]
    chosen += _alike(free[0], free[1], known)
    order = {name: i for i, name in enumerate(known[0])}
    chosen.sort(key=lambda pair: order[pair[0]])
    return [Pair(a, b, _layout(known[0][a], known[1][b])) for a, b in chosen]


def _known(run: Trajectory) -> dict[str, list[np.ndarray | None]]:
    """For each parameter its first arrays: start, gradient, after the first update."""
    first = run.records[0]
    kinds: list[Arrays] = [run.start, first.gradients, first.parameters]
    found = dict.fromkeys([*first.parameters, *first.gradients])
    return {name: [x.get(name) for x in kinds] for name in found}  # pyright: ignore


def _given(
    names: dict[str, str], known: tuple[Mapping[str, object], Mapping[str, object]]
) -> list[tuple[str, str]]:
    for pair in names.items():
        for name, side, whose in zip(pair, known, ("theirs", "ours"), strict=True):
            if name not in side:
                what = f"names to be parameters of {whose}: {[*side]}"
                raise wrong_value("compare_training", what, repr(name))
    return [*names.items()]


def _alike(
    theirs: list[str],
    ours: list[str],
    known: tuple[
        dict[str, list[np.ndarray | None]], dict[str, list[np.ndarray | None]]
    ],
) -> list[tuple[str, str]]:
    """Pairs of the highest scores; both must have as many elements."""
    if not theirs or not ours:
        return []
    scores = NAMES * alike(theirs, ours)
    fits = np.zeros(scores.shape, bool)
    for kind in range(3):
        prints = [
            [fingerprint(side[n][kind]) for n in names]
            for names, side in zip((theirs, ours), known, strict=True)
        ]
        apart = distances(*prints)
        fits |= np.isfinite(apart)
        digits = np.clip(-np.log10(np.maximum(apart, 1e-7)), 0, DIGITS)
        plain = np.array([[a.plain or b.plain for b in prints[1]] for a in prints[0]])
        scores += np.where(plain, 0.1, 1.0) * np.where(np.isfinite(apart), digits, 0)
    order = np.abs(_places(theirs)[:, None] - _places(ours)[None, :])
    scores = np.where(fits, scores - 0.5 * order, -np.inf)
    found = []
    while np.isfinite(scores).any():
        a, b = np.unravel_index(int(np.argmax(scores)), scores.shape)
        found.append((theirs[a], ours[b]))
        scores[a, :] = scores[:, b] = -np.inf
    return found


def _places(names: list[str]) -> np.ndarray:
    return np.arange(len(names)) / len(names)


def _layout(
    theirs: list[np.ndarray | None], ours: list[np.ndarray | None]
) -> Callable[[np.ndarray], np.ndarray]:
    """How ours is arranged like theirs, told by the most varied array of both."""
    both = [
        (a, b)
        for a, b in zip(theirs, ours, strict=True)
        if a is not None and b is not None and a.size == b.size
    ]
    a, b = next(((a, b) for a, b in both if not fingerprint(a).plain), both[0])
    return layout(np.asarray(b, np.float64), np.asarray(a, np.float64))
