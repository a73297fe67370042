"""Compiled programs, kept by what they compute.

A function is traced anew on every call, for it may close over something new, but
compiled only once for the same equations: two jaxprs are the same if they agree
equation by equation, down to the code of the rules of custom derivatives.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any

import jax
import numpy as np

from jaxgrad.inspection._cotangents import Mode, value_and_cotangents
from jaxgrad.inspection._graph import (
    Block,
    constants_of,
    is_jaxpr,
    is_literal,
    open_jaxpr,
    without_constants,
)

LIMIT = 64
_kept: OrderedDict[Any, list[tuple[Any, Callable[..., Any]]]] = OrderedDict()
_lock = threading.Lock()


def program(closed: Any, block: Block, mode: Mode) -> Callable[..., Any]:
    """`value_and_cotangents` of a block: compiled, or op by op in that mode."""
    run = partial(value_and_cotangents, block, mode=mode)
    if mode.op_by_op:
        return run
    jaxpr = without_constants(closed)
    key = (tuple(v.aval for v in jaxpr.invars), layout(block), mode)
    with _lock:
        entries = _kept.setdefault(key, [])
        _kept.move_to_end(key)
        for known, compiled in entries:
            if same(known, jaxpr):
                return compiled
        compiled = jax.jit(run)
        entries[:] = [*entries[-3:], (jaxpr, compiled)]
        while len(_kept) > LIMIT:
            _kept.popitem(last=False)
    return compiled


def layout(block: Block) -> tuple[Any, ...]:
    """How the equations are grouped into items, as something hashable."""
    return tuple(
        (
            item.kind,
            tuple(equation.primitive.name for equation in item.equations),
            item.active if item.visible else None,
            tuple(layout(body) for body in item.bodies),
        )
        for item in block.items
    )


def same(old: Any, new: Any) -> bool:
    """Whether two jaxprs compute the same."""
    if old is new:
        return True
    if not _all_alike(constants_of(old), constants_of(new), _alike):
        return False
    old, new = open_jaxpr(old), open_jaxpr(new)
    pairs: dict[Any, Any] = {}

    def made(x: Any, y: Any) -> bool:
        pairs[x] = y
        return x.aval == y.aval

    def read(x: Any, y: Any) -> bool:
        if is_literal(x) and is_literal(y):
            return x.aval == y.aval and _alike(x.val, y.val)
        return not is_literal(x) and pairs.get(x) is y

    def equation(x: Any, y: Any) -> bool:
        return (
            x.primitive is y.primitive
            and _all_alike(x.invars, y.invars, read)
            and _alike(x.params, y.params)
            and x.ctx == y.ctx
            and _all_alike(x.outvars, y.outvars, made)
        )

    return (
        _all_alike(old.constvars, new.constvars, made)
        and _all_alike(old.invars, new.invars, made)
        and _all_alike(old.eqns, new.eqns, equation)
        and _all_alike(old.outvars, new.outvars, read)
    )


def _all_alike(xs: Any, ys: Any, alike: Callable[[Any, Any], bool]) -> bool:
    return len(xs) == len(ys) and all(alike(x, y) for x, y in zip(xs, ys, strict=True))


def _alike(x: Any, y: Any) -> bool:
    """Whether two parameters of an equation are the same; False if in doubt."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if is_jaxpr(x):
        return same(x, y)
    if isinstance(x, Mapping):
        return x.keys() == y.keys() and all(_alike(x[k], y[k]) for k in x)
    if isinstance(x, tuple | list):
        return _all_alike(x, y, _alike)
    if isinstance(x, np.ndarray | np.generic):
        return x.dtype == y.dtype and x.tobytes() == y.tobytes()
    if isinstance(x, float):
        return x.hex() == y.hex()
    if isinstance(x, jax.Array | jax.core.Tracer):
        return False
    if callable(x):
        return _same_rule(x, y, set())
    return _equal(x, y)


def _equal(x: Any, y: Any) -> bool:
    try:
        return bool(x == y)
    except (TypeError, ValueError):
        return False


def _same_rule(x: Any, y: Any, seen: set[tuple[int, int]]) -> bool:
    """Whether two callables run the same code over the same captured values.

    A rule of a custom derivative reaches the jaxpr anew on every trace, wrapped in
    objects of JAX that say nothing; what counts is the user's functions inside.
    """
    if x is y or (id(x), id(y)) in seen:
        return True
    seen.add((id(x), id(y)))
    if type(x) is not type(y):
        return False
    if isinstance(x, FunctionType):
        return x.__code__ == y.__code__ and _all_alike(
            _captured(x), _captured(y), lambda a, b: _same_rule(a, b, seen)
        )
    if isinstance(x, partial):
        x, y = (x.func, x.args, x.keywords), (y.func, y.args, y.keywords)
    if isinstance(x, Mapping):
        x, y = tuple(x.items()), tuple(y.items())
    if isinstance(x, tuple | list):
        return _all_alike(x, y, lambda a, b: _same_rule(a, b, seen))
    if isinstance(x, jax.Array | jax.core.Tracer):
        return False
    if type(x).__module__.startswith(("jax.", "jaxlib")):
        wrapped = [getattr(z, "f", None) for z in (x, y)]
        return _same_rule(*wrapped, seen) and _same_rule(
            *(getattr(z, "transforms", None) for z in (x, y)), seen
        )
    return _alike(x, y) if not callable(x) else _equal(x, y)


def _captured(function: FunctionType) -> tuple[Any, ...]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not filled yet
            cells.append(None)
    return (*cells, function.__defaults__, function.__kwdefaults__)
