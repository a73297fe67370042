"""The comparison: Jacobian against difference quotients, in batches."""

from typing import NamedTuple

import numpy as np

from jaxgrad.gradcheck._evaluate import Evaluation
from jaxgrad.gradcheck._problem import Problem
from jaxgrad.gradcheck._report import Element, GradientCheck, Kink

# Of the size of a derivative, the part that it may be off by: the truncation of the
# difference at its step, with room. An error of 1 % is found down to float32.
RTOL = {"float64": 1e-5, "float32": 5e-3, "float16": 5e-2, "bfloat16": 2e-1}
# Further steps for entries that disagree, as parts of the first one.
PARTS = (1.0, 1 / 8, 1 / 64, 1 / 512)
# A difference of noisy values is off by that much of the noise, hardly ever more.
SAFETY = 30.0
KINKS_KEPT = 100


class _Entries(NamedTuple):
    """Entries of the Jacobian: places, derivatives, quotients at each step tried.

    Attributes:
        columns: Elements of the argument, shape `(entries,)`.
        rows: Elements of the result, shape `(entries,)`.
        analytic: Derivatives, shape `(entries,)`.
        left: Quotients to the left, shape `(steps, entries)`; so are the others.
        across: Central differences.
        right: Quotients to the right.
        noise: How far the rounding of `f` may put them off.
    """

    columns: np.ndarray
    rows: np.ndarray
    analytic: np.ndarray
    left: np.ndarray
    across: np.ndarray
    right: np.ndarray
    noise: np.ndarray


class _Verdict(NamedTuple):
    """For each entry whether it is at a kink, and its disagreement."""

    kink: np.ndarray
    excess: np.ndarray
    numeric: np.ndarray


def compare(problem: Problem, rtol: float | None, atol: float | None) -> GradientCheck:
    """Compare the derivatives of a problem with difference quotients."""
    comparison = _Comparison(problem, rtol, atol)
    modes = comparison.evaluation.modes
    comparison.run(modes[0])
    if len(modes) > 1 and not comparison.evaluation.modes_agree():
        comparison.run(modes[1])
    return comparison.report()


class _Comparison:
    """Goes through the Jacobian in batches of columns and keeps what stands out."""

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
        """Compare every entry in one mode."""
        for columns in self.evaluation.batches():
            analytic = self.evaluation.jacobian(mode, columns)
            left, across, right = self.evaluation.quotients(columns, 1.0)
            rows = np.arange(analytic.shape[1])
            grid = np.meshgrid(columns, rows, indexing="ij")
            entries = _Entries(
                columns=grid[0].ravel(),
                rows=grid[1].ravel(),
                analytic=analytic.ravel(),
                left=left.ravel()[None],
                across=across.ravel()[None],
                right=right.ravel()[None],
                noise=self._noise(grid[0].ravel(), grid[1].ravel(), 1.0)[None],
            )
            self.checked += analytic.size
            self._judge(entries, mode)

    def report(self) -> GradientCheck:
        """What was found."""
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

    def _judge(self, entries: _Entries, mode: str) -> None:
        finite = np.abs(entries.analytic[np.isfinite(entries.analytic)])
        self.scale = max(self.scale, finite.max(initial=0.0))
        verdict = self._verdict(entries)
        again = (verdict.excess > 1) | self._bent(entries)
        self._keep(_chosen(entries, ~again), _taken(verdict, ~again), mode)
        if again.any():
            closer = self._closer(_chosen(entries, again))
            self._keep(closer, self._verdict(closer), mode)

    def _closer(self, entries: _Entries) -> _Entries:
        """The entries with quotients at smaller steps as well."""
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
        return entries._replace(
            left=np.stack(rounds[0]),
            across=np.stack(rounds[1]),
            right=np.stack(rounds[2]),
            noise=np.stack(rounds[3]),
        )

    def _verdict(self, entries: _Entries) -> _Verdict:
        with np.errstate(all="ignore"):
            error = np.abs(entries.across - entries.analytic)
            size = np.maximum(np.abs(entries.across), np.abs(entries.analytic))
            tolerance = self.rtol * size + entries.noise
            tolerance[0] += self._truncation(entries.columns)
            ratio = np.where(np.isfinite(error), error / tolerance, np.inf)
            ratio = np.where(error == 0, 0.0, ratio)
            # A small step only convinces where noise does not widen its tolerance.
            ratio[1:] = np.where(entries.noise <= 3e-3 * size, ratio, np.inf)[1:]
            best = ratio.argmin(axis=0)
            excess = np.take_along_axis(ratio, best[None], 0)[0]
            excess = np.where(_converges(error), np.minimum(excess, 1.0), excess)
            numeric = np.take_along_axis(entries.across, best[None], 0)[0]
            return _Verdict(self._kinked(entries), excess, numeric)

    def _kinked(self, entries: _Entries) -> np.ndarray:
        """Where the sides differ at every step, and the derivative lies between."""
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
        """Where the sides differ by more than a mild curvature makes them."""
        left, right = entries.left[0], entries.right[0]
        size = np.maximum(np.abs(left), np.abs(right))
        return ~(np.abs(right - left) <= 1e-2 * size + 8 * entries.noise[0])

    def _truncation(self, columns: np.ndarray) -> np.ndarray:
        """What the curvature may put a difference off by, next to the largest entry."""
        return (
            10 * np.asarray(self.problem.steps, np.float64)[columns] ** 2 * self.scale
        )

    def _noise(self, columns: np.ndarray, rows: np.ndarray, part: float) -> np.ndarray:
        if self.atol is not None:
            return np.full(len(columns), self.atol)
        steps = np.asarray(self.problem.steps, np.float64)[columns] * part
        return SAFETY * self.evaluation.noise[rows] / steps

    def _keep(self, entries: _Entries, verdict: _Verdict, mode: str) -> None:
        for i in np.flatnonzero(verdict.kink)[:KINKS_KEPT]:
            self._keep_kink(entries, int(i))
        failed = ~verdict.kink & ~(verdict.excess <= 1)
        self.failures += int(failed.sum())
        excess = np.where(verdict.kink, -1.0, verdict.excess)
        if not len(excess) or excess.max() < 0:
            return
        i = int(excess.argmax())
        if self.worst is None or excess[i] > self.worst.excess:
            path, index = self._place(self.problem.paths, int(entries.columns[i]))
            self.worst = Element(
                path=path,
                index=index,
                analytic=float(entries.analytic[i]),
                numeric=float(verdict.numeric[i]),
                output=self._output(int(entries.rows[i])),
                mode=mode,
                order=self.problem.order,
                excess=float(excess[i]),
            )

    def _keep_kink(self, entries: _Entries, i: int) -> None:
        column, row = int(entries.columns[i]), int(entries.rows[i])
        path, index = self._place(self.problem.paths, column)
        self.kinks[column, row] = Kink(
            path=path,
            index=index,
            left=float(entries.left[-1, i]),
            right=float(entries.right[-1, i]),
            analytic=float(entries.analytic[i]),
            output=self._output(row),
        )

    def _output(self, row: int) -> str:
        path, index = self._place(self.problem.outputs, row)
        return path + (f"[{', '.join(map(str, index))}]" if index else "")

    def _place(self, paths, position: int) -> tuple[str, tuple[int, ...]]:
        for path, shape in paths:
            size = int(np.prod(shape))
            if position < size:
                return path, tuple(int(i) for i in np.unravel_index(position, shape))
            position -= size
        raise IndexError(position)


def _converges(error: np.ndarray) -> np.ndarray:
    """Where the disagreement vanishes with the step, as truncation does."""
    if len(error) < 3:
        return np.zeros(error.shape[1], bool)
    return (error[1] <= error[0] / 6) & (error[2] <= error[1] / 4)


def _chosen(entries: _Entries, which: np.ndarray) -> _Entries:
    return _Entries(*(each[..., which] for each in entries))


def _taken(verdict: _Verdict, which: np.ndarray) -> _Verdict:
    return _Verdict(*(each[which] for each in verdict))
