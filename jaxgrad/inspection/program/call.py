"""Trace a function of pytrees once, as `jax.value_and_grad` would call it.

Arrays become inputs of the trace; everything else (a number of layers, a flag, a
callable) stays a Python object. Functions are traced again on every call, so that
arrays they close over are never out of date; only compilation is cached.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgrad._arguments import NamedLeaf, chosen_leaves, is_floating, named_leaves
from jaxgrad._checks import check_not_traced, wrong_type, wrong_value
from jaxgrad._modules import (
    gradients_of,
    has_objects,
    is_inexact,
    of_trees,
    split_objects,
)
from jaxgrad._types import Array, PyTree
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.failures import NEEDS_VALUE, needs_value


@dataclass(frozen=True)
class Leaf:
    """One leaf of the arguments: its path, its value, how it enters the trace."""

    path: str
    argument: int | str  # The position of its argument, or the keyword
    value: Any
    differentiated: bool
    traced: bool


@dataclass(frozen=True)
class Call:
    """A function with its arguments, flattened."""

    function: str  # The entry point, for messages
    f: Callable[..., Any]  # The function to trace; it takes trees of leaves
    leaves: tuple[Leaf, ...]  # Every leaf of the positional and keyword arguments
    tree: Any  # Their structure

    @property
    def differentiated(self) -> list[Leaf]:
        """The leaves with gradients."""
        return [leaf for leaf in self.leaves if leaf.differentiated]

    def with_numbers_kept(self) -> "Call":
        """The call with Python's floats as they are, without gradients."""
        leaves = (
            replace(leaf, differentiated=False, traced=False)
            if isinstance(leaf.value, float)
            else leaf
            for leaf in self.leaves
        )
        return replace(self, leaves=tuple(leaves))

    def with_values(self, leaves: Sequence[Leaf], values: Sequence[Any]) -> Any:
        """What the function returns if some leaves have other values."""
        given = dict(zip(map(id, leaves), values, strict=True))
        flat = [given.get(id(leaf), leaf.value) for leaf in self.leaves]
        args, kwargs = jax.tree.unflatten(self.tree, flat)
        return self.f(*args, **kwargs)

    def value_and_grad(
        self, leaves: Sequence[Leaf], has_aux: bool
    ) -> tuple[Any, list[Any]]:
        """What `jax.value_and_grad` returns, with the gradients of some leaves."""

        def f(values: list[Any]) -> Any:
            return self.with_values(leaves, values)

        return jax.value_and_grad(f, has_aux=has_aux)([x.value for x in leaves])

    def as_arguments(self, gradients: Sequence[Any], argnums: Any) -> Any:
        """The gradients in the structure that `jax.value_and_grad` returns."""
        given = iter(gradients)
        flat = [next(given) if leaf.differentiated else None for leaf in self.leaves]
        args, _ = gradients_of(jax.tree.unflatten(self.tree, flat))
        if isinstance(argnums, Sequence):
            return tuple(args[position] for position in argnums)
        return args[argnums]

    def leaves_of(self, traced: "Traced") -> list[Leaf]:
        """The leaves that are inputs of a trace, in its order."""
        return [*self.differentiated, *traced.others]


@dataclass(frozen=True)
class Traced:
    """A closed jaxpr and how to read its outputs."""

    # Its inputs are the differentiated leaves, then the others; its first output is the
    # value, if `scalar`
    jaxpr: Any
    others: tuple[Leaf, ...]  # The leaves that are inputs and are not differentiated
    # For each leaf of the result None if it is an output of the jaxpr, else (the leaf,)
    outputs: tuple[Any, ...]
    tree: Any  # Structure of the result
    scalar: bool  # Whether the first leaf of the result is a floating scalar
    description: str  # The result's structure, for messages

    def result(self, arrays: Sequence[Any]) -> PyTree:
        """The result of the function from the outputs of the jaxpr."""
        given = iter(arrays)
        leaves = [next(given) if o is None else o[0] for o in self.outputs]
        return jax.tree.unflatten(self.tree, leaves)


def bind(
    function: str,
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    argnums: int | Sequence[int] | None = None,
) -> Call:
    """Check and flatten the arguments of a call from Python."""
    given = split_objects((args, kwargs))
    check_not_traced(function, jax.tree.leaves(given))
    f = of_trees(f) if has_objects(given) else f
    call = flatten(function, f, given[0], given[1], argnums)
    for leaf in call.leaves:
        if isinstance(leaf.value, jax.Array) and leaf.value.is_deleted():
            raise RuntimeError(
                f"{function}: expected arguments that still exist, but the buffer of "
                f"{leaf.path} was donated or deleted; pass a copy made before that."
            )
    return call


def flatten(
    function: str,
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    argnums: int | Sequence[int] | None = None,
) -> Call:
    """Flatten the arguments; those of `argnums`, or all inexact, have gradients."""
    chosen = None if argnums is None else positions_of(function, argnums, args)
    named, tree = named_leaves(f, args, kwargs)
    wanted = _wanted(function, named, chosen)
    leaves = (
        Leaf(x.path, x.argument, x.value, id(x) in wanted, id(x) in wanted or x.traced)
        for x in named
    )
    return Call(function, f, tuple(leaves), tree)


def _wanted(
    function: str, leaves: Sequence[NamedLeaf], chosen: Sequence[int] | None
) -> set[int]:
    """The identities of the leaves to differentiate by."""
    if chosen is None:
        inexact = (x for x in leaves if x.parameter is None and is_inexact(x.value))
        return {id(x) for x in (*inexact, *(x for x in leaves if x.parameter))}
    wanted: set[int] = set()
    for argument in chosen:
        own = [leaf for leaf in leaves if leaf.argument == argument]
        found = chosen_leaves(own, argument)
        if own and not found:
            path, _, value, _ = own[0]
            expected = f"{path} of a floating dtype to differentiate by"
            kind = getattr(value, "dtype", type(value).__name__)
            hint = "choose other arguments with argnums"
            raise wrong_type(function, expected, kind, hint)
        wanted.update(map(id, found))
    return wanted


def positions_of(
    function: str, argnums: int | Sequence[int], args: Sequence[Any]
) -> list[int]:
    """The positions from 0 of the arguments that `argnums` chooses."""
    given = argnums if isinstance(argnums, Sequence) else [argnums]
    for position in given:
        if not hasattr(position, "__index__") or isinstance(position, bool):
            expected = "argnums to be an int or a sequence of ints"
            raise wrong_type(function, expected, repr(argnums))
        if not -len(args) <= position < len(args):
            expected = f"argnums within the {len(args)} positional arguments"
            raise wrong_value(function, expected, position)
    positions = [position % len(args) for position in given]
    if len(set(positions)) < len(positions):
        raise wrong_type(function, "argnums to be distinct", repr(argnums))
    return positions


def trace(call: Call, concrete: bool = False) -> Traced:
    """Trace the function; with `concrete` only the differentiated leaves are inputs."""
    others = [x for x in call.leaves if x.traced and not x.differentiated]
    others = [] if concrete else others
    inputs = call.differentiated + others
    found: list[Any] = []

    # A fresh function: JAX remembers what it traced by the function's identity.
    def flat(*arrays: Array) -> list[Any]:
        leaves, tree = jax.tree.flatten(call.with_values(inputs, arrays))
        scalar = bool(leaves) and jnp.shape(leaves[0]) == () and is_floating(leaves[0])
        static = [not isinstance(x, Tracer) for x in leaves]
        if scalar:
            static[0] = False
        found[:] = [
            tuple((x,) if s else None for x, s in zip(leaves, static, strict=True)),
            tree,
            scalar,
            str(jax.tree.unflatten(tree, map(_describe, leaves))),
        ]
        return [x for x, s in zip(leaves, static, strict=True) if not s]

    try:
        with jax.disable_jit(False):
            jaxpr = jax.make_jaxpr(flat)(*(leaf.value for leaf in inputs))
    except NEEDS_VALUE as fault:
        raise needs_value(fault, call.f) from fault
    return Traced(jaxpr, tuple(others), *found)


def trace_at_best(call: Call) -> Traced:
    """The trace; with concrete arguments where the function needs their values."""
    try:
        return trace(call)
    except Exception:
        # It may read a value or require a float, so it gets what jax.value_and_grad
        # would give it. An error of its own is raised here again.
        return trace(call, concrete=True)


def refusal(traced: Traced, leaves: Sequence[Leaf], active: Sequence[bool]) -> Any:
    """JAX's error if it refuses to differentiate a trace by its active leaves."""
    if not jaxprs.primitives_in(traced.jaxpr) & jaxprs.NOT_REVERSIBLE:
        return None
    chosen = [i for i, wanted in enumerate(active) if wanted]
    gradient = jax.grad(lambda *xs: jaxprs.run_jaxpr(traced.jaxpr, xs)[0], chosen)
    try:
        jax.eval_shape(gradient, *(jnp.asarray(leaf.value) for leaf in leaves))
    except Exception as fault:
        return fault
    return None


class _describe(str):
    """The shape and dtype of a leaf; prints without quotes."""

    def __new__(cls, leaf: Any) -> "_describe":
        dtype = getattr(leaf, "dtype", type(leaf).__name__)
        return super().__new__(cls, f"{dtype}{list(np.shape(leaf))}")

    __repr__ = str.__str__
