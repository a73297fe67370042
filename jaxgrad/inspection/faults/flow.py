"""Faults of repetition: a gradient that vanishes or explodes from layer to layer.

A flow is one operation repeated, where each repetition depends on the one before: a
step that a loop hands to its next iteration, or the same operation in layer after
layer. A single step that scales the gradient down is not a fault; a factor that is
applied at every repetition is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxgrad.inspection.report.data import Kind, Report, Step
from jaxgrad.inspection.report.explanation import Blame, Explanation
from jaxgrad.inspection.report.format import number

# A gradient vanishes if its norm is halved or worse at each repetition and falls below
# this fraction, or if it falls, however slowly, below the rounding errors of a float32.
# It explodes if the reverse is true.
FAST, FACTOR = 1e-3, 0.5
SLOW = 1e-7
# The fewest repetitions of a flow, and the fraction that must change the same way.
REPETITIONS, SAME_WAY = 4, 0.75

Along = Literal["depth", "time"]
HINTS: dict[tuple[Kind, Along], str] = {
    ("vanishing", "depth"): "The first layers barely learn. Add residual connections "
    "or normalisation, use relu or gelu instead of sigmoid or tanh, and scale the "
    "initial weights by their number of inputs (jaxgrad.initializers).",
    ("exploding", "depth"): "Scale the initial weights by their number of inputs "
    "(jaxgrad.initializers), normalise between the layers, or clip the gradient "
    "(optax.clip_by_global_norm).",
    ("vanishing", "time"): "The result barely depends on the first iterations. Use a "
    "cell with gates (LSTM, GRU), start from an orthogonal recurrent matrix, or add "
    "losses at earlier iterations.",
    ("exploding", "time"): "Clip the gradient (optax.clip_by_global_norm), start from "
    "an orthogonal recurrent matrix, or shorten the sequences.",
}


@dataclass(frozen=True, eq=False)
class Flow:
    """The norms of a repeated step, in the order of execution.

    Attributes:
        steps: The step of a loop, or the step of each layer.
        along: "time" for the iterations of a loop, "depth" for layers.
        values: Euclidean norm of the value at each repetition, shape `(repetitions,)`.
        gradients: The same of the gradient.
    """

    steps: tuple[Step, ...]
    along: Along
    values: np.ndarray
    gradients: np.ndarray

    @property
    def ratio(self) -> float:
        """The gradient's norm at the first repetition divided by that at the last."""
        return float(self.gradients[0] / self.gradients[-1])

    @property
    def factor(self) -> float:
        """The factor per repetition in the backward pass: the geometric mean."""
        return self.ratio ** (1 / (len(self.gradients) - 1))


def gradient_flow(report: Explanation) -> tuple[Flow, ...]:
    """How the norms of values and gradients change through layers and iterations.

    Args:
        report: What `explain` returns, with `keep="arrays"` to look into loops.

    Returns:
        A `Flow` for each step that is repeated at least four times, each time on the
        previous result, and has a finite gradient that is not zero.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgrad import explain
        >>> def loss(x):
        ...     for _ in range(5):
        ...         x = jnp.sin(x) / 4
        ...     return x
        >>> (flow,) = gradient_flow(explain(loss)(0.0))
        >>> flow.factor
        0.25
    """
    return tuple(_in_loops(report)) + tuple(_in_layers(report))


def search(report: Report) -> list[Blame]:
    """The flows of a report in which the gradient vanishes or explodes."""
    flows = (*_in_loops(report), *_in_layers(report))
    return [_finding(flow, kind) for flow in flows if (kind := _kind(flow))]


def _in_loops(report: Report) -> Iterator[Flow]:
    """A flow for each step that a loop hands to its next iteration."""
    operands = (operand for step in report.steps for operand in step.inputs)
    carried = {operand.index for operand in operands if operand.previous}
    for step in report.steps:
        if step.index in carried and step.loop and step.taken is None:
            for value, gradient in step.results:
                columns = _norms(value, step), _norms(gradient, step)
                yield from _flow((step,), "time", *columns)


def _in_layers(report: Report) -> Iterator[Flow]:
    """A flow for each operation that is applied in layer after layer."""
    chains: dict[str, list[Step]] = {}
    before: dict[int, int] = {}  # For each step the steps it depends on, as bits
    for step in report.steps:
        read = [o.index for o in step.inputs if o.kind == "step" and not o.previous]
        before[step.index] = 0
        for index in read:
            if index is not None:
                before[step.index] |= before.get(index, 0) | 1 << index
        if step.loop or step.outputs or step.summaries[0][1] is None:
            continue
        chain = chains.setdefault(step.operation, [])
        if not chain or before[step.index] >> chain[-1].index & 1:
            chain.append(step)
    seen: set[int] = set()
    for chain in sorted(chains.values(), key=len, reverse=True):
        span = range(chain[0].index, chain[-1].index)
        if not seen.intersection(span):  # the other operations of the same layers
            seen.update(span)
            pairs = [step.summaries[0] for step in chain]
            values = [value.norm if value else np.nan for value, _ in pairs]
            gradients = [gradient.norm if gradient else np.nan for _, gradient in pairs]
            columns = np.array(values), np.array(gradients)
            yield from _flow(tuple(chain), "depth", *columns)


def _norms(array: object, step: Step) -> np.ndarray:
    """The norms by iteration of the innermost loop, in the order in which it ran."""
    if not isinstance(array, np.ndarray | Sequence) and not hasattr(array, "__array__"):
        return np.zeros(0)
    x = np.moveaxis(np.asarray(array, np.float64), len(step.loop) - 1, 0)
    x = x[::-1] if step.reverse else x
    return np.linalg.norm(x.reshape(len(x), -1), axis=1)


def _flow(
    steps: tuple[Step, ...], along: Along, values: np.ndarray, gradients: np.ndarray
) -> Iterator[Flow]:
    usable = np.isfinite(gradients) & (gradients > 0)
    if len(gradients) >= REPETITIONS and usable.all():
        yield Flow(steps, along, values, gradients)


def _kind(flow: Flow) -> Kind | None:
    changes = np.diff(np.log(flow.gradients))  # positive where it falls going back
    if _shrinks(flow.ratio, flow.factor) and np.mean(changes > 0) >= SAME_WAY:
        return "vanishing"
    if _shrinks(1 / flow.ratio, 1 / flow.factor) and np.mean(changes < 0) >= SAME_WAY:
        return "exploding"
    return None


def _shrinks(ratio: float, factor: float) -> bool:
    return ratio < SLOW or (ratio < FAST and factor < FACTOR)


def _iteration(flow: Flow, at: int) -> int:
    return len(flow.gradients) - 1 - at if flow.steps[0].reverse else at


def _finding(flow: Flow, kind: Kind) -> Blame:
    in_loop = flow.along == "time"
    first, last = flow.gradients[0], flow.gradients[-1]
    worst = np.diff(np.log(flow.gradients))
    at = int(worst.argmax() if kind == "vanishing" else worst.argmin())
    step = flow.steps[0] if in_loop else flow.steps[at]
    change = "falls" if kind == "vanishing" else "grows"
    unit, units = ("iteration", "iterations") if in_loop else ("layer", "layers")
    return Blame(
        phase="backward",
        step=step,
        argument=None,
        iteration=_iteration(flow, at) if in_loop else None,
        count=len(flow.gradients),
        operands={f"norm of the gradient by {unit}": flow.gradients},
        hint=HINTS[kind, flow.along],
        source=step.source,
        kind=kind,
        reason=flow.along,
        summary=f"The gradient of {step.name} {change} from {number(last, 3)} to "
        f"{number(first, 3)} over {len(flow.gradients)} {units}, by a factor of "
        f"{number(flow.factor, 3)} each",
    )
