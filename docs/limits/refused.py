"""Calls that explain refuses: what JAX refuses to differentiate, and a few more."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from docs.limits.entered import ONES
from jaxgrad import explain


def while_loop(x: Array) -> Array:
    """A derivative through `lax.while_loop`"""
    return lax.while_loop(lambda y: y.sum() < 9, lambda y: 2 * y, x).sum()


def traced_end(x: Array) -> Array:
    """A derivative through `fori_loop` with a traced end"""
    return jax.jit(lambda x, n: lax.fori_loop(0, n, lambda _, y: 2 * y, x))(x, 3).sum()


def callback(x: Array) -> Array:
    """A derivative through `pure_callback` or `io_callback` without a rule"""
    return jax.pure_callback(np.sin, jax.typeof(x), x).sum()


def several_numbers(x: Array) -> Array:
    """A result that is not a scalar"""
    return jnp.sin(x)


def integer_result(x: Array) -> Array:
    """A result that is an integer"""
    return jnp.argmax(x)


def integer_argument(n: Array) -> Array:
    """An integer argument among `argnums`"""
    return jnp.sum(2.0 * n)


def inside_a_trace(x: Array) -> Array:
    """A call of `explain` inside of `jax.jit`, `jax.grad` or `jax.vmap`"""
    return jax.jit(lambda x: explain(lambda y: y.sum())(x).value)(x)


def donated(x: Array) -> Array:
    """An argument whose buffer was donated"""
    return x.sum()


def _deleted() -> Array:
    array = ONES + 1
    array.delete()
    return array


PROGRAMS = (while_loop, traced_end, callback, several_numbers, integer_result)
CALLS = [
    *(partial(f, ONES) for f in PROGRAMS),
    partial(integer_argument, jnp.arange(3)),
    partial(inside_a_trace, ONES),
    partial(donated, _deleted()),
]
