"""Programs in which explain keeps something whole: a part of it, or all of it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from docs.limits.entered import ONES, inside


def library(x: Array) -> Array:
    """A function of a library: one step, which `depth="library"` enters"""
    return jax.nn.standardize(x).max()


def update(x: Array) -> Array:
    """The update of an optimizer of Optax or of jaxgrad, likewise"""
    optimizer = optax.adam(0.1)
    updates, _ = optimizer.update(x**2, optimizer.init(x))
    return jnp.sum(jnp.asarray(updates))


@jax.custom_jvp
def jvp_rule(x: Array) -> Array:
    """A function with a rule of its own."""
    return inside(x)


jvp_rule.defjvp(lambda primals, tangents: (inside(*primals), tangents[0]))


def with_jvp_rule(x: Array) -> Array:
    """`jax.custom_jvp`: one step, with the derivative that its rule gives"""
    return jvp_rule(x).sum()


@jax.custom_vjp
def vjp_rule(x: Array) -> Array:
    """A function with a rule of its own."""
    return inside(x)


vjp_rule.defvjp(lambda x: (inside(x), None), lambda _, g: (g,))


def with_vjp_rule(x: Array) -> Array:
    """`jax.custom_vjp`: one step, likewise"""
    return vjp_rule(x).sum()


def while_loop(x: Array) -> Array:
    """`lax.while_loop` through which no derivative passes: one step, forward only"""
    steps = lax.while_loop(lambda y: y < 9, lambda y: y + 1 + abs(inside(y)), x[0])
    return x.sum() * lax.stop_gradient(steps)


def solved(x: Array) -> Array:
    """`lax.custom_linear_solve`, `lax.custom_root`, `jnp.linalg`: one step"""
    return lax.custom_linear_solve(
        lambda v: 2.0 * v, x, lambda _, b: inside(b) * 0 + b / 2, symmetric=True
    ).sum()


def callback_with_a_rule(x: Array) -> Array:
    """A Python callback with a derivative of its own: one step"""
    return _callback(x).sum()


@jax.custom_jvp
def _callback(x: Array) -> Array:
    return jax.pure_callback(np.sin, jax.typeof(x), x)


_callback.defjvp(lambda primals, tangents: (_callback(*primals), tangents[0]))


def python_reads(x: Array) -> Array:
    """Python reads a differentiated value (`if x > 0`, `float(x)`): one step in all"""
    return inside(x).sum() if x[0] > 0 else x.sum()


def counted(x: Array) -> Array:
    """`fori_loop` to an end that is such a value: one step in all"""
    return lax.fori_loop(0, jnp.int32(x[0] * 3), lambda _, y: inside(y), x).sum()


PROGRAMS = (
    library,
    update,
    with_jvp_rule,
    with_vjp_rule,
    while_loop,
    solved,
    callback_with_a_rule,
    python_reads,
    counted,
)
CALLS = [partial(f, ONES) for f in PROGRAMS]
