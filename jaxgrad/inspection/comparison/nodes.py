"""A report as a graph of single arrays: results apart, loops unrolled.

A step of a `scan` holds the values of all iterations. The other side may have an
unrolled loop, so each iteration becomes a node of its own, in the order of execution.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.comparison.operations import kind_of, plain_name
from jaxgrad.inspection.comparison.parts import Part, parts_of
from jaxgrad.inspection.report.data import Argument, Operand, Report, Step
from jaxgrad.inspection.report.summary import Summary

# In longer loops the values of all iterations stay one node.
MOST = 4000


@dataclass(eq=False)
class Node:
    """One array of a report.

    Attributes:
        thing: The step or the argument that it belongs to.
        name: Its variable, operation or path.
        operation: The operation's name without decoration; "argument" for an argument.
        kind: One word for the operation, see `operations.py`.
        value: The array, or a `Summary`; None if it has no numbers.
        gradient: In the same form, or None.
        dtype: The data type of the value.
        iteration: The iterations of the loops around it.
        position: Which result of the step it is.
        parents: The numbers of the nodes that it reads.
        children: The numbers of its readers.
        part: What a fused step computes on the way, such as "variance"; else empty.
    """

    thing: Step | Argument
    name: str
    operation: str
    kind: str
    value: Any
    gradient: Any
    dtype: Any
    iteration: tuple[int, ...] = ()
    position: int = 0
    parents: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    part: str = ""

    @property
    def is_argument(self) -> bool:
        """Whether it is an argument of the function, not a step."""
        return isinstance(self.thing, Argument)


@dataclass(eq=False)
class Graph:
    """The nodes in the order of execution, arguments first."""

    report: Report
    nodes: list[Node]
    result: int | None = None
    arguments: dict[int, int] = field(default_factory=dict)  # Node by argument
    steps: dict[int, list[int]] = field(default_factory=dict)  # Nodes by step

    def add(self, node: Node) -> int:
        """The number of a new node, which is the last."""
        number = len(self.nodes)
        for parent in node.parents:
            self.nodes[parent].children.append(number)
        self.nodes.append(node)
        return number


def graph_of(report: Report) -> Graph:
    """The graph of a report."""
    graph = Graph(report, [])
    for argument in report.arguments:
        graph.arguments[argument.index] = graph.add(_argument(argument))
    size = sum(int(np.prod(step.loop)) for step in report.steps)
    steps = [(step, ()) for step in report.steps]
    if size <= MOST:
        steps = _executed(report.steps, 0, ())
    for step, iteration in steps:
        parents = _parents(graph, step, iteration)
        for node in _results(step, iteration):
            node.parents = [*parents, *_add_parts(graph, node)]
            graph.steps.setdefault(step.index, []).append(graph.add(node))
    if report.result is not None:
        graph.result = graph.steps[report.result][-1]
    return graph


def _argument(a: Argument) -> Node:
    name = "argument"
    return Node(a, a.path, name, name, _usable(a.value), _usable(a.gradient), a.dtype)


def _executed(
    steps: Sequence[Step], depth: int, iteration: tuple[int, ...]
) -> Iterator[tuple[Step, tuple[int, ...]]]:
    """The steps with their iterations, those of a loop iteration by iteration."""
    for length, group in itertools.groupby(steps, lambda s: s.loop[depth : depth + 1]):
        inside = list(group)
        if not length or not _iterated(inside[0]):
            yield from ((step, iteration) for step in inside)
            continue
        times = range(length[0])
        for i in reversed(times) if inside[0].reverse else times:
            yield from _executed(inside, depth + 1, (*iteration, i))


def _iterated(step: Step) -> bool:
    return not isinstance(step.results[0][0], Summary)


def _results(step: Step, iteration: tuple[int, ...]) -> Iterator[Node]:
    if iteration and step.taken is not None and not step.taken[iteration].all():
        return
    operation, dtypes = plain_name(step.operation), step.dtype
    several = isinstance(step.value, tuple)
    for i, (value, gradient) in enumerate(step.results):
        yield Node(
            thing=step,
            name=step.outputs[i] if step.outputs else step.name,
            operation=operation,
            kind=kind_of(step.operation),
            value=_usable(value, iteration),
            gradient=_usable(gradient, iteration),
            dtype=dtypes[i] if several else dtypes,
            iteration=iteration,
            position=i,
        )


def _usable(value: Any, iteration: tuple[int, ...] = ()) -> Any:
    """The value of an iteration; None for a random key or no array at all."""
    if value is None or isinstance(value, Summary):
        return value
    if isinstance(value, jax.Array) and jnp.issubdtype(
        value.dtype, jax.dtypes.extended
    ):
        return None
    array = np.asarray(value)
    return np.asarray(array[iteration]) if iteration else array


def _add_parts(graph: Graph, node: Node) -> list[int]:
    """Add what a fused step computes on the way, as nodes with the same step."""
    assert isinstance(node.thing, Step)
    sources = [_sources(graph, o, node.iteration) for o in node.thing.inputs]
    values = [graph.nodes[found[0]].value if found else None for found in sources]
    if any(isinstance(value, Summary) for value in values):
        return []
    added: dict[str, int] = {}
    for part in parts_of(node.operation, values, node.value):
        parents = [n for i in part.reads for n in sources[i]]
        parents += [added[name] for name in part.after]
        added[part.name] = graph.add(_part(node, part, parents))
    return list(added.values())


def _part(node: Node, part: Part, parents: list[int]) -> Node:
    return replace(
        node,
        name=part.name,
        operation=part.kind,
        kind=kind_of(part.kind),
        value=part.value,
        gradient=None,
        parents=parents,
        children=[],
        part=part.name,
    )


def _parents(graph: Graph, step: Step, iteration: tuple[int, ...]) -> list[int]:
    found = [n for o in step.inputs for n in _sources(graph, o, iteration)]
    return list(dict.fromkeys(found))


def _sources(graph: Graph, operand: Operand, iteration: tuple[int, ...]) -> list[int]:
    """The nodes behind an operand: of this iteration, of the one before, or of all."""
    if operand.index is None or operand.kind == "constant":
        return []
    if operand.kind == "argument":
        return [graph.arguments[operand.index]] * (operand.index in graph.arguments)
    numbers = graph.steps.get(operand.index, [])
    nodes = [(n, graph.nodes[n]) for n in numbers]
    named = [(n, node) for n, node in nodes if node.name == operand.label] or nodes
    if not named or not named[0][1].iteration or not iteration:
        return [n for n, _ in named]
    shared = min(len(iteration), len(named[0][1].iteration))
    want = iteration[:shared]
    if operand.previous:
        outer = [p for p in named if p[1].iteration[: shared - 1] == want[:-1]]
        before = [n for n, node in outer if node.iteration[:shared] != want]
        return before[-1:]
    return [n for n, node in named if node.iteration[:shared] == want]
