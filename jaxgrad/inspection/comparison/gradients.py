"""The first gradient that differs where all values agree: the nearest to the result.

If the gradient of a step's value agrees and the gradient of what it reads does not, the
step in between is the one whose derivative differs.
"""

from collections.abc import Container, Iterator
from typing import Any

import numpy as np

from jaxgrad.inspection.comparison import rounding
from jaxgrad.inspection.comparison.arrange import FAR, distance
from jaxgrad.inspection.comparison.correspondence import Correspondence, Verdict
from jaxgrad.inspection.comparison.fingerprint import fingerprint
from jaxgrad.inspection.comparison.nodes import Graph, Node
from jaxgrad.inspection.comparison.operations import ADDING, MOVING
from jaxgrad.inspection.comparison.values import Place

# Kinds whose derivative is a matter of convention somewhere, before the others.
KINKED = ("activation", "maximum", "absolute", "embedding", "pool", "root", "mask")
Pair = tuple[int, int]


def gradient_verdicts(both: Correspondence) -> dict[Pair, Verdict]:
    """The verdict on the gradients of each pair that has them, the last pair first."""
    verdicts: dict[Pair, Verdict] = {}
    for b, a in sorted(both.pairs.theirs.items(), reverse=True):
        verdict = _verdict(both, (a, b), verdicts)
        if verdict is not None:
            verdicts[a, b] = verdict
    return verdicts


def first_gradient(
    both: Correspondence, verdicts: dict[Pair, Verdict]
) -> tuple[Place, Verdict] | None:
    """Where the gradients part, and the verdict on the gradient that differs."""
    for pair, verdict in verdicts.items():
        if verdict.agrees or not both.verdicts[pair].agrees:
            continue
        later = _later(both, pair, verdicts)
        if all(verdicts[p].agrees for p in later):
            return _culprit(both, pair, later), verdict
    return None


def _verdict(
    both: Correspondence, pair: Pair, known: dict[Pair, Verdict]
) -> Verdict | None:
    nodes = both.theirs.nodes[pair[0]], both.ours.nodes[pair[1]]
    gradients = [_gradient(g, n) for g, n in zip(_graphs(both), pair, strict=True)]
    if gradients[0] is None or gradients[1] is None:
        return None
    apart = distance(*gradients) if _alike(*gradients) else FAR
    if both.tolerance is not None:
        return Verdict(apart, both.tolerance)
    unit = rounding.pair_unit(*nodes, both.units)
    later = _later(both, pair, known)
    inherited = sum(
        max(known[p].distance.relative, unit) if known[p].agrees else 0
        for p in later
    )
    terms = max(_terms(g, n) for g, n in zip(_graphs(both), pair, strict=True))
    own = unit * (rounding.STEP + rounding.SUM * np.sqrt(terms))
    expected = max(
        _expected(g, n) for g, n in zip(_graphs(both), pair, strict=True)
    )
    scale = max(fingerprint(g).scale for g in gradients)
    cancelled = max(expected / scale, 1.0) if scale > 0 else 1.0
    allowed = (own + rounding.INHERITED * inherited) * cancelled
    return Verdict(apart, allowed)


def _alike(theirs: Any, ours: Any) -> bool:
    return fingerprint(theirs).size == fingerprint(ours).size


def _graphs(both: Correspondence) -> tuple[Graph, Graph]:
    return both.theirs, both.ours


def _gradient(graph: Graph, number: int) -> Any:
    """The gradient of a node; zeros behind a step that cuts it, None without any."""
    node = graph.nodes[number]
    if node.gradient is not None or node.value is None or node.part:
        return node.gradient
    differentiated = any(graph.nodes[p].gradient is not None for p in node.parents)
    if differentiated and rounding.unit(node.dtype) and isinstance(node.value, np.ndarray):
        return np.zeros(np.shape(node.value))
    return None


def _later(both: Correspondence, pair: Pair, known: Container[Pair]) -> list[Pair]:
    """The known pairs that read a pair, directly or through others; the first first."""
    found = {
        reader
        for side, number in enumerate(pair)
        for reader in _readers(both, side, number, known)
        if reader != pair
    }
    return sorted(found, key=lambda p: p[1])


def _readers(
    both: Correspondence, side: int, number: int, known: Container[Pair]
) -> Iterator[Pair]:
    nodes = both.graph(side).nodes
    waiting, seen = [number], {number}
    while waiting:
        for child in nodes[waiting.pop()].children:
            if child in seen:
                continue
            seen.add(child)
            found = both.pair_of(side, child)
            if found in known and found is not None:
                yield found
            else:
                waiting.append(child)


def _terms(graph: Graph, number: int) -> float:
    own = np.size(graph.nodes[number].gradient)
    sizes = [np.size(graph.nodes[c].value) for c in graph.nodes[number].children]
    return max([size / max(own, 1) for size in sizes], default=1.0) + 1


def _expected(graph: Graph, number: int) -> float:
    """The scale of the terms that add up to a gradient; their sum may be much less."""
    node, most = graph.nodes[number], 0.0
    value = fingerprint(node.value)
    for child in (graph.nodes[c] for c in node.children):
        if child.gradient is None or child.part:
            continue
        result, slope = fingerprint(child.value), fingerprint(child.gradient)
        count = max(slope.size / max(value.size, 1), 1.0)
        factor = 1.0
        if child.kind == "matmul":
            others = [graph.nodes[p] for p in child.parents if p != number]
            prints = [fingerprint(o.value) for o in others]
            factor = max([p.scale for p in prints], default=1.0)
            sizes = max([p.size for p in prints], default=1)
            count = max(np.sqrt(slope.size * sizes / max(value.size, 1)), 1.0)
        elif child.kind not in ADDING | MOVING and value.scale > 0:
            factor = max(result.scale / value.scale, 1e-3)
        most = max(most, slope.scale * factor * np.sqrt(count))
    return most


def _culprit(both: Correspondence, pair: Pair, later: list[Pair]) -> Place:
    """The step whose derivative makes the gradient of a pair differ."""
    cuts = [_cut(both, side, number, later) for side, number in enumerate(pair)]
    if (cuts[0] is None) != (cuts[1] is None):
        return _at_cut(both, pair, later, cuts)
    readers = [both.graph(side).nodes[n].children for side, n in enumerate(pair)]
    shared = [(a, both.pairs.ours.get(a)) for a in readers[0]]
    joined = [(a, b) for a, b in shared if b is not None and b in readers[1]]
    extra = [
        [c for c in readers[side] if c not in [p[side] for p in joined]]
        for side in (0, 1)
    ]
    extra = [
        [c for c in each if not both.graph(side).nodes[c].part]
        for side, each in enumerate(extra)
    ]
    if joined and bool(extra[0]) != bool(extra[1]):
        side = 0 if extra[0] else 1
        found = extra[side][-1]
        other = both.pair_of(side, found)
        return Place(*other, pair) if other else _alone(side, found, pair)
    if joined:
        first = min(joined, key=lambda p: _suspicion(both.theirs.nodes[p[0]]))
        return Place(*first, pair)
    return Place(*later[0], pair) if later else Place(*pair, pair)


def _alone(side: int, number: int, pair: Pair) -> Place:
    return Place(number, None, pair) if side == 0 else Place(None, number, pair)


def _suspicion(node: Node) -> tuple[int, int]:
    kinks = KINKED.index(node.kind) if node.kind in KINKED else len(KINKED)
    return kinks, -node.thing.index


def _at_cut(
    both: Correspondence, pair: Pair, later: list[Pair], cuts: list[int | None]
) -> Place:
    side = 0 if cuts[0] is not None else 1
    cut = cuts[side]
    assert cut is not None
    beyond = set(_readers(both, side, cut, later))
    after = [p[1 - side] for p in later if p in beyond]
    other = after[0] if after else pair[1 - side]
    return Place(cut, other, pair) if side == 0 else Place(other, cut, pair)


def _cut(
    both: Correspondence, side: int, number: int, later: list[Pair]
) -> int | None:
    """The step behind a node that lets no gradient through, if there is one."""
    graph = both.graph(side)
    if _cuts(graph, number):
        return number
    waiting, seen = [number], {number}
    while waiting:
        for child in graph.nodes[waiting.pop(0)].children:
            if _cuts(graph, child):
                return child
            if both.pair_of(side, child) not in later and child not in seen:
                seen.add(child)
                waiting.append(child)
    return None


def _cuts(graph: Graph, number: int) -> bool:
    node = graph.nodes[number]
    if node.gradient is not None or node.is_argument or node.part:
        return False
    if not rounding.unit(node.dtype):
        return False
    return any(graph.nodes[p].gradient is not None for p in node.parents)
