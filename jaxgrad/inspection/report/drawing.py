"""What the pictures draw: nodes with three lines of text, and edges along the data."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from jaxgrad.inspection.report.data import Argument, Operand, Report, Step
from jaxgrad.inspection.report.format import location, plain
from jaxgrad.inspection.report.marks import MEANING, Mark, Marks, key_of, marks
from jaxgrad.inspection.report.rows import numbers_of


class Node(NamedTuple):
    """A box of the drawing."""

    key: str  # `argument-0`, `step-3`, `constant-1`: unique in the report
    kind: str  # argument, step, result or constant
    title: str  # The operation, and the variable that takes its value
    value: str  # The value in short
    gradient: str  # The gradient in short
    marks: tuple[Mark, ...]  # Its marks
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
    arguments = [
        a for a in report.arguments if a.index in used or a.gradient is not None
    ]
    constants = list(dict.fromkeys(o.label for _, o in read if _is_array(o)))
    keys: list[Any] = [("argument", a.index) for a in arguments]
    keys += [("constant", label) for label in constants]
    keys += [("step", step.index) for step in report.steps]
    position = {key: i for i, key in enumerate(keys)}
    edges = dict.fromkeys(
        Edge(position[source], position["step", step.index], operand.previous)
        for step, operand in read
        if (source := _key(operand)) in position
    )
    found = marks(report)
    nodes = [
        *(_argument(argument, found) for argument in arguments),
        *(_constant(i, label) for i, label in enumerate(constants)),
        *(_step(step, found, report.result) for step in report.steps),
    ]
    return Drawing(plain(report.name), nodes, list(edges))


def _key(operand: Operand) -> tuple[str, int | str | None]:
    name = operand.label if operand.kind == "constant" else operand.index
    return operand.kind, name


def _is_array(operand: Operand) -> bool:
    """Whether it is a constant that gets a node: not a number in the source."""
    return operand.kind == "constant" and not _is_number(operand.label)


def _is_number(label: str) -> bool:
    try:
        complex(label)
    except ValueError:
        return label in ("True", "False")
    return True


def _argument(argument: Argument, found: Marks) -> Node:
    (full,), (short,) = numbers_of(argument), numbers_of(argument, short=True)
    given = found.get(key_of(argument), ())
    details = (
        f"{full.name}: {full.type}",
        f"value {full.value}",
        f"gradient {full.gradient}",
        *_meanings(given),
    )
    gradient = short.gradient if short.differentiated else "none"
    return Node(
        key_of(argument), "argument", short.name, short.value, gradient, given, details
    )


def _constant(index: int, label: str) -> Node:
    name = plain(label)
    details = (f"{name}: an array that the function closes over",)
    return Node(f"constant-{index}", "constant", name, "constant", "none", (), details)


def _step(step: Step, found: Marks, result: int | None) -> Node:
    short = numbers_of(step, short=True)
    name = step.operation
    if step.name != step.operation:
        name = f"{step.operation}: {step.name}"
    gradients = [n.gradient if n.differentiated else "none" for n in short]
    if not any(n.differentiated for n in short):
        gradients = ["none"]
    given = found.get(key_of(step), ())
    return Node(
        key=key_of(step),
        kind="result" if step.index == result else "step",
        title=plain(name),
        value="; ".join(n.value for n in short),
        gradient="; ".join(gradients),
        marks=given,
        details=(*map(plain, _details(step)), *_meanings(given)),
    )


def _details(step: Step) -> Iterator[str]:
    target = "" if step.name == step.operation else f"{step.name} = "
    yield f"{target}{step.operation}, step {step.index}"
    for n in numbers_of(step):
        yield f"{n.name}: {n.type}" if step.outputs else n.type
        yield f"value {n.value}"
        yield f"gradient {n.gradient}"
    if step.inputs:
        yield "reads " + ", ".join(map(_operand, step.inputs))
    if step.source.line:
        yield f"{location(step.source)} in {step.source.function}"
        yield step.source.text
    if step.scope:
        yield f"scope {step.scope}"
    if step.part:
        turns = " x ".join(map(str, step.loop))
        yield f"in {step.part}" + (f", {turns} iterations" if turns else "")
    if step.aliases:
        yield "also named " + ", ".join(dict.fromkeys(step.aliases))
    if step.source.via:
        yield f"via {step.source.via[0]}"


def _meanings(given: tuple[Mark, ...]) -> tuple[str, ...]:
    return tuple(f"{mark}: {MEANING[mark]}" for mark in given)


def _operand(operand: Operand) -> str:
    before = " of the iteration before" if operand.previous else ""
    number = f" ({operand.index})" if operand.kind == "step" else ""
    return f"{operand.label}{number}{before}"
