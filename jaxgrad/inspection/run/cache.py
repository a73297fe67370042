"""Compiled programs, kept by the text of what was compiled.

A function is traced and lowered again on every call, because it may read anything: a
global, an attribute, a file. Only XLA's compilation is saved, and only if the text of
the lowered program is the same, numbers and custom derivatives included.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax

from jaxgrad.inspection.program import jaxprs

LIMIT = 32
# Programs with more bytes of constants are not kept: they would stay in memory.
MOST_CONSTANTS = 2**20
_kept: OrderedDict[Any, Callable[..., Any]] = OrderedDict()
_lock = threading.Lock()


def compiled(run: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """`run`, compiled for arguments of these shapes, dtypes and devices.

    Results that are the same value become one result of the compiled program, so that
    XLA does not spend memory and time on copies.
    """
    places: list[int] = []
    trees: list[Any] = []

    def distinct(*arguments: Any) -> list[Any]:
        leaves, tree = jax.tree.flatten(run(*arguments))
        found = {id(leaf): leaf for leaf in leaves}
        order = {key: i for i, key in enumerate(found)}
        places[:], trees[:] = [order[id(leaf)] for leaf in leaves], [tree]
        return list(found.values())

    executable = _executable(distinct, arguments)

    def call(*arguments: Any) -> Any:
        results = executable(*arguments)
        return jax.tree.unflatten(trees[0], [results[i] for i in places])

    return call


def _executable(run: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    # An argument that jit leaves out would not be in the text.
    traced = jax.jit(run, keep_unused=True).trace(*arguments)
    lowered = traced.lower()
    key = _key(traced, lowered, arguments)
    if key is None:
        return lowered.compile()
    with _lock:
        executable = _kept.get(key)
        if executable is not None:
            _kept.move_to_end(key)
            return executable
    executable = lowered.compile()
    with _lock:
        _kept[key] = executable
        while len(_kept) > LIMIT:
            _kept.popitem(last=False)
    return executable


def _key(traced: Any, lowered: Any, arguments: tuple[Any, ...]) -> Any:
    """What makes two programs the same; None if that is not certain."""
    closed = traced.jaxpr
    constants = sum(getattr(c, "nbytes", 8) for c in jaxprs.constants_of(closed))
    if closed.effects or constants > MOST_CONSTANTS:
        return None
    text = lowered.as_text()
    if "callback" in text:  # it names a Python callback by its position only
        return None
    leaves = jax.tree.leaves(arguments)
    return (
        hashlib.sha256(text.encode()).digest(),
        tuple(closed.in_avals),
        tuple(closed.out_avals),
        lowered.in_tree,
        lowered.out_tree,
        tuple(getattr(leaf, "sharding", None) for leaf in leaves),
        repr(sorted(jax.config.values.items())),
    )
