"""Which examples a step sees: an order, cut into batches.

On one device all examples stay there as bytes, and each step gathers its own. Over a
mesh every device is given its part of every batch, taken from the host's memory by the
process that owns the device: no image ever travels between devices.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Bool, Int, Int32, UInt8

from jaxgrad._types import Array, PRNGKey
from jaxgrad.mnist._dataset import Split

Batch = tuple[Array, Array, Array]  # images, labels, mask


class Batches(NamedTuple):
    """How an epoch is cut."""

    steps: int
    last: int  # examples in the last one


def batches(n: int, batch_size: int) -> Batches:
    """How many batches `n` examples make, and how many are left for the last.

    Examples:
        >>> batches(60_000, 256)
        Batches(steps=235, last=96)
    """
    steps = -(-n // batch_size)
    return Batches(steps, n - (steps - 1) * batch_size)


class Gathered(NamedTuple):
    """All examples, and the places of those that each step sees."""

    split: Split
    indices: Int32[Array, "steps batch"]
    mask: Bool[Array, "steps batch"]

    def batch(self, step: Array | int) -> Batch:
        """The batch of one step. Bytes are gathered, a quarter of what floats are."""
        indices = self.indices[step]
        images, labels = self.split
        return images[indices], labels[indices], self.mask[step]


class Placed(NamedTuple):
    """The batches of all steps, cut along the batch over the devices of a mesh."""

    images: UInt8[Array, "steps batch height width"]
    labels: Int32[Array, "steps batch"]
    mask: Bool[Array, "steps batch"]

    def batch(self, step: Array | int) -> Batch:
        """The batch of one step."""
        return self.images[step], self.labels[step], self.mask[step]


Visits = Gathered | Placed


@partial(jax.jit, static_argnames="n")
def shuffled(key: PRNGKey, epoch: Array, *, n: int) -> Int[Array, "n"]:
    """The order of an epoch: a function of the state's key and the epoch's number."""
    shuffle, _ = jax.random.split(key)
    return jax.random.permutation(jax.random.fold_in(shuffle, epoch), n)


@partial(jax.jit, static_argnames="batch_size")
def cut(
    order: Int[Array, "visits"], *, batch_size: int
) -> tuple[Int[Array, "steps batch"], Bool[Array, "steps batch"]]:
    """Indices and mask of each batch.

    The last one is filled up from the start of the order, and the filling is masked.
    """
    shape = batches(len(order), batch_size).steps, batch_size
    own = jnp.arange(shape[0] * shape[1]) < len(order)
    return jnp.resize(order, shape), own.reshape(shape)


def visits(
    split: Split, order: Int[Array, "visits"], batch_size: int, mesh: Mesh | None
) -> Visits:
    """The batches of `split` in this order, for one device or for those of a mesh."""
    indices, mask = cut(order, batch_size=batch_size)
    if mesh is None:
        return Gathered(split, indices, mask)
    return _placed(split, np.asarray(indices), np.asarray(mask), mesh)


def _placed(split: Split, indices: np.ndarray, mask: np.ndarray, mesh: Mesh) -> Placed:
    """Every device its columns; a batch that does not divide is filled up, masked."""
    filling = ((0, 0), (0, -indices.shape[1] % mesh.size))
    indices, mask = np.pad(indices, filling), np.pad(mask, filling)
    sharding = NamedSharding(mesh, PartitionSpec(None, mesh.axis_names))

    def place(part_of: Callable[[Any], np.ndarray], *pixels: int) -> Array:
        """The array of which `part_of` makes the part at some steps and columns."""
        shape = (*mask.shape, *pixels)
        return jax.make_array_from_callback(
            shape, sharding, lambda part: part_of((part or ())[:2])
        )

    images, labels = map(np.asarray, split)
    return Placed(
        place(lambda part: images[indices[part]], *images.shape[1:]),
        place(lambda part: labels[indices[part]]),
        place(lambda part: mask[part]),
    )
