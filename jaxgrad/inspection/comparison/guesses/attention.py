"""Trials on a fused attention: its mask, its scale, its axis."""

import itertools
from collections.abc import Iterator

import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess


def attention(case: Case) -> Guess:
    """Two fused attentions with another mask or scale."""
    if "attention" not in case.kinds or case.aligned is None:
        return None
    graphs = case.both.theirs, case.both.ours
    read = [
        [g.nodes[p].value for p in n.parents]
        for g, n in zip(graphs, case.nodes, strict=True)
    ]
    dims = case.values[0].ndim
    queries = [np.asarray(x, float) for x in read[0] if np.ndim(x) == dims >= 3]
    queries = [x for x in queries if x.dtype != bool and np.isfinite(x).all()]
    masks = [
        np.asarray(x)
        for x in (*read[0], *read[1])
        if np.asarray(x).dtype == bool or np.isinf(np.asarray(x, float)).any()
    ]
    found = [_name(case, queries, masks, y) for y in case.aligned]
    if found[0] and found[1] and found[0] != found[1]:
        cause = "mask" if found[0].split("/")[0] != found[1].split("/")[0] else "scale"
        a, b = (f.replace("/", " and ") for f in found)
        return cause, f"Theirs attends {a}, ours {b}."
    known = all(case.both.agrees(0, n) for n in _floating(case))
    if known and bool(found[0]) != bool(found[1]):
        known, who = (found[0], "theirs") if found[0] else (found[1], "ours")
        text = f"{who.capitalize()} attends {known.replace('/', ' and ')}"
        return "mask", f"{text}, the other side with another mask or scale."
    return None


def _floating(case: Case) -> list[int]:
    """The queries, keys and values of theirs."""
    nodes = case.both.theirs.nodes
    read = [n for n in case.nodes[0].parents if not nodes[n].part]
    return [n for n in read if np.asarray(nodes[n].value).dtype.kind == "f"]


def _name(case: Case, queries: list[Array], masks: list[Array], y: Array) -> str:
    for q, k, v in itertools.permutations(queries[:4], 3):
        if q.shape != y.shape or k.shape[-1] != q.shape[-1]:
            continue
        scores = q @ np.swapaxes(k, -1, -2)
        for kind, mask in _masks(masks, scores):
            for name, scale in (
                ("its usual scale", q.shape[-1] ** -0.5),
                ("no scale", 1.0),
            ):
                logits = np.where(mask, scores * scale, -np.inf)
                weights = np.exp(logits - logits.max(-1, keepdims=True))
                weights = weights / weights.sum(-1, keepdims=True)
                if case.same(weights @ v, y):
                    return f"{kind}/{name}"
    return ""


def _masks(masks: list[Array], scores: Array) -> Iterator[tuple[str, Array]]:
    everything = np.ones(scores.shape, bool)
    yield "without a mask", everything
    yield (
        "with a causal mask",
        np.broadcast_to(np.tri(*scores.shape[-2:], dtype=bool), scores.shape),
    )
    for mask in masks:
        kept = mask if mask.dtype == bool else np.isfinite(mask)
        try:
            full = np.broadcast_to(kept, scores.shape)
        except ValueError:
            continue
        yield "with the mask", full
        yield "with the mask inverted", ~full
