"""Trials on losses: reduction, ignored labels, smoothing, logits or probabilities."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.nodes import Node

TINY = 1e-30


def loss(case: Case) -> Guess:
    """The sides are different losses of the same arguments."""
    sizes = {x.size for x in case.values}
    if len(sizes) > 1 and 1 not in sizes:
        return None
    found = [
        (_named if case.values[side].size == 1 else _named_elements)(case, side)
        for side in (0, 1)
    ]
    if found[0] and found[1] and found[0] != found[1]:
        causes = [f[0] for f in found if f is not None]
        telling = [c for c in causes if c not in ("plain", "reduction")]
        telling = [c for c in telling if c != "weights"] or telling
        cause = next(iter(telling or [c for c in causes if c != "plain"]), "loss")
        return cause, f"Theirs is {found[0][1]}, ours {found[1][1]}."
    return None


def total(case: Case) -> Guess:
    """One side adds up what the other averages, before another reduction."""
    sizes = [x.size for x in case.values]
    if 1 not in sizes or sizes[0] == sizes[1] or not case.kinds & {"mean", "sum"}:
        return None
    sums = [float(x.sum()) for x in case.values]
    more = 0 if abs(sums[0]) > abs(sums[1]) else 1
    ratio = sums[more] / sums[1 - more]
    lengths = {n for side in case.inputs for x in side for n in x.shape if n > 1}
    if any(abs(ratio - n) <= case.close * n for n in lengths):
        verbs = ("adds up", "averages") if more == 0 else ("averages", "adds up")
        text = f"Theirs {verbs[0]} what ours {verbs[1]}, over {ratio:.0f} elements"
        return "reduction", f"{text}."
    return None


def probabilities(case: Case) -> Guess:
    """A loss of logits, and steps that read probabilities in their place."""
    node = case.nodes[0]
    if node.kind != "loss" or not node.operation.endswith(("logits", "entropy")):
        return None
    read = [
        [graph.nodes[p] for p in each.parents if not graph.nodes[p].part]
        for graph, each in zip(
            (case.both.theirs, case.both.ours), case.nodes, strict=True
        )
    ]
    x = np.asarray(read[0][0].value, float)
    shifted = np.exp(x - x.max(min(1, x.ndim - 1), keepdims=True))
    softmax = shifted / shifted.sum(min(1, x.ndim - 1), keepdims=True)
    for mine in read[1]:
        for name, made in (("sigmoid", 1 / (1 + np.exp(-x))), ("softmax", softmax)):
            if np.size(mine.value) == x.size > 1 and case.same(made, mine.value):
                text = f"Theirs is computed from {read[0][0].name}, ours from"
                return "logits", f"{text} {name}({read[0][0].name}) as if from logits."
    return None


def _named(case: Case, side: int) -> tuple[str, str] | None:
    y = case.values[side].reshape(())
    nodes = [n for s in (side, 1 - side) for n in _behind(case, s)]
    order = [np.asarray(n.value) for s in (0, 1) for n in _behind(case, s)]
    for cause, name, value in _losses(nodes, float(y), order):
        for sign, minus in ((1, ""), (-1, "minus ")):
            if abs(sign * value - y) <= case.close * max(abs(y), TINY):
                return cause, minus + name
    return None


def _named_elements(case: Case, side: int) -> tuple[str, str] | None:
    """The loss of each element, by name."""
    y = case.values[side]
    nodes = [n for n in _behind(case, side) if np.size(n.value) == y.size][:6]
    for first, second in itertools.permutations(nodes, 2):
        a, b = (np.asarray(n.value, float) for n in (first, second))
        of = f", of {first.name} and {second.name}"
        for name, (cause, each) in _elements(a, b.reshape(a.shape)).items():
            for text, made in ((f"the {name}", each), (f"half the {name}", each / 2)):
                if case.same(made, y):
                    return cause, text + of
    return None


def _behind(case: Case, side: int) -> list[Node]:
    """The sources and the sources of these: the logits behind a log-softmax."""
    both = case.both
    numbers = [s.pair[side] for s in both.sources(side, case.pair[side])]
    for number in list(numbers):
        numbers += [s.pair[side] for s in both.sources(side, number)]
    return [both.graph(side).nodes[n] for n in dict.fromkeys(numbers)]


def _losses(
    nodes: list[Node], y: float, order: list[Array]
) -> Iterator[tuple[str, str, float]]:
    arrays = [np.asarray(n.value) for n in nodes if n.value is not None]
    real = [a.astype(float) for a in arrays if a.dtype.kind not in "biu" and a.size > 1]
    labels = [a for a in arrays if a.dtype.kind in "iu" and a.size > 1]
    with np.errstate(all="ignore"):
        for t in labels:
            for x in real:
                weights = [a for a in real if a.ndim == 1]
                yield from _classification(x, t, y, weights, _turned(x, order))
        for i, a in enumerate(real[:8]):
            for j, b in enumerate(real[:8]):
                if i != j and a.size == b.size:
                    yield from _pairs(a, b.reshape(a.shape))
                    for w in (w for w in real if w.shape == a.shape[-1:] != a.shape):
                        yield from _weighted_pairs(a, b.reshape(a.shape), w)


def _turned(x: Array, arrays: list[Array]) -> bool | None:
    """Whether square logits are the transpose of the first; None for others."""
    if x.ndim != 2 or len(x) != x.shape[1]:
        return None
    first = next(a for a in arrays if a.shape == x.shape and a.dtype.kind == "f")
    return bool(np.allclose(first.T, x)) and not np.allclose(first, x)


def _classification(
    x: Array, t: Array, y: float, weights: list[Array], turned: bool | None
) -> Iterator[tuple[str, str, float]]:
    for axis in range(x.ndim):
        rest = x.shape[:axis] + x.shape[axis + 1 :]
        if int(np.prod(rest)) != t.size or t.max() >= x.shape[axis] > 1 or x.ndim < 2:
            continue
        if rest != t.shape and rest != np.squeeze(t).shape:
            continue
        classes = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
        found = _cross_entropies(classes, t.reshape(-1), y, weights)
        if turned is None:
            yield from found
            continue
        which = "rows" if (axis == 1) != turned else "columns"
        for cause, name, value in found:
            cause = "axis" if cause == "plain" else cause
            yield cause, f"{name}, over the {which} of the logits", value


Found = Iterator[tuple[str, str, float]]  # A cause, what is computed, its value
NAME = "the cross-entropy"


class _Labelled(NamedTuple):
    """Log-probabilities of each class, (examples, classes), and the labels."""

    log_p: Array
    labels: Array  # in range
    kept: Array  # whether a label was in range

    @property
    def losses(self) -> Array:
        """The loss of each example."""
        return -_picked(self.log_p, self.labels)


def _cross_entropies(x: Array, t: Array, y: float, weights: list[Array]) -> Found:
    labels = np.where(t >= 0, t, t % x.shape[1])  # As JAX wraps an index below zero
    case = _Labelled(_log_softmax(x), labels, t >= 0)
    for w in weights:
        if w.size == x.shape[1] and w.min() > 0:
            yield from _weighted(case, w[labels])
            yield from _weighted_and_smoothed(case, w, y)
    nll, kept = case.losses, case.kept
    if not kept.all():
        text = f"{NAME} without labels below 0"
        yield "ignored", f"{text}, mean over the others", float(nll[kept].mean())
        yield "ignored", f"{text}, mean over all", float(nll[kept].sum() / t.size)
    yield "plain", f"{NAME}, mean over all {t.size} labels", float(nll.mean())
    yield "reduction", f"{NAME}, sum over all labels", float(nll.sum())
    yield from _without_a_label(case)
    yield from _smoothed(case, y)
    yield from _of_other_inputs(case, x)


def _weighted(case: _Labelled, weight: Array) -> Found:
    """With the class weight of each example."""
    each, text, count = weight * case.losses, f"{NAME} with class weights", weight.size
    total = float(each.sum())
    yield "weights", f"{text}, divided by their sum", total / float(weight.sum())
    yield "weights", f"{text}, mean over {count} labels", total / count
    yield "weights", f"{text}, summed", total
    if not case.kept.all():
        text, total = f"{text} and without labels below 0", float(each[case.kept].sum())
        normalized = total / float(weight[case.kept].sum())
        yield "weights", f"{text}, normalized by weight", normalized
        count = int(case.kept.sum())
        yield "weights", f"{text}, mean over the count {count}", total / count


def _weighted_and_smoothed(case: _Labelled, weights: Array, y: float) -> Found:
    """With class weights and the label smoothing that gives `y`."""
    labels, log_p = case.labels[case.kept], case.log_p[case.kept]
    weight, classes = weights[labels], log_p.shape[1]
    sharp = float((weight * case.losses[case.kept]).sum())
    flat = -float((log_p * weights).sum()) / classes
    spreads = (("", flat), (" over one class fewer", flat * classes / (classes - 1)))
    divisors = (
        ("divided by their sum", float(weight.sum())),
        (f"mean over {len(labels)} labels", float(len(labels))),
        (f"divided by all {len(case.labels)} labels", float(len(case.labels))),
        ("summed", 1.0),
    )
    for note, spread in spreads:
        for how, divisor in divisors:
            amount = (y * divisor - sharp) / (spread - sharp)
            near = round(amount, 3)
            if 1e-4 < amount < 0.9 and abs(amount - near) < 1e-4:
                loss = (sharp + near * (spread - sharp)) / divisor
                text = f"{NAME} with class weights and label smoothing {near:.3g}{note}"
                yield "weights" if not note else "smoothing", f"{text}, {how}", loss


def _without_a_label(case: _Labelled) -> Found:
    for label in np.unique(case.labels):
        nll = case.losses[case.labels != label]
        if 0 < nll.size < case.labels.size:
            text, count = f"{NAME} without the label {label}", case.labels.size
            yield "ignored", f"{text}, mean over the others", float(nll.mean())
            yield "ignored", f"{text}, divided by all {count}", float(nll.sum() / count)
            yield "ignored", f"{text}, sum over the others", float(nll.sum())


def _smoothed(case: _Labelled, y: float) -> Found:
    """With the label smoothing that gives `y`, if it is a round number."""
    nll, log_p = case.losses[case.kept], case.log_p[case.kept]
    classes, uniform = log_p.shape[1], -log_p.mean(1)
    for note, spread in (
        ("", uniform),
        (" over one class fewer", uniform * classes / (classes - 1)),
        (" over the other classes", (uniform * classes - nll) / (classes - 1)),
    ):
        for reduced in (np.mean, np.sum):
            sharp, flat = reduced(nll), reduced(spread)
            amount = (y - sharp) / (flat - sharp) if flat != sharp else 0.0
            near = round(amount, 3)
            if 1e-4 < amount < 0.9 and abs(amount - near) < 1e-6:
                text = f"{NAME} with label smoothing {near:.3g}{note}"
                loss = float(sharp + near * (flat - sharp))
                yield "smoothing", f"{text} ({reduced.__name__})", loss


def _of_other_inputs(case: _Labelled, x: Array) -> Found:
    """Of inputs that are not logits, or are taken for what they are not."""
    labels, p = case.labels, np.exp(case.log_p)
    plain = float(-_picked(x, labels).mean())
    yield "logits", "minus the mean of the picked inputs, without a softmax", plain
    guarded = float(-np.log(_picked(np.maximum(p, TINY), labels) + 1e-8).mean())
    yield "logits", f"{NAME} of log(softmax + 1e-8)", guarded
    twice = float(-_picked(_log_softmax(p), labels).mean())
    yield "logits", f"{NAME} of probabilities: softmax twice", twice


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _picked(x: Array, labels: Array) -> Array:
    return np.take_along_axis(x, labels[:, None], 1)[:, 0]


def _elements(a: Array, b: Array) -> dict[str, tuple[str, Array]]:
    """Losses of each element by name, with the cause if one side has another."""
    apart = a - b
    absolute = np.abs(apart)
    sigmoid = 1 / (1 + np.exp(-a))
    elements = {
        "squared error": ("plain", apart**2),
        "absolute error": ("loss", absolute),
    }
    for delta in (0.1, 0.5, 1.0, 2.0, 1.35):
        huber = np.where(
            absolute < delta, 0.5 * apart**2, delta * (absolute - delta / 2)
        )
        elements[f"Huber loss with delta {delta}"] = ("delta", huber)
        if delta != 1:
            elements[f"smooth L1 loss with beta {delta}"] = ("delta", huber / delta)
    if b.min() >= 0 and b.max() <= 1:
        logits = np.logaddexp(0, a) - a * b
        elements["binary cross-entropy of logits"] = ("logits", logits)
        twice = np.logaddexp(0, sigmoid) - sigmoid * b
        elements["binary cross-entropy of sigmoid(logits) as logits"] = "logits", twice
        if a.min() > 0 and a.max() < 1:
            plain = -(b * np.log(a) + (1 - b) * np.log1p(-a))
            elements["binary cross-entropy of probabilities"] = ("logits", plain)
    if a.min() >= 0 and b.min() >= 0 and a.sum() > 0:
        safe = np.log(np.maximum(a, TINY)) - np.log(np.maximum(b, TINY))
        elements["KL(a || b) of probabilities"] = ("order", a * safe)
    return elements


def _weighted_pairs(a: Array, b: Array, w: Array) -> Found:
    """A binary cross-entropy of logits with a weight for each class."""
    if b.min() < 0 or b.max() > 1:
        return
    yes, no = b * np.logaddexp(0, -a), (1 - b) * np.logaddexp(0, a)
    name = "the binary cross-entropy of logits with weights of"
    for what, each in (("the positives", w * yes + no), ("all", w * (yes + no))):
        yield "weights", f"{name} {what}, mean", float(each.mean())
        yield "weights", f"{name} {what}, sum", float(each.sum())


def _pairs(a: Array, b: Array) -> Iterator[tuple[str, str, float]]:
    n, batch = a.size, max(a.shape[0], 1) if a.ndim else 1
    elements = _elements(a, b)
    for name, (cause, each) in elements.items():
        yield cause, f"the {name}, mean over {n} elements", float(each.mean())
        yield "reduction", f"the {name}, sum over all elements", float(each.sum())
        yield (
            "reduction",
            f"the {name}, sum divided by {batch}",
            float(each.sum() / batch),
        )
        yield "half", f"half the {name}, mean", float(each.mean() / 2)
    yield (
        "order",
        "KL(b || a) of log-probabilities, summed",
        float((np.exp(b) * (b - a)).sum()),
    )
    yield (
        "order",
        "KL(a || b) of log-probabilities, summed",
        float((np.exp(a) * (a - b)).sum()),
    )
