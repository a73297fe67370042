"""From two trainings to the first real difference.

Both run as they are. If both also run in double precision, that run decides: there the
rounding of float32 is gone, and a real difference stays as large as it was. Otherwise
the run as it is decides, by the distance of theirs to itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgrad.inspection.trajectories.case import Case
from jaxgrad.inspection.trajectories.guesses import guess
from jaxgrad.inspection.trajectories.judging import (
    Excess,
    Precision,
    Runs,
    first_excess,
)
from jaxgrad.inspection.trajectories.leaves import Leaf, pairs_of
from jaxgrad.inspection.trajectories.records import Trajectory
from jaxgrad.inspection.trajectories.result import (
    Row,
    TrainingComparison,
    TrainingDifference,
)
from jaxgrad.inspection.trajectories.runs import (
    Training,
    batch_in_double,
    double,
    in_double_precision,
    moved,
)

UNIT, DOUBLE = 2.0**-24, 2.0**-53
JUMP = 1e3  # Times the distance of the parameters before
LEAST = 1e-4  # The relative size of a jump in chaos
PARTED = 1e4  # Units apart at the end that count as rounding that grows
MOVES = (1, 16)  # Units by which the start is moved; for 16, a quarter of the distance


def comparison_of(
    theirs: Training,
    ours: Training,
    batches: Sequence[Any],
    names: Mapping[str, str] | None,
) -> TrainingComparison:
    """Run both, and say where they part."""
    first = theirs.run(batches), ours.run(batches)
    pairs = pairs_of(*first, names)
    case = Case(theirs, ours, batches, first, pairs, _unit(first), [])
    theirs.check_restart(batches, first[0])
    if case.unit > DOUBLE:
        ours.check_restart(batches, first[1])
    plainly = case.compared(first, _moved(case), _plain(case.unit))
    doubled = _doubled(case) if case.unit > DOUBLE else None
    runs = plainly if doubled is None else doubled
    excess = first_excess(runs)
    if excess is None and doubled is not None:
        excess = _jump(case, doubled)
    return _result(case, plainly, doubled, excess, runs)


def _unit(runs: tuple[Trajectory, Trajectory]) -> float:
    """The coarser unit of the two runs' parameters or gradients."""
    import jax.numpy as jnp

    units = [
        float(jnp.finfo(x.dtype).eps) / 2
        for run in runs
        for x in [*(run.records[0].parameters or run.records[0].gradients).values()][:1]
    ]
    return max(units, default=UNIT)


def _plain(unit: float) -> Precision:
    return Precision(unit, unit, 5000 * unit)


def _moved(case: Case) -> list[Trajectory]:
    """Theirs from starts that are moved by units in the last place."""
    if not case.theirs.can_restart:
        case.notes.append(
            "Theirs does not repeat its first steps when it is started again, so its "
            "own distance from a moved start is not known."
        )
        return []
    shapes = _shapes(case)
    return [
        case.theirs.run(case.batches, moved(2 * n * case.unit, shapes, None))
        for n in MOVES
    ]


def _shapes(case: Case) -> set[tuple[int, ...]]:
    return {x.shape for x in case.first[0].records[0].parameters.values()}


def _doubled(case: Case) -> Runs | None:
    """Both runs in double precision; None if that is not possible."""
    if not (case.theirs.can_restart and case.ours.can_restart):
        case.notes.append(
            "Not started again in float64: a step does not repeat itself."
        )
        return None
    try:
        with double():
            batches = [batch_in_double(batch) for batch in case.batches]
            both = (
                case.theirs.run(batches, in_double_precision),
                case.ours.run(batches, in_double_precision),
            )
            move = moved(2 * UNIT, _shapes(case), in_double_precision)
            own = case.theirs.run(batches, move)
    except Exception as error:  # what the user's step raises in another dtype
        reason = f"{type(error).__name__}: {error}".split("\n")[0][:150]
        case.notes.append(f"No run in float64 beside: {reason}")
        return None
    if _unit(both) > DOUBLE or min(_units(both)) > DOUBLE:
        case.notes.append("No run in float64 beside: the parameters stay in float32.")
        return None
    runs = case.compared(both, [own], Precision(UNIT, DOUBLE, 16 * UNIT, 8.0))
    again = zip(both, case.first, strict=True)
    if not all(
        np.isclose(a.records[0].loss, b.records[0].loss, 1e-2, 1e-4) for a, b in again
    ):
        case.notes.append("No run in float64 beside: its first loss is another one.")
        return None
    return runs


def _jump(case: Case, doubled: Runs) -> Excess | None:
    """A difference that appears at once where float64's rounding has not grown yet.

    One as small as float32's rounding may come from a constant in float32.
    """
    move = moved(2 * DOUBLE, _shapes(case), in_double_precision)
    with double():
        own = case.theirs.run([batch_in_double(b) for b in case.batches], move)
    form = case.own_in_form(doubled, own)
    excess = first_excess(doubled._replace(own=[form], precision=_plain(DOUBLE)))
    if excess is None or excess.what == "parameter":
        return None
    before = float(np.nan_to_num(doubled.apart.parameter[excess.step, -1], nan=1.0))
    return excess if excess.relative > max(LEAST, JUMP * before) else None


def _units(runs: tuple[Trajectory, Trajectory]) -> list[float]:
    return [_unit((run, run)) for run in runs]


def _result(
    case: Case, plainly: Runs, doubled: Runs | None, excess: Excess | None, runs: Runs
) -> TrainingComparison:
    leaves = [Leaf(pair.theirs, pair.ours) for pair in case.pairs]
    first = None
    if excess is not None:
        word, sentence = guess(case, runs, excess)
        first = TrainingDifference(
            excess.step,
            excess.what,  # pyright: ignore
            None if excess.leaf is None else leaves[excess.leaf],
            excess.difference,
            excess.relative,
            sentence,
            word,
            [leaves[i] for i in excess.leaves],
        )
    rows = _rows(plainly, doubled)
    end = max((r.apart or 0.0 for r in rows), default=0.0)
    agree = "rounding that grows" if end > PARTED * case.unit else "agree"
    if doubled is not None:
        case.notes.insert(0, "Both also ran in float64, which decides.")
    return TrainingComparison(
        first,
        agree if first is None else "real",  # pyright: ignore
        rows,
        leaves,
        _unmatched(case),
        " ".join(case.notes),
    )


def _unmatched(case: Case) -> tuple[list[str], list[str]]:
    names = [[*run.records[0].parameters] for run in case.first]
    return (
        [n for n in names[0] if n not in {p.theirs for p in case.pairs}],
        [n for n in names[1] if n not in {p.ours for p in case.pairs}],
    )


def _rows(plainly: Runs, doubled: Runs | None) -> list[Row]:
    columns = [
        _after(plainly.apart.parameter),
        _after(None if doubled is None else doubled.apart.parameter),
        _after(plainly.own[0].parameter if plainly.own else None),
    ]
    losses = zip(
        plainly.theirs.losses.tolist(), plainly.ours.losses.tolist(), strict=True
    )
    return [
        Row(i, a, b, *(c[i] if c else None for c in columns))
        for i, (a, b) in enumerate(losses)
    ]


def _after(parameter: np.ndarray | None) -> list[float | None]:
    if parameter is None:
        return []
    return [None if np.isnan(x) else float(x) for x in parameter[1:, -1]]
