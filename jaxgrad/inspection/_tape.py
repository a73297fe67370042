"""A concrete run, operation by operation, that remembers who made what.

The graph is run on the actual arrays: jitted helpers are opened, loops are unrolled,
the branch taken is entered; a function with a custom derivative stays one entry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._types import Array
from jaxgrad.inspection._graph import Block, Builder, Item, Place
from jaxgrad.inspection._jaxprs import (
    FLAT,
    OPAQUE,
    bind_rule,
    is_floating,
    is_literal,
    run_jaxpr,
    scan_parts,
)

# From so many iterations on it pays to compile the operations of a loop's body.
LONG = 16


@dataclass(eq=False)
class Value:
    """An array of the run.

    Attributes:
        array: The array.
        maker: The entry that made it; None for an input or a constant.
        label: Path of an input, or the constant's text.
        kind: Where it comes from.
        active: Whether a derivative passes through it.
        parts: The cotangents that its readers sent back.
    """

    array: Any
    maker: "Entry | None" = None
    label: str = ""
    kind: str = "made"
    active: bool = False
    parts: list[tuple["Entry | None", Array]] = field(default_factory=list)

    @property
    def floating(self) -> bool:
        """Whether it can be NaN or infinite."""
        return is_floating(self.array)

    def bad(self) -> np.ndarray:
        """Which elements are NaN or infinite."""
        return nonfinite(self.array)


@dataclass(eq=False)
class Entry:
    """One operation that was run.

    Attributes:
        number: Position on the tape.
        primitive: Name of the operation.
        function: From the inputs' arrays to a list of results.
        inputs: What it read.
        outputs: What it made.
        slot: The step that it belongs to.
        place: Where it comes from, as precisely as is known.
        iteration: The iterations of the loops around it, outermost first.
        operands: Its operands in their order, numbers in the operation included;
            empty where it is none of JAX's.
        compiled: Whether the function is compiled, and worth compiling backward.
    """

    number: int
    primitive: str
    function: Callable[..., list[Any]]
    inputs: list[Value]
    outputs: list[Value]
    slot: int
    place: Place | None
    iteration: tuple[int, ...]
    operands: list[Value] = field(default_factory=list)
    compiled: bool = False

    @property
    def literals(self) -> list[Value]:
        """The numbers that stand in the operation itself."""
        return [value for value in self.operands if value.kind == "literal"]

    @property
    def moves(self) -> bool:
        """Whether it only takes a loop's inputs apart or puts its results together."""
        return self.primitive in ("unstack", "stack")

    def rows(self, value: Value) -> tuple[list[Value], int | None]:
        """Of a move the rows, and which of them `value` is; None for the whole."""
        rows = self.outputs if self.primitive == "unstack" else self.inputs
        at = next((i for i, row in enumerate(rows) if row is value), None)
        return rows, at


def nonfinite(array: Any) -> np.ndarray:
    """Which elements are NaN or infinite; none of an integer array."""
    if not is_floating(array):
        return np.zeros(np.shape(array), bool)
    return np.asarray(~jnp.isfinite(array))


@dataclass
class Recorder:
    """Runs blocks and keeps the tape.

    Attributes:
        builder: Knows which loops are the user's.
        tape: The operations, in the order in which they ran.
        results: What the user sees of each step, by its slot and iteration.
        taken: The branches taken, by the slot of the branching.
    """

    builder: Builder
    tape: list[Entry] = field(default_factory=list)
    results: dict[tuple[int, tuple[int, ...]], list[Value]] = field(
        default_factory=dict
    )
    taken: dict[int, set[int]] = field(default_factory=dict)
    _opened: dict[int, Block] = field(default_factory=dict)
    _compiled: dict[int, Callable[..., Any]] = field(default_factory=dict)

    def run(
        self,
        block: Block,
        inputs: Sequence[Value],
        slot: int | None = None,
        place: Place | None = None,
        iteration: tuple[int, ...] = (),
        long: bool = False,
    ) -> list[Value]:
        """The outputs of a block.

        Args:
            block: The block.
            inputs: Its inputs.
            slot: The step around the block; None where every item is a step.
            place: The place of that step.
            iteration: The iterations of the loops around it.
            long: Whether one of these loops is long.
        """
        known = dict(zip(block.inputs, inputs, strict=True))
        for variable, value in block.constants:
            known[variable] = Value(value, label="a closed-over array", kind="constant")
        for item in block.items:
            around = _Around(
                item.slot if slot is None else slot,
                item.place if item.place.user is not None or place is None else place,
                iteration,
                long,
                slot is not None,
            )
            operands = [_read(known, atom) for atom in item.operands]
            results = getattr(self, f"_{item.kind}")(item, operands, around)
            results = item.written(results)
            if slot is None and item.visible:
                shown = [results[i] for i in item.shown]
                self.results.setdefault((item.slot, iteration), shown)
            known.update(zip(item.writes, results, strict=True))
        return [_read(known, atom) for atom in block.outputs]

    def _call(self, item: Item, operands, around: "_Around") -> list[Value]:
        if not around.opened:
            if id(item) not in self._opened:
                opener = Builder("primitive", loops=True)
                self._opened[id(item)] = opener.block(item.jaxpr)
            return self._run_opened(self._opened[id(item)], operands, around)
        name = item.equation.primitive.name
        if name.startswith("debug_"):
            return []
        function = self._function(item, around.long)
        outputs = self._enter(
            name, function, operands, around, id(item) in self._compiled
        )
        given = dict(zip(item.reads, operands, strict=True))
        self.tape[-1].operands = [
            Value(jnp.asarray(a.val), label=str(a.val), kind="literal")
            if is_literal(a)
            else given[a]
            for a in item.equation.invars
        ]
        return outputs

    def _function(self, item: Item, long: bool) -> Callable[..., list[Any]]:
        equation = item.equation
        operands = [id(atom) for atom in equation.invars]
        rule = equation.primitive.name == "custom_jvp_call"
        rule = rule and operands == [id(variable) for variable in item.reads]

        def function(*arrays: Any) -> list[Any]:
            if rule:
                results = bind_rule(equation, arrays)
                made = dict(zip(equation.outvars, results, strict=True))
                return [made[v] for v in item.writes]
            return run_jaxpr(item.jaxpr, arrays)

        if not long or item.jaxpr.effects:
            return function
        return self._compiled.setdefault(id(item), jax.jit(function))

    def _enter(self, name, function, operands, around, compiled=False):
        arrays = function(*(value.array for value in operands))
        entry = Entry(
            number=len(self.tape),
            primitive=name,
            function=function,
            inputs=list(operands),
            outputs=[],
            slot=around.slot,
            place=around.place,
            iteration=around.iteration,
            compiled=compiled,
        )
        passes = name not in OPAQUE and name not in FLAT
        passes = passes and any(value.active for value in operands)
        entry.outputs = [
            Value(array, entry, active=passes and is_floating(array))
            for array in arrays
        ]
        self.tape.append(entry)
        return entry.outputs

    def _jit(self, item: Item, operands, around) -> list[Value]:
        return self._body(item.bodies[0], operands, around)

    _remat = _jit

    def _cond(self, item: Item, operands, around) -> list[Value]:
        index, *rest = operands
        chosen = min(max(int(index.array), 0), len(item.bodies) - 1)
        if not around.opened:
            self.taken.setdefault(item.slot, set()).add(chosen)
        return self._body(item.bodies[chosen], rest, around)

    def _scan(self, item: Item, operands, around) -> list[Value]:
        constants, carries, _ = scan_parts(item.equation)
        length = item.equation.params["length"]
        fixed, carry = operands[:constants], operands[constants : constants + carries]
        columns = [
            self._enter("unstack", _unstacked, [xs], around)
            for xs in operands[constants + carries :]
        ]
        stacked: list[list[Value]] = []
        turns = range(length)
        for turn in reversed(turns) if item.equation.params["reverse"] else turns:
            sliced = [column[turn] for column in columns]
            inside = around.turn(turn, length, self._counts(item))
            results = self._body(item.bodies[0], [*fixed, *carry, *sliced], inside)
            carry = results[:carries]
            stacked.append(results[carries:])
        if item.equation.params["reverse"]:
            stacked.reverse()
        outputs = item.equation.outvars[carries:]
        return [*carry, *self._stack(stacked, outputs, around)]

    def _stack(self, rows, outputs, around) -> list[Value]:
        if not rows:
            blanks = (jnp.zeros(v.aval.shape, v.aval.dtype) for v in outputs)
            return [Value(blank, kind="constant", label="empty") for blank in blanks]
        return [
            self._enter("stack", _stacked, list(column), around)[0]
            for column in zip(*rows, strict=True)
        ]

    def _while(self, item: Item, operands, around) -> list[Value]:
        test, body = item.bodies
        params = item.equation.params
        tests, fixed = params["cond_nconsts"], params["body_nconsts"]
        of_test, of_body = operands[:tests], operands[tests : tests + fixed]
        # No derivative passes a while loop: what jax.grad admits here is constant.
        carry = [Value(v.array, v.maker, v.label, v.kind) for v in operands]
        carry = carry[tests + fixed :]
        turn = 0
        while True:
            aside = Recorder(self.builder)
            (going,) = aside._body(test, [*of_test, *carry], around)
            if not going.array.any():
                return carry
            inside = around.turn(turn, turn, self._counts(item))
            result = self._body(body, [*of_body, *carry], inside)
            if going.array.shape:  # under vmap some elements have stopped before
                pairs = zip(result, carry, strict=True)
                result = [
                    self._enter("where", _going_on, [going, new, old], inside)[0]
                    for new, old in pairs
                ]
            carry, turn = result, turn + 1

    def _counts(self, item: Item) -> bool:
        """Whether a loop is the user's, so that its iterations are worth a number."""
        return self.builder.knows(item.equation)

    def _body(self, block: Block, operands, around: "_Around") -> list[Value]:
        if around.opened:
            return self._run_opened(block, operands, around)
        return self.run(block, operands, iteration=around.iteration, long=around.long)

    def _run_opened(self, block: Block, operands, around: "_Around") -> list[Value]:
        """A block inside a step that the user sees as one."""
        return self.run(
            block,
            operands,
            around.slot,
            around.place,
            around.iteration,
            around.long,
        )


@dataclass(frozen=True)
class _Around:
    """What an item of a running block stands in."""

    slot: int
    place: Place
    iteration: tuple[int, ...]
    long: bool
    opened: bool

    def turn(self, turn: int, length: int, counted: bool) -> "_Around":
        iteration = (*self.iteration, turn) if counted else self.iteration
        long = self.long or length >= LONG
        return _Around(self.slot, self.place, iteration, long, self.opened)


def _going_on(going: Array, new: Array, old: Array) -> list[Array]:
    going = going.reshape(going.shape + (1,) * (new.ndim - going.ndim))
    return [jnp.where(going, new, old)]


def _unstacked(xs: Any) -> list[Any]:
    if jnp.issubdtype(xs.dtype, jax.dtypes.extended):
        return list(xs)
    # On the host: on the device each row would be a program of its own.
    return [jnp.asarray(row) for row in np.asarray(xs)]


def _stacked(*rows: Any) -> list[Any]:
    if jnp.issubdtype(rows[0].dtype, jax.dtypes.extended):
        return [jnp.stack(rows)]
    return [jnp.asarray(np.stack([np.asarray(row) for row in rows]))]


def _read(known: dict[Any, Value], atom: Any) -> Value:
    if is_literal(atom):
        array = jnp.asarray(atom.val, atom.aval.dtype)
        return Value(array, label="constant", kind="constant")
    return known[atom]
