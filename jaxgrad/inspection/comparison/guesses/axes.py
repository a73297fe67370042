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
        numbers = range(x.ndim)
        axes: list[tuple[int, ...]] = [(i,) for i in numbers]
        axes += [*itertools.combinations(numbers, 2), tuple(numbers)]
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
    groups: int = 1
    by: str = "deviation"


def normalization(case: Case) -> Guess:
    """The axes, the variance or the epsilon of a normalization."""
    found = [_form(case, side) for side in (0, 1)]
    a, b = found
    if a is None or b is None:
        return None
    if a.groups != b.groups:
        text = f"Theirs normalizes {a.groups} groups of channels, ours {b.groups}"
        return "groups", f"{text}: another axis or number of groups."
    sizes = [
        sorted(x.shape[i] for i in form.axes)
        for x, form in zip(case.values, (a, b), strict=True)
        if max(form.axes) < x.ndim
    ]
    if len(a.axes) != len(b.axes) or (a.by == b.by and sizes[0] != sizes[-1]):
        text = f"Theirs normalizes over axes {a.axes}, ours over {b.axes}"
        return "axis", f"{text}."
    if a.by != b.by:
        return "normalization", f"Theirs divides by the {a.by}, ours by the {b.by}."
    if a.centred != b.centred:
        return "normalization", "One side subtracts the mean first, the other does not."
    if a.unbiased != b.unbiased:
        who, other = ("Theirs", "ours") if a.unbiased else ("Ours", "theirs")
        return (
            "variance",
            f"{who} divides by the unbiased variance, {other} the biased.",
        )
    if abs(a.eps - b.eps) > 0.01 * max(abs(a.eps), abs(b.eps)):
        return (
            "eps",
            f"Theirs adds eps = {a.eps:.3g} to the variance, ours {b.eps:.3g}.",
        )
    return None


def _grouped(x: Array, y: Array, close: float) -> Form | None:
    """A normalization over groups of channels, with the channels first or last."""
    for axis in {1, x.ndim - 1}:
        channels = x.shape[axis]
        for groups in (g for g in range(2, channels) if channels % g == 0):
            shape = (*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
            axes = tuple(i for i in range(1, len(shape)) if i != axis)
            parts = x.reshape(shape), y.reshape(shape)
            n = parts[0] - parts[0].mean(axes, keepdims=True)
            form = _fitted(n, parts[1], axes, True, close)
            if form is not None:
                return form._replace(groups=groups)
    return None


def _form(case: Case, side: int) -> Form | None:
    y, nodes = case.values[side], case.sources[side]
    gains = [
        np.asarray(n.value, float)
        for n in nodes
        if n.is_argument and n.value is not None
    ]
    xs = [x for x in case.inputs[side] if x.shape == y.shape and x.size > 2]
    for x in xs:
        for plain in _without_affine(y, [g for g in gains if g.ndim == 1]):
            if case.same(x, plain):
                continue
            form = _solved(x, plain, case.close) or _grouped(x, plain, case.close)
            if form is not None:
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
    if not centred and np.allclose(measured, size * square, rtol=1e-3):
        return Form(axes, False, 0.0, False, 1, "norm")
    for unbiased in (False, True):
        factor = size / (size - 1) if unbiased and size > 1 else 1.0
        eps = (measured - factor * square).reshape(-1)
        middle = float(np.median(eps))
        limit = max(10 * close * float(square.max()), 0.02 * abs(middle))
        if (
            np.all(np.abs(eps - middle) <= limit)
            and -1e-9 - limit <= middle < 0.1 * float(square.max()) + 0.2
        ):
            return Form(axes, unbiased, max(middle, 0.0), centred)
    return None


def reduction(case: Case) -> Guess:
    """A mean against a sum, a biased variance against an unbiased one, other axes."""
    found = [_reduction(case, side) for side in (0, 1)]
    mine, yours = found
    if mine is None or yours is None or mine[:2] == yours[:2]:
        return None
    (a, first, whole), (b, second, _) = mine, yours
    if a == b:
        return "axis", f"Theirs takes the {a} over axes {first}, ours over {second}."
    sentence = f"Theirs takes the {a}, ours the {b}"
    if {a, b} <= {"mean", "sum"}:
        count = int(np.prod([whole[i] for i in first]))
        return "reduction", f"{sentence}, over {count} elements."
    cause = "variance" if "deviation" in a + b or "variance" in a + b else "reduction"
    return cause, f"{sentence}."


def own_reduction(case: Case) -> Guess:
    """A sum against a mean of what each side computes itself."""
    if {n.kind for n in case.nodes} != {"sum", "mean"}:
        return None
    found = [_reduction(case, side, _read(case, side)) for side in (0, 1)]
    if found[0] is None or found[1] is None or {f[0] for f in found if f} != SUMS:
        return None
    count = int(np.prod([found[0][2][i] for i in found[0][1]]))
    sizes = [np.abs(x).reshape(-1) for x in case.values]
    more = 0 if found[0][0] == "sum" else 1
    if not case.same(sizes[1 - more] * count, sizes[more]):
        return None
    text = f"Theirs takes the {found[0][0]}, ours the {found[1][0]}"
    return "reduction", f"{text}, over {count} elements."


SUMS = {"sum", "mean"}


def _read(case: Case, side: int) -> list[Array]:
    """The arrays that a node reads directly, whether they have partners or not."""
    nodes = case.both.graph(side).nodes
    return [np.asarray(nodes[p].value, float) for p in case.nodes[side].parents]


def _reduction(
    case: Case, side: int, inputs: list[Array] | None = None
) -> tuple[str, tuple[int, ...], tuple[int, ...]] | None:
    y = case.values[side].reshape(-1)
    for x in case.inputs[side] if inputs is None else inputs:
        if x.size <= y.size:
            continue
        for count in range(1, x.ndim + 1):
            for axes in itertools.combinations(range(x.ndim), count):
                for name, made in _moments(x, axes):
                    if case.same(made.reshape(-1), y):
                        return name, axes, x.shape
    return None


def running(case: Case) -> Guess:
    """Running statistics that differ, or those of the batch in their place."""
    operations = {n.operation.lower().replace("_", "") for n in case.nodes}
    if "batchnorm" not in operations or any(n.part for n in case.nodes):
        return None
    forms = [_form(case, side) for side in (0, 1)]
    if (forms[0] is None) != (forms[1] is None):
        lined = case.aligned and _lines(*case.aligned, 1)
        if lined is None:
            return "axis", "The sides normalize over other axes."
        who, other = ("Theirs", "ours") if forms[0] else ("Ours", "theirs")
        text = (
            f"{who} normalizes with the statistics of the batch, {other} with running"
        )
        return "statistics", f"{text} statistics: training against evaluation."
    if forms[0] is not None or case.aligned is None:
        return None
    a, b = case.aligned
    lines = _lines(a, b, 1 if a.ndim > 2 else a.ndim - 1)
    if lines is None:
        return None
    slope, shift = lines
    biases = [x for x in case.inputs[0] if x.shape == shift.shape]
    # With equal means, both are the bias at the same point.
    same_mean = any(np.allclose(shift, b * (1 - slope), atol=1e-7) for b in biases)
    what = "variance: biased against unbiased" if same_mean else "momentum"
    cause = "variance" if same_mean else "momentum"
    return cause, f"The running statistics differ: probably their {what}."


def _lines(a: Array, b: Array, axis: int) -> tuple[Array, Array] | None:
    """For each channel how far b is a line in a, and where the centres lie."""
    flat = [np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1) for x in (a, b)]
    fits = [np.polyfit(x, y, 1) for x, y in zip(*flat, strict=True)]
    slope, shift = np.array(fits).T
    made = slope[:, None] * flat[0] + shift[:, None]
    if np.abs(made - flat[1]).max() > 1e-6 * np.abs(flat[1]).max():
        return None
    return slope, shift


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
