"""The body of a `shard_map` or `pmap`, run on all its shards at once.

A value in such a body has one more leading axis than its type in the body: the shards,
in the order of the mesh. A value that is equal on all shards is repeated for each.
Every operation runs in its own `shard_map`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Item

Function = Callable[..., list[Any]]


@dataclass(frozen=True)
class Shards:
    """Where a body runs: the parameters of its equation."""

    params: jaxprs.ShardParameters

    @property
    def count(self) -> int:
        """How many shards there are."""
        return int(np.prod(self.params.sizes))

    def shard_of(self, number: int) -> str:
        """A shard as the user names it: `data=1, model=0`, or its number."""
        if self.params.axes[0].startswith("_"):  # a `pmap` without an axis name
            return str(number)
        place = np.unravel_index(number, self.params.sizes)
        pairs = zip(self.params.axes, place, strict=True)
        return ", ".join(f"{axis}={i}" for axis, i in pairs)

    def stacked(self, item: Item, function: Function) -> Function:
        """An operation of the body as a function of stacked arrays."""
        if item.reads and item.equation.primitive.name in jaxprs.VARYING:
            return lambda x: [x]  # stacked, every value may vary

        def local(*arrays: Any) -> list[Any]:
            return [y[None] for y in function(*(x[0] for x in arrays))]

        if self.params.checked and jaxprs.has_varying_rule(item.equations):
            return self._typed(item, function)
        # Other operations may read constants, which JAX takes to be equal everywhere.
        names = jaxprs.names_axis(item.equations, self.params.axes)
        checked = self.params.checked and names
        return self._mapped(local, self._each, self._each, checked)

    def _typed(self, item: Item, function: Function) -> Function:
        """An operation with the types of the body: its rule is compared with them."""
        sizes, axes = self.params.sizes, self.params.axes
        outside = (None,) * len(sizes)
        inside = (0,) * len(sizes)
        before, after = map(self._varying, item.reads), map(self._varying, item.writes)
        given, made = list(before), list(after)

        def local(*arrays: Any) -> list[Any]:
            return [y[outside] for y in function(*(x[inside] for x in arrays))]

        def run(*arrays: Any) -> list[Any]:
            grids = [
                x.reshape(*sizes, *x.shape[1:])[
                    tuple(slice(None if axis in spec else 1) for axis in axes)
                ]
                for x, spec in zip(arrays, given, strict=True)
            ]
            results = self._mapped(local, tuple(given), made)(*grids)
            shapes = [y.shape[len(sizes) :] for y in results]
            return [
                jnp.broadcast_to(y, (*sizes, *shape)).reshape(self.count, *shape)
                for y, shape in zip(results, shapes, strict=True)
            ]

        return run

    def _varying(self, variable: Any) -> PartitionSpec:
        varying = jaxprs.varying_axes(variable.aval)
        axes = self.params.axes
        return PartitionSpec(*(axis if axis in varying else None for axis in axes))

    def split(self, position: int) -> Function:
        """From an operand of the whole `shard_map` to its stacked shards."""
        spec = self.params.in_specs[position]
        return self._mapped(lambda x: [x[None]], spec, self._each)

    def join(self, position: int) -> Function:
        """From stacked shards to a result of the whole `shard_map`."""
        spec = self.params.out_specs[position]
        return self._mapped(lambda x: [x[0]], self._each, spec, checked=False)

    def spread(self, array: Any) -> Any:
        """A constant of the program, repeated on every shard."""
        return jnp.broadcast_to(array, (self.count, *np.shape(array)))

    @property
    def _each(self) -> PartitionSpec:
        return PartitionSpec(self.params.axes)

    def _mapped(
        self, local: Function, before: Any, after: Any, checked: bool | None = None
    ) -> Function:
        checked = self.params.checked if checked is None else checked
        return jaxprs.shard_mapped(local, self.params, before, after, checked)


def select(index: Any, *branches: Any) -> list[Any]:
    """The results of the branch that each shard chose."""
    first, *_ = branches
    shape = (*index.shape, *(1 for _ in range(np.ndim(first) - np.ndim(index))))
    return [
        jax.lax.select_n(jnp.broadcast_to(index.reshape(shape), first.shape), *branches)
    ]


def swapped(x: Any) -> list[Any]:
    """A stacked array with the iterations of a loop first, or back again."""
    return [jnp.swapaxes(x, 0, 1)]
