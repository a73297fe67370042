"""Faults of repetition: a gradient that vanishes or explodes from layer to layer.

A flow is one operation repeated, where each repetition depends on the one before: a
step that a loop hands to its next iteration, or the same operation in layer after
layer. A single step that scales the gradient down is not a fault; a factor that is
applied at every repetition is one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.faults.flow.chains import Along, Flow, flows_in
from jaxgrad.inspection.faults.flow.converged import converges, repetitions
from jaxgrad.inspection.faults.flow.graph import Graph
from jaxgrad.inspection.faults.flow.worst import worst_step
from jaxgrad.inspection.report.data import Kind, Report
from jaxgrad.inspection.report.explanation import Blame, Explanation
from jaxgrad.inspection.report.format import number

# A gradient vanishes if its norm is halved or worse at each repetition and falls below
# this fraction; it explodes if the reverse is true.
FAST, FACTOR = 1e-3, 0.51
# Or if it falls or grows, however slowly, to these fractions. Through time it may fall
# further, as it does in a healthy cell with gates: all iterations train one weight.
SLOW: dict[tuple[Kind, Along], float] = {
    ("vanishing", "time"): 1e-7,
    ("vanishing", "depth"): 1e-5,
    ("exploding", "time"): 1e-5,
    ("exploding", "depth"): 1e-5,
}
# Or if the factor is at most this, or the reverse, and it falls below this fraction,
# except through gates, which are meant to forget.
STEADY, STEADY_FACTOR = 2e-4, 0.65
GATES = frozenset("sigmoid logistic expit gate_fn".split())
# The fraction of the stretches of a flow that must change the same way.
SAME_WAY = 0.75

HINTS: dict[tuple[Kind, Along], str] = {
    ("vanishing", "depth"): "The first layers barely learn. Add residual connections "
    "or normalisation, use relu or gelu instead of sigmoid or tanh, and scale the "
    "initial weights by their number of inputs (jaxgrad.initializers).",
    ("exploding", "depth"): "Scale the initial weights by their number of inputs "
    "(jaxgrad.initializers), normalise between the layers, or clip the gradient "
    "(optax.clip_by_global_norm). If the layers are steps of an iteration, take fewer "
    "or smaller steps.",
    ("vanishing", "time"): "The result barely depends on the first iterations. Use a "
    "cell with gates (LSTM, GRU), start from an orthogonal recurrent matrix, or add "
    "losses at earlier iterations. If the iterations are layers, add residual "
    "connections or normalisation, and use relu or gelu instead of sigmoid or tanh.",
    ("exploding", "time"): "Clip the gradient (optax.clip_by_global_norm), start from "
    "an orthogonal recurrent matrix, normalise the state, or run fewer iterations "
    "(of a simulation also smaller ones, or end the derivative with stop_gradient "
    "after some).",
}


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
    return tuple(flows_in(Graph(report)))


class Flows(NamedTuple):
    """The flows that are a fault, and those of iterations that converge."""

    findings: tuple[Blame, ...]
    remarks: tuple[str, ...] = ()
    converging: frozenset[tuple[str, int]] = frozenset()  # Files and lines of the steps

    def explains(self, finding: Blame) -> bool:
        """Whether a gradient is zero, or rounding, since an iteration has converged."""
        source = finding.source
        line = source and (source.file, source.line)
        reasons = ("cancelled", "underflow", "cancellation")
        known = finding.argument is not None and finding.reason in reasons
        return known and line in self.converging


def search(report: Report) -> list[Blame]:
    """The flows of a report in which the gradient vanishes or explodes."""
    return [*flows_of(report).findings]


def flows_of(report: Report) -> Flows:
    """The faults of a report, and remarks on iterations that converge."""
    graph = Graph(report)
    found: list[tuple[Flow, Blame]] = []
    remarks: list[str] = []
    converging: set[tuple[str, int]] = set()
    flows = [*flows_in(graph)]
    for flow in flows:
        kind = _kind(graph, flow)
        if kind == "exploding" and _starts_late(flow, flows):
            continue
        if kind != "exploding" and converges(graph, flow):
            remarks += [_remark(flow)] if kind else []
            steps = (s for steps in repetitions(graph, flow) for s in steps)
            converging |= {(s.source.file, s.source.line) for s in steps}
        elif kind and not any(_same(graph, flow, other) for other, _ in found):
            found.append((flow, _finding(graph, flow, kind)))
    findings = tuple(finding for _, finding in found)
    return Flows(findings, tuple(remarks), frozenset(converging))


def _remark(flow: Flow) -> str:
    name, unit = flow.steps[0].name, "iteration" if flow.along == "time" else "step"
    return (
        f"{name} converges, so the result does not depend on where it starts: the "
        f"gradient falls by a factor of {number(flow.factor, 3)} each {unit}, which is "
        "not a fault. What enters at every iteration keeps its gradient; "
        "implicit differentiation (jax.lax.custom_root) is cheaper."
    )


def _same(graph: Graph, flow: Flow, other: Flow) -> bool:
    """Whether a flow in time is of the same loop as another, or of a loop around it."""
    if flow.along == other.along == "time":
        return graph.leads(other.steps[0], flow.steps[0])
    return False


def _starts_late(flow: Flow, flows: Sequence[Flow]) -> bool:
    """Whether a part of a loop's carry only gets what other parts have from the start.

    As the susceptible in an epidemic, which matter little to its end.
    """
    beside = (f for f in flows if f.along == "time" and _shares_loop(f, flow))
    start = max((f.gradients[-1] for f in beside), default=0.0)
    return bool(flow.gradients[-1] < start and flow.gradients[0] < start / FAST)


def _shares_loop(flow: Flow, other: Flow) -> bool:
    (step, *_), (another, *_) = flow.steps, other.steps
    return other.along == "time" and (step.loop, step.part) == (
        another.loop,
        another.part,
    )


def _kind(graph: Graph, flow: Flow) -> Kind | None:
    logs = np.log(flow.relative)
    ratio = float(np.exp(logs[0] - logs[-1]))
    factor = ratio ** (1 / (len(logs) - 1))
    # Means of a few stretches, as the norms of a chaotic system go up and down.
    trend = np.diff([np.mean(part) for part in np.array_split(logs, min(len(logs), 8))])
    kind: Kind = "vanishing" if ratio < 1 else "exploding"
    if ratio > 1:
        ratio, factor, trend = 1 / ratio, 1 / factor, -trend
    fast = ratio < FAST and factor < FACTOR
    steady = ratio < STEADY and factor < STEADY_FACTOR and not _has_gates(graph, flow)
    shrinks = fast or steady or ratio < SLOW[kind, flow.along]
    return kind if shrinks and np.mean(trend > 0) >= SAME_WAY else None


def _has_gates(graph: Graph, flow: Flow) -> bool:
    inside = (s for s in graph.steps if s.loop == flow.steps[0].loop)
    return flow.along == "time" and any(s.operation in GATES for s in inside)


def _iteration(flow: Flow, at: int) -> int:
    at += flow.first
    return flow.repetitions - 1 - at if flow.steps[0].reverse else at


def _finding(graph: Graph, flow: Flow, kind: Kind) -> Blame:
    in_loop = flow.along == "time"
    changes = np.diff(np.log(flow.gradients))
    at = int(changes.argmax() if kind == "vanishing" else changes.argmin())
    step = worst_step(graph, flow, kind)
    unit = "iteration" if in_loop else "layer"
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
        summary=_summary(flow, kind, unit),
    )


def _summary(flow: Flow, kind: Kind, unit: str) -> str:
    first, last = flow.gradients[0], flow.gradients[-1]
    change = "falls" if kind == "vanishing" else "grows"
    zero = f"; {flow.first} {unit}s before have none" if flow.first else ""
    return (
        f"The gradient of {flow.steps[0].name} {change} from {number(last, 3)} to "
        f"{number(first, 3)} over {len(flow.gradients)} {unit}s, by a factor of "
        f"{number(flow.factor, 3)} each{zero}"
    )
