"""The leaves of a call's arguments, each with its path as the user writes it."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._modules import is_array, is_inexact, is_module, parameters_in

# Types that become arrays in a trace; a number of layers or a flag stays as it is.
TRACED = (jax.Array, np.ndarray, np.floating, float)


class NamedLeaf(NamedTuple):
    path: str  # as the user writes it: params['w1']
    argument: int | str  # the position of its argument, or its keyword
    value: Any
    # In a module: whether it is a parameter; None outside of modules
    parameter: bool | None = None

    @property
    def traced(self) -> bool:
        """Whether it is an array in the trace; a module's numbers stay as they are."""
        if self.parameter is not None:
            return is_array(self.value)
        return isinstance(self.value, TRACED)


def named_leaves(
    f: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[NamedLeaf], Any]:
    """The leaves of the arguments of `f`, and the structure of `(args, kwargs)`."""
    names = _names(f, len(args))
    arguments = (tuple(args), dict(kwargs))
    leaves = []
    for (group, argument, *rest), value, parameter in _leaves(arguments):
        positional = group.idx == 0
        key = argument.idx if positional else argument.key
        name = names[key] if positional else key
        path = name + jax.tree_util.keystr(tuple(rest))
        leaves.append(NamedLeaf(path, key, value, parameter))
    return leaves, jax.tree.structure(arguments)


def chosen_leaves(leaves: Sequence[NamedLeaf], argument: int | str) -> list[NamedLeaf]:
    """The leaves of an argument that are differentiated.

    All of them if `jax.value_and_grad` accepts the argument. In a module, and in a tree
    with a leaf that JAX refuses, only the inexact arrays are differentiated, as by
    `eqx.filter_value_and_grad`.
    """
    own = [leaf for leaf in leaves if leaf.argument == argument]
    if all(leaf.parameter is None and is_inexact(leaf.value) for leaf in own):
        return own
    return [
        leaf
        for leaf in own
        if leaf.parameter
        or (leaf.parameter is None and is_array(leaf.value) and is_inexact(leaf.value))
    ]


def is_floating(value: Any) -> bool:
    """Whether a leaf is a real floating array or number."""
    if isinstance(value, bool | int | str | bytes) or value is None:
        return False
    try:
        return jnp.issubdtype(jnp.result_type(value), jnp.floating)
    except TypeError:
        return False


def _leaves(tree: Any) -> Iterator[tuple[tuple[Any, ...], Any, bool | None]]:
    """The path and value of each leaf, and whether it is a module's parameter."""
    flatten = jax.tree_util.tree_flatten_with_path
    for path, node in flatten(tree, is_leaf=is_module)[0]:
        inside = flatten(node)[0]
        known = parameters_in(node) if is_module(node) else [None] * len(inside)
        for (rest, value), parameter in zip(inside, known, strict=True):
            yield (*path, *rest), value, parameter


def _names(f: Callable[..., Any], count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}[{i}]" for i in range(count - len(names))]
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            names.append(parameter.name)
    return [*names, *(f"args[{i}]" for i in range(len(names), count))][:count]
