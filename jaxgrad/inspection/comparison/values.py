"""The first value that differs while everything that it is computed from agrees."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxgrad.inspection.comparison import rounding
from jaxgrad.inspection.comparison.arrange import distance
from jaxgrad.inspection.comparison.correspondence import Correspondence
from jaxgrad.inspection.comparison.nodes import Graph, Node
from jaxgrad.inspection.comparison.operations import KINDS, MOVING
from jaxgrad.inspection.report.data import Step

# Kinds that take some elements of an array.
TAKING = {"split", "embedding"}
# Kinds that compute nothing, and that may stand anywhere.
STILL = {*MOVING, "constant", "cast"}
# Kinds that do in one step what the other side may do in many.
FUSED = {"attention", "recurrent"}
# Units of what rounding explains, where one side computes in other steps.
CLEAR = 2.5
# A difference of this relative size does not vanish in what follows.
LARGE = 1e-3


class Place(NamedTuple):
    """The numbers of the nodes where the sides part; None if one side has no node.

    `pair` are the nodes whose values differ, if not the place itself. For a step that
    only one side has, `extra` is that step and the array that it changes, as the other
    side has it.
    """

    theirs: int | None
    ours: int | None
    pair: tuple[int, int] | None = None
    extra: tuple[int, int] | None = None

    def on(self, side: int) -> int | None:
        """Theirs for 0, ours for 1."""
        return self.ours if side else self.theirs


def first_value(both: Correspondence) -> Place | None:
    """Where the values part, or None if the results agree and all that could differ."""
    reaching = [_reaching(both, side) for side in (0, 1)]
    roots = [p for p in _roots(both) if p[0] in reaching[0] or p[1] in reaching[1]]
    if not roots and not any(reaching):
        roots = [p for p in _roots(both) if _matters(both, p)]
    if not roots:
        return _one_sided(both, reaching)
    # A pair without a common source may be one by chance.
    related = [p for p in roots if _share_a_source(both, p)]
    placed = [p for p in related or roots if _is_placed(both, p)]
    if not placed and (place := _one_sided(both, reaching)):
        return place
    return relocated(both, (placed or related or roots)[0], reaching)


def _is_placed(both: Correspondence, pair: tuple[int, int]) -> bool:
    """Whether constants are a pair because their readers are."""
    mine, yours = both.theirs.nodes[pair[0]], both.ours.nodes[pair[1]]
    if "constant" not in (mine.kind, yours.kind):
        return True
    return any(both.pairs.ours.get(n) in yours.children for n in mine.children)


def _share_a_source(both: Correspondence, pair: tuple[int, int]) -> bool:
    sources = [{s.pair for s in both.sources(side, n)} for side, n in enumerate(pair)]
    return not any(sources) or bool(sources[0] & sources[1])


def _reaching(both: Correspondence, side: int) -> set[int]:
    """The nodes from which the difference of the results may come."""
    graph = both.graph(side)
    if graph.result is None or both.agrees(side, graph.result):
        return set()
    found, waiting = {graph.result}, [graph.result]
    while waiting:
        for parent in graph.nodes[waiting.pop()].parents:
            if parent not in found and not both.agrees(side, parent):
                found.add(parent)
                waiting.append(parent)
    return found


def _roots(both: Correspondence) -> Iterator[tuple[int, int]]:
    """Pairs that differ while all their sources agree; arguments come first."""
    for b, a in sorted(both.pairs.theirs.items()):
        if both.verdicts[a, b].agrees or not _comparable(both, a, b):
            continue
        sources = {
            s.pair for side, n in enumerate((a, b)) for s in both.sources(side, n)
        }
        if all(both.verdict(*p).agrees or not _comparable(both, *p) for p in sources):
            yield a, b


def _comparable(both: Correspondence, a: int, b: int) -> bool:
    """Flags and counts have many conventions: only the same operation compares.

    Nor do a loss and another step of another size.
    """
    nodes = both.theirs.nodes[a], both.ours.nodes[b]
    if "loss" in {n.kind for n in nodes} and nodes[0].kind != nodes[1].kind:
        if np.size(nodes[0].value) != np.size(nodes[1].value):
            return False
    counted = any(not rounding.unit(node.dtype) for node in nodes)
    return not counted or nodes[0].operation == nodes[1].operation


def _matters(both: Correspondence, pair: tuple[int, int]) -> bool:
    """Whether a pair without effect on the results shows that a step differs."""
    mine, yours = both.theirs.nodes[pair[0]], both.ours.nodes[pair[1]]
    if mine.is_argument or mine.kind != yours.kind:
        return False
    fused = mine.part or yours.part or mine.operation != yours.operation
    if fused and both.verdicts[pair].excess < CLEAR:
        return False
    inside = _of_part(both, pair)  # Only a part reads parts
    sources = [
        {s.pair for s in both.sources(side, n) if inside or not _of_part(both, s.pair)}
        for side, n in enumerate(pair)
    ]
    if sources[0] != sources[1] or not sources[0]:
        return False
    if both.verdicts[pair].distance.relative < LARGE:
        return True
    return not any(_vanishes(both, side, n) for side, n in enumerate(pair))


def _of_part(both: Correspondence, pair: tuple[int, int]) -> bool:
    return bool(both.theirs.nodes[pair[0]].part or both.ours.nodes[pair[1]].part)


def _vanishes(both: Correspondence, side: int, number: int) -> bool:
    """Whether something computed from a node agrees again."""
    graph = both.graph(side)
    waiting, seen = [number], {number}
    while waiting:
        for child in graph.nodes[waiting.pop()].children:
            if both.agrees(side, child):
                return True
            if child not in seen:
                seen.add(child)
                waiting.append(child)
    return False


def _one_sided(both: Correspondence, reaching: list[set[int]]) -> Place | None:
    """Without a pair to name: the first steps behind the difference of the results."""
    found = [_start(both, side, reach) for side, reach in enumerate(reaching)]
    if found[0] is None and found[1] is None:
        return None
    results = both.theirs.result, both.ours.result
    pair = None
    if results[0] is not None and results[1] is not None:
        pair = (results[0], results[1])
    return Place(found[0], found[1], pair)


def _start(both: Correspondence, side: int, reach: set[int]) -> int | None:
    """The first step behind the difference; one that computes, if there is any."""
    starts = [n for n in sorted(reach) if _starts(both, side, n)]
    nodes = both.graph(side).nodes
    computing = [n for n in starts if nodes[n].kind not in STILL]
    return next(iter(computing or starts), None)


def _starts(both: Correspondence, side: int, number: int) -> bool:
    node = both.graph(side).nodes[number]
    if node.is_argument or not rounding.unit(node.dtype):
        return False
    return all(_is_known(both, side, p) for p in node.parents)


def _is_known(both: Correspondence, side: int, number: int) -> bool:
    """Whether a node agrees, or computes nothing and reads what agrees."""
    node = both.graph(side).nodes[number]
    if both.agrees(side, number):
        return True
    still = node.kind in STILL and not node.is_argument
    return still and all(_is_known(both, side, p) for p in node.parents)


def relocated(
    both: Correspondence, pair: tuple[int, int], reaching: list[set[int]]
) -> Place:
    """The place to name for a pair that differs: often a step before it."""
    if both.theirs.nodes[pair[0]].is_argument:
        return Place(*pair, pair)
    return (
        _moved(both, pair)
        or _reordered(both, pair)
        or _taken(both, pair)
        or _extra(both, pair, reaching)
        or Place(*pair, pair)
    )


def _moved(both: Correspondence, pair: tuple[int, int]) -> Place | None:
    """An input whose elements are the same in another order, as of a flatten."""
    inputs = {s.pair for side, n in enumerate(pair) for s in both.sources(side, n)}
    moved = [p for p in inputs if not both.verdict(*p).distance.arranged]
    arguments = [p for p in moved if both.theirs.nodes[p[0]].is_argument]
    if not moved or arguments:
        return None
    a, b = min(moved, key=lambda p: p[1])
    sources = {s.pair for side, n in enumerate((a, b)) for s in both.sources(side, n)}
    earlier = [p for p in sources if not both.verdict(*p).distance.arranged]
    return _moved(both, (a, b)) if earlier else Place(a, b, pair)


def _reordered(both: Correspondence, pair: tuple[int, int]) -> Place | None:
    """Two direct inputs that hold the same elements, each in another order."""
    graphs = both.theirs, both.ours
    inputs = [
        [n for n in g.nodes[number].parents if not g.nodes[n].is_argument]
        for g, number in zip(graphs, pair, strict=True)
    ]
    for a in inputs[0]:
        for b in inputs[1]:
            values = both.theirs.nodes[a].value, both.ours.nodes[b].value
            if any(np.size(v) < 3 or not isinstance(v, np.ndarray) for v in values):
                continue
            apart = distance(*values)
            if not apart.arranged and apart.relative < 1e3 * max(both.units):
                return Place(a, b, pair)
    return None


def _taken(both: Correspondence, pair: tuple[int, int]) -> Place | None:
    """An input of each side that is taken from equal arrays, but not the same part."""
    nodes = both.theirs.nodes, both.ours.nodes
    if nodes[0][pair[0]].kind != nodes[1][pair[1]].kind:
        return None
    read = [
        [
            n
            for n in nodes[side][number].parents
            if rounding.unit(nodes[side][n].dtype) and not nodes[side][n].part
        ]
        for side, number in enumerate(pair)
    ]
    alone = [
        [n for n in read[0] if not any(_equal(both, n, m) for m in read[1])],
        [m for m in read[1] if not any(_equal(both, n, m) for n in read[0])],
    ]
    if not alone[0] or len(alone[0]) != len(alone[1]):
        return None
    a, b = min(alone[0]), min(alone[1])
    if len(alone[0]) > 1 and not {nodes[0][a].kind, nodes[1][b].kind} <= TAKING:
        return None
    taken = nodes[0][a].kind in TAKING, nodes[1][b].kind in TAKING
    same_size = np.size(nodes[0][a].value) == np.size(nodes[1][b].value)
    arguments = nodes[0][a].is_argument or nodes[1][b].is_argument
    agree = both.agrees(0, a) and both.agrees(1, b)
    known = all(
        both.agrees(side, p)
        for side, n in ((0, a), (1, b))
        for p in nodes[side][n].parents
        if rounding.unit(nodes[side][p].dtype)
    )
    if arguments or not same_size:
        return None
    if not ((any(taken) and agree) or (all(taken) and known)):
        return None
    return Place(a, b, (a, b))


def _equal(both: Correspondence, a: int, b: int) -> bool:
    values = both.theirs.nodes[a].value, both.ours.nodes[b].value
    if np.size(values[0]) != np.size(values[1]):
        return False
    return distance(*values).relative <= 3000 * max(both.units)


def _extra(
    both: Correspondence, pair: tuple[int, int], reaching: list[set[int]]
) -> Place | None:
    """A step that only one side has, between the pair and its sources."""
    nodes = both.theirs.nodes[pair[0]], both.ours.nodes[pair[1]]
    # What a fused step does inside, the other side does in steps of its own.
    alone = [_alone(both, side, n, reaching[side]) for side, n in enumerate(pair)]
    if nodes[0].part or nodes[1].part:
        alone = alone if all(alone) or (nodes[0].part and alone[0]) else [[], []]
    side = _longer(both, alone)
    if side is None:
        return Place(alone[0][0], alone[1][0], pair) if alone[0] and alone[1] else None
    if not _may_be_one(*nodes) and not (alone[0] and alone[1]):
        return None
    if nodes[1 - side].kind in FUSED:
        return Place(*_sided(side, alone[side][0], pair[1 - side]), pair)
    extra = alone[side][0]
    before = _instead(both, side, extra, pair)
    same_line = _line(both, side, extra) == _line(both, side, pair[side])
    instead = pair[1 - side] if same_line or before is None else before
    read = [s.pair[1 - side] for s in both.sources(side, extra)]
    alone_read = read[0] if before is None and len(set(read)) == 1 else before
    changed = None if alone_read is None else _sided(side, extra, alone_read)
    return Place(*_sided(side, extra, instead), pair, changed)


def _may_be_one(a: Node, b: Node) -> bool:
    """Whether two operations may be the same: a module's name tells no kind."""
    return a.kind == b.kind or a.kind not in KINDS or b.kind not in KINDS


def _longer(both: Correspondence, alone: list[list[int]]) -> int | None:
    """The side whose first step the other side lacks; None if both have one instead."""
    kinds = [
        [both.graph(side).nodes[n].kind for n in each]
        for side, each in enumerate(alone)
    ]
    for side in (0, 1):
        here, there = kinds[side], kinds[1 - side]
        if here and (not there or (here[0] != there[0] and there[0] in here)):
            return side
    return None


def _sided(side: int, here: Any, there: Any) -> tuple[Any, Any]:
    return (here, there) if side == 0 else (there, here)


def _alone(
    both: Correspondence, side: int, number: int, reaching: set[int]
) -> list[int]:
    """The computing steps that only this side has before a node, the first first."""
    nodes = both.graph(side).nodes
    found = [
        n
        for n in both.between(side, number)
        if (nodes[number].part or not nodes[n].part)
        and nodes[n].kind not in STILL
        and rounding.unit(nodes[n].dtype)
        and (n in reaching or not reaching)
        and nodes[n].parents
    ]
    return sorted(n for n in found if _computed_from_agreeing(both, side, n))


def _computed_from_agreeing(both: Correspondence, side: int, number: int) -> bool:
    return all(
        both.verdict(*s.pair).agrees or not _comparable(both, *s.pair)
        for s in both.sources(side, number)
    )


def _instead(
    both: Correspondence, side: int, extra: int, pair: tuple[int, int]
) -> int | None:
    """The step of the other side whose value stands where `extra` stands here."""
    before = [s.pair[1 - side] for s in both.sources(side, extra)]
    read = [s.pair[1 - side] for s in both.sources(1 - side, pair[1 - side])]
    nodes = both.graph(1 - side).nodes
    floating = [n for n in before if rounding.unit(nodes[n].dtype)]
    steps = [n for n in floating if not nodes[n].is_argument]
    size = np.size(both.graph(side).nodes[extra].value)
    alike = [n for n in steps if np.size(nodes[n].value) == size] or steps
    # Of equal arrays the last one before the pair: behind a dropout in evaluation.
    computing = [n for n in read if nodes[n].kind not in MOVING]
    last = [n for n in computing if any(_same(nodes[n], nodes[m]) for m in alike)]
    return max(last or alike, default=None)


def _same(a: Node, b: Node) -> bool:
    return not a.is_argument and distance(a.value, b.value).relative == 0


def _line(both: Correspondence, side: int, number: int) -> tuple[str, int]:
    thing = both.graph(side).nodes[number].thing
    assert isinstance(thing, Step)
    return thing.source.file, thing.source.line


def readers(graph: Graph, numbers: Iterable[int]) -> set[int]:
    """Everything that is computed from some nodes."""
    found = set(numbers)
    for number, node in enumerate(graph.nodes):
        if found.intersection(node.parents):
            found.add(number)
    return found
