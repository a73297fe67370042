"""What deserves a second look in a report."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from jaxgrad.inspection.report.data import Argument, Report, Step
from jaxgrad.inspection.report.summary import Summary

Mark = Literal["blamed", "non-finite", "exploding", "dead", "zero"]

Marks = dict[str, tuple[Mark, ...]]

EXPLODING = 1e3
MEANING: Mapping[str, str] = {
    "blamed": "it made the first NaN or infinity that reaches a result",
    "non-finite": "the value or the gradient holds NaN or infinite elements",
    "exploding": f"the gradient's norm is over {EXPLODING:g} times the steps' median",
    "dead": "the gradient is zero everywhere",
    "zero": "the value is zero everywhere",
}


def key_of(thing: Step | Argument) -> str:
    """`step-3` or `argument-0`: unique in the report."""
    kind = "step" if isinstance(thing, Step) else "argument"
    return f"{kind}-{thing.index}"


def marks(report: Report) -> Marks:
    """The marks of the steps and arguments that have one, by their keys."""
    norms = [
        gradient.norm
        for step in report.steps
        for _, gradient in step.summaries
        if gradient and np.isfinite(gradient.norm) and gradient.norm > 0
    ]
    limit = EXPLODING * float(np.median(norms)) if norms else np.inf
    found = {key_of(step): _marks(step.summaries, limit) for step in report.steps}
    for argument in report.arguments:
        # That biases start at zero is nothing to look at.
        given = _marks([argument.summaries], limit)
        found[key_of(argument)] = tuple(mark for mark in given if mark != "zero")
    culprit = _culprit(report)
    if culprit in found:
        found[culprit] = ("blamed", *(m for m in found[culprit] if m != "non-finite"))
    return {key: each for key, each in found.items() if each}


def _culprit(report: Report) -> str:
    """The key of the step or argument that is blamed for a NaN; empty if none is."""
    if not has_nonfinite(report) or (blame := report.nonfinite) is None:
        return ""
    for argument in report.arguments:
        if blame.phase == "input" and argument.path == blame.argument:
            return key_of(argument)
    for step in report.steps:
        if blame.step is not None and _same(step, blame.step):
            return key_of(step)
    return ""


def _same(step: Step, other: Step) -> bool:
    """Whether two walks of the program, the report's and the blame's, name one step."""
    return (step.index, step.name, step.source) == (
        other.index,
        other.name,
        other.source,
    )


def named(found: Marks) -> list[tuple[str, str]]:
    """Each mark that was given, once, and what it means."""
    given = dict.fromkeys(mark for each in found.values() for mark in each)
    return [(mark, MEANING[mark]) for mark in given]


def has_nonfinite(report: Report) -> bool:
    """Whether a step, an argument or a gradient holds NaN or infinite elements."""
    summaries = [s for step in report.steps for pair in step.summaries for s in pair]
    summaries += [s for argument in report.arguments for s in argument.summaries]
    return any(s.nonfinite for s in summaries if s)


def _marks(
    summaries: Sequence[tuple[Summary | None, Summary | None]], limit: float
) -> tuple[Mark, ...]:
    values = [value for value, _ in summaries if value and value.size]
    gradients = [grad for _, grad in summaries if grad and grad.size]
    tests: dict[Mark, bool] = {
        "non-finite": any(s.nonfinite for s in (*values, *gradients)),
        "exploding": any(limit < s.norm < np.inf for s in gradients),
        "dead": bool(gradients) and all(s.zeros == s.size for s in gradients),
        "zero": bool(values and gradients) and all(s.zeros == s.size for s in values),
    }
    return tuple(mark for mark, applies in tests.items() if applies)
