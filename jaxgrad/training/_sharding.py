"""One program over many devices: the batch is split, everything else is replicated.

`jax.jit` sees arrays that are spread over a mesh and inserts the communication itself:
a sum over a batch that lies on eight devices becomes a sum over those devices. The
training code does not change. With `jax.distributed` the mesh spans processes.

Torch: `DistributedDataParallel` with `DistributedSampler`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgrad._types import Array


def data_mesh() -> Mesh:
    """All devices of all processes along one axis; each takes a part of every batch."""
    return Mesh(np.array(jax.devices()), ("data",))


def replicated(tree: Any, mesh: Mesh | None) -> Any:
    """Copy a pytree, equal in every process, to every device of a mesh.

    A leaf that is already replicated over the mesh is returned as it is; without a mesh
    all are.
    """
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec())

    def put(leaf: Array) -> Array:
        if leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
            return leaf
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = put(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        host = np.asarray(leaf)
        # One copy per device, because each device donates its own.
        copies = jax.make_array_from_callback
        return copies(host.shape, sharding, lambda part: np.array(host[part]))

    return jax.tree.map(put, tree)


def constrained(tree: Any, mesh: Mesh | None) -> Any:
    """Inside a compiled program: keep the whole pytree on every device."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))
