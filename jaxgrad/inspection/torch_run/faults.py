"""The first NaN or infinity of a report, by the report's own numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgrad.inspection.report.data import Argument, Phase, Report, Step
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.report.summary import summarize

NO_HINT = "PyTorch's programs are not searched for the cause."


def first_nonfinite(report: Report) -> Blame | None:
    """What made the first NaN or infinity that the value or a gradient shows.

    Forward, the first step behind the value that is not finite. Backward, the step
    that turned a finite gradient into one of an operand that is not.
    """
    if _bad(report.value):
        return _forward(report)
    if any(map(_bad, report.gradients.values())):
        return _backward(report)
    return None


def _forward(report: Report) -> Blame | None:
    behind = _behind(report)
    for argument in report.arguments:
        summary = argument.summaries[0]
        if summary and summary.nonfinite and ("argument", argument.index) in behind:
            count = summary.nonfinite
            return Blame("input", None, argument.path, None, count, {}, NO_HINT)
    for step in report.steps:
        count = sum(value.nonfinite for value, _ in step.summaries if value)
        if count and ("step", step.index) in behind:
            return _blame("forward", step, count)
    return None


def _backward(report: Report) -> Blame | None:
    for step in reversed(report.steps):
        counts = [_gradient_of(thing) for thing in _operands(report, step)]
        if any(counts) and any(gradient for _, gradient in step.summaries):
            return _blame("backward", step, max(counts))
    return None


def _blame(phase: Phase, step: Step, count: int) -> Blame:
    return Blame(phase, step, None, None, count, {}, NO_HINT, source=step.source)


def _behind(report: Report) -> set[tuple[str, int | None]]:
    """The steps and arguments that the value depends on."""
    pending = [("step", report.result)] if report.result is not None else []
    seen: set[tuple[str, int | None]] = set()
    while pending:
        kind, index = key = pending.pop()
        if key not in seen and index is not None:
            seen.add(key)
            inputs = report.steps[index].inputs if kind == "step" else ()
            pending += [(each.kind, each.index) for each in inputs]
    return seen


def _operands(report: Report, step: Step) -> Iterator[Step | Argument]:
    for operand in step.inputs:
        if operand.index is not None:
            things = report.steps if operand.kind == "step" else report.arguments
            yield things[operand.index]


def _gradient_of(thing: Step | Argument) -> int:
    """How many elements of the gradient are not finite."""
    pairs = [thing.summaries] if isinstance(thing, Argument) else thing.summaries
    return sum(gradient.nonfinite for _, gradient in pairs if gradient)


def _bad(value: Any) -> bool:
    value = value[0] if isinstance(value, tuple) else value
    return summarize(np.asarray(value)).nonfinite > 0
