"""Marks on the steps and arguments of a report that deserve a second look."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Literal

import numpy as np

from jaxgrad.inspection.report.data import Argument, Finding, Report, Step
from jaxgrad.inspection.report.summary import Summary

Mark = Literal["blamed", "non-finite", "exploding", "dead", "zero"]

Marks = dict[str, tuple[Mark, ...]]

EXPLODING = 1e3
MEANING: Mapping[Mark, str] = {
    "blamed": "made the first NaN or infinity that reaches the value or a gradient",
    "non-finite": "the value or the gradient contains NaN or infinity",
    "exploding": f"the gradient's norm is over {EXPLODING:g} times the steps' median",
    "dead": "the gradient is zero everywhere",
    "zero": "the value is zero everywhere",
}


def key_of(thing: Step | Argument) -> str:
    """`step-3` or `argument-0`: unique in the report."""
    kind = "step" if isinstance(thing, Step) else "argument"
    return f"{kind}-{thing.index}"


def marks(report: Report) -> Marks:
    """The marks by the key of the step or argument; those without any are left out."""
    norms = [
        gradient.norm
        for step in report.steps
        for _, gradient in step.summaries
        if gradient and np.isfinite(gradient.norm) and gradient.norm > 0
    ]
    limit = EXPLODING * float(np.median(norms)) if norms else np.inf
    found = {key_of(step): _marks(step.summaries, limit) for step in report.steps}
    for argument in report.arguments:
        of_argument = _marks([argument.summaries], limit)
        # Biases that start at zero are normal.
        found[key_of(argument)] = tuple(m for m in of_argument if m != "zero")
    finding = finding_in(report)
    blamed = key_in(report, finding) if finding else ""
    if blamed in found:
        found[blamed] = ("blamed", *(m for m in found[blamed] if m != "non-finite"))
    return {key: each for key, each in found.items() if each}


def meanings(found: Marks) -> list[tuple[Mark, str]]:
    """The meaning of each mark that occurs, the gravest first."""
    present = {mark for each in found.values() for mark in each}
    return [(mark, text) for mark, text in MEANING.items() if mark in present]


def finding_in(report: Report) -> Finding | None:
    """What made the first NaN or infinity; None if the report contains none."""
    summaries = [s for step in report.steps for pair in step.summaries for s in pair]
    summaries += [s for argument in report.arguments for s in argument.summaries]
    return report.nonfinite if any(s.nonfinite for s in summaries if s) else None


def key_in(report: Report, finding: Finding) -> str:
    """The key of the step, or else the argument, of a finding; empty without one."""
    # The finding may hold another copy of the step.
    identity = attrgetter("index", "name", "source")
    for step in report.steps:
        if finding.step is not None and identity(step) == identity(finding.step):
            return key_of(step)
    for argument in report.arguments:
        if finding.step is None and argument.path == finding.argument:
            return key_of(argument)
    return ""


def _marks(
    summaries: Sequence[tuple[Summary | None, Summary | None]], limit: float
) -> tuple[Mark, ...]:
    values = [value for value, _ in summaries if value and value.size]
    gradients = [grad for _, grad in summaries if grad and grad.size]
    applies: dict[Mark, bool] = {
        "non-finite": any(s.nonfinite for s in (*values, *gradients)),
        "exploding": any(limit < s.norm < np.inf for s in gradients),
        "dead": bool(gradients) and all(s.zeros == s.size for s in gradients),
        "zero": bool(values and gradients) and all(s.zeros == s.size for s in values),
    }
    return tuple(mark for mark, yes in applies.items() if yes)
