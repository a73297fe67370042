"""Trials on axes: of a softmax, of a normalization and its variance and epsilon."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess


def softmax(case: Case) -> Guess:
    """A softmax over another axis."""
    if "softmax" not in case.kinds:
        return None
    found = [_softmax(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    return "axis", f"Theirs computes {found[0]}, ours {found[1]}."


def _softmax(case: Case, side: int) -> str:
    y = case.values[side]
    for x in case.inputs[side]:
        if x.shape != y.shape:
            continue
        axes = [(i,) for i in range(x.ndim)]
        axes += [pair for pair in itertools.combinations(range(x.ndim), 2)]
        axes.append(tuple(range(x.ndim)))
        for axis in axes:
            with np.errstate(all="ignore"):
                shifted = x - x.max(axis, keepdims=True)
                log_p = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
            for name, made in (("softmax", np.exp(log_p)), ("log_softmax", log_p)):
                if case.same(made, y):
                    shown = ", ".join(str(i - x.ndim) for i in axis)
                    return f"{name} over axis {shown} of {x.ndim}"
    return ""


class Form(NamedTuple):
    """How an array is normalized."""

    axes: tuple[int, ...]
    unbiased: bool
    eps: float
    centred: bool


def normalization(case: Case) -> Guess:
    """The axes, the variance or the epsilon of a normalization."""
    found = [_form(case, side) for side in (0, 1)]
    if found[0] is None or found[1] is None:
        return None
    a, b = found
    if len(a.axes) != len(b.axes):
        text = f"Theirs normalizes over axes {a.axes}, ours over {b.axes}"
        return "axis", f"{text}."
    if a.centred != b.centred:
        return "normalization", "One side subtracts the mean first, the other does not."
    if a.unbiased != b.unbiased:
        who, other = ("Theirs", "ours") if a.unbiased else ("Ours", "theirs")
        return "variance", f"{who} divides by the unbiased variance, {other} the biased."
    if abs(a.eps - b.eps) > 0.01 * max(abs(a.eps), abs(b.eps)):
        return "eps", f"Theirs adds eps = {a.eps:.3g} to the variance, ours {b.eps:.3g}."
    return None


def _form(case: Case, side: int) -> Form | None:
    y, nodes = case.values[side], case.sources[side]
    gains = [np.asarray(n.value, float) for n in nodes if n.is_argument and n.value is not None]
    xs = [x for x in case.inputs[side] if x.shape == y.shape and x.size > 2]
    for x in xs:
        for plain in _without_affine(y, [g for g in gains if g.ndim == 1]):
            if (form := _solved(x, plain, case.close)) is not None:
                return form
    return None


def _without_affine(y: Array, gains: list[Array]) -> Iterator[Array]:
    """The array before a gain and a bias of one axis, for each way to choose them."""
    yield y
    for axis in {y.ndim - 1, min(1, y.ndim - 1)}:
        fitting = [g for g in gains if g.size == y.shape[axis]]
        shape = [-1 if i == axis else 1 for i in range(y.ndim)]
        for gain, bias in itertools.permutations(fitting, 2):
            if (gain != 0).all():
                yield (y - bias.reshape(shape)) / gain.reshape(shape)
        for gain in fitting:
            if (gain != 0).all():
                yield y / gain.reshape(shape)


def _solved(x: Array, y: Array, close: float) -> Form | None:
    """The form in which `y` is the normalized `x`: solves for slope and epsilon."""
    for count in range(1, x.ndim + 1):
        for axes in itertools.combinations(range(x.ndim), count):
            for centred in (True, False):
                mean = x.mean(axes, keepdims=True) if centred else 0.0
                form = _fitted(x - mean, y, axes, centred, close)
                if form is not None:
                    return form
    return None


def _fitted(
    n: Array, y: Array, axes: tuple[int, ...], centred: bool, close: float
) -> Form | None:
    square = np.square(n).mean(axes, keepdims=True)
    size = n.size / square.size
    with np.errstate(all="ignore"):
        scale = np.sum(n * y, axes, keepdims=True) / np.sum(n * n, axes, keepdims=True)
        # y = scale n needs one scale for each group, and 1 / scale^2 = c square + eps.
        if not np.all(np.abs(scale * n - y) <= close * np.abs(y).max()):
            return None
        measured = 1 / np.square(scale)
    for unbiased in (False, True):
        factor = size / (size - 1) if unbiased and size > 1 else 1.0
        eps = (measured - factor * square).reshape(-1)
        middle = float(np.median(eps))
        limit = max(10 * close * float(square.max()), 0.02 * abs(middle))
        if np.all(np.abs(eps - middle) <= limit) and -1e-9 - limit <= middle < 0.1 * float(square.max()) + 0.2:
            return Form(axes, unbiased, max(middle, 0.0), centred)
    return None


def variance(case: Case) -> Guess:
    """A biased variance on one side, an unbiased one on the other; another axis."""
    found = [_variance(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    if found[0][0] != found[1][0]:
        return "variance", f"Theirs computes the {found[0][0]}, ours the {found[1][0]}."
    return "axis", f"Theirs reduces axes {found[0][1]}, ours {found[1][1]}."


def _variance(case: Case, side: int) -> tuple[str, tuple[int, ...]] | None:
    y = case.values[side]
    for x in case.inputs[side]:
        if x.size <= y.size:
            continue
        for count in range(1, x.ndim + 1):
            for axes in itertools.combinations(range(x.ndim), count):
                for name, made in _moments(x, axes):
                    if case.same(made.reshape(-1), y.reshape(-1)):
                        return name, axes
    return None


def _moments(x: Array, axes: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    size = np.prod([x.shape[i] for i in axes])
    biased = x.var(axes)
    yield "mean", x.mean(axes)
    yield "sum", x.sum(axes)
    yield "biased variance", biased
    yield "biased standard deviation", np.sqrt(biased)
    if size > 1:
        yield "unbiased variance", biased * size / (size - 1)
        yield "unbiased standard deviation", np.sqrt(biased * size / (size - 1))
    yield "mean square", np.square(x).mean(axes)
    yield "maximum", x.max(axes)
    yield "minimum", x.min(axes)
