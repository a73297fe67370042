"""Compare a Jacobian with difference quotients, in batches."""

from typing import NamedTuple

import numpy as np

from jaxgrad.gradcheck._evaluate import Evaluation
from jaxgrad.gradcheck._problem import Problem
from jaxgrad.gradcheck._report import Element, GradientCheck, Kink

# The allowed error relative to a derivative's size: a bound on the truncation error of
# the difference. In float64 and float32 an error of 1 % is found.
RTOL = {"float64": 1e-5, "float32": 5e-3, "float16": 5e-2, "bfloat16": 2e-1}
# The first step and those for entries that disagree, as fractions of the first one.
PARTS = (1.0, 1 / 8, 1 / 64, 1 / 512)
# The error of a difference in units of the noise of its values; rarely exceeded.
SAFETY = 30.0
KINKS_KEPT = 100


class _Entries(NamedTuple):
    """Entries of the Jacobian: positions, derivatives, quotients at each step."""

    columns: np.ndarray  # elements of the argument, (entries,)
    rows: np.ndarray  # elements of the result, (entries,)
    analytic: np.ndarray  # derivatives, (entries,)
    left: np.ndarray  # quotients to the left, (steps, entries) like all below
    across: np.ndarray  # central differences
    right: np.ndarray  # quotients to the right
    noise: np.ndarray  # the quotients' possible error from the rounding of `f`


class _Agreement(NamedTuple):
    kink: np.ndarray  # whether it is at a kink
    excess: np.ndarray  # its error over the tolerance
    numeric: np.ndarray  # the quotient that agrees best


def compare(problem: Problem, rtol: float | None, atol: float | None) -> GradientCheck:
    comparison = _Comparison(problem, rtol, atol)
    modes = comparison.evaluation.modes
    comparison.run(modes[0])
    if len(modes) > 1 and not comparison.evaluation.modes_agree():
        comparison.run(modes[1])
    return comparison.report()


class _Comparison:
    """Compares the Jacobian in batches of columns; keeps failures, kinks, the worst."""

    def __init__(self, problem: Problem, rtol: float | None, atol: float | None):
        self.problem = problem
        self.rtol = RTOL[problem.dtype] if rtol is None else rtol
        self.atol = atol
        self.evaluation = Evaluation(problem)
        self.scale = 0.0
        self.worst: Element | None = None
        self.failures = self.checked = 0
        self.kinks: dict[tuple[int, int], Kink] = {}

    def run(self, mode: str) -> None:
        for columns in self.evaluation.batches():
            analytic = self.evaluation.jacobian(mode, columns)
            quotients = self.evaluation.quotients(columns, 1.0)
            left, across, right = (each.ravel()[None] for each in quotients)
            grid = np.meshgrid(columns, np.arange(analytic.shape[1]), indexing="ij")
            at, rows = (each.ravel() for each in grid)
            noise = self._noise(at, rows, 1.0)[None]
            analytic = analytic.ravel()
            entries = _Entries(at, rows, analytic, left, across, right, noise)
            self.checked += analytic.size
            self._compare(entries, mode)

    def report(self) -> GradientCheck:
        return GradientCheck(
            ok=self.failures == 0,
            worst=self.worst,
            failures=self.failures,
            kinks=tuple(self.kinks.values())[:KINKS_KEPT],
            checked=self.checked,
            dtype=self.problem.dtype,
            modes=self.evaluation.modes,
            notes=(*self.problem.notes, *self.evaluation.notes),
        )

    def _compare(self, entries: _Entries, mode: str) -> None:
        finite = np.abs(entries.analytic[np.isfinite(entries.analytic)])
        self.scale = max(self.scale, finite.max(initial=0.0))
        agreement = self._agreement(entries)
        again = (agreement.excess > 1) | self._bent(entries)
        done = _Entries(*(each[..., ~again] for each in entries))
        self._keep(done, _Agreement(*(each[~again] for each in agreement)), mode)
        if again.any():
            closer = self._closer(_Entries(*(each[..., again] for each in entries)))
            self._keep(closer, self._agreement(closer), mode)

    def _closer(self, entries: _Entries) -> _Entries:
        """Add quotients at smaller steps."""
        columns, at = np.unique(entries.columns, return_inverse=True)
        rounds = [[each[0]] for each in entries[3:]]
        for part in PARTS[1:]:
            pieces = [
                self.evaluation.quotients(batch, part)
                for batch in self.evaluation.batches(columns)
            ]
            for kept, *blocks in zip(rounds, *pieces, strict=False):
                kept.append(np.concatenate(blocks)[at, entries.rows])
            rounds[3].append(self._noise(entries.columns, entries.rows, part))
        return _Entries(*entries[:3], *map(np.stack, rounds))

    def _agreement(self, entries: _Entries) -> _Agreement:
        with np.errstate(all="ignore"):
            error = np.abs(entries.across - entries.analytic)
            size = np.maximum(np.abs(entries.across), np.abs(entries.analytic))
            tolerance = self.rtol * size + entries.noise
            tolerance[0] += self._truncation(entries.columns)
            ratio = np.where(np.isfinite(error), error / tolerance, np.inf)
            ratio = np.where(error == 0, 0.0, ratio)
            # A smaller step counts only where noise does not widen its tolerance.
            ratio[1:] = np.where(entries.noise <= 3e-3 * size, ratio, np.inf)[1:]
            best = ratio.argmin(axis=0)
            excess = np.take_along_axis(ratio, best[None], 0)[0]
            excess = np.where(_converges(error), np.minimum(excess, 1.0), excess)
            numeric = np.take_along_axis(entries.across, best[None], 0)[0]
            return _Agreement(self._kinked(entries), excess, numeric)

    def _kinked(self, entries: _Entries) -> np.ndarray:
        """Whether the sides differ at every step and the derivative lies between."""
        gaps = np.abs(entries.right - entries.left)
        if len(gaps) == 1:
            return np.zeros(gaps.shape[1], bool)
        clear = gaps[0] > 8 * entries.noise
        lasting = (~clear | (gaps >= 0.5 * gaps[0])).all(axis=0) & clear[:2].all(axis=0)
        last = len(gaps) - 1 - clear[::-1].argmax(axis=0)
        low, high = (
            np.take_along_axis(pick(entries.left, entries.right), last[None], 0)[0]
            for pick in (np.minimum, np.maximum)
        )
        room = self.rtol * np.maximum(np.abs(low), np.abs(high))
        room += np.take_along_axis(entries.noise, last[None], 0)[0]
        inside = (entries.analytic >= low - room) & (entries.analytic <= high + room)
        return lasting & inside

    def _bent(self, entries: _Entries) -> np.ndarray:
        """Whether the sides differ by more than a mild curvature explains."""
        left, right = entries.left[0], entries.right[0]
        size = np.maximum(np.abs(left), np.abs(right))
        return ~(np.abs(right - left) <= 1e-2 * size + 8 * entries.noise[0])

    def _truncation(self, columns: np.ndarray) -> np.ndarray:
        """The error that the curvature may cause, given the largest entry so far."""
        steps = np.asarray(self.problem.steps, np.float64)[columns]
        return 10 * steps**2 * self.scale

    def _noise(self, columns: np.ndarray, rows: np.ndarray, part: float) -> np.ndarray:
        if self.atol is not None:
            return np.full(len(columns), self.atol)
        steps = np.asarray(self.problem.steps, np.float64)[columns] * part
        return SAFETY * self.evaluation.noise[rows] / steps

    def _keep(self, entries: _Entries, agreement: _Agreement, mode: str) -> None:
        for i in np.flatnonzero(agreement.kink)[:KINKS_KEPT]:
            self._keep_kink(entries, int(i))
        failed = ~agreement.kink & ~(agreement.excess <= 1)
        self.failures += int(failed.sum())
        excess = np.where(agreement.kink, -1.0, agreement.excess)
        if not len(excess) or excess.max() < 0:
            return
        i = int(excess.argmax())
        if self.worst is None or excess[i] > self.worst.excess:
            path, index = self._position(self.problem.paths, int(entries.columns[i]))
            self.worst = Element(
                path=path,
                index=index,
                analytic=float(entries.analytic[i]),
                numeric=float(agreement.numeric[i]),
                output=self._output(int(entries.rows[i])),
                mode=mode,
                order=self.problem.order,
                excess=float(excess[i]),
            )

    def _keep_kink(self, entries: _Entries, i: int) -> None:
        column, row = int(entries.columns[i]), int(entries.rows[i])
        path, index = self._position(self.problem.paths, column)
        self.kinks[column, row] = Kink(
            path=path,
            index=index,
            left=float(entries.left[-1, i]),
            right=float(entries.right[-1, i]),
            analytic=float(entries.analytic[i]),
            output=self._output(row),
        )

    def _output(self, row: int) -> str:
        path, index = self._position(self.problem.outputs, row)
        return path + (f"[{', '.join(map(str, index))}]" if index else "")

    def _position(self, paths, position: int) -> tuple[str, tuple[int, ...]]:
        for path, shape in paths:
            size = int(np.prod(shape))
            if position < size:
                return path, tuple(int(i) for i in np.unravel_index(position, shape))
            position -= size
        raise IndexError(position)


def _converges(error: np.ndarray) -> np.ndarray:
    """Whether the error vanishes with the step, as a truncation error does."""
    if len(error) < 3:
        return np.zeros(error.shape[1], bool)
    return (error[1] <= error[0] / 6) & (error[2] <= error[1] / 4)
