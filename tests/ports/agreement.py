"""How far a port is from PyTorch's program, in its loss and in its gradients.

Without jaxgrad: this shows that a correct port is correct, and that a bug is one.
"""

import functools
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.ports.numbers import numbers_of
from tests.ports.running import Program, original, port


@functools.cache
def distances(module: ModuleType, program: str, dtype: str) -> tuple[float, float]:
    """The relative distance of the losses, and the largest of the gradients."""
    double = jax.enable_x64(dtype == "float64")
    with double, jax.numpy_dtype_promotion("standard"):
        loss, slopes = _original(program, dtype)
        value, gradients = _port(port(module, program, dtype))
        expected = _leaves(module.params_from_torch(slopes))
    size = max(np.abs(x).max() for x in expected)
    apart = [
        np.abs(a - b).max() / (np.abs(b).max() + 1e-3 * size)
        for a, b in zip(gradients, expected, strict=True)
    ]
    return abs(value - loss) / abs(loss), np.nan_to_num(
        np.max(apart), nan=np.inf
    ).item()


def _original(program: str, dtype: str) -> tuple[float, dict[str, jax.Array]]:
    """The loss, and the gradients by the names of the state."""
    theirs = original(program, dtype)
    loss = theirs.function(*theirs.arguments)
    loss.backward()
    slopes = {k: jnp.zeros(x.shape, dtype) for k, x in numbers_of(program)[0].items()}
    for name, leaf in (theirs.parameters or {}).items():
        if leaf.grad is not None:
            slopes[name] = jnp.asarray(leaf.grad.numpy())
    return loss.item(), slopes


def _port(ours: Program) -> tuple[float, list[Any]]:
    transform = nnx if isinstance(ours.arguments[0], nnx.Module) else jax
    value, gradients = transform.value_and_grad(ours.function)(*ours.arguments)
    return value.item(), _leaves(gradients)


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, nnx.Module):
        tree = nnx.state(tree, nnx.Param)
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]
