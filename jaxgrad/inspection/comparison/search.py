"""From two reports to a comparison: align, judge, find the first, guess its cause."""

from jaxgrad.inspection.comparison.comparison import Comparison
from jaxgrad.inspection.comparison.correspondence import Correspondence, Verdict
from jaxgrad.inspection.comparison.gradients import first_gradient, gradient_verdicts
from jaxgrad.inspection.comparison.guesses import guess
from jaxgrad.inspection.comparison.nodes import Graph, Node, graph_of
from jaxgrad.inspection.comparison.result import (
    Difference,
    Input,
    Matched,
    with_source,
)
from jaxgrad.inspection.comparison.rounding import COARSE
from jaxgrad.inspection.comparison.values import Place, first_value
from jaxgrad.inspection.report.data import Argument, Report, Step

Pair = tuple[int, int]


def findings_of(theirs: Report, ours: Report, tolerance: float | None) -> Comparison:
    """The comparison of two reports.

    What computes in float32 inside is named only if nothing else differs.
    """
    graphs = graph_of(theirs), graph_of(ours)
    coarse = any(n.operation in COARSE for graph in graphs for n in graph.nodes)
    found = _compared(*graphs, tolerance, strict=not coarse)
    if coarse and found.first is None:
        return _compared(*graphs, tolerance, strict=True)
    return found


def _compared(
    theirs: Graph, ours: Graph, tolerance: float | None, strict: bool
) -> Comparison:
    both = Correspondence(theirs, ours, tolerance, strict)
    both.judge()
    gradients = gradient_verdicts(both)
    first, rows = _first(both, gradients), _rows(both, gradients)
    return Comparison(theirs.report, ours.report, first, rows)


def _first(both: Correspondence, gradients: dict[Pair, Verdict]) -> Difference | None:
    place = first_value(both)
    if place is not None:
        return _difference(both, place, "value", _apart(both, place))
    found = first_gradient(both, gradients)
    return None if found is None else _difference(both, found[0], "gradient", found[1])


def _apart(both: Correspondence, place: Place) -> Verdict | None:
    if place.theirs is not None and place.ours is not None:
        verdict = both.verdict(place.theirs, place.ours)
        if not verdict.agrees:
            return verdict
    return both.verdict(*place.pair) if place.pair else None


def _difference(
    both: Correspondence, place: Place, what: str, verdict: Verdict | None
) -> Difference:
    nodes = [
        None if number is None else graph.nodes[number]
        for graph, number in ((both.theirs, place.theirs), (both.ours, place.ours))
    ]
    cause, sentence = guess(both, place, what)
    return Difference(
        what="gradient" if what == "gradient" else "value",
        theirs=_shown(nodes[0], both.theirs.report),
        ours=_shown(nodes[1], both.ours.report),
        difference=verdict.excess if verdict else float("inf"),
        relative=verdict.distance.relative if verdict else float("inf"),
        guess=sentence,
        cause=cause,
        iteration=(_iteration(nodes[0]), _iteration(nodes[1])),
        part=next((n.part for n in nodes if n is not None and n.part), ""),
    )


def _iteration(node: Node | None) -> tuple[int, ...]:
    return node.iteration if node is not None else ()


def _shown(node: Node | None, report: Report) -> Step | Input | None:
    if node is None:
        return None
    if isinstance(node.thing, Argument):
        return with_source(node.thing, report.steps)
    return node.thing.result(node.position) if node.thing.outputs else node.thing


def _rows(both: Correspondence, gradients: dict[Pair, Verdict]) -> tuple[Matched, ...]:
    """The aligned arrays in the order of ours, with theirs between their partners."""
    partners, rows = both.pairs.theirs, []
    waiting = [
        n
        for n, node in enumerate(both.theirs.nodes)
        if n not in both.pairs.ours and not node.part
    ]
    for b, node in enumerate(both.ours.nodes):
        a = partners.get(b)
        while waiting and a is not None and waiting[0] < a:
            rows.append(Matched(both.theirs.nodes[waiting.pop(0)].thing, None))
        if a is None and not node.part:
            rows.append(Matched(None, node.thing))
        elif a is not None:
            rows.append(_row(both, (a, b), gradients))
    rows += [Matched(both.theirs.nodes[n].thing, None) for n in waiting]
    return tuple(rows)


def _row(both: Correspondence, pair: Pair, gradients: dict[Pair, Verdict]) -> Matched:
    gradient = gradients.get(pair)
    return Matched(
        both.theirs.nodes[pair[0]].thing,
        both.ours.nodes[pair[1]].thing,
        both.verdicts[pair].excess,
        None if gradient is None else gradient.excess,
    )
