"""The steps of a report as a graph: what each depends on, and how large gradients are.

Sets of steps are integers with one bit for each step, which is fast for the thousands
of steps of an unrolled loop.
"""

from functools import cached_property, reduce
from operator import and_, or_

import numpy as np

from jaxgrad.inspection.report.data import Report, Step


class Graph:
    """The steps of a report and their edges."""

    def __init__(self, report: Report) -> None:
        self.steps = report.steps
        self.arguments = report.arguments

    def operands(self, step: Step, previous: bool = False) -> list[Step]:
        """The steps that a step reads, in its own iteration or in the previous one."""
        read = [o for o in step.inputs if o.kind == "step" and o.previous == previous]
        return [self.steps[o.index] for o in read if o.index is not None]

    @cached_property
    def before(self) -> list[int]:
        """For each step the steps it depends on, in the same iteration."""
        before: list[int] = []
        for step in self.steps:
            read = [s.index for s in self.operands(step) if s.index < step.index]
            before.append(reduce(or_, (before[i] | 1 << i for i in read), 0))
        return before

    def arguments_of(self, step: Step) -> set[int]:
        """The arguments that a step depends on, by number."""
        reached = self.before[step.index] | 1 << step.index
        steps = (s for s in self.steps if reached >> s.index & 1)
        read = (o for s in steps for o in s.inputs if o.kind == "argument")
        return {o.index for o in read if o.index is not None}

    @cached_property
    def readers(self) -> list[list[Step]]:
        """For each step those that read it and have a gradient."""
        readers: list[list[Step]] = [[] for _ in self.steps]
        for step in filter(has_gradient, self.steps):
            for operand in self.operands(step):
                readers[operand.index].append(step)
        return readers

    @cached_property
    def after(self) -> list[int]:
        """For each step those that all its gradient comes through, and itself."""
        after = [1 << step.index for step in self.steps]
        for step in reversed(self.steps):
            through = [after[reader.index] for reader in self.readers[step.index]]
            after[step.index] |= reduce(and_, through) if through else 0
        return after

    def depends(self, step: Step, on: Step) -> bool:
        """Whether a step depends on another in the same iteration."""
        return bool(self.before[step.index] >> on.index & 1)

    def leads(self, step: Step, to: Step) -> bool:
        """Whether a step is another one, or the other one depends on it."""
        return step is to or self.depends(to, step)

    def all_through(self, step: Step, later: Step) -> bool:
        """Whether all of a step's gradient comes through a later step."""
        return bool(self.after[step.index] >> later.index & 1)

    @cached_property
    def carried(self) -> list[Step]:
        """What loops hand to their next iteration, the innermost loops first."""
        indices = {s.index for step in self.steps for s in self.operands(step, True)}
        steps = [self.steps[i] for i in sorted(indices)]
        return sorted(steps, key=lambda step: -len(step.loop))


def has_gradient(step: Step) -> bool:
    """Whether a derivative passes through a step."""
    return any(gradient is not None for _, gradient in step.results)


def norms(array: object, step: Step) -> np.ndarray:
    """The norms by iteration of the innermost loop, in the order in which it ran.

    Outside of loops there is one norm; without arrays in a loop there is none.
    """
    return np.linalg.norm(by_iteration(array, step), axis=1)


def by_iteration(array: object, step: Step) -> np.ndarray:
    """The sizes of an array's elements, one row for each iteration as it ran."""
    if not hasattr(array, "__array__"):
        return np.zeros((0, 0))
    x = np.abs(np.asarray(array)).astype(np.float64)
    x = np.moveaxis(x, len(step.loop) - 1, 0) if step.loop else x[None]
    x = x[::-1] if step.reverse else x
    return x.reshape(len(x), -1)


def gradient_norms(step: Step) -> np.ndarray:
    """The norms of the gradient of all results of a step, by iteration."""
    return _together(step, 1)


def value_norms(step: Step) -> np.ndarray:
    """The norms of all results of a step, by iteration."""
    return _together(step, 0)


def _together(step: Step, which: int) -> np.ndarray:
    if step.loop:
        found = [norms(pair[which], step) for pair in step.results]
        known = [each for each in found if each.size]
    else:
        summaries = [pair[which] for pair in step.summaries]
        known = [summary.norm for summary in summaries if summary is not None]
    squares = [np.square(each) for each in known]
    return np.sqrt(np.atleast_1d(sum(squares))) if squares else np.zeros(0)
