"""Iterations that converge: what they end at does not depend on where they start.

In Newton's method, a fixed point or value iteration the gradient of the first
iterations vanishes although nothing is wrong: what enters at every iteration keeps its
gradient. A network or a recurrence is different, since there the start or what enters
at each iteration is the data.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from jaxgrad.inspection.faults.flow.chains import Flow
from jaxgrad.inspection.faults.flow.graph import Graph, by_iteration
from jaxgrad.inspection.report.data import Operand, Step

# The last change of the values, relative to the largest and to the values.
SETTLED, CLOSE = 1e-2, 1e-3
# What a layer of a network applies, and a solver does not.
SQUASHING = frozenset(
    "tanh sigmoid logistic expit softmax erf softsign hard_tanh hard_sigmoid arctan "
    "activation_fn".split()
)
# How an iteration reads its part of a sequence.
INDEXING = frozenset("index take dynamic_index_in_dim dynamic_slice".split())


def converges(graph: Graph, flow: Flow) -> bool:
    """Whether a flow is an iteration to a fixed point, and not a network."""
    if not _settles(flow):
        return False
    passes = list(repetitions(graph, flow))
    if flow.along == "time":
        fed, from_data = _fed_in_time(graph, flow, passes[0])
    else:
        fed, from_data = _fed_in_depth(graph, flow, passes)
    squashed = any(s.operation in SQUASHING for steps in passes for s in steps)
    return not fed and not (from_data and squashed)


def _settles(flow: Flow) -> bool:
    """Whether the values change less and less, to a value that is not zero."""
    if flow.along == "time":
        (step,) = flow.steps
        values = by_iteration(step.results[0][0], step)
    else:
        arrays = [step.results[0][0] for step in flow.steps]
        if len({np.shape(a) for a in arrays}) > 1:
            return False
        values = np.stack([np.asarray(a, float).reshape(-1) for a in arrays])
    if len(values) < 3:
        return False
    changes = np.linalg.norm(np.diff(values, axis=0), axis=1)
    size = np.linalg.norm(values[-1])
    return bool(changes[-1] < min(SETTLED * changes.max(), CLOSE * size))


def repetitions(graph: Graph, flow: Flow) -> Iterator[list[Step]]:
    """The steps of each repetition; of a loop those of its body."""
    if flow.along == "time":
        (step,) = flow.steps
        yield [s for s in graph.steps if s.loop[: len(step.loop)] == step.loop]
    for step, following in pairwise(flow.steps):
        between = graph.steps[step.index + 1 : following.index + 1]
        yield [s for s in between if graph.leads(s, following)]


def _fed_in_time(graph: Graph, flow: Flow, body: Sequence[Step]) -> tuple[bool, bool]:
    """Whether a loop reads a sequence, and whether it starts at an argument."""
    (step,) = flow.steps
    outside = [o for s in body for o in s.inputs if not _inside(graph, o, body)]
    fed = any(_shape(graph, operand)[:1] == step.loop[-1:] for operand in outside)
    fed |= any(_reads_a_part(graph, each, body) for each in body)
    # The first value of what an iteration hands on is named before it.
    starts = [
        start
        for each in body
        for start, operand in pairwise(each.inputs)
        if operand.previous and operand.index == step.index
    ]
    return fed, any(_of_argument(graph, start) for start in starts)


def _reads_a_part(graph: Graph, step: Step, body: Sequence[Step]) -> bool:
    """As `xs[t]`; not `x[None]`, which keeps all elements."""
    if step.operation not in INDEXING or step.outputs:
        return step.operation in INDEXING
    size = math.prod(step.shape[len(step.loop) :])
    outside = (o for o in step.inputs if not _inside(graph, o, body))
    return any(math.prod(_shape(graph, operand)) > size for operand in outside)


def _fed_in_depth(
    graph: Graph, flow: Flow, passes: Sequence[Sequence[Step]]
) -> tuple[bool, bool]:
    """Whether the layers differ, and whether the first starts at another argument."""
    entering = []
    for before, steps in zip(flow.steps, passes, strict=False):
        known = {before.index, *(s.index for s in steps)}
        read = [o for s in steps for o in s.inputs]
        entering.append(
            {
                (o.kind, o.index, "" if o.kind == "step" else o.label)
                for o in read
                if not (o.kind == "step" and o.index in known)
            }
        )
    fed = any(each != entering[0] for each in entering)
    arguments = {index for kind, index, _ in entering[0] if kind == "argument"}
    return fed, bool(graph.arguments_of(flow.steps[0]) - arguments)


def _inside(graph: Graph, operand: Operand, body: Sequence[Step]) -> bool:
    if operand.kind != "step" or operand.index is None:
        return False
    return graph.steps[operand.index] in body


def _shape(graph: Graph, operand: Operand) -> tuple[int, ...]:
    if operand.kind == "constant" or operand.index is None:
        return ()
    if operand.kind == "argument":
        return tuple(graph.arguments[operand.index].shape)
    shape = graph.steps[operand.index].shape
    return () if graph.steps[operand.index].outputs else tuple(shape)


def _of_argument(graph: Graph, operand: Operand) -> bool:
    if operand.kind != "step" or operand.index is None:
        return operand.kind == "argument"
    return bool(graph.arguments_of(graph.steps[operand.index]))
