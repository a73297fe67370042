"""Compiled programs, kept by what they compute.

A function is traced anew on every call, for it may close over something new, but
compiled only once for the same equations: two jaxprs are the same if they agree
equation by equation, down to the code of the rules of custom derivatives.
"""

import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from jaxgrad.inspection._cotangents import Mode, value_and_cotangents
from jaxgrad.inspection._frames import is_library
from jaxgrad.inspection._graph import Block
from jaxgrad.inspection._jaxprs import (
    constants_of,
    is_jaxpr,
    is_literal,
    open_jaxpr,
    without_constants,
)
from jaxgrad.inspection._trace import Call, Traced, disabled_jit

LIMIT = 64
_kept: OrderedDict[Any, list[Any]] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class Equations:
    """A jaxpr, and what the rules of its custom derivatives consisted of."""

    jaxpr: Any
    rules: "list[_Snapshot]"

    @classmethod
    def of(cls, closed: Any) -> "Equations":
        """The equations of a closed jaxpr, without the arrays it closes over."""
        jaxpr = without_constants(closed)
        return cls(jaxpr, _snapshots(jaxpr))

    def same(self, other: "Equations", lines: bool = False) -> bool:
        """Whether both compute the same; with `lines`, in the same lines, too."""
        return same(self.jaxpr, other.jaxpr, lines) and _alike(self.rules, other.rules)


def program(equations: Equations, block: Block, mode: Mode) -> Callable[..., Any]:
    """`value_and_cotangents` of a block: compiled, or op by op in that mode."""
    run = partial(value_and_cotangents, block, mode=mode)
    if mode.op_by_op:
        return run
    key = (tuple(v.aval for v in equations.jaxpr.invars), layout(block), mode)
    with _lock:
        entries = _kept.setdefault(key, [])
        _kept.move_to_end(key)
        for known, compiled in entries:
            if known.same(equations):
                return compiled
        compiled = jax.jit(run)
        entries[:] = [*entries[-3:], (equations, compiled)]
        while len(_kept) > LIMIT:
            _kept.popitem(last=False)
    return compiled


class Ahead:
    """Starts the program of the last call while the trace of this one is under way.

    A trace takes Python about as long as a small network takes the device, and which
    program it leads to is nearly always known before. If it leads elsewhere, or
    reads another constant, what was started is thrown away.
    """

    def __init__(self) -> None:
        self._last: _Run | None = None

    def start(self, call: Call) -> "Started | None":
        """Start what the last call ran, if this one has the same form."""
        last = self._last
        if last is None or disabled_jit() or last.form != form(call):
            return None
        given = [call.leaves[i].value for i in last.leaves]
        split = last.differentiated
        outputs = last.program(given[:split], [*given[split:], *last.constants])
        return Started(last, outputs)

    def outputs(
        self,
        started: "Started | None",
        call: Call,
        traced: Traced,
        program: Callable[..., Any],
    ) -> tuple[Any, ...]:
        """What the program of the trace gives."""
        run = _Run.of(call, traced, program)
        if started is not None and run.repeats(started.run):
            return started.outputs
        repeatable = not (traced.jaxpr.effects or disabled_jit())
        repeatable = repeatable and run.form is not None
        arrays = all(isinstance(c, jax.Array) for c in run.constants)
        self._last = run if repeatable and arrays else None
        return program(
            [leaf.value for leaf in call.differentiated],
            [*(leaf.value for leaf in traced.others), *run.constants],
        )


@dataclass(frozen=True, eq=False)
class _Run:
    """A program, and which leaves and constants it was run with."""

    program: Callable[..., Any]
    form: Any
    leaves: tuple[int, ...]
    differentiated: int
    constants: list[Any]

    @classmethod
    def of(cls, call: Call, traced: Traced, program: Callable[..., Any]) -> "_Run":
        places = {id(leaf): i for i, leaf in enumerate(call.leaves)}
        inputs = (*call.differentiated, *traced.others)
        return cls(
            program=program,
            form=form(call),
            leaves=tuple(places[id(leaf)] for leaf in inputs),
            differentiated=len(call.differentiated),
            constants=list(map(as_input, constants_of(traced.jaxpr))),
        )

    def repeats(self, last: "_Run") -> bool:
        return (
            self.program is last.program
            and self.leaves == last.leaves
            and _all_alike(self.constants, last.constants, operator.is_)
        )


class Started(NamedTuple):
    """A run that was started before it was sure to be wanted."""

    run: _Run
    outputs: tuple[Any, ...]


def form(call: Call) -> Any:
    """The shapes of a call's arrays and its other leaves; None if not comparable."""
    leaves = (
        jax.typeof(leaf.value) if leaf.traced else leaf.value for leaf in call.leaves
    )
    found = (call.tree, *leaves)
    try:
        hash(found)
    except TypeError:
        return None
    return found


def as_input(constant: Any) -> Any:
    """A constant of a jaxpr as an input of a compiled program."""
    return constant if isinstance(constant, jax.Array) else np.asarray(constant)


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


def same(old: Any, new: Any, lines: bool = False) -> bool:
    """Whether two jaxprs compute the same; with `lines`, in the same lines, too."""
    if old is new:
        return True
    alike = partial(_alike, lines=lines)
    if not _all_alike(constants_of(old), constants_of(new), alike):
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
            and alike(x.params, y.params)
            and x.ctx == y.ctx
            and (not lines or _written_alike(x.source_info, y.source_info))
            and _all_alike(x.outvars, y.outvars, made)
        )

    return (
        _all_alike(old.constvars, new.constvars, made)
        and _all_alike(old.invars, new.invars, made)
        and _all_alike(old.eqns, new.eqns, equation)
        and _all_alike(old.outvars, new.outvars, read)
    )


def _written_alike(x: Any, y: Any) -> bool:
    return x.traceback == y.traceback and x.name_stack == y.name_stack


def _all_alike(xs: Any, ys: Any, alike: Callable[[Any, Any], bool]) -> bool:
    return len(xs) == len(ys) and all(alike(x, y) for x, y in zip(xs, ys, strict=True))


def _alike(x: Any, y: Any, lines: bool = False) -> bool:
    """Whether two parameters of an equation are the same; False if in doubt."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if is_jaxpr(x):
        return same(x, y, lines)
    if isinstance(x, Mapping):
        return x.keys() == y.keys() and all(_alike(x[k], y[k], lines) for k in x)
    if isinstance(x, tuple | list):
        return _all_alike(x, y, partial(_alike, lines=lines))
    if isinstance(x, np.ndarray | np.generic):
        return x.dtype == y.dtype and x.tobytes() == y.tobytes()
    if isinstance(x, float):
        return x.hex() == y.hex()
    if isinstance(x, jax.Array | Tracer):
        return False
    if _is_rule(x):
        return True  # compared by their snapshots
    return _equal(x, y)


def _equal(x: Any, y: Any) -> bool:
    try:
        return bool(x == y)
    except (TypeError, ValueError):
        return False


def _is_rule(x: Any) -> bool:
    return isinstance(x, FunctionType | partial) or hasattr(x, "transforms")


class _Snapshot(NamedTuple):
    """The code of a function of the user's, and what it read when it was compiled."""

    code: CodeType
    read: tuple[Any, ...]


def _snapshots(jaxpr: Any) -> list[_Snapshot]:
    """What the rules of custom derivatives in a jaxpr consist of.

    They reach the jaxpr anew on every trace, wrapped in functions of JAX whose own
    state says nothing; what counts are the user's functions inside, and the numbers,
    arrays and functions that these read from around them.
    """
    found: list[_Snapshot] = []
    seen: set[int] = set()
    for equation in jaxpr.eqns:
        for parameter in equation.params.values():
            if is_jaxpr(parameter):
                found += _snapshots(open_jaxpr(parameter))
            elif isinstance(parameter, tuple):
                inner = [open_jaxpr(part) for part in parameter if is_jaxpr(part)]
                found += [snapshot for part in inner for snapshot in _snapshots(part)]
            elif _is_rule(parameter):
                found += _of_functions(parameter, seen)
    return found


def _of_functions(wrapped: Any, seen: set[int]) -> list[_Snapshot]:
    found, pending = [], [wrapped]
    while pending:
        x = pending.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, FunctionType):
            read = _captured(x)
            if not is_library(x.__code__.co_filename):
                read += _globals(x)
                found.append(_Snapshot(x.__code__, tuple(map(_frozen, read))))
            pending.extend(read)
        elif isinstance(x, partial):
            pending.extend((x.func, x.args))
        elif isinstance(x, tuple | list):
            pending.extend(x)
        elif hasattr(x, "transforms"):
            pending.extend((x.f, x.transforms))
    return found


def _captured(function: FunctionType) -> tuple[Any, ...]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not filled yet
            cells.append(None)
    return (*cells, function.__defaults__, function.__kwdefaults__)


def _globals(function: FunctionType) -> tuple[Any, ...]:
    names = (n for n in function.__code__.co_names if n in function.__globals__)
    return tuple(function.__globals__[name] for name in names)


def _frozen(value: Any) -> Any:
    """A copy of what can change in place; a function stands for itself elsewhere."""
    if isinstance(value, FunctionType):
        return None
    return value.copy() if isinstance(value, np.ndarray | list | dict) else value
