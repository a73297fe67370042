"""The whole program with one argument moved: a minimum, a plateau, or no effect at all.

A single operation does not show whether parts cancel everywhere, as in x - x, or only
here, as at the minimum of a loss.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.backward import replaced
from jaxgrad.inspection.run.cache import compiled
from jaxgrad.inspection.run.replay import Replay
from jaxgrad.inspection.run.tape import Value

NEAR = 1e-2
# A relative difference of results that is rounding.
SAME = 1e-6
FURTHEST = 30.0  # Times the argument's largest element, in all elements at once
FAR = (0.5, 0.1, 0.02, 0.0, -1.0)  # Times the argument


class Elsewhere(NamedTuple):
    """What the gradient does where the argument is moved."""

    near: bool  # Whether it is not zero after a small move
    far: bool  # Whether it is not zero further away, where the result differs
    lower: bool  # Whether the result is smaller somewhere
    one_sided: bool  # Whether it stays zero in one direction, and does not in the other


@dataclass(frozen=True)
class Moving:
    """A program whose arguments can be moved."""

    replay: Replay

    def elsewhere(self, value: Value, mask: np.ndarray, least: float) -> Elsewhere:
        """Move elements of an input; gradients up to `least` count as zero."""
        array = np.asarray(value.array)
        here = self._at(value, value.array)[0]

        def at(moved: Any) -> tuple[float, bool]:
            moved = np.where(mask, moved, array).astype(array.dtype)
            result, gradient = self._at(value, jnp.asarray(moved))
            size = np.abs(gradient[mask])
            return result, bool((np.isfinite(size) & (size > least)).any())

        steps = np.maximum(np.abs(array), 1) * _pattern(array.shape)
        near = [at(array + sign * NEAR * steps) for sign in (-1, 1)]
        far = [at(factor * array) for factor in FAR]
        far += [at(array + sign * steps) for sign in (-1, 1)]
        size = np.abs(array).max(initial=1)
        along = [at(array + sign * FURTHEST * size) for sign in (-1, 1)]
        far += along
        return Elsewhere(
            near=any(gradient for _, gradient in near),
            far=any(g and abs(y - here) > SAME * abs(here) for y, g in far),
            lower=any(y < here for y, _ in (*near, *far)),
            one_sided=along[0][1] != along[1][1],
        )

    def _at(self, value: Value, array: Any) -> tuple[float, np.ndarray]:
        """The result and the gradient of an input with another array."""
        inputs = self.replay.inputs
        position = next(i for i, each in enumerate(inputs) if each is value)
        run, arrays, active = self._compiled
        result, gradients = run(replaced(arrays, {position: array}))
        return float(result), np.asarray(gradients[active.index(position)])

    @cached_property
    def _compiled(self) -> tuple[Callable[..., Any], list[Any], list[int]]:
        """The program with the gradients of all arguments, compiled once for all."""
        program, inputs = self.replay.program, self.replay.inputs
        arrays = [inputs[i].array for i in range(len(program.leaves))]
        active = [i for i in range(len(arrays)) if inputs[i].active]

        def gradients(arrays: list[Any]) -> Any:
            def result(*chosen: Any) -> Any:
                moved = replaced(arrays, dict(zip(active, chosen, strict=True)))
                return jaxprs.run_jaxpr(program.traced.jaxpr, moved)[0]

            chosen = tuple(arrays[i] for i in active)
            return jax.value_and_grad(result, tuple(range(len(active))))(*chosen)

        return compiled(gradients, (arrays,)), arrays, active


def _pattern(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers between -1 and 1 that differ from element to element."""
    numbers = np.arange(1, int(np.prod(shape)) + 1) * (5**0.5 - 1) / 2 % 1
    return (2 * numbers - 1).reshape(shape)
