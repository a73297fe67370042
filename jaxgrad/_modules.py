"""Modules of Equinox and Flax NNX among the arguments of a function.

An Equinox module is a tree whose inexact arrays are its parameters; all other leaves
stay as they are. An NNX object is a graph that may be changed in place. Here it becomes
a tree (`Split`), and a function of objects becomes a function of such trees. Neither
library is imported here: whoever passes one of its objects has already imported it.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Types that `jax.jit` accepts as they are.
NUMBERS = (jax.Array, np.ndarray, np.generic, int, float, complex)


class _Array:
    """Stands for an array among the static leaves."""


@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True)
class Split:
    """An NNX object: its arrays, the parameters (`nnx.Param`) first.

    `static` holds everything else, and compares equal for objects of one structure.
    """

    arrays: Sequence[Any]
    static: tuple[Any, ...]  # The graph, structures of both states, names, parameters

    @classmethod
    def of(cls, node: Any) -> "Split":
        """The arrays of an object as they are now."""
        nnx = sys.modules["flax.nnx"]
        graph, *states = nnx.split(node, nnx.Param, ...)
        (some, first), (others, second) = map(
            jax.tree_util.tree_flatten_with_path, states
        )
        names = tuple(_attribute(path) for path, _ in (*some, *others))
        static = graph, first, second, names, len(some)
        return cls([array for _, array in (*some, *others)], static)

    def merge(self) -> Any:
        """A new object that holds these arrays."""
        graph, *_ = self.static
        return sys.modules["flax.nnx"].merge(graph, *self._states())

    def changes(self, node: Any) -> "Split":
        """The arrays that a function replaced in the merged object; else None."""
        after = Split.of(node)
        if after.static != self.static:
            return after
        pairs = zip(self.arrays, after.arrays, strict=True)
        return Split([None if old is new else new for old, new in pairs], self.static)

    def write_to(self, node: Any) -> None:
        """Apply such changes to an object, in place."""
        given = self.arrays
        if any(array is None for array in given):
            pairs = zip(given, Split.of(node).arrays, strict=True)
            given = [old if new is None else new for new, old in pairs]
        states = Split(given, self.static)._states()
        sys.modules["flax.nnx"].update(node, *states)

    def parameters(self) -> Any:
        """The parameters as an `nnx.State`, like the gradients of NNX."""
        return self._states()[0]

    @property
    def count(self) -> int:
        """How many of the arrays are parameters."""
        return self.static[-1]

    def _states(self) -> list[Any]:
        _, first, second, _, count = self.static
        parts = (first, self.arrays[:count]), (second, self.arrays[count:])
        return [jax.tree.unflatten(tree, arrays) for tree, arrays in parts]

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        names = self.static[-2]
        keys = map(jax.tree_util.GetAttrKey, names)
        return tuple(zip(keys, self.arrays, strict=True)), self.static

    @classmethod
    def tree_unflatten(cls, static: Any, arrays: Any) -> "Split":
        return cls(list(arrays), static)


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class Packed:
    """A tree whose leaves are static for `jax.jit`, except the arrays."""

    arrays: Sequence[Any]
    static: tuple[Any, tuple[Any, ...]]  # The structure, and all but the arrays

    def unpack(self) -> Any:
        """The tree."""
        tree, others = self.static
        arrays = iter(self.arrays)
        leaves = [next(arrays) if leaf is _Array else leaf for leaf in others]
        return jax.tree.unflatten(tree, leaves)

    def tree_flatten(self) -> tuple[Any, Any]:
        return tuple(self.arrays), self.static

    @classmethod
    def tree_unflatten(cls, static: Any, arrays: Any) -> "Packed":
        return cls(list(arrays), static)


def pack(tree: Any) -> Any:
    """A `Packed` for a tree that `jax.jit` does not accept as it is; see `unpack`."""
    leaves, structure = jax.tree.flatten(tree)
    numbers = all(isinstance(leaf, NUMBERS) for leaf in leaves)
    if jax.tree_util.treedef_is_leaf(structure) or (numbers and not _modules_in(tree)):
        return tree
    others = tuple(_Array if is_array(leaf) else leaf for leaf in leaves)
    return Packed([leaf for leaf in leaves if is_array(leaf)], (structure, others))


def _modules_in(tree: Any) -> bool:
    loaded = "equinox" in sys.modules or "flax.nnx" in sys.modules
    return loaded and any(map(is_module, jax.tree.leaves(tree, is_leaf=is_module)))


def unpack(tree: Any) -> Any:
    """What was given to `pack`."""
    return tree.unpack() if isinstance(tree, Packed) else tree


def is_object(value: Any) -> bool:
    """Whether it is an NNX module, optimizer, stream of keys or variable."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(value, (nnx.Pytree, nnx.Variable))


def is_module(value: Any) -> bool:
    """Whether only the parameters in it are differentiated."""
    equinox = sys.modules.get("equinox")
    if equinox is not None and isinstance(value, equinox.Module):
        return True
    return isinstance(value, Split)


def parameters_in(module: Any) -> list[bool]:
    """For each leaf of a module, whether it is differentiated."""
    leaves = jax.tree.leaves(module)
    count = module.count if isinstance(module, Split) else len(leaves)
    return [
        i < count and is_array(leaf) and is_inexact(leaf)
        for i, leaf in enumerate(leaves)
    ]


def is_inexact(value: Any) -> bool:
    """Whether a leaf is a floating or complex array or number."""
    if isinstance(value, bool | int | str | bytes) or value is None:
        return False
    try:
        return jnp.issubdtype(jnp.result_type(value), jnp.inexact)
    except TypeError:
        return False


def split_objects(tree: Any) -> Any:
    """A tree with each NNX object in it as a `Split`."""
    if "flax.nnx" not in sys.modules:
        return tree
    return _map(Split.of, tree, is_object)


def has_objects(tree: Any) -> bool:
    """Whether a tree holds split objects."""
    return bool(objects_in(tree, _is_split))


def merge_objects(tree: Any) -> Any:
    """The tree with new NNX objects for each `Split`."""
    return _map(Split.merge, tree, _is_split)


def gradients_of(tree: Any) -> Any:
    """Gradients as `nnx.value_and_grad` returns them: a state for each object."""
    return _map(Split.parameters, tree, _is_split)


def changing(f: Callable[..., Any], has_aux: bool) -> Callable[..., Any]:
    """`f` as a function of split objects that also returns the changes of each."""

    @wraps(f)
    def pure(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        splits = objects_in((args, kwargs), _is_split)
        args, kwargs = merge_objects((args, kwargs))
        objects = objects_in((args, kwargs))
        result = f(*args, **kwargs)
        value, aux = result if has_aux else (result, None)
        pairs = zip(splits, objects, strict=True)
        return value, (aux, [split.changes(node) for split, node in pairs])

    return pure


def objects_in(tree: Any, chosen: Callable[[Any], bool] | None = None) -> list[Any]:
    """The NNX objects in a tree, in the order of its leaves."""
    chosen = chosen or is_object
    return [x for x in jax.tree.leaves(tree, is_leaf=chosen) if chosen(x)]


def of_trees(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` as a function of split objects, which it does not change."""

    @wraps(f)
    def pure(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = merge_objects((args, kwargs))
        return f(*args, **kwargs)

    return pure


def _map(change: Callable[[Any], Any], tree: Any, chosen: Callable[[Any], bool]) -> Any:
    return jax.tree.map(lambda x: change(x) if chosen(x) else x, tree, is_leaf=chosen)


def is_array(value: Any) -> bool:
    """Whether a leaf is an array, not a Python number."""
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def _is_split(value: Any) -> bool:
    return isinstance(value, Split)


def _attribute(path: Sequence[Any]) -> str:
    """The path in a state as the user writes it, without the first dot: `layers[0].b`.

    The last key of a path is the value of a variable.
    """
    keys = [getattr(key, "key", getattr(key, "name", key)) for key in path]
    keys = keys[:-1] if path and hasattr(path[-1], "name") else keys
    parts = (f"[{k}]" if isinstance(k, int) else f".{k}" for k in keys)
    return "".join(parts).removeprefix(".")
