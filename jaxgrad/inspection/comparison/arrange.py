"""Bring one array into the layout of another, and measure how far apart they are."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxgrad.inspection.comparison.fingerprint import distances, fingerprint, floats
from jaxgrad.inspection.report.summary import Summary

SAMPLES = 64
Axes = tuple[int, ...]


class Distance(NamedTuple):
    """How far apart two arrays are.

    Attributes:
        relative: The largest difference of two elements, in units of the elements.
        arranged: Whether axes in another order explain where the elements are;
            otherwise the elements were compared in sorted order.
        absolute: The largest difference.
    """

    relative: float
    arranged: bool = True
    absolute: float = 0.0


FAR = Distance(np.inf, False, np.inf)


def distance(theirs: Any, ours: Any) -> Distance:
    """How far apart two arrays or summaries are, in the best layout."""
    if theirs is None or ours is None:
        return FAR
    if isinstance(theirs, Summary) or isinstance(ours, Summary):
        prints = [fingerprint(theirs)], [fingerprint(ours)]
        found = float(distances(*prints)[0, 0])
        return Distance(found, True, found * prints[0][0].scale)
    a, b = floats(theirs), floats(ours)
    if a.size != b.size:
        return FAR
    near = gap(a, b) if a.shape == b.shape else FAR
    if near.relative >= 1e-3:
        near = gap(a, arrange(b, a))
    if near.relative < 1e-3 or a.size < 2:
        return near
    in_order = gap(np.sort(a, axis=None), np.sort(b, axis=None))
    # Sorting brings any two arrays closer: only a clear difference counts.
    if in_order.relative < 1e-3 * near.relative:
        return in_order._replace(arranged=False)
    return near


def reduced(theirs: Any, ours: Any, mean: bool = False) -> Distance:
    """How far a number is from an array's sum, or from its mean if that is nearer."""
    a, b = (x if isinstance(x, Summary) else floats(x) for x in (theirs, ours))
    if isinstance(a, Summary) or isinstance(b, Summary):
        return FAR
    total = gap(np.array(a.sum()), np.array(b.sum()))
    return min(total, gap(np.array(a.mean()), np.array(b.mean()))) if mean else total


def gap(a: np.ndarray, b: np.ndarray) -> Distance:
    """The largest difference of two arrays of one shape."""
    if a.size == 0:
        return Distance(0.0)
    a, b = np.atleast_1d(a), np.atleast_1d(b)
    with np.errstate(all="ignore"):
        equal = (a == b) | (np.isnan(a) & np.isnan(b))
        apart = np.where(equal, 0.0, np.abs(a - b))
        apart = np.where(np.isnan(apart), np.inf, apart)
        if not apart.any():
            return Distance(0.0)
        size = np.maximum(np.abs(a), np.abs(b))
        relative = np.where(
            np.isinf(apart), 1.0, apart / np.maximum(size, typical(size))
        )
        return Distance(float(np.max(relative)), absolute=float(apart.max()))


def typical(size: np.ndarray) -> float:
    """The root of the mean square of the finite elements."""
    some = size[np.isfinite(size)]
    scale = float(np.max(some, initial=0.0))
    if scale == 0:
        return 1.0
    return scale * float(np.sqrt(np.mean(np.square(some / scale))))


def arrange(array: np.ndarray, model: np.ndarray) -> np.ndarray:
    """`array` in the shape of `model`, with its axes in the order that fits best."""
    return layout(array, model)(array)


def layout(array: np.ndarray, model: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """How arrays like `array` are brought into the layout of `model`."""
    array, shape = np.squeeze(array), model.shape
    model = np.squeeze(model)
    if array.size < 2:
        return lambda x: x.reshape(shape)
    best = min(_orders(array, model), key=lambda order: _misfit(array, model, order))
    return lambda x: _ordered(np.squeeze(x), model, best).reshape(shape)


def arrange_like(array: np.ndarray, own: np.ndarray, model: np.ndarray) -> np.ndarray:
    """`array` with its axes in the order that brings `own` to `model`."""
    order = min(_orders(own, model), key=lambda order: _misfit(own, model, order))
    return array.transpose(order)


def _orders(array: np.ndarray, model: np.ndarray) -> list[Axes]:
    """The orders of the axes of the array with more axes, the unchanged first."""
    more = max(array, model, key=np.ndim)
    if more.ndim > 6:
        return [tuple(range(more.ndim))]
    orders = itertools.permutations(range(more.ndim))
    if array.ndim != model.ndim:
        return list(orders)
    wanted = model.shape
    fitting = [o for o in orders if tuple(array.shape[i] for i in o) == wanted]
    return fitting or list(itertools.permutations(range(array.ndim)))


def _ordered(array: np.ndarray, model: np.ndarray, order: Axes) -> np.ndarray:
    if array.ndim >= model.ndim:
        return array.transpose(order)
    # `model` with its axes in that order is `array`: go back.
    shape = [model.shape[i] for i in order]
    return array.reshape(shape).transpose(np.argsort(order))


def _misfit(array: np.ndarray, model: np.ndarray, order: Axes) -> float:
    """The mean distance of a sample of the elements."""
    arranged, flat = _ordered(array, model, order), model.reshape(-1)
    chosen = np.unique(np.linspace(0, flat.size - 1, SAMPLES).astype(int))
    chosen = np.unique(np.concatenate([chosen, np.arange(min(16, flat.size))]))
    picked = arranged[np.unravel_index(chosen, arranged.shape)]
    with np.errstate(all="ignore"):
        apart = np.where(picked == flat[chosen], 0.0, np.abs(picked - flat[chosen]))
    return float(np.mean(np.nan_to_num(apart, nan=0.0, posinf=1e30)))
