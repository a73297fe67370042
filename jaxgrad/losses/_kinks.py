"""Functions with PyTorch's derivative at a kink or on a flat part."""

import functools
import math

import jax
import jax.numpy as jnp
import optax

from jaxgrad._numerics import largest, sign, smallest
from jaxgrad._types import Array, ArrayLike, Number


@jax.custom_jvp
def absolute(x: Array) -> Array:
    """|x| with the derivative 0 at 0, where `jnp.abs` takes 1, and 0 at NaN."""
    return jnp.abs(x)


absolute.defjvps(lambda tangent, size, x: sign(x) * tangent)


def clamp_negative(x: Array) -> Array:
    """max(x, 0) with the derivative 1 at 0, like PyTorch's clamp_min."""
    return jnp.where(x >= 0, x, jax.lax.stop_gradient(jnp.maximum(x, 0)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def huber(error: Array, delta: Number) -> Array:
    """error^2 / 2, linear from `delta` on, where its second derivative is 0."""
    if math.isinf(delta):  # Optax's linear part would be inf * 0
        return jnp.square(error) / 2
    return optax.huber_loss(error, delta=delta)


@huber.defjvp
def _huber_jvp(
    delta: float, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (error,), (tangent,) = primals, tangents
    slope = jnp.where(jnp.abs(error) < delta, error, jnp.sign(error) * delta)
    return huber(error, delta), slope * tangent


@jax.custom_jvp
def clamp_unseen(x: Array, least: ArrayLike) -> Array:
    """max(x, least) with the derivative 1 everywhere."""
    return jnp.maximum(x, least)


clamp_unseen.defjvps(lambda tangent, clamped, x, least: tangent, None)


def norm(x: Array, p: Number) -> Array:
    """The p-norm over the last axis; its derivative at 0 is 0."""
    x = jnp.atleast_1d(x)
    if p == 0:
        return jnp.sum(x != 0, axis=-1, dtype=x.dtype)
    if math.isinf(p):
        extreme = largest if p > 0 else smallest
        return extreme(absolute(x), axis=-1)
    return _power_norm(x, p)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _power_norm(x: Array, p: int | float) -> Array:
    sizes = jnp.abs(x)
    most = jnp.max(sizes, axis=-1, initial=0)
    scale = jnp.where((most > 0) & jnp.isfinite(most), most, 1)
    # Scaled so that powers do not overflow.
    return scale * jnp.sum((sizes / scale[..., None]) ** p, axis=-1) ** (1 / p)


@_power_norm.defjvp
def _power_norm_jvp(
    p: int | float, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    length = _power_norm(x, p)
    flat = length[..., None] == 0
    unit = x / jnp.where(flat, 1, length[..., None])
    if p == 2:
        return length, jnp.sum(unit * tangent, axis=-1)
    flat = flat | (x == 0)
    size = jnp.abs(jnp.where(flat, 1, unit))  # 0 to a negative power is inf
    slopes = jnp.where(flat, 0, sign(x) * size ** (p - 1))
    return length, jnp.sum(slopes * tangent, axis=-1)
