"""The gradient in the arguments' own precision, compared with the float64 one.

A derivative that is right in float64 may lose all its digits in float32. The weighted
sum of the results is differentiated in both, at the same numbers.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._numerics import usual_error
from jaxgrad._types import Array
from jaxgrad.gradcheck._problem import Problem, computing, weighted
from jaxgrad.gradcheck._report import Inaccuracy

# An error of this many times the effect of one unit in the arguments is the function's.
CONDITION = 100.0
# A gradient this many float64 units small, relative to its parts, is zero.
ZERO = 200.0
RUNS = 2


def compare_precisions(problem: Problem) -> tuple[tuple[Inaccuracy, ...], str]:
    """The arguments whose gradient is wrong in their own precision.

    If the function draws random numbers, nothing is compared, and the reason is
    returned as well: in float64 it draws others.
    """
    if problem.own is None:
        return (), ""
    if _draws(jax.make_jaxpr(problem.own.f)(problem.own.x).jaxpr):
        return (), f"not compared in {problem.own.dtype}: f draws random numbers"
    own = _split(problem, _gradient(problem.own)(problem.own.x))
    with computing(problem):
        gradient = _gradient(problem)
        true = _split(problem, gradient(problem.x))
        moved = [_split(problem, gradient(x)) for x in _moved(problem)]
    found = []
    for i, dtype in enumerate(problem.dtypes):
        if not np.isfinite(true[i]).all():
            continue
        effect = max(_size(each[i] - true[i]) for each in moved)
        if _is_wrong(own[i], true[i], effect, dtype):
            found.append(_inaccuracy(problem.paths[i][0], dtype, own[i], true[i]))
    return tuple(found), ""


def _draws(jaxpr: Any) -> bool:
    """Whether a jaxpr draws random numbers, also in its loops and functions."""
    if any(equation.primitive.name == "random_bits" for equation in jaxpr.eqns):
        return True
    values = [value for e in jaxpr.eqns for value in jax.tree.leaves(e.params)]
    bodies = (getattr(value, "jaxpr", value) for value in values)
    return any(_draws(body) for body in bodies if hasattr(body, "eqns"))


def _gradient(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    compiled = jax.jit(jax.grad(weighted(problem)))

    def gradient(x: np.ndarray) -> np.ndarray:
        result: Array = compiled(jnp.asarray(x))
        return np.asarray(result, np.float64)

    return gradient


def _split(problem: Problem, gradient: np.ndarray) -> list[np.ndarray]:
    """The gradient of each argument."""
    sizes = [int(np.prod(shape)) for _, shape in problem.paths]
    pieces = np.split(gradient, np.cumsum(sizes)[:-1])
    pairs = zip(pieces, problem.paths, strict=True)
    return [piece.reshape(shape) for piece, (_, shape) in pairs]


def _moved(problem: Problem) -> list[np.ndarray]:
    """The arguments moved by a unit in the last place of their own dtypes."""
    sizes = [int(np.prod(shape)) for _, shape in problem.paths]
    units = [float(jnp.finfo(dtype).eps) for dtype in problem.dtypes]
    steps, random = np.repeat(units, sizes), np.random.default_rng(0)
    signs = (random.choice([-1.0, 1.0], len(steps)) for _ in range(RUNS))
    return [problem.x * (1 + sign * steps) for sign in signs]


def _is_wrong(own: np.ndarray, true: np.ndarray, effect: float, dtype: str) -> bool:
    info = jnp.finfo(dtype)
    eps, size = float(info.eps), _size(true)
    if not own.size or size < float(info.tiny):
        return False
    if not np.isfinite(own).all():
        return bool(size < float(info.max))
    error = _size(own - true)
    zero = ZERO * float(jnp.finfo(jnp.float64).eps) / eps
    enough = error > usual_error(dtype) * size and size > zero * error
    return enough and error > CONDITION * effect


def _inaccuracy(path: str, dtype: str, own: np.ndarray, true: np.ndarray) -> Inaccuracy:
    distance = np.asarray(np.nan_to_num(np.abs(own - true), nan=np.inf))
    index = tuple(int(i) for i in np.unravel_index(distance.argmax(), own.shape))
    error = float(distance.max() / max(_size(true), _size(own)))
    numbers = float(own[index]), float(true[index])
    return Inaccuracy(
        path, index, dtype, *numbers, error if np.isfinite(error) else 1.0
    )


def _size(numbers: Any) -> float:
    size = np.asarray(np.abs(numbers))
    return float(np.nan_to_num(size, nan=np.inf).max(initial=0))
