"""Which line of a repetition changes the gradient most.

Between one repetition and the next, only the steps that everything passes are
compared: in h = sigmoid(w @ h) the product and the sigmoid, in a residual block only
the sum.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from jaxgrad.inspection.faults.flow.chains import Flow
from jaxgrad.inspection.faults.flow.graph import Graph, gradient_norms
from jaxgrad.inspection.report.data import Kind, Step


def worst_step(graph: Graph, flow: Flow, kind: Kind) -> Step:
    """The step of the line that has the largest part in a flow."""
    sign = -1 if kind == "vanishing" else 1
    by_line: dict[object, list[tuple[float, Step]]] = {}
    for step, change in _changes(graph, flow):
        line = step.source.file, step.source.line
        by_line.setdefault(line, []).append((sign * change, step))
    if not by_line:
        return _innermost(graph, flow.steps[0])
    line = max(by_line.values(), key=lambda found: sum(change for change, _ in found))
    return _innermost(graph, max(line, key=lambda found: found[0])[1])


def _innermost(graph: Graph, step: Step) -> Step:
    """What the loop inside a step hands to its next iteration, or the step itself."""
    for operand in graph.operands(step):
        if len(operand.loop) > len(step.loop) and operand in graph.carried:
            return _innermost(graph, operand)
    return step


def _changes(graph: Graph, flow: Flow) -> Iterator[tuple[Step, float]]:
    """The logarithm by which each step changes the gradient's norm, going back."""
    if flow.along == "time":
        (step,) = flow.steps
        reading = [s for s in graph.steps if step in graph.operands(s, True)]
        inside = [s for s in graph.steps if s.loop == step.loop and s.taken is None]
        starts = [s for s in inside if s in reading]
        between = [
            s
            for s in inside
            if graph.leads(s, step) and any(graph.leads(start, s) for start in starts)
        ]
        yield from _along(step, _passed_by_all(graph, between, starts), shift=1)
    for step, following in pairwise(flow.steps):
        between = [
            s
            for s in graph.steps[step.index + 1 : following.index + 1]
            if not s.loop and graph.depends(s, step) and graph.leads(s, following)
        ]
        starts = [s for s in between if step in graph.operands(s)]
        yield from _along(step, _passed_by_all(graph, between, starts), shift=0)


def _along(
    earlier: Step, steps: Sequence[Step], shift: int
) -> Iterator[tuple[Step, float]]:
    """The changes of consecutive steps; `shift` 1 if the first is an iteration back."""
    for step in steps:
        before, after = gradient_norms(earlier), gradient_norms(step)
        if shift:
            before, after, shift = before[:-1], after[1:], 0
        if before.shape == after.shape:
            usable = (before > 0) & (after > 0) & np.isfinite(before * after)
            logs = np.log(before[usable] / after[usable])
            if logs.size:
                yield step, float(logs.mean())
        earlier = step


def _passed_by_all(
    graph: Graph, between: Sequence[Step], starts: Sequence[Step]
) -> list[Step]:
    """The steps that no path from the starts to the last step goes around."""
    known = {step.index for step in between}
    furthest = {start.index: -1 for start in starts}
    passed, reach = [], {}
    for step in between:
        read = [s.index for s in graph.operands(step) if s.index in known]
        reach[step.index] = min([*read, furthest.get(step.index, step.index)])
    for step in between:
        later = (reach[s.index] for s in between if s.index > step.index)
        if all(index >= step.index for index in later):
            passed.append(step)
    return passed
