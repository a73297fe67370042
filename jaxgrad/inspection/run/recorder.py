"""Reader: runs a program operation by operation, and records it on a tape.

The program is run on the actual arrays: jitted helpers are opened, loops are unrolled,
the branch taken is entered; a function with a custom derivative stays one entry. Long
loops may be recorded in stretches, which are unrolled when they are opened.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._types import Array
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Builder, CallSite, Item
from jaxgrad.inspection.program.interpreter import Reader, interpret
from jaxgrad.inspection.run.shards import Shards, select, swapped
from jaxgrad.inspection.run.stretches import (
    BASE,
    compiled_count,
    compiled_stretch,
    single_passes,
    stretches_of,
)
from jaxgrad.inspection.run.tape import Entry, Tape, Value

# From this many iterations on, the operations of a loop's body are compiled.
LONG = 16


def run_on_tape(
    block: Block, inputs: Sequence[Value], builder: Builder, stretches: bool = False
) -> tuple[list[Value], Tape]:
    """Run a program on concrete inputs: its outputs, and the tape.

    With `stretches`, many passes of a loop are one entry, until it is opened.
    """
    tape = Tape(builder)
    return interpret(block, inputs, _Recorder(tape, stretches)), tape


@dataclass(frozen=True)
class _Recorder(Reader):
    """Runs a program and keeps the tape; a value is a `Value`."""

    tape: Tape
    stretches: bool  # Whether many passes of a loop are one entry
    slot: int | None = None  # The step being opened; None where every item is a step
    site: CallSite | None = None  # The call site of that step
    iteration: tuple[int, ...] = ()  # Of the loops around the block, outermost first
    shards: Shards | None = None  # Those of the `shard_map` around the block
    long: bool = False  # Whether one of these loops is long
    _compiled: dict[Any, Any] = field(default_factory=dict)

    def literal(self, atom: Any) -> Value:
        array = jnp.asarray(atom.val, atom.aval.dtype)
        array = array if self.shards is None else self.shards.spread(array)
        return Value(array, label="constant", kind="constant")

    def constant(self, value: Any) -> Value:
        return Value(value, label="a closed-over array", kind="constant")

    def equations(self, item: Item, operands: list[Value]) -> Sequence[Value]:
        if not item.is_primitive:
            return interpret(item.opened, operands, self._opening(item))
        name = item.equation.primitive.name
        if name in jaxprs.PRINTING:
            return []
        given = dict(zip(item.reads, operands, strict=True))
        if item.runs_users and not any(value.active for value in operands):
            block, atoms = item.run  # without a derivative there is nothing to keep
            read = [
                self.literal(a) if jaxprs.is_literal(a) else given[a] for a in atoms
            ]
            results = interpret(block, read, self._opening(item))
            made = dict(zip(item.equation.outvars, results, strict=True))
            return [made[variable] for variable in item.writes]
        outputs = self._run(item, name, self._function(item), operands)
        entry = self.tape.entries[-1]
        entry.item = item
        entry.operands = [
            Value(jnp.asarray(a.val), label=str(a.val), kind="literal")
            if jaxprs.is_literal(a)
            else given[a]
            for a in item.equation.invars
        ]
        return outputs

    def jit(self, item: Item, operands: list[Value]) -> Sequence[Value]:
        return interpret(item.bodies[0], operands, self._entering(item))

    remat = jit

    def cond(self, item: Item, index: Value, operands: list[Value]) -> Sequence[Value]:
        # In a `shard_map` each shard may take another branch.
        numbers = np.clip(np.asarray(index.array), 0, len(item.bodies) - 1)
        chosen = sorted(set(numbers.ravel().tolist()))
        if self.slot is None:
            self.tape.taken.setdefault(item.slot, set()).update(chosen)
        inside = self._entering(item)
        results = [interpret(item.bodies[i], operands, inside) for i in chosen]
        if len(chosen) == 1:
            return results[0]
        order = Value(jnp.asarray(np.searchsorted(chosen, numbers), jnp.int32))
        return [
            inside._run(item, "select_n", select, [order, *column])[0]
            for column in zip(*results, strict=True)
        ]

    def shard_map(self, item: Item, operands: list[Value]) -> Sequence[Value]:
        shards = Shards(jaxprs.shard_parameters(item.equation))
        inside = replace(self._entering(item), shards=shards)
        split = [
            self._run(item, "shard_map", shards.split(i), [value])[0]
            for i, value in enumerate(operands)
        ]
        results = interpret(item.bodies[0], split, inside)
        return [
            self._run(item, "shard_map", shards.join(i), [value])[0]
            for i, value in enumerate(results)
        ]

    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> Sequence[Value]:
        params = item.equation.params
        passes = range(params["length"])
        return self._passes(
            item, operands, passes[::-1] if params["reverse"] else passes
        )

    def _passes(
        self, item: Item, operands: jaxprs.ScanOperands, passes: range
    ) -> list[Value]:
        """Run some passes of a loop; with `stretches`, many of them as one entry."""
        constants, carry, sliced = operands
        sliced = [self._swapped(item, xs) for xs in sliced]
        whole = self.shards is not None or bool(item.equation.effects)
        stretches = self.stretches and not whole
        parts = stretches_of(passes) if stretches else single_passes(passes)
        places = tuple(_place(part, passes) for part in parts)
        columns = [self._unstack(item, xs, places) for xs in sliced]
        rows: list[list[Value]] = []
        for i, part in enumerate(parts):
            given = jaxprs.ScanOperands(constants, carry, [xs[i] for xs in columns])
            if len(part) > 1:
                results = self._stretch(item, given, part)
            else:
                inside = self._entering(item, part[0], 0 if stretches else len(passes))
                results = interpret(item.bodies[-1], [*itertools.chain(*given)], inside)
            carry = results[: len(carry)]
            rows.append(results[len(carry) :])
        results = self._stack(item, rows, places, len(carry))
        return [*carry, *(self._swapped(item, result) for result in results)]

    def _stretch(
        self, item: Item, operands: jaxprs.ScanOperands, part: range
    ) -> list[Value]:
        """Run some passes of a loop as one entry."""
        constants, carry, _ = map(len, operands)
        new = compiled_stretch(item, len(part), constants, carry)
        run = self._compiled.setdefault((id(item), len(part)), new)
        given = [*itertools.chain(*operands)]
        arrays, branches = run.results_and_branches(*(value.array for value in given))
        for key, chosen in branches.items() if self.slot is None else ():
            found = set(np.unique(np.asarray(chosen)).tolist()) - {-1}
            self.tape.taken.setdefault(~key, set()).update(found)
        entry = self._record(item, item.kind, run.results, given, arrays)
        entry.compiled = True
        entry.open = lambda: self._opened(item, operands, part, entry)
        return entry.outputs

    def _opened(
        self, item: Item, operands: jaxprs.ScanOperands, part: range, entry: Entry
    ) -> list[Entry]:
        """The entries of a stretch's passes, which make its outputs from now on."""
        tape = replace(self.tape, entries=[], number=entry.number)
        inside = replace(self, tape=tape)
        for output, value in zip(
            entry.outputs, inside._passes(item, operands, part), strict=True
        ):
            link = inside._record(item, "copy", _copied, [value], [output.array])
            link.operands, link.outputs = [value], [output]
            output.maker = link
        return tape.entries

    def _swapped(self, item: Item, value: Value) -> Value:
        """In a `shard_map`, put the iterations before the shards, or back again."""
        if self.shards is None:
            return value
        return self._run(item, "transpose", swapped, [value])[0]

    def while_loop(self, item: Item, operands: jaxprs.WhileOperands) -> Sequence[Value]:
        of_test, of_body, start = operands
        test, body = item.bodies
        carry = [self._without_derivative(item, value) for value in start]
        i = 0
        while True:
            apart = replace(self._entering(item), tape=Tape(self.tape.builder))
            (running,) = interpret(test, [*of_test, *carry], apart)
            if not running.array.any():
                return carry
            if self.stretches and i == BASE and not running.array.shape:
                return self._rest_of_while(item, operands, carry, i)
            inside = self._entering(item, i, i)
            results = interpret(body, [*of_body, *carry], inside)
            if running.array.shape:  # under vmap some elements have already stopped
                results = [
                    inside._run(item, "where", _where_running, [running, new, old])[0]
                    for new, old in zip(results, carry, strict=True)
                ]
            carry, i = results, i + 1

    def _rest_of_while(
        self, item: Item, operands: jaxprs.WhileOperands, carry: list[Value], i: int
    ) -> list[Value]:
        """Run the passes from `i` on as those of a loop whose length is known."""
        count = self._compiled.setdefault((id(item), 0), compiled_count(item))
        given = ([v.array for v in values] for values in (*operands[:2], carry))
        passes = range(i, i + int(count(jaxprs.WhileOperands(*given))))
        rest = jaxprs.ScanOperands(operands.of_body, carry, [])
        return self._passes(item, rest, passes)

    def _without_derivative(self, item: Item, value: Value) -> Value:
        """A value that a while loop reads: no reverse derivative passes."""
        if not value.active:
            return value
        (copy,) = self._run(item, "copy", lambda array: [array], [value])
        self.tape.entries[-1].operands = [value]
        copy.active = False
        return copy

    def after_item(
        self, item: Item, operands: list[Value], results: list[Value]
    ) -> list[Value]:
        if self.slot is None and item.visible:
            shown = [results[i] for i in item.shown]
            self.tape.results.setdefault((item.slot, self.iteration), shown)
        return results

    def _step_of(self, item: Item) -> tuple[int, CallSite]:
        """The step that an item belongs to, and its site as precisely as is known."""
        slot = item.slot if self.slot is None else self.slot
        known = item.site.user is not None
        return slot, item.site if known or self.site is None else self.site

    def _opening(self, item: Item) -> "_Recorder":
        """For what the user sees as one step."""
        slot, site = self._step_of(item)
        return replace(self, slot=slot, site=site)

    def _entering(
        self, item: Item, i: int | None = None, length: int = 0
    ) -> "_Recorder":
        """For the body of an item, in one iteration if it is a loop."""
        inside = self if self.slot is None else self._opening(item)
        if i is None:
            return inside
        # Only the user's own loops have iterations with a number.
        counted = (i,) if self.tape.builder.knows(item.equation) else ()
        long = self.long or length >= LONG
        return replace(inside, iteration=(*self.iteration, *counted), long=long)

    def _function(self, item: Item) -> Callable[..., list[Any]]:
        def function(*arrays: Any) -> list[Any]:
            return jaxprs.run_jaxpr(item.jaxpr, arrays)

        if self.shards is not None:
            stacked = self.shards.stacked(item, function)
        else:
            stacked = function
        compiles = self.long or _is_rule_with_a_loop(item.equation)
        if not compiles or item.jaxpr.effects:
            return stacked
        return self._compiled.setdefault(id(item), jax.jit(stacked))

    def _run(
        self,
        item: Item,
        name: str,
        function: Callable[..., list[Any]],
        operands: Sequence[Value],
    ) -> list[Value]:
        """Run one operation and put it on the tape."""
        arrays = function(*(value.array for value in operands))
        entry = self._record(item, name, function, operands, arrays)
        entry.compiled = self._compiled.get(id(item)) is function
        return entry.outputs

    def _record(
        self,
        item: Item,
        name: str,
        function: Callable[..., list[Any]],
        operands: Sequence[Value],
        arrays: Sequence[Any],
    ) -> Entry:
        """Put an operation with its results on the tape."""
        slot, site = self._step_of(item)
        number = (*self.tape.number, len(self.tape.entries))
        place = slot, site, self.iteration
        entry = Entry(number, name, function, list(operands), [], *place)
        entry.shards = self.shards
        passes = jaxprs.has_derivative(name) and any(v.active for v in operands)
        entry.outputs = [
            Value(array, entry, active=passes and jaxprs.is_floating(array))
            for array in arrays
        ]
        self.tape.entries.append(entry)
        return entry

    def _unstack(
        self, item: Item, xs: Value, places: tuple[int | slice, ...]
    ) -> list[Value]:
        """The rows of what a loop goes through."""
        rows = self._run(item, "unstack", partial(_unstacked, places), [xs])
        self.tape.entries[-1].places = places
        return rows

    def _stack(
        self,
        item: Item,
        rows: list[list[Value]],
        places: tuple[int | slice, ...],
        carries: int,
    ) -> list[Value]:
        """The results of the passes of a loop, stacked."""
        if not rows:
            outputs = item.equation.outvars[carries:]
            shards = () if self.shards is None else (self.shards.count,)
            shapes = ((*v.aval.shape[:1], *shards, *v.aval.shape[1:]) for v in outputs)
            dtypes = (v.aval.dtype for v in outputs)
            blanks = map(jnp.zeros, shapes, dtypes)
            return [Value(blank, kind="constant", label="empty") for blank in blanks]
        order = slice(None, None, -1 if item.equation.params.get("reverse") else 1)
        whole = []
        for column in zip(*rows, strict=True):
            stacked = partial(_stacked, places[order])
            whole += self._run(item, "stack", stacked, column[order])
            self.tape.entries[-1].places = places[order]
        return whole


def _is_rule_with_a_loop(equation: Any) -> bool:
    """Whether it has a custom derivative and a loop, like an ODE solver: it is slow."""
    rule = equation.primitive.name in jaxprs.CUSTOM_RULES
    body = equation.params.get("call_jaxpr") if rule else None
    return body is not None and bool(jaxprs.primitives_in(body) & {"scan", "while"})


def _place(part: range, passes: range) -> int | slice:
    """Where some passes of a loop are on the axis that it goes through."""
    first = min(part) - min(passes)
    return first if len(part) == 1 else slice(first, first + len(part))


def _copied(array: Any) -> list[Any]:
    return [array]


def _where_running(running: Array, new: Array, old: Array) -> list[Array]:
    running = running.reshape(running.shape + (1,) * (new.ndim - running.ndim))
    return [jnp.where(running, new, old)]


def _unstacked(places: Sequence[int | slice], xs: Any) -> list[Any]:
    if jnp.issubdtype(xs.dtype, jax.dtypes.extended):
        return [xs[place] for place in places]
    # On the host: on the device each row would be a separate program.
    xs = np.asarray(xs)
    return [jnp.asarray(xs[place]) for place in places]


def _stacked(places: Sequence[int | slice], *rows: Any) -> list[Any]:
    keys = jnp.issubdtype(rows[0].dtype, jax.dtypes.extended)
    pairs = zip(rows if keys else map(np.asarray, rows), places, strict=True)
    parts = [row[None] if isinstance(place, int) else row for row, place in pairs]
    return [jnp.concatenate(parts) if keys else jnp.asarray(np.concatenate(parts))]
