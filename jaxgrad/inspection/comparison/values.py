"""The first value that differs while everything that it is computed from agrees."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jaxgrad.inspection.comparison import rounding
from jaxgrad.inspection.comparison.correspondence import Correspondence
from jaxgrad.inspection.comparison.nodes import Graph
from jaxgrad.inspection.comparison.operations import MOVING
from jaxgrad.inspection.report.data import Step

# A difference of this relative size does not vanish in what follows.
LARGE = 1e-3


class Place(NamedTuple):
    """The numbers of the nodes where the sides part; None if one side has no node.

    `read` are the nodes that the trials of a cause start from, if not the place itself:
    the pair whose values differ.
    """

    theirs: int | None
    ours: int | None
    pair: tuple[int, int] | None = None


def first_value(both: Correspondence) -> Place | None:
    """Where the values part, or None if the results agree and all that could differ."""
    reaching = [_reaching(both, side) for side in (0, 1)]
    roots = [p for p in _roots(both) if p[0] in reaching[0] or p[1] in reaching[1]]
    if not roots and not any(reaching):
        roots = [p for p in _roots(both) if _matters(both, p)]
    if not roots:
        return _one_sided(both, reaching)
    return relocated(both, roots[0], reaching)


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
        sources = [*both.sources(0, a), *both.sources(1, b)]
        if all(both.verdict(*source.pair).agrees for source in sources):
            yield a, b


def _comparable(both: Correspondence, a: int, b: int) -> bool:
    """Flags and counts have many conventions: only the same operation compares."""
    nodes = both.theirs.nodes[a], both.ours.nodes[b]
    counted = any(not rounding.unit(node.dtype) for node in nodes)
    return not counted or nodes[0].operation == nodes[1].operation


def _matters(both: Correspondence, pair: tuple[int, int]) -> bool:
    """Whether a pair without effect on the results shows that a step differs."""
    mine, yours = both.theirs.nodes[pair[0]], both.ours.nodes[pair[1]]
    if mine.is_argument or mine.operation != yours.operation or mine.part or yours.part:
        return False
    sources = [{s.pair for s in both.sources(side, n)} for side, n in enumerate(pair)]
    if sources[0] != sources[1] or not sources[0]:
        return False
    if both.verdicts[pair].distance.relative < LARGE:
        return True
    return not any(_vanishes(both, side, n) for side, n in enumerate(pair))


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
    found = [
        next((n for n in sorted(reach) if _starts(both, side, n)), None)
        for side, reach in enumerate(reaching)
    ]
    if found[0] is None and found[1] is None:
        return None
    results = both.theirs.result, both.ours.result
    pair = None
    if results[0] is not None and results[1] is not None:
        pair = (results[0], results[1])
    return Place(found[0], found[1], pair)


def _starts(both: Correspondence, side: int, number: int) -> bool:
    node = both.graph(side).nodes[number]
    return not node.is_argument and all(both.agrees(side, p) for p in node.parents)


def relocated(
    both: Correspondence, pair: tuple[int, int], reaching: list[set[int]]
) -> Place:
    """The place to name for a pair that differs: often a step before it."""
    if both.theirs.nodes[pair[0]].is_argument:
        return Place(*pair, pair)
    return _moved(both, pair) or _extra(both, pair, reaching) or Place(*pair, pair)


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


def _extra(
    both: Correspondence, pair: tuple[int, int], reaching: list[set[int]]
) -> Place | None:
    """A step that only one side has, between the pair and its sources."""
    alone = [_alone(both, side, n, reaching[side]) for side, n in enumerate(pair)]
    kinds = both.theirs.nodes[pair[0]].kind, both.ours.nodes[pair[1]].kind
    if alone[0] and alone[1]:
        return Place(alone[0][0], alone[1][0], pair)
    if kinds[0] != kinds[1] or not (alone[0] or alone[1]):
        return None
    side = 0 if alone[0] else 1
    extra = alone[side][0]
    instead: int | None = pair[1 - side]
    if _line(both, side, extra) != _line(both, side, pair[side]):
        instead = _instead(both, side, extra, pair)
    return Place(extra, instead, pair) if side == 0 else Place(instead, extra, pair)


def _alone(
    both: Correspondence, side: int, number: int, reaching: set[int]
) -> list[int]:
    """The computing steps that only this side has before a node, the first first."""
    nodes = both.graph(side).nodes
    found = [
        n
        for n in both.between(side, number)
        if not (nodes[n].part or nodes[n].kind in (*MOVING, "constant"))
        and rounding.unit(nodes[n].dtype)
        and (n in reaching or not reaching)
        and nodes[n].parents
    ]
    return sorted(n for n in found if _computed_from_agreeing(both, side, n))


def _computed_from_agreeing(both: Correspondence, side: int, number: int) -> bool:
    return all(both.verdict(*s.pair).agrees for s in both.sources(side, number))


def _instead(
    both: Correspondence, side: int, extra: int, pair: tuple[int, int]
) -> int | None:
    """The step of the other side whose value stands where `extra` stands here."""
    before = [s.pair[1 - side] for s in both.sources(side, extra)]
    read = [s.pair[1 - side] for s in both.sources(1 - side, pair[1 - side])]
    nodes = both.graph(1 - side).nodes
    steps = [n for n in before if not nodes[n].is_argument]
    return max([n for n in steps if n in read] or steps, default=None)


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
