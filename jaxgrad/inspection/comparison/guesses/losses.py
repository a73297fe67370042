"""Trials on losses: reduction, ignored labels, smoothing, logits or probabilities."""

import itertools
from collections.abc import Iterator

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


def _named(case: Case, side: int) -> tuple[str, str] | None:
    y = case.values[side].reshape(())
    nodes = [n for s in (side, 1 - side) for n in _behind(case, s)]
    for cause, name, value in _losses(nodes, float(y)):
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


def _losses(nodes: list[Node], y: float) -> Iterator[tuple[str, str, float]]:
    arrays = [np.asarray(n.value) for n in nodes if n.value is not None]
    real = [a.astype(float) for a in arrays if a.dtype.kind not in "biu" and a.size > 1]
    labels = [a for a in arrays if a.dtype.kind in "iu" and a.size > 1]
    with np.errstate(all="ignore"):
        for t in labels:
            for x in real:
                yield from _classification(x, t, y, [a for a in real if a.ndim == 1])
        for i, a in enumerate(real[:8]):
            for j, b in enumerate(real[:8]):
                if i != j and a.size == b.size:
                    yield from _pairs(a, b.reshape(a.shape))


def _classification(
    x: Array, t: Array, y: float, weights: list[Array]
) -> Iterator[tuple[str, str, float]]:
    for axis in range(x.ndim):
        rest = x.shape[:axis] + x.shape[axis + 1 :]
        if int(np.prod(rest)) != t.size or t.max() >= x.shape[axis] > 1 or x.ndim < 2:
            continue
        if rest != t.shape and rest != np.squeeze(t).shape:
            continue
        classes = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
        yield from _cross_entropies(classes, t.reshape(-1), y, weights)


def _cross_entropies(
    x: Array, t: Array, y: float, weights: list[Array]
) -> Iterator[tuple[str, str, float]]:
    name = "the cross-entropy"
    shifted = x - x.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    kept = t >= 0
    t = np.where(kept, t, t % x.shape[1])  # As JAX wraps an index below zero
    nll = -np.take_along_axis(log_p, t[:, None], 1)[:, 0]
    for w in weights:
        if w.size == x.shape[1] and w.min() > 0:
            each, text = w[t] * nll, f"{name} with class weights"
            total = float(each.sum())
            yield "weights", f"{text}, divided by their sum", total / float(w[t].sum())
            yield "weights", f"{text}, mean over {t.size} labels", total / t.size
            yield "weights", f"{text}, summed", total
            if not kept.all():
                text = f"{text} and without labels below 0"
                total, count = float(each[kept].sum()), int(kept.sum())
                yield (
                    "weights",
                    f"{text}, normalized by weight",
                    total / float(w[t][kept].sum()),
                )
                yield "weights", f"{text}, mean over the count {count}", total / count
    if not kept.all():
        yield (
            "ignored",
            "the cross-entropy without labels below 0, mean over the others",
            float(nll[kept].mean()),
        )
        yield (
            "ignored",
            "the cross-entropy without labels below 0, mean over all",
            float(nll[kept].sum() / t.size),
        )
    yield "plain", f"{name}, mean over all {t.size} labels", float(nll.mean())
    yield "reduction", f"{name}, sum over all labels", float(nll.sum())
    for label in np.unique(t):
        on = t != label
        if on.any() and not on.all():
            text = f"{name} without the label {label}"
            yield "ignored", f"{text}, mean over the others", float(nll[on].mean())
            yield (
                "ignored",
                f"{text}, divided by all {t.size}",
                float(nll[on].sum() / t.size),
            )
            yield "ignored", f"{text}, sum over the others", float(nll[on].sum())
    for reduced, mean, uniform in (
        ("mean", nll[kept].mean(), -log_p[kept].mean()),
        ("sum", nll[kept].sum(), -log_p[kept].mean(1).sum()),
    ):
        amount = (y - mean) / (uniform - mean) if uniform != mean else 0.0
        if 1e-4 < amount < 0.9 and abs(amount * 1000 - round(amount * 1000)) < 1e-3:
            text = f"{name} with label smoothing {amount:.3g} ({reduced})"
            yield "smoothing", text, float(mean + amount * (uniform - mean))
        others = uniform * x.shape[1] / (x.shape[1] - 1)
        amount = (y - mean) / (others - mean) if others != mean else 0.0
        if 1e-4 < amount < 0.9 and abs(amount * 1000 - round(amount * 1000)) < 1e-3:
            text = f"{name} with label smoothing {amount:.3g} over one class fewer"
            yield "smoothing", f"{text} ({reduced})", float(y)
    picked = np.take_along_axis(x, t[:, None], 1)[:, 0]
    twice = np.log(np.maximum(np.exp(log_p), TINY))
    yield (
        "logits",
        "minus the mean of the picked inputs, without a softmax",
        float(-picked.mean()),
    )
    yield (
        "logits",
        "the cross-entropy of log(softmax + 1e-8)",
        float(-np.log(np.exp(np.take_along_axis(twice, t[:, None], 1)) + 1e-8).mean()),
    )
    p = np.exp(log_p)
    again = p - p.max(1, keepdims=True)
    again = again - np.log(np.exp(again).sum(1, keepdims=True))
    doubled = -np.take_along_axis(again, t[:, None], 1)
    yield (
        "logits",
        "the cross-entropy of probabilities: softmax twice",
        float(doubled.mean()),
    )


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
