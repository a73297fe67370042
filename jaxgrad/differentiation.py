"""Derivatives of any order of a function of one real variable.

`jax.grad` needs a scalar result and is applied once per order. A tower of `jax.jvp`
carries every lower order along and accepts elementwise functions, so one call gives f,
f', f'', ... for a whole array of points. The numerical derivative uses only values; the
tests check the others against it.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from jaxgrad._checks import as_array, check_floating, check_int, wrong_type, wrong_value
from jaxgrad._numerics import central_difference, coarsest, default_step
from jaxgrad._types import Array, ArrayLike

Result = TypeVar("Result")  # an array, or a pytree of arrays
Function: TypeAlias = Callable[..., Result]


def derivative(f: Function[Result], order: int = 1) -> Function[Result]:
    r"""The derivative $f^{(n)}$ of a function of one real variable.

    Args:
        f: A function of one floating array: either of a scalar, with any array or
            pytree of arrays as result (a curve), or elementwise, with arrays of the
            shape of its input as result. (A function that mixes elements but keeps
            the shape, such as softmax, goes undetected and gets the sums of its
            Jacobian's rows: use `jax.jacfwd`.) A Python number in the result is a
            constant.
        order: How often to differentiate, $n \ge 0$.

    Returns: A function of the same argument; its result has the structure, shapes and
        dtypes of the result of `f`. It can be differentiated, jitted and vmapped. It
        uses forward mode, which works through `while` loops but not through a
        `jax.custom_vjp`.
    Raises: TypeError if `order` is not an int or, on the call, if the argument is not
        floating or a result of `f` neither floating nor complex; ValueError if `order`
        is negative or, on the call, if `f` changes the shape of an array and so is not
        elementwise.
    Torch: `torch.autograd.grad(..., create_graph=True)`, once per order.

    Examples:
        >>> cubic = lambda x: x**3 + x**2 + x + 1
        >>> [derivative(cubic, order)(2.0).item() for order in (1, 2, 3)]
        [17.0, 14.0, 6.0]
    """
    order = check_int("derivative", "order", order, least=0)
    tower = _tower("derivative", f, order)
    return lambda x: tower(x)[order]


def derivatives(f: Function[Result], max_order: int) -> Function[tuple[Result, ...]]:
    r"""The tower $(f, f', \dots, f^{(n)})$ of a function of one real variable.

    Args:
        f: As in `derivative`.
        max_order: The highest order $n \ge 0$. Each order doubles the work when
            the result runs op by op; `jax.jit` shares the common parts.

    Returns: A function of the same argument that returns a tuple of `max_order + 1`
        results, each with the structure, shapes and dtypes of the result of `f`.
    Raises: TypeError or ValueError as in `derivative`.

    Examples:
        >>> [y.item() for y in derivatives(jnp.sin, 3)(0.0)]
        [0.0, 1.0, 0.0, -1.0]
    """
    max_order = check_int("derivatives", "max_order", max_order, least=0)
    return _tower("derivatives", f, max_order)


def numerical_derivative(
    f: Function[Result], step: ArrayLike | None = None
) -> Function[Result]:
    r"""The central difference $(f(x + h) - f(x - h)) / 2h$.

    Args:
        f: As in `derivative`, but only its values are used: NumPy, `math` and
            branches on the value are allowed inside.
        step: The step $h > 0$, in the unit of `x`; an array broadcasts against `x`.
            By default $\varepsilon^{1/3} \max(1, |x|)$ with the $\varepsilon$ of the
            coarsest dtype among `x` and the results, which balances truncation
            against rounding: about 10 digits are right in float64, 4 in float32,
            2 in float16, 1 in bfloat16. Near the edge of the domain of `f` (log,
            sqrt) pass a smaller step.

    Returns: A function of the same argument; its result has the structure, shapes and
        dtypes of the result of `f`. At a kink it is the mean of both slopes. It is NaN
        where x + h rounds to x.
    Raises: TypeError if `step` is not a number or an array or, on the call, if the
        argument is not floating or a result of `f` neither floating nor complex;
        ValueError if `step` is not positive and finite or, on the call, if `f` changes
        the shape of an array.

    Examples:
        >>> numerical_derivative(jnp.exp)(0.0).round(3).item()
        1.0
    """
    if step is not None:
        _check_step(step)

    def numerical(x: Float[ArrayLike, "*shape"]) -> Result:
        x = check_floating("numerical_derivative", "x", x)
        checked = _checked("numerical_derivative", f)
        if step is not None:
            h = jnp.asarray(step, x.dtype)
            return central_difference(checked, x, h)
        slope = central_difference(checked, x, default_step(x))
        eps = coarsest(slope)
        if eps > jnp.finfo(x.dtype).eps:
            # The default step for x is below the rounding error of a coarser result.
            slope = central_difference(checked, x, default_step(x, eps))
        return slope

    return numerical


def _tower(
    name: str, f: Function[Result], max_order: int
) -> Function[tuple[Result, ...]]:
    def tower(x: Float[ArrayLike, "*shape"]) -> tuple[Result, ...]:
        x = check_floating(name, "x", x)
        return _orders(_checked(name, f), max_order, x)

    return tower


def _orders(f: Function[Result], order: int, x: Array) -> tuple[Result, ...]:
    if order == 0:
        return (f(x),)
    lower, tangents = jax.jvp(
        lambda t: _orders(f, order - 1, t), (x,), (jnp.ones_like(x),)
    )
    return (*lower, tangents[-1])


def _checked(name: str, f: Function[Result]) -> Function[Result]:
    """`f` with checked arrays as results."""

    def checked(x: Array) -> Result:
        result = f(x)
        if not jax.tree.leaves(result):
            what = "f to return an array or a pytree of arrays"
            raise wrong_type(name, what, result)
        return jax.tree.map(lambda leaf: _result(name, x, leaf), result)

    return checked


def _result(name: str, x: Array, leaf: ArrayLike) -> Array:
    if isinstance(leaf, int | float) and not isinstance(leaf, bool):
        return jnp.full_like(x, leaf)
    array = as_array(name, "the result of f", leaf)
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        what = "f to return a floating or complex dtype"
        raise wrong_type(name, what, array.dtype)
    if x.shape and array.shape != x.shape:
        raise wrong_value(
            name,
            f"f to be elementwise and keep the shape {x.shape} of x",
            f"shape {array.shape}",
            "for the gradient of a function of several variables use jax.grad",
        )
    return array


def _check_step(step: ArrayLike) -> None:
    if isinstance(step, bool):
        what = "step to be an array or a number"
        raise wrong_type("numerical_derivative", what, "bool")
    if isinstance(step, Tracer):
        return  # a traced step has no value yet; a step of zero gives NaN
    as_array("numerical_derivative", "step", step)
    if not np.all((np.asarray(step) > 0) & np.isfinite(step)):
        raise wrong_value("numerical_derivative", "step > 0 and finite", step)
