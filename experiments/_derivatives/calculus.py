"""The functions of the notebooks, and their derivatives by calculus.

The closed forms use only Python floats, so they are exact to double precision and
independent of the arrays and derivatives that they check.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Function = Callable[..., jax.Array]


class Example(NamedTuple):
    """A function, the notebooks' points, and its derivatives by calculus."""

    f: Function
    points: tuple[Any, ...]
    calculus: Callable[..., tuple[float, ...]]


# By calculus f, f', f'' and f'''.
EXAMPLES = {
    "2x": Example(lambda x: x * 2, (1.0, 3.0), lambda x: (2 * x, 2, 0, 0)),
    "x^2": Example(lambda x: x**2, (2.0, 3.0), lambda x: (x**2, 2 * x, 2, 0)),
    "x^3": Example(lambda x: x**3, (3.0,), lambda x: (x**3, 3 * x**2, 6 * x, 6)),
    "x^2 + 2x + 2": Example(
        lambda x: x**2 + x * 2 + 2,
        (3.0,),
        lambda x: (x**2 + 2 * x + 2, 2 * x + 2, 2, 0),
    ),
    "x^3 + x^2 + x + 1": Example(
        lambda x: x**3 + x**2 + x + 1,
        (2.0,),
        lambda x: (x**3 + x**2 + x + 1, 3 * x**2 + 2 * x + 1, 6 * x + 2, 6),
    ),
    "exp x": Example(jnp.exp, (1.0, 2.0), lambda x: (math.exp(x),) * 4),
    "sin x": Example(
        jnp.sin,
        (3.141, math.pi),
        lambda x: (math.sin(x), math.cos(x), -math.sin(x), -math.cos(x)),
    ),
    "(x - 4)(x^2 + 6)": Example(
        lambda x: (x - 4) * (x**2 + 6),
        (0.0,),
        lambda x: ((x - 4) * (x**2 + 6), 3 * x**2 - 8 * x + 6, 6 * x - 8, 6),
    ),
    "(sqrt x + 1)^3": Example(
        lambda x: (jnp.sqrt(x) + 1) ** 3,
        (2.0,),
        lambda x: (
            (math.sqrt(x) + 1) ** 3,
            3 * (math.sqrt(x) + 1) ** 2 / (2 * math.sqrt(x)),
            3 * (x - 1) / (4 * x**1.5),
            3 * (3 - x) / (8 * x**2.5),
        ),
    ),
}


# Functions of several variables; by calculus the gradient.
PARTIALS = {
    "w x + b at (x, w, b)": Example(
        lambda x, w, b: w * x + b,
        ((1.0, 2.0, 3.0), (1.0, 2.0, 2.0)),
        lambda x, w, b: (w, x, 1.0),
    ),
    "(x + 2y)^2 at (x, y)": Example(
        lambda x, y: (x + 2 * y) ** 2,
        ((1.0, 2.0),),
        lambda x, y: (2 * (x + 2 * y), 4 * (x + 2 * y)),
    ),
}


def calc(x: jax.Array) -> jax.Array:
    """The notebook's chain, the mean of s / (s + 2) with s = (2x + 1)^2.

    PyTorch's lines work unchanged: each `x = ...` binds a new array.
    """
    x = x * 2 + 1
    x = x**2
    x = x / (x + 2)
    return jnp.mean(x)


def calc_gradient(x: Sequence[float]) -> list[float]:
    """The gradient of `calc` by calculus: 8 u / (u^2 + 2)^2 / n with u = 2x + 1."""
    return [8 * u / (u**2 + 2) ** 2 / len(x) for u in (2 * t + 1 for t in x)]


def mean_of_squares(x: jax.Array) -> jax.Array:
    """mean(3 (x + 2)^2), written as in the notebook."""
    y = x + 2
    z = y * y * 3
    return z.mean()
