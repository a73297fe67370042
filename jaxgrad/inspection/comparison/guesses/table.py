"""The trials in the order in which they are made; the first that succeeds is taken."""

from collections.abc import Callable

import numpy as np

from jaxgrad.inspection.comparison.correspondence import Correspondence
from jaxgrad.inspection.comparison.guesses import (
    attention,
    axes,
    elementwise,
    gradients,
    layers,
    losses,
    masks,
    operands,
    order,
    recurrent,
)
from jaxgrad.inspection.comparison.guesses.case import Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.nodes import Node
from jaxgrad.inspection.comparison.values import Place
from jaxgrad.inspection.report.data import Step
from jaxgrad.inspection.report.summary import Summary

Trial = Callable[[Case], Guess]

VALUES: tuple[Trial, ...] = (
    elementwise.named_dtype,
    recurrent.gates,
    recurrent.variant,
    elementwise.constant,
    operands.counted,
    operands.other_parts,
    axes.softmax,
    order.rearranged,
    elementwise.activation,
    elementwise.of_two,
    elementwise.bounded,
    operands.loaded,
    axes.reduction,
    axes.normalization,
    axes.running,
    recurrent.start,
    layers.convolution,
    layers.pooling,
    layers.resizing,
    operands.product,
    elementwise.ratio,
    operands.summand,
    masks.dropout,
    masks.weights,
    masks.mask,
    operands.factor,
    losses.total,
    losses.loss,
    losses.probabilities,
    elementwise.precision,
    attention.attention,
    elementwise.offset,
    elementwise.cast,
    order.flipped,
    order.blocks,
)
LAST: tuple[Trial, ...] = (
    operands.renormalized,
    order.chosen,
    operands.other_operand,
    order.argument,
    operands.order_of_layers,
    operands.elsewhere,
    operands.shifted,
    operands.operation,
    operands.extra_step,
)
GRADIENTS: tuple[Trial, ...] = (
    gradients.cut,
    gradients.kink,
    gradients.rows,
    gradients.more_readers,
    gradients.clipped,
    elementwise.ratio,
    masks.dropout,
)
# What a trial meets in arrays that it was not made for.
UNFIT = (ValueError, IndexError, TypeError, ArithmeticError, np.linalg.LinAlgError)


def guess(both: Correspondence, place: Place, what: str) -> tuple[str, str]:
    """A word and a sentence for the probable cause; empty if no trial succeeds."""
    gradient = what == "gradient"
    cases = [Case(both, place, pair, gradient) for pair in _pairs(both, place, what)]
    cases = [c for c in cases if not any(_unknown(n.value) for n in c.nodes)]
    tried = [(t, c) for c in cases for t in (GRADIENTS if gradient else VALUES)]
    if not gradient:
        near = [Case(both, place, pair) for pair in _on_same_lines(both, place)]
        tried += [(axes.own_reduction, c) for c in near]
        tried += [(t, c) for t in LAST for c in cases]
    found = (_tried(trial, case) for trial, case in tried)
    return next((each for each in found if each is not None), ("", ""))


def _unknown(value: object) -> bool:
    return value is None or isinstance(value, Summary)


def _tried(trial: Trial, case: Case) -> Guess:
    try:
        with np.errstate(all="ignore"):
            return trial(case)
    except UNFIT:
        return None


def _pairs(both: Correspondence, place: Place, what: str) -> list[tuple[int, int]]:
    """What the trials compare: an extra step with what it changes, the place, ..."""
    found: list[tuple[int, int] | None] = []
    if what == "value":
        found.append(place.extra)
        if place.theirs is not None and place.ours is not None:
            found.append((place.theirs, place.ours))
    found.append(place.pair)
    whole = [_whole(both, side, n) for n in found[:] if n for side in (0, 1)]
    return list(dict.fromkeys(p for p in (*found, *whole) if p is not None))


def _on_same_lines(both: Correspondence, place: Place) -> list[tuple[int, int]]:
    """The pairs of sums and means on the lines that are named."""
    if place.theirs is None or place.ours is None:
        return []
    lines = _line(both.theirs.nodes[place.theirs]), _line(both.ours.nodes[place.ours])
    return [
        (a, b)
        for a, b in sorted(both.pairs.ours.items())
        if (_line(both.theirs.nodes[a]), _line(both.ours.nodes[b])) == lines
        and {both.theirs.nodes[a].kind, both.ours.nodes[b].kind} == {"sum", "mean"}
    ]


def _line(node: Node) -> object:
    thing = node.thing
    return (thing.source.file, thing.source.line) if isinstance(thing, Step) else None


def _whole(
    both: Correspondence, side: int, pair: tuple[int, int]
) -> tuple[int, int] | None:
    """The pair of the fused step that a node is a part of."""
    graph = both.graph(side)
    node = graph.nodes[pair[side]]
    if not node.part:
        return None
    assert isinstance(node.thing, Step)
    return both.pair_of(side, graph.steps[node.thing.index][0])
