"""The probable cause of a difference of two trainings, by trial."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.trajectories.case import Case
from jaxgrad.inspection.trajectories.judging import Excess, Runs
from jaxgrad.inspection.trajectories.loss_guesses import loss_cause
from jaxgrad.inspection.trajectories.optimizer_guesses import (
    common_rule,
    rule_of,
    variant,
    with_clip,
)
from jaxgrad.inspection.trajectories.rules import Data, data_of
from jaxgrad.inspection.trajectories.series import Leaves, Series

AFTER = 12  # Steps after the first difference that a trial has to explain
CLOSE = 1e-2  # A trial must leave at most this share of a gradient's difference
Found = tuple[str, str]


def guess(case: Case, runs: Runs, excess: Excess) -> Found:
    """A word and a sentence for the probable cause; empty if no trial succeeds."""
    if excess.what == "parameter":
        return "start", "The parameters differ before the first step."
    if excess.what == "loss":
        return loss_cause(case, runs, excess.step)
    trial = gradient_cause if excess.what == "gradient" else update_cause
    return trial(case, runs, excess)


def update_cause(case: Case, runs: Runs, excess: Excess) -> Found:
    """What our optimizer does otherwise."""
    still, moves = _still(runs, excess)
    if still and not moves:
        return "not updated", f"{still} does not update these parameters."
    found = _exchanged(case, runs, excess)
    if still and not found[0]:
        text = f"{still} does not update in step {excess.step}, but in others: it "
        return "accumulation", f"{text}accumulates gradients over steps."
    return found


def _exchanged(case: Case, runs: Runs, excess: Excess) -> Found:
    """Which setting of the optimizer is another."""
    end = min(excess.step + AFTER, len(runs.theirs.losses))
    theirs, ours = (_data(side, end, runs.ranks) for side in (runs.theirs, runs.ours))
    if theirs is None or ours is None:
        return "", ""
    names = [pair.theirs for pair in case.pairs]
    rule = rule_of([dict(r.settings) for r in case.first[0].records[:end]], names)
    used = _data(runs.theirs, end, runs.ranks, used=True)
    if rule is None or used is None:
        rule = common_rule(theirs)
    elif runs.theirs.gradients is runs.theirs.raw:
        rule = with_clip(rule, theirs, used.gradients)
    return variant(rule, ours, excess.step) if rule is not None else ("", "")


def _data(run: Series, end: int, ranks: np.ndarray, used: bool = False) -> Data | None:
    gradients = run.used if used else run.gradients
    updates = [run.updates(i) for i in range(end)]
    return data_of(gradients[:end], run.parameters[:end], updates, ranks)


def _still(runs: Runs, excess: Excess) -> tuple[str, bool]:
    """Who does not move the parameters, and whether they move in other steps."""
    for side, who in ((runs.ours, "Ours"), (runs.theirs, "Theirs")):
        u = [side.updates(excess.step)[i] for i in excess.leaves]
        if all(x is not None and not x.any() for x in u):
            return who, any(bool(np.any(x)) for x in _moves(side, excess))
    return "", False


def _moves(side: Series, excess: Excess) -> Iterator[Any]:
    for step in range(len(side.losses)):
        yield from (side.updates(step)[i] for i in excess.leaves)


def gradient_cause(case: Case, runs: Runs, excess: Excess) -> Found:
    """How our gradients differ from theirs."""
    step = excess.step
    both = _known(runs, step)
    if not both:
        return "", ""
    theirs, ours = (list(x) for x in zip(*both, strict=True))
    parted = [both_of for i, both_of in enumerate(both) if _far(*both_of)]
    for side, who in ((1, "Ours"), (0, "Theirs")):
        if parted and all(not np.any(pair[side]) for pair in parted):
            return "no gradient", f"{who} has no gradient for these parameters."
    for trial in (_factor, _each_factor, _value, _decay):
        found = trial(runs, step, theirs, ours)
        if found is not None:
            return found
    return _of_other_steps(runs, step)


def _known(runs: Runs, step: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rows = runs.theirs.gradients[step], runs.ours.gradients[step]
    return [
        (a, b) for a, b in zip(*rows, strict=True) if a is not None and b is not None
    ]


def _far(a: np.ndarray, b: np.ndarray) -> bool:
    return not _near(a, b, 1e-5)


def _near(a: np.ndarray, b: np.ndarray, share: float = 1e-5) -> bool:
    return float(np.linalg.norm(a - b)) <= share * float(np.linalg.norm(b))


def _all(arrays: list[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(x) for x in arrays])


def _share(a: np.ndarray, b: np.ndarray) -> float:
    """What must be left of the difference of two gradients if a trial explains it."""
    return max(
        CLOSE * float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300)), 1e-9
    )


def _factor(
    runs: Runs, step: int, theirs: list[np.ndarray], ours: list[np.ndarray]
) -> Found | None:
    """One factor for all: a sum for a mean, or clipping."""
    a, b = _all(theirs), _all(ours)
    factor = float(a @ b) / max(float(a @ a), 1e-300)
    if not _near(factor * a, b, min(_share(a, b), 1e-4)):
        return None
    for gradients, who, below in ((b, "Ours", factor < 1), (a, "Theirs", factor > 1)):
        side = runs.ours if who == "Ours" else runs.theirs
        if below and _is_clipped(side, float(np.linalg.norm(gradients))):
            size = number(float(np.linalg.norm(gradients)), 4)
            return "clipping", f"{who} clips the gradients to a norm of {size}."
    return _ratio(factor, "gradients")


def _is_clipped(side: Series, norm: float) -> bool:
    """Whether no gradient is larger, and one more is as large or the norm is round."""
    norms = np.array(
        [
            float(np.linalg.norm(_all([x for x in g if x is not None])))
            for g in side.gradients
        ]
    )
    equal = np.abs(norms / norm - 1) < 1e-4
    near = abs(float(f"{norm:.2g}") / norm - 1) < 1e-4
    return bool((norms <= norm * (1 + 1e-4)).all() and (equal.sum() > 1 or near))


def _ratio(factor: float, what: str) -> Found:
    """A factor in words."""
    if abs(factor + 1) < 1e-4:
        return "sign", f"Our {what} have the opposite sign."
    more = factor if abs(factor) > 1 else 1 / factor
    times = (
        f"{number(round(more, 4))} times"
        if abs(factor) > 1
        else f"1/{number(round(more, 4))} of"
    )
    if abs(more - round(more)) < 1e-3 * more:
        text = f"Our {what} are {times} theirs: a sum for a mean, or another count."
        return "reduction", text
    return "scale", f"Our {what} are {number(factor, 5)} times theirs."


def _each_factor(
    runs: Runs, step: int, theirs: list[np.ndarray], ours: list[np.ndarray]
) -> Found | None:
    """One factor for each parameter."""
    factors = [
        float(a @ b) / max(float(a @ a), 1e-300)
        for a, b in zip(theirs, ours, strict=True)
    ]
    pairs = zip(factors, theirs, ours, strict=True)
    if not all(
        _near(f * a, b, min(_share(a, b), 1e-4)) or not _far(a, b) for f, a, b in pairs
    ):
        return None
    changed = [i for i, f in enumerate(factors) if abs(f - 1) > 1e-5]
    norms = np.array([np.linalg.norm(ours[i]) for i in changed])
    if (
        len(changed) > 1
        and np.ptp(norms) < 1e-4 * norms.max()
        and max(factors) < 1 + 1e-5
    ):
        size = number(float(norms[0]), 4)
        text = f"Ours clips the gradient of each parameter to a norm of {size}."
        return "clipping", text
    several = [factors[i] for i in changed]
    if several and np.ptp(several) < 1e-4 * abs(several[0]):
        word, text = _ratio(several[0], "gradients of these parameters")
        return word, text
    return "scale", "Our gradients differ by another factor for each parameter."


def _value(
    runs: Runs, step: int, theirs: list[np.ndarray], ours: list[np.ndarray]
) -> Found | None:
    for who, a, b in (
        ("Ours", _all(theirs), _all(ours)),
        ("Theirs", _all(ours), _all(theirs)),
    ):
        most = float(np.abs(b).max())
        if (np.abs(a) > most * (1 + 1e-6)).any() and _near(
            np.clip(a, -most, most), b, 1e-4
        ):
            return (
                "clipping",
                f"{who} clips the gradients to values up to {number(most)}.",
            )
    return None


def _decay(
    runs: Runs, step: int, theirs: list[np.ndarray], ours: list[np.ndarray]
) -> Found | None:
    """A term in proportion to the parameters."""
    parameters = [
        p
        for p, a, b in zip(
            runs.theirs.parameters[step],
            runs.theirs.gradients[step],
            runs.ours.gradients[step],
            strict=True,
        )
        if a is not None and b is not None
    ]
    if any(p is None for p in parameters):
        return None
    rows = [
        (p, b - a)
        for p, a, b in zip(parameters, theirs, ours, strict=True)
        if _far(a, b)
    ]
    if not rows:
        return None
    p, rest = (_all(list(x)) for x in zip(*rows, strict=True))
    factor = float(p @ rest) / max(float(p @ p), 1e-300)
    if not _near(factor * p, rest, 0.02):
        return None
    who = "Our" if factor > 0 else "Their"
    size = number(abs(factor), 3)
    return "weight decay", f"{who} gradients contain {size} times the parameters (L2)."


def _of_other_steps(runs: Runs, step: int) -> Found:
    """Gradients of earlier steps, alone or added."""
    if step == 0:
        return "", ""
    theirs, ours = (_row(side, step) for side in (runs.theirs, runs.ours))
    before = _row(runs.theirs, step - 1), _row(runs.ours, step - 1)
    trials = (
        (
            "accumulation",
            "Ours adds to the gradients of the steps before, which are not zeroed.",
            theirs + before[1],
            ours,
        ),
        (
            "accumulation",
            "Theirs adds to the gradients of the steps before, which are not zeroed.",
            ours + before[0],
            theirs,
        ),
        ("late", "Ours has the gradients of the step before.", before[0], ours),
        (
            "accumulation",
            "Ours has the mean of two steps' gradients.",
            (theirs + before[0]) / 2,
            ours,
        ),
    )
    for word, text, candidate, target in trials:
        if _near(candidate, target, 1e-3) and not _near(theirs, ours, 1e-3):
            return word, text
    return "", ""


def _row(side: Series, step: int) -> np.ndarray:
    row: Leaves = side.gradients[step]
    return _all([x for x in row if x is not None])
