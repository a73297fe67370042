"""The cause of another loss, by trial: theirs is run again in other ways."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.torch_run.training import switched_off
from jaxgrad.inspection.trajectories.judging import Runs
from jaxgrad.inspection.trajectories.runs import observed, record_of
from jaxgrad.inspection.trajectories.state import State

if TYPE_CHECKING:
    from jaxgrad.inspection.trajectories.search import Case

MOST = 64  # Other batches that are tried
CLOSE = 2e-5
Found = tuple[str, str]


def loss_cause(case: "Case", runs: Runs, step: int) -> Found:
    """A word and a sentence for the probable cause."""
    found = _ratio(runs, step) or _penalty(runs, step)
    if found is None and case.theirs.can_restart:
        found = next(filter(None, _replayed(case, step)), None)
    return found or ("", "")


def _ratio(runs: Runs, step: int) -> Found | None:
    """A constant factor from the first step on."""
    theirs, ours = (side.losses for side in (runs.theirs, runs.ours))
    ratio = ours / np.where(theirs == 0, np.nan, theirs)
    near = ratio[step : step + 2]
    if step or not np.allclose(near, near[0], rtol=1e-4):
        return None
    factor = float(near[0])
    more = factor if factor > 1 else 1 / factor
    if abs(more - round(more)) < 1e-4 * more and round(more) > 1:
        times = f"{round(more)} times" if factor > 1 else f"1/{round(more)} of"
        return "reduction", f"Our loss is {times} theirs: a sum for a mean, or another count."
    return None


def _penalty(runs: Runs, step: int) -> Found | None:
    """A sum of squares of the parameters that is added to the loss."""
    steps = range(step, min(step + 3, len(runs.theirs.losses)))
    squares = []
    for t in steps:
        row = runs.ours.parameters[t]
        if any(p is None for p in row):
            return None
        squares.append(sum(float(p @ p) for p in row))  # pyright: ignore
    rest = np.array([runs.ours.losses[t] - runs.theirs.losses[t] for t in steps])
    factors = rest / np.maximum(squares, 1e-300)
    if len(factors) < 2 or not np.allclose(factors, factors[0], rtol=1e-3):
        return None
    who = "Our" if factors[0] > 0 else "Their"
    size = number(abs(float(factors[0])), 3)
    return "weight decay", f"{who} loss contains {size} times the squared parameters."


def _replayed(case: "Case", step: int) -> Iterator[Found | None]:
    """Theirs once more up to the step, which is then made in other ways."""
    wanted = case.first[1].records[step].loss
    with case.theirs.started() as call:
        for batch in case.batches[:step]:
            call(batch)
        here = State(call)

        def loss(batch: Any) -> float:
            here.restore()
            return record_of("compare_training", call(batch)).loss

        own = case.batches[step]
        yield from _modes(call, lambda: loss(own), wanted)
        yield _random(lambda: loss(own))
        yield _after(case, loss, call, step, wanted)
        for j, batch in enumerate(case.batches[:MOST]):
            if j != step and _close(loss(batch), wanted):
                yield "batch order", f"In step {step} ours has the batch of step {j}."
        here.restore()


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= CLOSE * max(abs(a), abs(b), 1e-12)


def _modes(call: Any, loss: Any, wanted: float) -> Iterator[Found | None]:
    """Dropout and batch norm in evaluation mode."""
    kinds = {
        "Dropout": ("dropout", "Dropout is active in theirs only."),
        "BatchNorm": ("batch norm", "Ours normalizes with the running statistics."),
        "": ("mode", "Ours is in evaluation mode."),
    }
    with observed(call) as seen:
        for kind, found in kinds.items() if seen is not None else ():
            with switched_off(seen.modules, kind) as any_off:  # pyright: ignore
                if any_off and _close(loss(), wanted):
                    yield found
    yield None


def _random(loss: Any) -> Found | None:
    """Whether theirs draws random numbers."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    before = loss()
    state = torch.get_rng_state
    torch.manual_seed(int(state()[:4].sum()) + 1)
    return None if _close(before, _with_seed(loss, torch)) else (
        "random numbers",
        "Theirs draws random numbers (dropout, noise), which ours cannot repeat.",
    )


def _with_seed(loss: Any, torch: Any) -> float:
    """The loss with another seed, which must survive the restoring."""
    seed, restore = torch.manual_seed, torch.set_rng_state
    torch.set_rng_state = lambda _: seed(20_240_229)
    try:
        return loss()
    finally:
        torch.set_rng_state = restore


def _after(case: "Case", loss: Any, call: Any, step: int, wanted: float) -> Found | None:
    """Whether ours returns the loss after the update."""
    loss(case.batches[step])
    again = record_of("compare_training", call(case.batches[step])).loss
    if _close(again, wanted):
        return "loss after the update", "Ours returns the loss after the update."
    return None
