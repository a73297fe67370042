"""What the pictures draw: nodes with three lines of text, and edges along the data."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from jaxgrad.inspection.report.data import Argument, Operand, Report, Step
from jaxgrad.inspection.report.format import location, plain
from jaxgrad.inspection.report.marks import MEANING, Mark, Marks, key_of, marks
from jaxgrad.inspection.report.rows import texts_of


class Node(NamedTuple):
    """A box of the drawing."""

    key: str  # `argument-0`, `step-3`, `constant-1`: unique in the report
    kind: str  # argument, step, result or constant
    title: str  # The operation, and the variable that takes its value
    value: str
    gradient: str
    marks: tuple[Mark, ...]
    details: tuple[str, ...]  # Everything else, line by line, for hovering

    @property
    def mark(self) -> str:
        """The marks as the words that are printed in the box."""
        return " ".join(self.marks)


class Edge(NamedTuple):
    """From one node's position to another's; `previous` leads to the next iteration."""

    start: int
    end: int
    previous: bool


class Drawing(NamedTuple):
    """The nodes, each after those it reads, and the edges of the function `name`."""

    name: str
    nodes: list[Node]
    edges: list[Edge]


def drawing_of(report: Report) -> Drawing:
    """The nodes and edges of a report."""
    read = [(step, o) for step in report.steps for o in step.inputs]
    used = {o.index for _, o in read if o.kind == "argument"}
    given = report.arguments
    arguments = [a for a in given if a.index in used or a.gradient is not None]
    # A number in the source gets no node.
    constants = dict.fromkeys(
        o.label for _, o in read if o.kind == "constant" and not _is_number(o.label)
    )
    keys: list[Any] = [("argument", a.index) for a in arguments]
    keys += [("constant", label) for label in constants]
    keys += [("step", step.index) for step in report.steps]
    position = {key: i for i, key in enumerate(keys)}
    edges = dict.fromkeys(
        Edge(position[source], position["step", step.index], o.previous)
        for step, o in read
        if (source := (o.kind, o.label if o.kind == "constant" else o.index))
        in position
    )
    found = marks(report)
    nodes = [
        *(_node(a, "argument", a.path, found) for a in arguments),
        *(_constant(i, plain(label)) for i, label in enumerate(constants)),
        *(_step(step, found, report.result) for step in report.steps),
    ]
    return Drawing(plain(report.name), nodes, list(edges))


def _is_number(label: str) -> bool:
    try:
        complex(label)
    except ValueError:
        return label in ("True", "False")
    return True


def _constant(index: int, name: str) -> Node:
    details = (f"{name}: an array that the function closes over",)
    return Node(f"constant-{index}", "constant", name, "constant", "none", (), details)


def _step(step: Step, found: Marks, result: int | None) -> Node:
    kind = "result" if step.index == result else "step"
    named = step.name != step.operation
    title = f"{step.operation}: {step.name}" if named else step.operation
    return _node(step, kind, title, found)


def _node(thing: Step | Argument, kind: str, title: str, found: Marks) -> Node:
    short = texts_of(thing, short=True)
    given = found.get(key_of(thing), ())
    gradients = [t.gradient if t.differentiated else "none" for t in short]
    if not any(t.differentiated for t in short):
        gradients = ["none"]
    meanings = (f"{mark}: {MEANING[mark]}" for mark in given)
    details = (*map(plain, _details(thing)), *meanings)
    texts = plain(title), "; ".join(t.value for t in short), "; ".join(gradients)
    return Node(key_of(thing), kind, *texts, given, details)


def _details(thing: Step | Argument) -> Iterator[str]:
    is_step = isinstance(thing, Step)
    if is_step:
        target = "" if thing.name == thing.operation else f"{thing.name} = "
        yield f"{target}{thing.operation}, step {thing.index}"
    for t in texts_of(thing):
        yield t.type if is_step and not thing.outputs else f"{t.name}: {t.type}"
        yield f"value {t.value}"
        yield f"gradient {t.gradient}"
    if is_step:
        yield from _context(thing)


def _context(step: Step) -> Iterator[str]:
    """What a step reads, where it is written, and what is around it."""
    if step.inputs:
        yield "reads " + ", ".join(map(_operand, step.inputs))
    if step.source.line:
        yield f"{location(step.source)} in {step.source.function}"
        yield step.source.text
    if step.scope:
        yield f"scope {step.scope}"
    if step.part:
        lengths = " x ".join(map(str, step.loop))
        times = "shards" if step.part == "shard" else "iterations"
        yield f"in {step.part}" + (f", {lengths} {times}" if lengths else "")
    if step.aliases:
        yield "also named " + ", ".join(dict.fromkeys(step.aliases))
    if step.source.via:
        yield f"via {step.source.via[0]}"


def _operand(operand: Operand) -> str:
    before = " of the iteration before" if operand.previous else ""
    number = f" ({operand.index})" if operand.kind == "step" else ""
    return f"{operand.label}{number}{before}"
