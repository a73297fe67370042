"""What a state dict is put into: linen's variables, an NNX module, or a tree of arrays.

All three are read as leaves with paths. Flax is not imported here: whoever passes one
of its objects has already imported it.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxgrad._modules import is_object
from jaxgrad._types import PyTree
from jaxgrad.torch_state._arrays import cast_exactly
from jaxgrad.torch_state._fitting import Target
from jaxgrad.torch_state._layout import Path


class Template:
    """The arrays of a template by path."""

    def __init__(self, template: PyTree):
        self.given = template
        self.tree = _state_of(template) if is_object(template) else template
        # Linen's outer keys are collections, such as params and batch_stats.
        is_linen = isinstance(template, Mapping) and isinstance(
            template.get("params"), Mapping
        )
        self.outer = 1 if is_linen else 0

    def leaves(self) -> dict[Path, Any]:
        flat, _ = jax.tree_util.tree_flatten_with_path(self.tree)
        return {
            path_of(path)[self.outer :]: leaf for path, leaf in flat if _is_array(leaf)
        }

    def targets(self) -> list[Target]:
        layers = _nnx_layers(self.given) if is_object(self.given) else {}
        return [
            Target(path, leaf.shape, layers.get(path[:-1]) or _named_layer(path))
            for path, leaf in self.leaves().items()
        ]

    def filled(self, function: str, values: Mapping[Path, np.ndarray]) -> PyTree:
        """The template with other values; a new object for an NNX module."""

        def leaf(path: Any, old: Any) -> Any:
            key = path_of(path)[self.outer :]
            if key not in values:
                return old
            return as_jax(function, "/".join(key), values[key], old.dtype)

        tree = jax.tree_util.tree_map_with_path(leaf, self.tree)
        return _module_with(self.given, tree) if is_object(self.given) else tree


def as_jax(function: str, name: str, array: np.ndarray, dtype: Any) -> jax.Array:
    return jax.numpy.array(cast_exactly(function, name, array, dtype))


def path_of(path: Any) -> Path:
    """The keys of a leaf as strings, without the `value` of a variable of NNX."""
    keys = [getattr(k, "key", getattr(k, "idx", getattr(k, "name", k))) for k in path]
    if path and getattr(path[-1], "name", None) == "value":
        keys = keys[:-1]
    return tuple(map(str, keys))


def is_lone_leaf(template: Any) -> bool:
    """Whether something is neither a tree, nor an NNX module, nor an array."""
    is_leaf = jax.tree.structure(template) == jax.tree.structure(0)
    return is_leaf and not is_object(template) and not _is_array(template)


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _state_of(module: Any) -> Any:
    """The variables that torch has too."""
    nnx = sys.modules["flax.nnx"]
    own = nnx.Any(nnx.RngState, nnx.Cache, nnx.Intermediate)
    return nnx.state(module, nnx.Not(own))


def _module_with(module: Any, state: Any) -> Any:
    nnx = sys.modules["flax.nnx"]
    copy = nnx.clone(module)
    nnx.update(copy, state)
    return copy


def _nnx_layers(module: Any) -> dict[Path, str]:
    """For each path in a module the class of what is there.

    The kernel of a `ConvTranspose` with `transpose_kernel` is laid out like a `Conv`'s.
    """
    nodes = sys.modules["flax.nnx"].iter_graph(module)
    return {
        tuple(map(str, path)): "Conv"
        if getattr(node, "transpose_kernel", False)
        else _family(type(node))
        for path, node in nodes
    }


def _family(kind: type) -> str:
    """The name of a Flax class, also for a subclass."""
    names = [base.__name__ for base in kind.__mro__ if "flax" in base.__module__]
    return names[0] if names else kind.__name__


def _named_layer(path: Path) -> str | None:
    """The class in a name that linen gave: `Conv_0`."""
    found = re.fullmatch(r"(ConvTranspose|Conv)_\d+", path[-2] if path[1:] else "")
    return found[1] if found else None
