"""What deserves a second look among the steps of a report."""

from typing import Literal

import numpy as np

from jaxgrad.inspection._steps import Explanation, Step

Mark = Literal["non-finite", "exploding", "dead", "zero"]

Marks = dict[int, tuple[Mark, ...]]

EXPLODING = 1e3
MEANING: dict[Mark, str] = {
    "non-finite": "the value or the gradient holds NaN or infinite elements",
    "exploding": f"the gradient's norm is over {EXPLODING:g} times the median",
    "dead": "the gradient is zero everywhere",
    "zero": "the value is zero everywhere",
}


def marks(report: Explanation) -> Marks:
    """The marks of the steps that have one, by the step's index."""
    norms = [
        gradient.norm
        for step in report.steps
        for _, gradient in step.summaries
        if gradient and np.isfinite(gradient.norm) and gradient.norm > 0
    ]
    limit = EXPLODING * float(np.median(norms)) if norms else np.inf
    found = {step.index: _marks(step, limit) for step in report.steps}
    return {index: each for index, each in found.items() if each}


def has_nonfinite(report: Explanation) -> bool:
    """Whether a step, an argument or a gradient holds NaN or infinite elements."""
    summaries = [s for step in report.steps for pair in step.summaries for s in pair]
    summaries += [s for argument in report.arguments for s in argument.summaries]
    return any(s.nonfinite for s in summaries if s)


def _marks(step: Step, limit: float) -> tuple[Mark, ...]:
    values = [value for value, _ in step.summaries if value and value.size]
    gradients = [grad for _, grad in step.summaries if grad and grad.size]
    tests: dict[Mark, bool] = {
        "non-finite": any(s.nonfinite for s in (*values, *gradients)),
        "exploding": any(s.norm > limit for s in gradients),
        "dead": bool(gradients) and all(s.zeros == s.size for s in gradients),
        "zero": bool(values) and all(s.zeros == s.size for s in values),
    }
    return tuple(mark for mark, applies in tests.items() if applies)
