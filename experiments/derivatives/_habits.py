"""What PyTorch's switches become when a derivative is a function; all measured.

`requires_grad`, `retain_graph`, `create_graph`, `grad_fn` and `detach` say to a graph
that is recorded what shall be recorded of it. Here `argnums` chooses what to
differentiate, a function can be called again, and its jaxpr is the record.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.derivatives._calculus import (
    EXAMPLES,
    PARTIALS,
    Function,
    mean_of_squares,
)
from jaxgrad import derivative


class Chain(NamedTuple):
    """The steps of mean(3 (x + 2)^2) at a matrix of ones."""

    y: jax.Array
    z: jax.Array
    mean: jax.Array
    gradient: jax.Array
    recorded: dict[str, list[str]]


class Habits(NamedTuple):
    """What PyTorch's switches become; all measured."""

    twice: list[float]
    """The derivative of x^2 + 2x + 2 at 3, asked for twice."""
    two_ways: list[float]
    """The derivative of x^2 at 2 in reverse (`jax.grad`) and in forward mode."""
    chosen: dict[str, list[float]]
    """Gradients of w x + b at (1, 2, 3) by `argnums`."""
    chosen_again: list[int]
    """How many gradients there are if an argument is chosen once, and twice."""
    stopped: dict[str, float]
    """The derivatives of x * x and of x * stop_gradient(x) at 3."""
    numpy_inside: str
    """The error that NumPy's exp causes in a function that is differentiated."""


def recorded(f: Function, *args: Any) -> list[str]:
    """The operations of `f` in order: what `grad_fn` (once `creator`) names."""
    return [equation.primitive.name for equation in jax.make_jaxpr(f)(*args).eqns]


def mean_chain() -> Chain:
    """mean(3 (x + 2)^2) at ones(2, 2), with the operations JAX recorded."""
    x = jnp.ones((2, 2), jnp.float32)
    y = x + 2
    return Chain(
        y=y,
        z=y * y * 3,
        mean=mean_of_squares(x),
        gradient=jax.grad(mean_of_squares)(x),
        recorded={
            "x + 2": recorded(lambda x: x + 2, x),
            "mean of 3 (x + 2)^2": recorded(mean_of_squares, x),
        },
    )


def habits() -> Habits:
    """Try what each of PyTorch's switches is for."""
    slope, square = derivative(EXAMPLES["x^2 + 2x + 2"].f), EXAMPLES["x^2"].f
    line, point = PARTIALS["w x + b at (x, w, b)"].f, (1.0, 2.0, 3.0)
    return Habits(
        twice=[slope(3.0).item(), slope(3.0).item()],
        two_ways=[jax.grad(square)(2.0).item(), derivative(square)(2.0).item()],
        chosen={
            str(argnums): [g.item() for g in jax.grad(line, argnums=argnums)(*point)]
            for argnums in [(0,), (1, 2), (0, 1, 2)]
        },
        chosen_again=[
            len(jax.grad(line, argnums=tuple(chosen))(*point))
            for chosen in ({0}, {0} | {0})
        ],
        stopped={
            "x * x": derivative(lambda x: x * x)(3.0).item(),
            "x * stop_gradient(x)": derivative(lambda x: x * jax.lax.stop_gradient(x))(
                3.0
            ).item(),
        },
        numpy_inside=error_of(lambda: derivative(np.exp)(2.0)),
    )


def error_of(call: Callable[[], Any]) -> str:
    """The name and the first line of the error that `call` raises."""
    try:
        call()
    except jax.errors.TracerArrayConversionError as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return "no error"
