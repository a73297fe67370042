"""The leaves of a call's arguments, each with its path as the user writes it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class NamedLeaf(NamedTuple):
    path: str  # as the user writes it: params['w1']
    argument: int | str  # the position of its argument, or its keyword
    value: Any


def named_leaves(
    f: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[NamedLeaf], Any]:
    """The leaves of the arguments of `f`, and the structure of `(args, kwargs)`."""
    names = _names(f, len(args))
    paths, tree = jax.tree_util.tree_flatten_with_path((tuple(args), dict(kwargs)))
    leaves = []
    for (group, argument, *rest), value in paths:
        positional = group.idx == 0
        key = argument.idx if positional else argument.key
        name = names[key] if positional else key
        leaves.append(NamedLeaf(name + jax.tree_util.keystr(tuple(rest)), key, value))
    return leaves, tree


def is_floating(value: Any) -> bool:
    """Whether a leaf is a real floating array or number."""
    if isinstance(value, bool | int | str | bytes) or value is None:
        return False
    try:
        return jnp.issubdtype(jnp.result_type(value), jnp.floating)
    except TypeError:
        return False


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
