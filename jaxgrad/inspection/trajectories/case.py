"""Two trainings on the same batches, and what was found about their runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxgrad.inspection.trajectories.judging import Precision, Runs
from jaxgrad.inspection.trajectories.leaves import Pair
from jaxgrad.inspection.trajectories.records import Trajectory
from jaxgrad.inspection.trajectories.runs import Training
from jaxgrad.inspection.trajectories.series import (
    Distances,
    Leaves,
    Series,
    distances,
    series_of,
)


@dataclass(eq=False)
class Case:
    """Two trainings on the same batches, with what was found about their runs."""

    theirs: Training
    ours: Training
    batches: Sequence[Any]
    first: tuple[Trajectory, Trajectory]
    pairs: list[Pair]
    unit: float
    notes: list[str]

    def compared(
        self,
        runs: tuple[Trajectory, Trajectory],
        own: Sequence[Trajectory],
        precision: Precision,
    ) -> Runs:
        """Distances of two runs, and of theirs to itself."""
        theirs, ours = (series_of(r, self.pairs, i) for i, r in enumerate(runs))
        form = _form(theirs, ours)
        theirs = _in_form(theirs, form)
        moved_runs = [_in_form(series_of(r, self.pairs, 0), form) for r in own]
        themselves = [distances(theirs, m) for m in moved_runs]
        for i, each in enumerate(themselves[1:], 1):
            themselves[i] = replace(
                each,
                loss=each.loss / 4,
                gradient=each.gradient / 4,
                update=each.update / 4,
            )
        first = self.first[0].records[0]
        known = first.gradients | first.parameters
        ranks = np.array([np.ndim(known[pair.theirs]) for pair in self.pairs], int)
        apart = distances(theirs, ours)
        return Runs(theirs, ours, apart, themselves, precision, ranks)

    def own_in_form(self, runs: Runs, own: Trajectory) -> Distances:
        """How far theirs is from a moved run of itself."""
        series = series_of(own, self.pairs, 0)
        return distances(runs.theirs, _in_form(series, _form(series, runs.ours)))


def _form(theirs: Series, ours: Series) -> str:
    """In which form ours returns its gradients: the nearest in the first steps."""

    def far(form: str) -> float:
        apart = distances(_in_form(theirs, form), ours).gradient[:3, -1]
        return float(np.nansum(np.minimum(apart, 1)))

    known = any(g is not None for g in theirs.raw[0])
    return min(("used", "raw", "single") if known else ("used", "single"), key=far)


def _in_form(theirs: Series, form: str) -> Series:
    """Theirs with its gradients as used, as before clipping, or of each step alone."""
    if form == "raw":
        return replace(theirs, gradients=theirs.raw)
    single = list(_single(theirs)) if form == "single" else theirs.used
    return replace(theirs, gradients=single)


def _single(theirs: Series) -> Iterator[Leaves]:
    """Gradients without those of the steps before, if these made no update."""
    for t, row in enumerate(theirs.used):
        still = t > 0 and not any(
            np.any(u) for u in theirs.updates(t - 1) if u is not None
        )
        before = theirs.used[t - 1]
        yield [
            g - b if still and g is not None and b is not None else g
            for g, b in zip(row, before, strict=True)
        ]
