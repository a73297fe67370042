"""Jacobians, difference quotients and the noise of a function, in bounded memory."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._numerics import slopes
from jaxgrad._types import Array
from jaxgrad.gradcheck._problem import Problem

# Memory for a batch of evaluations, or for a stored Jacobian, in bytes.
BATCH_BYTES = 32 * 2**20
DIRECTIONS = 3
# JAX's errors for a function without a derivative in a mode; the report quotes them.
REFUSED = (TypeError, ValueError, NotImplementedError)


class Evaluation:
    """Evaluates a problem; everything is compiled once.

    `noise` is the rounding error of each element of the result. `modes` lists "reverse"
    and "forward" if they can differentiate it, the cheaper first; `notes` says why one
    cannot.
    """

    def __init__(self, problem: Problem) -> None:
        self._x = jnp.asarray(problem.x)
        self._f, self._steps = problem.f, np.asarray(problem.steps)
        self._value = np.asarray(jax.jit(problem.f)(self._x))
        self.notes: tuple[str, ...] = ()
        self.modes = self._modes()
        if not np.isfinite(np.asarray(self._value, np.float64)).all():
            self.notes += ("f is not finite here: see jaxgrad.find_nonfinite",)
        self.noise = self._measured_noise()
        per_column = 4 * self._x.dtype.itemsize * (self._x.size + self._value.size)
        self._width = int(max(1, min(self._x.size, BATCH_BYTES // per_column)))
        self._rows: np.ndarray | None = None
        self._compiled_quotients = jax.jit(self._batched(self._quotient))
        self._compiled_columns = jax.jit(self._batched(self._column))

    def batches(self, columns: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """The columns of the Jacobian, in batches that fit in memory."""
        columns = np.arange(self._x.size) if columns is None else columns
        for start in range(0, len(columns), self._width):
            yield columns[start : start + self._width]

    def quotients(
        self, columns: np.ndarray, part: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Quotients left, across and right at `part` of the steps; a row per column."""
        padded = self._padded(columns)
        steps = self._steps[padded] * self._steps.dtype.type(part)
        found = self._compiled_quotients(jnp.asarray(padded), jnp.asarray(steps))
        left, across, right = (
            np.asarray(each, np.float64)[: len(columns)] for each in found
        )
        return left, across, right

    def jacobian(self, mode: str, columns: np.ndarray) -> np.ndarray:
        """The derivatives with respect to some elements of the argument, as rows."""
        if mode == "reverse":
            return self._all_rows()[:, columns].T
        columns_of = self._compiled_columns(jnp.asarray(self._padded(columns)))
        return np.asarray(columns_of, np.float64)[: len(columns)]

    def modes_agree(self) -> bool:
        """Whether both modes agree in a few random directions.

        Both are exact up to rounding, so one wrong entry shows in any direction.
        """
        random = np.random.default_rng(0)
        _, push = jax.linearize(self._f, self._x)
        _, pull = jax.vjp(self._f, self._x)
        close = np.sqrt(float(jnp.finfo(self._x.dtype).eps))
        for _ in range(DIRECTIONS):
            tangent = random.choice([-1.0, 1.0], self._x.size)
            cotangent = random.choice([-1.0, 1.0], self._value.size)
            pushed = np.asarray(push(self._as_x(tangent)), np.float64)
            (pulled,) = pull(jnp.asarray(cotangent, self._value.dtype))
            pulled = np.asarray(pulled, np.float64)
            scale = np.abs(pulled).sum() + np.abs(pushed).sum()
            if not np.isfinite(scale):  # such entries have failed already
                return True
            if abs(pushed @ cotangent - pulled @ tangent) > close * scale:
                return False
        return True

    def _as_x(self, array: np.ndarray) -> Array:
        return jnp.asarray(array, self._x.dtype)

    def _modes(self) -> tuple[str, ...]:
        cotangent = jnp.asarray(self._value)
        tests = {
            "reverse": lambda x: jax.vjp(self._f, x)[1](cotangent),
            "forward": lambda x: jax.jvp(self._f, (x,), (x,)),
        }
        modes, faults = [], {}
        for mode, test in tests.items():
            try:
                # A custom_vjp refuses forward mode only when it is lowered.
                jax.jit(test).lower(self._x)
                modes.append(mode)
            except REFUSED as fault:
                faults[mode] = fault
        if not modes:
            raise faults["reverse"]
        self.notes = tuple(
            f"no {mode} mode: {str(fault).splitlines()[0]}"
            for mode, fault in faults.items()
        )
        whole = self._x.size * self._value.size * self._x.dtype.itemsize
        if len(modes) == 2 and whole > 2 * BATCH_BYTES:
            modes.reverse()
        return tuple(modes)

    def _measured_noise(self) -> np.ndarray:
        """The standard deviation of rounding, from fourth differences a few ulps apart.

        At that distance a smooth function has almost no fourth difference. The smaller
        of both sides counts, because the other may contain a jump.
        """
        random = np.random.default_rng(0)
        scale = np.maximum(1, np.abs(np.asarray(self._x, np.float64)))
        ulps = 8 * float(jnp.finfo(self._x.dtype).eps) * scale
        path = ulps * random.choice([-1.0, 1.0], self._x.size)
        f, sides = jax.jit(self._f), []
        for ahead in (path, -path):
            points = (np.asarray(self._x, np.float64) + i * ahead for i in range(9))
            values = [np.asarray(f(self._as_x(p)), np.float64) for p in points]
            fourth = np.abs(np.diff(values, n=4, axis=0)).max(axis=0) / np.sqrt(70)
            sides.append(np.where(np.isfinite(fourth), fourth, np.inf))
        noise = np.minimum(*sides)
        rounding = float(jnp.finfo(self._value.dtype).eps) * np.abs(self._value) / 4
        return np.maximum(np.where(np.isfinite(noise), noise, 0), rounding)

    def _padded(self, columns: np.ndarray) -> np.ndarray:
        return np.concatenate([columns, np.zeros(self._width - len(columns), int)])

    def _quotient(self, column: Array, step: Array):
        def along(t: Array) -> Array:
            return self._f(self._x.at[column].set(t))

        return tuple(slopes(along, self._x[column], jnp.asarray(self._value), step))

    def _column(self, column: Array) -> Array:
        tangent = jnp.zeros_like(self._x).at[column].set(1)
        return jax.jvp(self._f, (self._x,), (tangent,))[1]

    def _all_rows(self) -> np.ndarray:
        if self._rows is None:
            _, pull = jax.vjp(self._f, self._x)
            rows = []
            count = self._value.size
            for start in range(0, count, self._width):
                some = np.arange(start, min(start + self._width, count))
                basis = np.zeros((len(some), count), self._value.dtype)
                basis[np.arange(len(some)), some] = 1
                (block,) = self._batched(pull)(jnp.asarray(basis))
                rows.append(np.asarray(block, np.float64))
            self._rows = np.concatenate(rows)
        return self._rows

    def _batched(self, function):
        """`jax.vmap`, or a loop if something inside cannot be batched."""

        def batch(*columns: Array):
            try:
                return jax.vmap(function)(*columns)
            except REFUSED:
                return jax.lax.map(lambda each: function(*each), columns)

        return batch
