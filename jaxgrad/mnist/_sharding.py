"""One program over many devices: the batch is cut, everything else is copied.

`jax.jit` sees arrays that are spread over a mesh and writes the communication itself:
the sum over a batch that lies on eight devices is a sum over those devices. Nothing in
the training knows of it. With `jax.distributed` the mesh spans processes.

Torch: `DistributedDataParallel` with `DistributedSampler`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgrad._types import Array


def data_mesh() -> Mesh:
    """All devices of all processes in one row: each takes its part of every batch."""
    return Mesh(np.array(jax.devices()), ("data",))


def replicated(tree: Any, mesh: Mesh) -> Any:
    """A copy of the tree on each device of the mesh, of which every process owns some.

    Args:
        tree: Arrays, the same in every process. What lies there already is not copied.
        mesh: The devices.
    """
    sharding = NamedSharding(mesh, PartitionSpec())

    def put(leaf: Array) -> Array:
        if leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
            return leaf
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = put(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        host = np.asarray(leaf)
        # A copy for each device: they are given away one by one.
        return jax.make_array_from_callback(
            host.shape, sharding, lambda part: np.array(host[part])
        )

    return jax.tree.map(put, tree)


def constrained(tree: Any, mesh: Mesh | None) -> Any:
    """Inside of a compiled program: keep the tree whole on every device."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))
