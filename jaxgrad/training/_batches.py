"""The batches of an epoch: which examples each step uses.

On one device all examples stay on the device as bytes, and each step gathers its own.
Over a mesh each device receives only its part of every batch, from the memory of the
process that owns the device: no image travels between devices.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Bool, Int, Int32, UInt8

from jaxgrad._checks import check_int
from jaxgrad._types import Array, PRNGKey
from jaxgrad.datasets import Split

Batch = tuple[Array, Array, Array]  # images, labels, mask


class BatchCount(NamedTuple):
    """How many batches an epoch has."""

    steps: int
    last: int  # examples in the last batch


def count_batches(n: int, batch_size: int) -> BatchCount:
    """How many batches `n` examples make, and how many examples the last one holds.

    Examples:
        >>> count_batches(60_000, 256)
        BatchCount(steps=235, last=96)
    """
    batch_size = check_int("count_batches", "batch_size", batch_size, least=1)
    steps = -(-n // batch_size)
    return BatchCount(steps, n - (steps - 1) * batch_size)


class Gathered(NamedTuple):
    """All examples, and the indices of each step's batch."""

    split: Split
    indices: Int32[Array, "steps batch"]
    mask: Bool[Array, "steps batch"]

    def batch(self, step: Array | int) -> Batch:
        """The batch of one step: bytes, a quarter of what gathering floats moves."""
        indices = self.indices[step]
        images, labels = self.split
        return images[indices], labels[indices], self.mask[step]


class Placed(NamedTuple):
    """The batches of all steps, split along the batch over the devices of a mesh."""

    images: UInt8[Array, "steps batch height width"]
    labels: Int32[Array, "steps batch"]
    mask: Bool[Array, "steps batch"]

    def batch(self, step: Array | int) -> Batch:
        """The batch of one step."""
        return self.images[step], self.labels[step], self.mask[step]


Batches = Gathered | Placed


@partial(jax.jit, static_argnames="n")
def shuffle(key: PRNGKey, epoch: Array, *, n: int) -> Int[Array, "n"]:
    """The order of an epoch, a function of the state's key and the epoch's number."""
    order_key, _ = jax.random.split(key)
    return jax.random.permutation(jax.random.fold_in(order_key, epoch), n)


def make_batches(
    split: Split, batch_size: int, mesh: Mesh | None, order: Array | None = None
) -> Batches:
    """The batches of `split` in this order, by default its own; the last is padded."""
    if order is None:
        order = jnp.arange(len(split.labels), dtype=jnp.int32)
    indices, mask = _cut(order, batch_size=batch_size)
    if mesh is None:
        return Gathered(split, indices, mask)
    return _placed(split, np.asarray(indices), np.asarray(mask), mesh)


@partial(jax.jit, static_argnames="batch_size")
def _cut(order: Array, *, batch_size: int) -> tuple[Array, Array]:
    """The indices and the mask of each batch, (steps, batch)."""
    shape = count_batches(len(order), batch_size).steps, batch_size
    mask = jnp.arange(shape[0] * shape[1]) < len(order)
    return jnp.resize(order, shape), mask.reshape(shape)


def indices_of(
    order: np.ndarray, batch_size: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of one batch of an epoch, on the host, and which are not padding."""
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    return order[places % len(order)], places < len(order)


def _placed(split: Split, indices: np.ndarray, mask: np.ndarray, mesh: Mesh) -> Placed:
    """Give each device its columns; pad a batch that the devices do not divide."""
    padding = ((0, 0), (0, -indices.shape[1] % mesh.size))
    indices, mask = np.pad(indices, padding), np.pad(mask, padding)
    sharding = NamedSharding(mesh, PartitionSpec(None, mesh.axis_names))

    def place(values: np.ndarray, indices: np.ndarray | None = None) -> Array:
        """`values`, or `values[indices]`, of which each device holds its columns."""

        def part_of(part: Any) -> np.ndarray:
            part = (part or ())[:2]
            return values[part] if indices is None else values[indices[part]]

        shape = mask.shape if indices is None else (*mask.shape, *values.shape[1:])
        return jax.make_array_from_callback(shape, sharding, part_of)

    images, labels = map(np.asarray, split)
    return Placed(place(images, indices), place(labels, indices), place(mask))
