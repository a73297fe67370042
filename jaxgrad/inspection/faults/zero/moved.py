"""The whole program with one argument moved: a minimum, a plateau, or no effect at all.

A single operation does not show whether parts cancel everywhere, as in x - x, or only
here, as at the minimum of a loss.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.program import jaxprs
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


def elsewhere(
    replay: Replay, value: Value, mask: np.ndarray, least: float
) -> Elsewhere:
    """Move the elements `mask` of an input; gradients up to `least` count as zero."""
    run = _of_input(replay, value)
    array = np.asarray(value.array)
    here = float(run(value.array)[0])

    def at(moved: Any) -> tuple[float, bool]:
        moved = np.where(mask, moved, array).astype(array.dtype)
        result, gradient = run(jnp.asarray(moved))
        size = np.abs(np.asarray(gradient)[mask])
        return float(result), bool((np.isfinite(size) & (size > least)).any())

    steps = np.maximum(np.abs(array), 1) * _pattern(array.shape)
    near = [at(array + sign * NEAR * steps) for sign in (-1, 1)]
    far = [at(factor * array) for factor in FAR]
    far += [at(array + sign * steps) for sign in (-1, 1)]
    size = np.abs(array).max(initial=1)
    along = [at(array + sign * FURTHEST * size) for sign in (-1, 1)]
    return Elsewhere(
        near=any(gradient for _, gradient in near),
        far=any(g and abs(y - here) > SAME * abs(here) for y, g in far),
        lower=any(y < here for y, _ in (*near, *far)),
        one_sided=along[0][1] != along[1][1],
    )


def _of_input(replay: Replay, value: Value) -> Callable[[Any], tuple[Any, Any]]:
    """The program's result and its gradient as a function of one of its inputs."""
    leaves = range(len(replay.program.leaves))
    position = next(i for i, each in enumerate(replay.inputs) if each is value)
    arrays = [replay.inputs[i].array for i in leaves]
    jaxpr = replay.program.traced.jaxpr

    def result(x: Any) -> Any:
        return jaxprs.run_jaxpr(
            jaxpr, [*arrays[:position], x, *arrays[position + 1 :]]
        )[0]

    return jax.value_and_grad(result)


def _pattern(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers between -1 and 1 that differ from element to element."""
    numbers = np.arange(1, int(np.prod(shape)) + 1) * (5**0.5 - 1) / 2 % 1
    return (2 * numbers - 1).reshape(shape)
