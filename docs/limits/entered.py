"""Programs whose inside explain shows: each runs a function called `inside`."""

from functools import partial

import equinox
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax
from jax.sharding import Mesh, PartitionSpec

ONES = jnp.ones(3)


def inside(x: Array) -> Array:
    """What each program runs."""
    return jnp.sin(x) * x


def called(x: Array) -> Array:
    """Your own function, in any file"""
    return inside(x).sum()


def jitted(x: Array) -> Array:
    """`jax.jit`"""
    return jax.jit(inside)(x).sum()


def vmapped(x: Array) -> Array:
    """`jax.vmap`"""
    return jax.vmap(inside)(x).sum()


def checkpointed(x: Array) -> Array:
    """`jax.checkpoint` (rematerialisation)"""
    return jax.checkpoint(inside)(x).sum()


def scanned(x: Array) -> Array:
    """`lax.scan`, `lax.map`: each step has one value for each iteration"""
    return lax.scan(lambda c, y: (c + inside(y), None), jnp.zeros(()), x)[0]


def looped(x: Array) -> Array:
    """`lax.fori_loop` with a number of iterations that is known while tracing"""
    return lax.fori_loop(0, 3, lambda _, y: inside(y), x).sum()


def branched(x: Array) -> Array:
    """`lax.cond`, `lax.switch`: the branch that is taken"""
    return lax.cond(x.sum() > 0, inside, jnp.cos, x).sum()


def mapped_over_a_mesh(x: Array) -> Array:
    """`jax.shard_map`: each step has one value for each shard"""
    mesh, spec = Mesh(np.array(jax.devices()[:1]), "i"), PartitionSpec("i")
    return jax.shard_map(inside, mesh=mesh, in_specs=spec, out_specs=spec)(x).sum()


def mapped_over_devices(x: Array) -> Array:
    """`jax.pmap`"""
    return jax.pmap(inside)(x[None]).sum()


def associative(x: Array) -> Array:
    """`lax.associative_scan`"""
    return lax.associative_scan(lambda a, b: inside(a) + b, x).sum()


class Layer(equinox.Module):
    """A module whose call runs `inside`."""

    weight: Array

    def __call__(self, x: Array) -> Array:
        """Run it."""
        return inside(self.weight * x).sum()


class NNXLayer(nnx.Module):
    """The same of Flax."""

    def __init__(self) -> None:
        self.weight = nnx.Param(ONES)

    def __call__(self, x: Array) -> Array:
        """Run it."""
        return inside(self.weight[...] * x).sum()


def equinox_module(module: Layer, x: Array) -> Array:
    """An Equinox module as the argument"""
    return module(x)


def nnx_module(module: NNXLayer, x: Array) -> Array:
    """A Flax NNX module as the argument"""
    return module(x)


def with_a_gradient_inside(x: Array) -> Array:
    """`jax.grad` inside of the function, forward and backward"""
    return jax.grad(lambda x: inside(x).sum())(x).sum()


def changed_in_place(x: Array) -> Array:
    """Arrays that are changed in place (`jax.new_ref`)"""
    total = jax.new_ref(jnp.zeros(()))
    total[...] = total[...] + inside(x).sum()
    return total[...]


def printing(x: Array) -> Array:
    """`jax.debug.print`, `jax.debug.callback`: they run, and are not steps"""
    jax.debug.callback(lambda _: None, x)
    return inside(x).sum()


def reading_an_option(x: Array, option: str, layers: int) -> Array:
    """Python's `if` and `for` on arguments that are not arrays, on shapes and dtypes"""
    for _ in range(layers if option == "deep" and x.ndim == 1 else 0):
        x = inside(x)
    return x.sum()


def with_a_traced_stop(x: Array) -> Array:
    """A `while_loop` or a callback whose result passes through `stop_gradient`"""
    steps = lax.while_loop(lambda y: y < 9, lambda y: 2 * y, x[0])
    return inside(x).sum() * lax.stop_gradient(steps)


PLAIN = (called, jitted, vmapped, checkpointed, scanned, looped, branched)
MAPPED = (mapped_over_a_mesh, mapped_over_devices, associative)
OTHERS = (with_a_gradient_inside, changed_in_place, printing, with_a_traced_stop)
CALLS = [
    *(partial(f, ONES) for f in (*PLAIN, *MAPPED, *OTHERS)),
    partial(equinox_module, Layer(ONES), ONES),
    partial(nnx_module, NNXLayer(), ONES),
    partial(reading_an_option, ONES, "deep", 2),
]
