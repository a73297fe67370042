"""The graph that the pictures draw: nodes of three lines, and edges along the data."""

from typing import Any, NamedTuple

from jaxgrad.inspection.report.data import Argument, Operand, Report, Step
from jaxgrad.inspection.report.marks import MEANING, Mark, key_of, marks
from jaxgrad.inspection.report.rows import argument_row, place, rows_of


class Node(NamedTuple):
    """A box of the drawing.

    Attributes:
        key: `argument-0`, `step-3`, `constant-1`: unique in the report.
        kind: argument, step, result or constant.
        title: The operation, and the variable that takes its value.
        value: The value in short.
        gradient: The gradient in short.
        marks: What deserves a second look.
        more: Everything else, line by line, for hovering.
    """

    key: str
    kind: str
    title: str
    value: str
    gradient: str
    marks: tuple[Mark, ...]
    more: tuple[str, ...]

    @property
    def mark(self) -> str:
        """The marks as the words that stand in the box."""
        return " ".join(self.marks)


class Edge(NamedTuple):
    """From one node's number to another's; `previous` leads to the next iteration."""

    start: int
    end: int
    previous: bool


class Graph(NamedTuple):
    """Nodes, every one after those it reads, and edges, of the function `name`."""

    name: str
    nodes: list[Node]
    edges: list[Edge]


def graph(report: Report) -> Graph:
    """What the pictures of a report draw."""
    read = [(step, o) for step in report.steps for o in step.inputs]
    used = {o.index for _, o in read if o.kind == "argument"}
    arguments = [
        a for a in report.arguments if a.index in used or a.gradient is not None
    ]
    arrays = dict.fromkeys(o.label for _, o in read if _is_array(o))
    found = marks(report)
    nodes = [_argument(a, found.get(key_of(a), ())) for a in arguments]
    nodes += [_constant(i, label) for i, label in enumerate(arrays)]
    first = len(nodes)
    nodes += [_step(s, found.get(key_of(s), ()), report) for s in report.steps]
    number: dict[Any, int] = {("argument", a.index): i for i, a in enumerate(arguments)}
    number |= {label: len(arguments) + i for i, label in enumerate(arrays)}
    number |= {("step", s.index): first + i for i, s in enumerate(report.steps)}
    edges = dict.fromkeys(
        Edge(start, number["step", step.index], operand.previous)
        for step, operand in read
        for start in [number.get(_key(operand))]
        if start is not None
    )
    return Graph(report.name, nodes, list(edges))


def _key(operand: Operand):
    if operand.kind == "constant":
        return operand.label if _is_array(operand) else None
    return (operand.kind, operand.index)


def _is_array(operand: Operand) -> bool:
    """Whether a constant is worth a node: an array, not a number in the source."""
    return operand.kind == "constant" and not _is_number(operand.label)


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return label in ("True", "False") or label.endswith("j")
    return True


def _argument(argument: Argument, found: tuple[Mark, ...]) -> Node:
    path, kind, value, gradient = argument_row(argument, short=True)
    _, _, long_value, long_gradient = argument_row(argument)
    more = (
        f"{path}: {kind}",
        f"value {long_value}",
        f"gradient {long_gradient}",
        *_meanings(found),
    )
    gradient = "none" if argument.gradient is None else gradient
    return Node(key_of(argument), "argument", path, value, gradient, found, more)


def _constant(index: int, label: str) -> Node:
    more = (f"{label}: an array that the function closes over",)
    return Node(f"constant-{index}", "constant", label, "constant", "none", (), more)


def _step(step: Step, found: tuple[Mark, ...], report: Report) -> Node:
    short = rows_of(step, short=True)
    title = step.operation
    if step.name != step.operation:
        title = f"{step.operation}: {step.name}"
    kind = "result" if step.index == report.result else "step"
    values = "; ".join(row[2] for row in short)
    gradients = "; ".join(
        "none" if gradient is None else row[3]
        for row, (_, gradient) in zip(short, step.results, strict=True)
    )
    if set(gradients.split("; ")) == {"none"}:
        gradients = "none"
    more = _more(step, found)
    return Node(key_of(step), kind, title, values, gradients, found, more)


def _more(step: Step, found: tuple[Mark, ...]) -> tuple[str, ...]:
    named = "" if step.name == step.operation else f"{step.name} = "
    lines = [f"{named}{step.operation}, step {step.index}"]
    for name, kind, value, gradient in rows_of(step):
        lead = f"{name}: " if step.outputs else ""
        lines += [f"{lead}{kind}", f"value {value}", f"gradient {gradient}"]
    if step.inputs:
        lines.append("reads " + ", ".join(_operand(o) for o in step.inputs))
    if step.source.line:
        lines.append(f"{place(step.source)} in {step.source.function}")
        lines.append(step.source.text)
    optional = {
        "scope": step.scope,
        "in": step.part and _part(step),
        "also named": ", ".join(dict.fromkeys(step.aliases)),
        "via": step.source.via[0] if step.source.via else "",
    }
    lines += [f"{key} {text}" for key, text in optional.items() if text]
    return (*lines, *_meanings(found))


def _meanings(found: tuple[Mark, ...]) -> tuple[str, ...]:
    return tuple(f"{mark}: {MEANING[mark]}" for mark in found)


def _part(step: Step) -> str:
    turns = " x ".join(map(str, step.loop))
    return f"{step.part}, {turns} iterations" if turns else step.part


def _operand(operand: Operand) -> str:
    before = " of the iteration before" if operand.previous else ""
    number = f" ({operand.index})" if operand.kind == "step" else ""
    return f"{operand.label}{number}{before}"
