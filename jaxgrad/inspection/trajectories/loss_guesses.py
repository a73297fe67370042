"""The cause of another loss, by trial: theirs is run again in other ways."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.torch_run.training import switched_off
from jaxgrad.inspection.trajectories.case import Case
from jaxgrad.inspection.trajectories.judging import Runs
from jaxgrad.inspection.trajectories.runs import observed, record_of
from jaxgrad.inspection.trajectories.state import State

MOST = 64  # Other batches that are tried
CLOSE = 2e-5
MODES = {
    "Dropout": ("dropout", "Dropout is active in theirs only."),
    "BatchNorm": ("batch norm", "Ours normalizes with the running statistics."),
    "": ("mode", "Ours is in evaluation mode."),
}
RANDOM = "Theirs draws random numbers (dropout, noise), which ours cannot repeat."
Found = tuple[str, str]


def loss_cause(case: Case, runs: Runs, step: int) -> Found:
    """A word and a sentence for the probable cause."""
    found = _ratio(runs, step) or _penalty(runs, step)
    if found is None and case.theirs.can_restart:
        found = next(filter(None, _replayed(case, step)), None)
    return found or ("", "")


def _ratio(runs: Runs, step: int) -> Found | None:
    """A whole number as the factor: a sum for a mean."""
    theirs, ours = (float(side.losses[step]) for side in (runs.theirs, runs.ours))
    if theirs == 0 or ours == 0:
        return None
    factor = ours / theirs
    more = factor if abs(factor) > 1 else 1 / factor
    if abs(more - round(more)) > 1e-5 * abs(more) or round(more) == 1:
        return None
    if round(more) == -1:
        return "sign", "Our loss has the opposite sign."
    times = f"{round(more)} times" if abs(factor) > 1 else f"1/{round(more)} of"
    return (
        "reduction",
        f"Our loss is {times} theirs: a sum for a mean, or another count.",
    )


def _penalty(runs: Runs, step: int) -> Found | None:
    """A round factor times the sum of squares of the parameters, or of the matrices."""
    row, ranks = runs.ours.parameters[step], runs.ranks
    if any(p is None for p in row):
        return None
    squares = np.array([float(p @ p) for p in row])  # pyright: ignore
    rest = float(runs.ours.losses[step] - runs.theirs.losses[step])
    for chosen, what in ((ranks >= 0, "parameters"), (ranks > 1, "weights")):
        factor = rest / max(float(squares[chosen].sum()), 1e-300)
        if any(_round(times * factor) for times in (1, 2)):
            who = "Our" if factor > 0 else "Their"
            size = number(abs(factor), 3)
            return (
                "weight decay",
                f"{who} loss contains {size} times the squared {what}.",
            )
    return None


def _round(value: float) -> bool:
    """Whether a number has two digits, as those that people write."""
    return value != 0 and abs(float(f"{value:.1e}") / value - 1) < 2e-4


def _replayed(case: Case, step: int) -> Iterator[Found | None]:
    """Theirs once more up to the step, which is then made in other ways."""
    ours, own = case.first[1].records[step].loss, case.batches[step]
    with case.theirs.started() as call:
        for batch in case.batches[:step]:
            call(batch)
        here = State(call)

        def loss(batch: Any) -> float:
            return record_of("compare_training", call(batch)).loss

        with observed(call) as seen:
            modules = {} if seen is None else seen.modules
            for kind, found in MODES.items():
                here.restore()
                with switched_off(modules, kind) as any_off:
                    if any_off and _close(loss(own), ours):
                        yield found
        here.restore()
        first = loss(own)
        if _close(loss(own), ours):
            yield "loss after the update", "Ours returns the loss after the update."
        here.restore(seed=first)
        if not _close(loss(own), first):
            yield "random numbers", RANDOM
        for j, batch in enumerate(case.batches[:MOST]):
            here.restore()
            if j != step and _close(loss(batch), ours):
                yield "batch order", f"In step {step} ours has the batch of step {j}."
        here.restore()


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= CLOSE * max(abs(a), abs(b), 1e-12)
