"""Derivatives of any order of a function of one real variable.

`jax.grad` needs a scalar and is applied once per order; a tower of `jax.jvp`
carries every lower order along and takes functions that map element by
element, so one call gives f, f', f'', ... over a whole axis of points. The
numerical derivative beside them uses values only: it is what they are checked
against.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import check_floating, check_int
from jaxgrad._differences import central_difference, default_step
from jaxgrad._types import ArrayLike, PyTree

Function = Callable[..., PyTree]


def derivative(f: Function, order: int = 1) -> Function:
    r"""The derivative $f^{(n)}$ of a function of one real variable.

    Args:
        f: A function of one floating array. Either it takes a scalar and returns
            any array or pytree of arrays (a curve), or it acts element by element
            and returns arrays of the shape of its input.
        order: How often to differentiate, $n \ge 0$.

    Returns:
        A function of the same argument; its result has the structure, shapes and
        dtypes of the result of `f`. It can be differentiated, jitted and vmapped.

    Raises:
        TypeError: If `order` is no int or, on the call, if the argument is not
            floating.
        ValueError: If `order` is negative or, on the call, if an array's shape is
            changed by `f`, which then does not act element by element.

    Examples:
        >>> cubic = lambda x: x**3 + x**2 + x + 1
        >>> [derivative(cubic, order)(2.0).item() for order in (1, 2, 3)]
        [17.0, 14.0, 6.0]

    Torch: `torch.autograd.grad(..., create_graph=True)`, once per order.
    """
    check_int("derivative", "order", order, least=0)
    tower = _tower("derivative", f, order)
    return lambda x: tower(x)[order]


def derivatives(f: Function, max_order: int) -> Function:
    r"""The tower $(f, f', \dots, f^{(n)})$ of a function of one real variable.

    Args:
        f: As in `derivative`.
        max_order: The highest order $n \ge 0$. Each order doubles the work when
            the result runs op by op; under `jax.jit` common parts are shared.

    Returns:
        A function of the same argument that returns a tuple of `max_order + 1`
        results, each with the structure, shapes and dtypes of the result of `f`.

    Raises:
        TypeError, ValueError: As in `derivative`.

    Examples:
        >>> [y.item() for y in derivatives(jnp.sin, 3)(0.0)]
        [0.0, 1.0, 0.0, -1.0]
    """
    check_int("derivatives", "max_order", max_order, least=0)
    return _tower("derivatives", f, max_order)


def numerical_derivative(f: Function, step: float | None = None) -> Function:
    r"""The central difference $(f(x + h) - f(x - h)) / 2h$.

    Args:
        f: As in `derivative`.
        step: The step $h > 0$, in the unit of `x`. By default
            $\varepsilon^{1/3} \max(1, |x|)$ with the $\varepsilon$ of the dtype of
            `x`, which balances truncation against rounding: about 10 digits are
            right in float64, 4 in float32, 2 in float16.

    Returns:
        A function of the same argument; its result has the structure, shapes and
        dtypes of the result of `f`. At a kink it is the mean of both slopes.

    Raises:
        TypeError: On the call, if the argument is not floating.
        ValueError: If `step` is not positive or, on the call, if an array's shape
            is changed by `f`.

    Examples:
        >>> numerical_derivative(jnp.exp)(0.0).round(3).item()
        1.0
    """
    if step is not None and not step > 0:
        raise ValueError(
            f"numerical_derivative: expected step > 0, got {step} instead."
        )

    def numerical(x: Float[ArrayLike, "*shape"]) -> PyTree:
        x = check_floating("numerical_derivative", "x", x)
        h = default_step(x) if step is None else jnp.full_like(x, step)
        return central_difference(
            _shape_keeping("numerical_derivative", f, x.shape), x, h
        )

    return numerical


def _tower(name: str, f: Function, max_order: int) -> Function:
    def tower(x: Float[ArrayLike, "*shape"]) -> tuple[PyTree, ...]:
        x = check_floating(name, "x", x)
        return _orders(_shape_keeping(name, f, x.shape), max_order, x)

    return tower


def _orders(f: Function, order: int, x: jax.Array) -> tuple[PyTree, ...]:
    if order == 0:
        return (f(x),)
    lower, tangents = jax.jvp(
        lambda t: _orders(f, order - 1, t), (x,), (jnp.ones_like(x),)
    )
    return (*lower, tangents[-1])


def _shape_keeping(name: str, f: Function, shape: tuple[int, ...]) -> Function:
    """`f`, refusing results that show it does not act element by element."""

    def checked(x: jax.Array) -> PyTree:
        result = f(x)
        for leaf in jax.tree.leaves(result):
            if shape and jnp.shape(leaf) != shape:
                raise ValueError(
                    f"{name}: expected f to act element by element and keep the "
                    f"shape {shape} of x, got shape {jnp.shape(leaf)} instead; for "
                    "the gradient of a function of several variables use jax.grad."
                )
        return result

    return checked
