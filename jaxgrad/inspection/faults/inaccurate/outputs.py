"""The value and the gradients of a program: which of them are inaccurate.

One compiled program computes them in both precisions. Two more runs of it move the
inputs by a unit in the last place: where the true result moves just as much as the
error, the function is ill-conditioned in its inputs, and no rearrangement helps.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._numerics import usual_error
from jaxgrad.inspection.faults.inaccurate.cause import PRODUCTS, SAME
from jaxgrad.inspection.faults.inaccurate.twin import Noise, Pair, both, run_twice
from jaxgrad.inspection.faults.inaccurate.wide import widened
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Builder
from jaxgrad.inspection.program.program import Program
from jaxgrad.inspection.run.cache import compiled

# An error of this many times the effect of one unit in the inputs is the program's.
CONDITION = 100.0
# In 16 bits, where the inputs are rounded to 16 bits as well, of this many times.
CONDITION_OF_16_BITS = 4.0
# A true result this many units of float64 small, relative to its parts, is zero.
ZERO = 200.0
# The largest relative error of what counts as the truth.
CERTAIN = 0.1
# How far float64 inputs are moved; the effect is scaled down to a unit.
MOVED = 2.0**-26
RUNS = 2
# Products in 16 bits alone may be an oversight; other arithmetic in 16 bits is meant.
UNINTENDED = SAME | PRODUCTS | {"add_any"}


class Output(NamedTuple):
    """The value, or the gradient of a leaf, in both precisions."""

    label: str  # The path of the leaf; "" for the value
    error: float  # Relative to its own scale
    # Whether the inputs' own rounding has the same effect
    ill_conditioned: bool = False


@dataclass(frozen=True, eq=False)
class Outputs:
    """The program that computes the value and the gradients of another one."""

    program: Program

    @cached_property
    def closed(self) -> Any:
        """Its jaxpr: the inputs are the leaves of the arguments."""
        program, count = self.program, len(self.program.call.differentiated)
        traced = jaxprs.keeping_lines_of_rules(program.traced.jaxpr)

        def run(*arrays: Any) -> Any:
            def value(chosen: Sequence[Any]) -> Any:
                return jaxprs.run_jaxpr(traced, [*chosen, *arrays[count:]])[0]

            return jax.value_and_grad(value)(list(arrays[:count]))

        return jax.make_jaxpr(run)(*(leaf.value for leaf in program.leaves))

    @cached_property
    def block(self) -> Block:
        """Its operations; the last inputs are its constants."""
        return Builder("primitive", loops=True).root_block(self.closed)

    @cached_property
    def inputs(self) -> list[Any]:
        """The arrays that it is run on."""
        values = (leaf.value for leaf in self.program.leaves)
        return [*map(jnp.asarray, (*values, *jaxprs.constants_of(self.closed)))]

    @cached_property
    def dtypes(self) -> set[Any]:
        """The floating dtypes in which it computes."""
        return _dtypes(self.closed)

    @cached_property
    def limit(self) -> float:
        """The relative error that is usual in the coarsest dtype of its arithmetic."""
        errors = map(usual_error, _dtypes(self.closed, without=UNINTENDED))
        return max(errors, default=0.0)

    @cached_property
    def _coarse(self) -> float:
        """The unit of the 16 bits in which it computes on purpose, or 0."""
        dtypes = _dtypes(self.closed, without=UNINTENDED)
        units = (float(jnp.finfo(d).eps) for d in dtypes if d.itemsize <= 2)
        return max(units, default=0.0)

    @property
    def noise(self) -> Noise:
        """Whether it computes in float64; JAX has no wider type."""
        wide = any(dtype.itemsize == _digits(dtype) * 8 for dtype in self.dtypes)
        return "float64" if wide else ""

    @cached_property
    def labels(self) -> list[str]:
        """What the outputs are: "" for the value, then the paths of the leaves."""
        return ["", *(leaf.path for leaf in self.program.call.differentiated)]

    @cached_property
    def _exact(self) -> list[Any]:
        return [widened(x) for x in self.inputs]

    @cached_property
    def _pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The outputs in both precisions."""
        pairs = self._compiled(self.noise)(self.inputs, self._exact)
        return [(np.asarray(own), np.asarray(true)) for own, true in pairs]

    def inaccurate(self) -> list[tuple[int, Output]]:
        """The outputs that are inaccurate, by position; to be called under x64."""
        exact, pairs, labels = self._exact, self._pairs, self.labels
        largest = max((_size(t) for _, t in pairs[1:]), default=0.0)
        found = []
        for i, (own, true) in enumerate(pairs):
            among = None if not self.noise else largest if i else 0.0
            error, size = _size(_minus(own, true)), _size(true)
            if _is_wrong(own, true, among) and error > self.limit * size:
                output = Output(labels[i], error / max(size, _size(own)))
                found.append((i, error, output))
        if found and not self.noise:
            noisy = [t for _, t in self._compiled("all")(self.inputs, exact)]
            found = [x for x in found if _is_certain(pairs[x[0]][1], noisy[x[0]])]
        if not found:
            return []
        moved = self._moved(exact, [i for i, *_ in found])
        condition = CONDITION if self._coarse == 0 else CONDITION_OF_16_BITS
        return [
            (i, output._replace(ill_conditioned=error <= condition * effect))
            for (i, error, output), effect in zip(found, moved, strict=True)
        ]

    def cancelled(self) -> list[int]:
        """The gradients that are zero but for rounding, also where the leaves move."""
        found = [i for i, pair in enumerate(self._pairs) if i and _is_nothing(*pair)]
        if self.noise or not found:
            return []
        random, count = np.random.default_rng(0), len(self.labels) - 1
        moves = (0.1 * random.choice([-1.0, 1.0], x.shape) for x in self.inputs[:count])
        pairs = zip(self.inputs, moves, strict=False)
        leaves = [x + (d * np.maximum(np.abs(x), 1)).astype(x.dtype) for x, d in pairs]
        inputs = [*leaves, *self.inputs[count:]]
        elsewhere = self._compiled("")(inputs, [widened(x) for x in inputs])
        return [i for i in found if _is_nothing(*elsewhere[i])]

    def run(self) -> list[Pair]:
        """Its outputs; they know the operations, run one by one, that made them."""
        inputs = [Pair(x, widened(x)) for x in self.inputs]
        return run_twice(self.block, inputs, self.noise, [])

    def _compiled(self, noise: Noise) -> Any:
        def run(own: list[Any], true: list[Any]) -> Any:
            inputs = [*map(Pair, own, true)]
            return both(run_twice(self.block, inputs, noise))

        return compiled(run, (self.inputs, self._exact))

    def _moved(self, exact: list[Any], positions: list[int]) -> list[float]:
        """The effect of one unit in the last place of the inputs, for some outputs."""
        run, random = self._compiled(noise=""), np.random.default_rng(0)
        reference = [t for _, t in run(self.inputs, exact)]
        effects = []
        for _ in range(RUNS):
            shifted = [
                self._shifted(x, t, random)
                for x, t in zip(self.inputs, exact, strict=True)
            ]
            true = [t for _, t in run(self.inputs, shifted)]
            effects.append([_size(_minus(true[i], reference[i])) for i in positions])
        scale = float(jnp.finfo(jnp.float64).eps) / MOVED if self.noise else 1.0
        return [float(x) * scale for x in np.max(effects, axis=0)]

    def _shifted(self, own: Any, true: Any, random: np.random.Generator) -> Any:
        if not jaxprs.is_floating(own):
            return true
        unit = max(float(jnp.finfo(own.dtype).eps), self._coarse)
        step = max(unit, MOVED) if self.noise else unit
        return true * (1 + step * jnp.asarray(random.choice([-1.0, 1.0], true.shape)))


def _is_wrong(own: np.ndarray, true: np.ndarray, among: float | None) -> bool:
    """Whether an output is wrong, and not zero but for rounding.

    Under random rounding a true zero is not seen; what is much smaller than `among`,
    the size of all gradients, is then taken for one.
    """
    if not own.size or not (np.isfinite(own).all() and np.isfinite(true).all()):
        return False
    info = jnp.finfo(own.dtype)
    error, size = _size(_minus(own, true)), _size(true)
    if size < float(info.tiny) and _size(own) < float(info.tiny):
        return False
    if error <= usual_error(own.dtype) * size:
        return False
    if among is not None:
        return error > ZERO * float(info.eps) * among
    return not _is_nothing(own, true)


def _is_nothing(own: Any, true: Any) -> bool:
    """Whether the truth is zero but for the rounding of float64, and `own` is not."""
    zero = ZERO * float(jnp.finfo(jnp.float64).eps) / float(jnp.finfo(own.dtype).eps)
    error = _size(_minus(own, true))
    return bool(error and np.isfinite(error) and _size(true) <= zero * error)


def _is_certain(true: np.ndarray, noisy: Any) -> bool:
    """Whether float64 has digits enough for the truth, which may be zero."""
    return _size(_minus(noisy, true)) < CERTAIN * _size(true)


def _minus(own: Any, true: Any) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # inf - inf
        return np.asarray(np.asarray(widened(own)) - np.asarray(true))


def _size(array: Any) -> float:
    return float(np.abs(np.asarray(array)).max(initial=0))


def _digits(dtype: Any) -> int:
    """2 for complex numbers, else 1."""
    return 2 if jnp.issubdtype(dtype, jnp.complexfloating) else 1


def _dtypes(closed: Any, without: Collection[str] = ()) -> set[Any]:
    """The floating dtypes of all operations except some."""
    found: set[Any] = set()
    for equation in jaxprs.open_jaxpr(closed).eqns:
        found.update(*(_dtypes(body, without) for body in jaxprs.bodies_of(equation)))
        if equation.primitive.name in without or jaxprs.bodies_of(equation):
            continue
        avals = (atom.aval for atom in (*equation.invars, *equation.outvars))
        found.update(aval.dtype for aval in avals if jaxprs.is_floating(aval))
    return found
