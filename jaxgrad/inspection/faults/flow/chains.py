"""The flows of a report: operations that are repeated, each time on the result before.

In a loop it is a step that is handed to the next iteration. In depth it is the same
expression, or else the same operation, or else a product with a weight, applied to
what the last one made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from jaxgrad._display import fields_html, short_repr
from jaxgrad.inspection.faults.flow.graph import (
    Graph,
    gradient_norms,
    has_gradient,
    norms,
    value_norms,
)
from jaxgrad.inspection.report.data import Step

# The fewest repetitions of a flow.
REPETITIONS = 4
# The operations that send their gradient back times the other factor.
PRODUCTS = frozenset("multiply divide matmul dot einsum tensordot".split())
Along = Literal["depth", "time"]


@dataclass(frozen=True, eq=False)
class Flow:
    """The norms of a repeated step, in the order of execution.

    Where the gradient is zero or not finite, the repetitions are left out.

    Attributes:
        steps: The step of a loop, or the step of each layer.
        along: "time" for the iterations of a loop, "depth" for layers.
        values: Euclidean norm of the value at each repetition, shape `(repetitions,)`.
        gradients: The same of the gradient.
        entering: The same of the gradients that enter beside the repetition, such as
            those of a loss at each iteration; zeros if there are none.
        first: The number of the first repetition, from 0.
        repetitions: How many repetitions there are with those left out.
    """

    steps: tuple[Step, ...]
    along: Along
    values: np.ndarray
    gradients: np.ndarray
    entering: np.ndarray
    first: int = 0
    repetitions: int = 0

    __repr__ = short_repr
    _repr_html_ = fields_html

    @property
    def ratio(self) -> float:
        """The gradient's norm at the first repetition divided by that at the last."""
        return float(self.gradients[0] / self.gradients[-1])

    @property
    def factor(self) -> float:
        """The factor per repetition in the backward pass: the geometric mean."""
        return self.ratio ** (1 / (len(self.gradients) - 1))

    @property
    def relative(self) -> np.ndarray:
        """The gradients relative to what would arrive if every factor were 1."""
        if not self.entering.any():
            return self.gradients
        own = self.gradients[-1]
        scale = own / self.entering[-1] if self.entering[-1] else 1.0
        arriving = scale * np.cumsum(self.entering[::-1])[::-1]
        return own * self.gradients / (arriving + (not self.entering[-1]) * own)


def flows_in(graph: Graph) -> Iterator[Flow]:
    """The flows of a report: in loops, the innermost first, then in depth."""
    for step in graph.carried:
        if step.loop and step.taken is None:
            entering = _beside_loop(graph, step)
            for value, gradient in step.results:
                columns = norms(value, step), norms(gradient, step)
                yield from _flow((step,), "time", *columns, entering)
    for chain in _chains(graph):
        firsts = [step.summaries[0] for step in chain]
        values = np.array([value.norm if value else np.nan for value, _ in firsts])
        gradients = np.array([g.norm if g else np.nan for _, g in firsts])
        entering = _beside_layers(graph, chain)
        yield from _flow(tuple(chain), "depth", values, gradients, entering)


def _flow(
    steps: tuple[Step, ...],
    along: Along,
    values: np.ndarray,
    gradients: np.ndarray,
    entering: np.ndarray,
) -> Iterator[Flow]:
    if not gradients.size:
        return
    start, stop = _longest_run(np.isfinite(gradients) & (gradients > 0))
    if stop - start >= REPETITIONS:
        kept = slice(start, stop)
        columns = values[kept], gradients[kept], entering[kept]
        steps = steps[kept] if along == "depth" else steps
        yield Flow(steps, along, *columns, start, len(gradients))


def _longest_run(usable: np.ndarray) -> tuple[int, int]:
    edges = np.flatnonzero(np.diff([False, *usable, False])).reshape(-1, 2)
    if not len(edges):
        return 0, 0
    start, stop = edges[(edges[:, 1] - edges[:, 0]).argmax()]
    return int(start), int(stop)


def _beside_loop(graph: Graph, step: Step) -> np.ndarray:
    """The gradients that enter a carried step other than from the next iteration."""
    entering = np.zeros(step.loop[-1])
    for reader in graph.readers[step.index]:
        if reader.loop == step.loop:
            to_carry = any(graph.leads(reader, each) for each in graph.carried)
            parts = [] if to_carry else [_sent(reader, step)]
        else:  # all iterations stacked
            alike = [
                g for v, g in reader.results if np.shape(v) == np.shape(step.value)
            ]
            parts = [norms(gradient, step) for gradient in alike]
        for part in parts:
            if len(part) == len(entering):
                entering = np.hypot(entering, part)
    return entering


def _sent(reader: Step, step: Step) -> np.ndarray:
    """About how large the gradient is that a reader sends to a step, by iteration."""
    sent = gradient_norms(reader)
    if reader.operation in PRODUCTS and not (reader.outputs or step.outputs):
        sizes = value_norms(reader), value_norms(step)
        if sizes[0].shape == sizes[1].shape == sent.shape:
            sent = sent * sizes[0] / np.where(sizes[1] > 0, sizes[1], 1)
    return sent


def _beside_layers(graph: Graph, chain: Sequence[Step]) -> np.ndarray:
    """The gradients that enter each layer other than from the next one."""
    entering = np.zeros(len(chain))
    for i, (step, following) in enumerate(pairwise(chain)):
        beside = [
            _sent(reader, step)
            for reader in graph.readers[step.index]
            if not reader.loop and not graph.leads(reader, following)
        ]
        entering[i] = np.linalg.norm(np.concatenate([*beside, np.zeros(1)]))
    return entering


def _chains(graph: Graph) -> Iterator[list[Step]]:
    """Sequences of steps outside of loops, the same expression repeated first."""
    layers = [s for s in graph.steps if not (s.loop or s.outputs) and has_gradient(s)]
    groups: list[dict[Any, list[Step]]] = [{}, {}, {}]
    for step in layers:
        keys = (_expression(step), step.operation, _has_weight(graph, step))
        for chains, key in zip(groups, keys, strict=True):
            if key:
                chain = chains.setdefault(key, [])
                if not chain or graph.depends(step, chain[-1]):
                    chain.append(step)
    seen: set[int] = set()
    for chains in groups:
        long = [
            chain
            for chain in chains.values()
            if len(chain) >= REPETITIONS and gradient_norms(chain[-1]).any()
        ]
        long = _once_a_line(long) if chains is groups[0] else long
        for chain in sorted(long, key=len, reverse=True):
            span = range(chain[0].index, chain[-1].index)
            # Not the other operations of the same layers
            if not seen.intersection(span):
                if chains is groups[0] or _in_sequence(graph, chain):
                    seen.update(span)
                    yield _main(graph, chain, long)


def _once_a_line(chains: Sequence[list[Step]]) -> list[list[Step]]:
    """Without what a line does twice each time, such as the products in a @ x @ w."""
    times: dict[Any, int] = {}
    for chain in chains:
        line = chain[0].source.file, chain[0].source.line
        times[line] = min(len(chain), times.get(line, len(chain)))
    lines = [(chain[0].source.file, chain[0].source.line) for chain in chains]
    pairs = zip(chains, lines, strict=True)
    return [chain for chain, line in pairs if len(chain) == times[line]]


def _main(graph: Graph, chain: list[Step], chains: Sequence[list[Step]]) -> list[Step]:
    """The chain that carries all of the gradient, if this one is beside it.

    In w = w - rate * gradient(w) that is w, not the gradient.
    """
    if _in_sequence(graph, chain):
        return chain
    beside = (c for c in chains if len(c) == len(chain))
    mutual = (c for c in beside if graph.depends(chain[-1], c[0]))
    return next((c for c in mutual if _in_sequence(graph, c)), chain)


def _expression(step: Step) -> Any:
    source = step.source
    return (source.file, source.line, step.operation, step.name) if source.line else ()


def _has_weight(graph: Graph, step: Step) -> bool:
    """Whether a step reads a differentiated matrix."""
    indices = [o.index for o in step.inputs if o.kind == "argument"]
    read = [graph.arguments[i] for i in indices if i is not None]
    return any(a.gradient is not None and len(a.shape) > 1 for a in read)


def _in_sequence(graph: Graph, chain: Sequence[Step]) -> bool:
    """Whether all of the gradient of each step comes through the next one."""
    return all(graph.all_through(step, after) for step, after in pairwise(chain))
