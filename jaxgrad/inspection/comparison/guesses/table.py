"""The trials in the order in which they are made; the first that succeeds is taken."""

from collections.abc import Callable, Iterator

from jaxgrad.inspection.comparison.correspondence import Correspondence
from jaxgrad.inspection.comparison.guesses import (
    axes,
    elementwise,
    gradients,
    layers,
    losses,
    masks,
    operands,
    order,
)
from jaxgrad.inspection.comparison.guesses.case import Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.values import Place

Trial = Callable[[Case], Guess]

VALUES: tuple[Trial, ...] = (
    elementwise.named_dtype,
    axes.softmax,
    order.rearranged,
    elementwise.activation,
    axes.variance,
    axes.normalization,
    operands.product,
    operands.summand,
    masks.mask,
    masks.dropout,
    losses.loss,
    layers.convolution,
    layers.pooling,
    elementwise.ratio,
    elementwise.offset,
    operands.factor,
    elementwise.cast,
    operands.other_argument,
    order.flipped,
    order.blocks,
    operands.extra_step,
)
GRADIENTS: tuple[Trial, ...] = (
    gradients.cut,
    gradients.rows,
    gradients.more_readers,
    gradients.kink,
    gradients.clipped,
    elementwise.ratio,
    masks.dropout,
)


def guess(both: Correspondence, place: Place, what: str) -> tuple[str, str]:
    """A word and a sentence for the probable cause; empty if no trial succeeds."""
    trials = GRADIENTS if what == "gradient" else VALUES
    for pair in _pairs(place, what):
        case = Case(both, place, pair, what == "gradient")
        if any(n.value is None for n in case.nodes):
            continue
        for trial in trials:
            found = trial(case)
            if found is not None:
                return found
    return "", ""


def _pairs(place: Place, what: str) -> Iterator[tuple[int, int]]:
    """The named nodes if both exist, then the pair that differs."""
    if what == "value" and place.theirs is not None and place.ours is not None:
        yield place.theirs, place.ours
    if place.pair is not None and place.pair != (place.theirs, place.ours):
        yield place.pair
