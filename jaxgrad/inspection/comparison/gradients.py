"""The first gradient that differs where all values agree: the nearest to the result.

If the gradient of a step's value agrees and the gradient of what it reads does not, the
step in between is the one whose derivative differs.
"""

from collections.abc import Container, Iterator
from typing import Any

import numpy as np

from jaxgrad.inspection.comparison import rounding
from jaxgrad.inspection.comparison.arrange import distance
from jaxgrad.inspection.comparison.correspondence import Correspondence, Verdict
from jaxgrad.inspection.comparison.nodes import Graph, Node
from jaxgrad.inspection.comparison.operations import ADDING, MOVING
from jaxgrad.inspection.comparison.values import Place
from jaxgrad.inspection.report.data import Argument

# Kinds whose derivative is a matter of convention somewhere, before the others.
KINKED = ("activation", "maximum", "absolute", "embedding", "pool", "root", "mask")
# What `explain_torch` says of an argument that reaches the result along no path.
UNUSED = "the result does not depend on it"
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
    """Where the gradients part, and the verdict on the gradient that differs.

    Inside, a gradient may take another way: only if the gradient of an argument
    differs, the steps between it and the result are searched.
    """
    # Gradients of values that differ, as on two ways to one result, tell nothing.
    verdicts = {p: v for p, v in verdicts.items() if _on_same_ways(both, p)}
    reaching = _reaching(both, verdicts)
    for pair, verdict in verdicts.items():
        if verdict.agrees or pair not in reaching:
            continue
        later = _later(both, pair, verdicts)
        if all(verdicts[p].agrees or p not in reaching for p in later):
            return _culprit(both, pair, later), verdict
    return None


def _on_same_ways(both: Correspondence, pair: Pair) -> bool:
    """Whether a pair agrees, and so do its readers that have a partner."""
    if not both.verdicts[pair].agrees:
        return False
    arguments = both.theirs.nodes[pair[0]].is_argument
    readers = [
        both.pair_of(side, child)
        for side, number in enumerate(pair)
        for child in both.graph(side).nodes[number].children
    ]
    return arguments or all(p is None or both.verdict(*p).agrees for p in readers)


def _reaching(both: Correspondence, verdicts: dict[Pair, Verdict]) -> set[Pair]:
    """The arguments whose gradients differ, and the pairs that this may come from."""
    differ = {pair for pair, verdict in verdicts.items() if not verdict.agrees}
    arguments = {p for p in differ if both.theirs.nodes[p[0]].is_argument}
    compared = any(both.theirs.nodes[p[0]].is_argument for p in verdicts)
    found = arguments if compared else differ
    waiting = list(found)
    while waiting:
        for later in _later(both, waiting.pop(), verdicts):
            if later in differ and later not in found:
                found.add(later)
                waiting.append(later)
    return found


def _verdict(
    both: Correspondence, pair: Pair, known: dict[Pair, Verdict]
) -> Verdict | None:
    nodes = both.theirs.nodes[pair[0]], both.ours.nodes[pair[1]]
    gradients = [_gradient(g, n) for g, n in zip(_graphs(both), pair, strict=True)]
    if gradients[0] is None or gradients[1] is None:
        return None
    apart = distance(*gradients)
    if both.tolerance is not None:
        return Verdict(apart, both.tolerance)
    unit = rounding.pair_unit(*nodes, both.units)
    if not both.strict:  # All gradients inherit what one function rounds
        unit = max(unit, rounding.unit(np.float32))
    later = _later(both, pair, known)
    inherited = sum(
        max(known[p].distance.relative, unit) if known[p].agrees else 0 for p in later
    )
    inherited += _apart(both, pair, later)
    terms = max(_terms(both, side, n) for side, n in enumerate(pair))
    own = unit * (rounding.STEP + rounding.SUM * np.sqrt(terms))
    expected = max(_expected(both, side, n) for side, n in enumerate(pair))
    prints = (both.prints[side].gradients[n] for side, n in enumerate(pair))
    scale = max(p.scale for p in prints)
    cancelled = max(expected / scale, 1.0) if scale > 0 else 1.0
    allowed = (own + rounding.INHERITED * inherited) * cancelled
    return Verdict(apart, allowed)


def _apart(both: Correspondence, pair: Pair, later: list[Pair]) -> float:
    """How far apart the values are that the local derivatives depend on."""
    read = (n for p in later for n in both.theirs.nodes[p[0]].parents)
    pairs = {pair, *(both.pair_of(0, n) for n in read)} - {None}
    verdicts = (both.verdict(*p) for p in pairs if p is not None)
    return max((v.distance.relative for v in verdicts if v.agrees), default=0.0)


def _graphs(both: Correspondence) -> tuple[Graph, Graph]:
    return both.theirs, both.ours


def _gradient(graph: Graph, number: int) -> Any:
    """The gradient of a node; zeros for a differentiated argument without effect."""
    node = graph.nodes[number]
    unused = isinstance(node.thing, Argument) and node.thing.why == UNUSED
    if node.gradient is None and unused and isinstance(node.value, np.ndarray):
        return np.zeros(node.value.shape)
    return node.gradient


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
            if found is not None and found in known:
                yield found
            else:
                waiting.append(child)


def _terms(both: Correspondence, side: int, number: int) -> float:
    prints = both.prints[side]
    own = max(prints.values[number].size, 1)
    sizes = [prints.values[c].size for c in both.graph(side).nodes[number].children]
    return max([size / own for size in sizes], default=1.0) + 1


def _expected(both: Correspondence, side: int, number: int) -> float:
    """The scale of the terms that add up to a gradient; their sum may be much less."""
    nodes = both.graph(side).nodes
    children = [c for c in nodes[number].children if not nodes[c].part]
    return max((_term(both, side, number, c) for c in children), default=0.0)


def _term(both: Correspondence, side: int, number: int, child: int) -> float:
    """The scale of what a reader adds to the gradient of a node."""
    prints, node = both.prints[side], both.graph(side).nodes[child]
    value, result = prints.values[number], prints.values[child]
    slope = prints.gradients[child]
    if slope.size < 0:
        return 0.0
    if node.kind == "matmul":
        others = [prints.values[p] for p in node.parents if p != number]
        factor = max([p.scale for p in others], default=1.0)
        size = max([p.size for p in others], default=1)
        count = max(np.sqrt(slope.size * size / max(value.size, 1)), 1.0)
        return slope.scale * factor * float(np.sqrt(count))
    factor = 1.0
    if node.kind not in ADDING | MOVING and value.scale > 0:
        factor = max(result.scale / value.scale, 1e-3)
    count = max(slope.size / max(value.size, 1), 1.0)
    return slope.scale * factor * float(np.sqrt(count))


def _culprit(both: Correspondence, pair: Pair, later: list[Pair]) -> Place:
    """The step whose derivative makes the gradient of a pair differ."""
    cuts = _cuts_alone(both, pair, later)
    if (cuts[0] is None) != (cuts[1] is None):
        return _at_cut(both, pair, later, cuts)
    readers = [both.graph(side).nodes[n].children for side, n in enumerate(pair)]
    shared = [(a, both.pairs.ours.get(a)) for a in readers[0]]
    joined = [(a, b) for a, b in shared if b is not None and b in readers[1]]
    extra = [
        [c for c in readers[side] if c not in [p[side] for p in joined]]
        for side in (0, 1)
    ]
    # A fused step does not read its own part a second time.
    fused = [{both.graph(i).nodes[p[i]].thing for p in joined} for i in (0, 1)]
    extra = [
        [c for c in each if both.graph(side).nodes[c].thing not in fused[side]]
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
    if extra[0] and extra[1]:
        return Place(extra[0][0], extra[1][0], pair)
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
    cut = _last_without(both.graph(side), cut)
    equal = both.pair_of(side, cut)
    beyond = set(_readers(both, side, cut, later))
    after = [p[1 - side] for p in later if p in beyond]
    other = after[0] if after else pair[1 - side]
    # An equal array that is computed later is not where the cut stands.
    if equal and (not after or equal[1 - side] < other):
        other = equal[1 - side]
    return Place(cut, other, pair) if side == 0 else Place(other, cut, pair)


def _last_without(graph: Graph, cut: int) -> int:
    """The last step of a stretch without gradients, such as a block of `no_grad`."""
    if graph.nodes[cut].kind == "detach":
        return cut
    while readers := [c for c in graph.nodes[cut].children if not graph.nodes[c].part]:
        if any(graph.nodes[c].gradient is not None for c in readers):
            return cut
        floating = [c for c in readers if rounding.unit(graph.nodes[c].dtype)]
        if not floating:
            return cut
        cut = floating[-1]
    return cut


def _cuts_alone(both: Correspondence, pair: Pair, later: list[Pair]) -> list[Any]:
    """The first step behind each node that stops gradients as no step of the other."""
    found = [
        list(_cuts_behind(both, side, number, later))
        for side, number in enumerate(pair)
    ]
    alone: list[int | None] = []
    for side, cuts in enumerate(found):
        pairs = [both.pair_of(side, n) for n in cuts]
        equal = [p is not None and p[1 - side] in found[1 - side] for p in pairs]
        alone.append(next((n for n, e in zip(cuts, equal, strict=True) if not e), None))
    return alone


def _cuts_behind(
    both: Correspondence, side: int, number: int, later: list[Pair]
) -> Iterator[int]:
    """The steps behind a node that let no gradient through."""
    graph = both.graph(side)
    if _cuts(graph, number):
        yield number
        return
    waiting, seen = [number], {number}
    while waiting:
        for child in graph.nodes[waiting.pop(0)].children:
            if child in seen:
                continue
            seen.add(child)
            if _cuts(graph, child):
                yield child
            elif both.pair_of(side, child) not in later:
                waiting.append(child)


def _cuts(graph: Graph, number: int) -> bool:
    node = graph.nodes[number]
    if node.gradient is not None or node.is_argument or node.part:
        return False
    if not rounding.unit(node.dtype):
        return False
    return any(graph.nodes[p].gradient is not None for p in node.parents)
