"""Reader: where the cotangent that a step sends back along each operand arrives.

A value is its routes: the result or argument that it is, and what the loops and
branches in between do to a cotangent on its way there. A loop's constant receives the
sum over the passes, its first carry the first pass, a result of the pass before all
but the first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.interpreter import Reader, interpret
from jaxgrad.inspection.run.gradients import branch_key

# From a cotangent and the branches taken to what arrives one level farther out
Move = Callable[[Any, Mapping[int, Any]], Any]
Place = tuple[str, int, int]  # Kind, slot or number, position of the result


class Route(NamedTuple):
    """Where a value comes from, and the moves from there to its reader."""

    place: Place
    active: bool  # Whether a derivative passes through
    moves: tuple[Move, ...] = ()

    def then(self, *moves: Move) -> "Route":
        """The same, read one level farther inside."""
        return self._replace(moves=(*self.moves, *moves))

    def back(self, cotangent: Any, taken: Mapping[int, Any]) -> Any:
        """What arrives of a cotangent; None if the way back is not known."""
        for move in reversed(self.moves):
            cotangent = None if cotangent is None else move(cotangent, taken)
        return cotangent


Routes = tuple[Route, ...]


@dataclass(frozen=True)
class Reads:
    """What every item of a program reads, by slot; the key of the result is -1."""

    operands: dict[int, Sequence[Routes]] = field(default_factory=dict)
    # What a loop or a `cond` returns, by the position of its results
    results: dict[int, Sequence[Routes]] = field(default_factory=dict)

    def active(self) -> dict[int, tuple[bool, ...]]:
        """For each operand of each item whether a cotangent is sent to it."""
        return {
            slot: tuple(any(r.active for r in routes) for routes in operands)
            for slot, operands in self.operands.items()
        }


def reads_of(block: Block, active: Sequence[bool]) -> Reads:
    """The reads of a program, whose inputs are differentiated or not."""
    reads = Reads()
    inputs = [(Route(("argument", i, 0), flag),) for i, flag in enumerate(active)]
    outputs = interpret(block, inputs, _Router(reads))
    reads.results[-1] = outputs[:1]
    return reads


@dataclass(frozen=True)
class _Router(Reader):
    """A value is its routes: several if a branch or a pass decides between them."""

    reads: Reads
    depth: int = 0  # How many loops are around

    def literal(self, atom: Any) -> Routes:
        return ()

    def constant(self, value: Any) -> Routes:
        return ()

    def equations(self, item: Item, operands: list[Routes]) -> list[Routes]:
        self.reads.operands[item.slot] = operands if any(item.active) else []
        return self._own(item)

    def _own(self, item: Item) -> list[Routes]:
        flags = enumerate(item.active)
        return [(Route(("step", item.slot, i), active),) for i, active in flags]

    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> list[Routes]:
        constants, carry, sliced = operands
        inside = replace(self, depth=self.depth + 1)
        body, summed = item.bodies[0], partial(_summed, self.depth)
        fixed = [_then(routes, summed) for routes in constants]

        def run(given: list[Routes]) -> list[Routes]:
            return interpret(body, [*fixed, *given, *sliced], inside)

        # Once to learn which results become the next carry, once more knowing it.
        blank = [(Route(("carry", item.slot, k), False),) for k in range(len(carry))]
        loop = _Loop(item, self.depth, carry, run(blank))
        results = run([loop.inside(k) for k in range(len(carry))])
        return [
            *map(loop.after, range(len(carry))),
            *results[len(carry) :],
        ]

    def shard_map(self, item: Item, operands: list[Routes]) -> list[Routes]:
        inside = replace(self, depth=self.depth + 1)
        given = [_then(routes, _lost) for routes in operands]
        results = interpret(item.bodies[0], given, inside)
        return [_then(routes, _lost) for routes in results]

    def cond(self, item: Item, index: Routes, operands: list[Routes]) -> list[Routes]:
        columns = []
        for i, body in enumerate(item.bodies):
            chosen = partial(_where_taken, branch_key(item.slot), i)
            results = interpret(body, operands, self)
            columns.append([_then(routes, chosen) for routes in results])
        return [sum(column, ()) for column in zip(*columns, strict=True)]

    def while_loop(self, item: Item, operands: jaxprs.WhileOperands) -> list[Routes]:
        return [()] * len(item.equation.outvars)

    def after_item(
        self, item: Item, operands: list[Routes], results: list[Routes]
    ) -> list[Routes]:
        if item.kind == "equations" or not item.visible:
            return results
        self.reads.results[item.slot] = results
        own = self._own(item)
        shown = set(item.shown)
        return [own[i] if i in shown else routes for i, routes in enumerate(results)]


class _Loop(NamedTuple):
    """The carry of a loop: what each pass finds in it, and what the last one leaves."""

    item: Item
    depth: int
    first: Sequence[Routes]  # What the carry is before the first pass
    results: Sequence[Routes]  # What a pass returns, with its own carry by number

    def inside(self, k: int) -> Routes:
        """The carry that a pass reads."""
        chain, made, length = self._chain(k), (), self._length
        if chain is None:
            return _then(self.first[k] + self.results[k], _lost)
        period = len(chain)
        last = self.results[chain[-1]]
        cycle = _is_carry(last, self.item.slot)
        if not cycle:
            made = _then(last, partial(_before, self.depth, self._way * period))
        firsts = ()
        for lag, source in enumerate(chain[:length]):
            passes = range(lag, length, period) if cycle else range(lag, lag + 1)
            rows = tuple(map(self._row, passes))
            firsts += _then(self.first[source], partial(_picked, self.depth, rows))
        return firsts + made

    def after(self, k: int) -> Routes:
        """The carry after the last pass."""
        chain, length = self._chain(k), self._length
        if chain is None:
            return _then(self.first[k] + self.results[k], _lost)
        last = self.results[chain[-1]]
        if _is_carry(last, self.item.slot):
            return self.first[chain[length % len(chain)]]
        if length < len(chain):
            return self.first[chain[length]]
        row = self._row(length - len(chain))
        return _then(last, partial(_placed, self.depth, length, row))

    def _chain(self, k: int) -> list[int] | None:
        """The carries that are handed on unchanged up to `k`, from the last pass back.

        None if a branch decides what is handed on.
        """
        chain = [k]
        while True:
            result = self.results[chain[-1]]
            handed = [r for r in result if r.place[:2] == ("carry", self.item.slot)]
            if not handed:
                return chain
            if len(result) > 1 or handed[0].moves:
                return None
            following = handed[0].place[2]
            if following in chain:
                # A carry that ends in another's cycle is not taken apart.
                return chain if following == k else None
            chain.append(following)

    @property
    def _length(self) -> int:
        return self.item.equation.params["length"]

    @property
    def _way(self) -> int:
        return -1 if self.item.equation.params["reverse"] else 1

    def _row(self, number: int) -> int:
        """Where a pass is on the axis of the loop."""
        return number if self._way > 0 else self._length - 1 - number


def _is_carry(routes: Routes, slot: int) -> bool:
    return any(route.place[:2] == ("carry", slot) for route in routes)


def _then(routes: Routes, move: Move) -> Routes:
    return tuple(route.then(move) for route in routes)


def _lost(cotangent: Any, taken: Mapping[int, Any]) -> None:
    """Nothing: the way back is not known."""
    del cotangent, taken


def _summed(axis: int, cotangent: Any, taken: Mapping[int, Any]) -> Any:
    del taken
    return cotangent.sum(axis)


def _picked(
    axis: int, rows: tuple[int, ...], cotangent: Any, taken: Mapping[int, Any]
) -> Any:
    del taken
    return jnp.take(cotangent, jnp.array(rows), axis).sum(axis)


def _before(axis: int, lag: int, cotangent: Any, taken: Mapping[int, Any]) -> Any:
    """What passes send to results of `lag` passes before."""
    del taken
    rows, gap = jnp.moveaxis(cotangent, axis, 0), min(abs(lag), cotangent.shape[axis])
    zeros = jnp.zeros_like(rows[:gap])
    parts = [rows[gap:], zeros] if lag > 0 else [zeros, rows[: len(rows) - gap]]
    return jnp.moveaxis(jnp.concatenate(parts), 0, axis)


def _placed(
    axis: int, length: int, row: int, cotangent: Any, taken: Mapping[int, Any]
) -> Any:
    """What is sent to the result of one pass."""
    del taken
    shape = (*cotangent.shape[:axis], length, *cotangent.shape[axis:])
    at = (slice(None),) * axis + (row,)
    return jnp.zeros(shape, cotangent.dtype).at[at].set(cotangent)


def _where_taken(
    key: int, branch: int, cotangent: Any, taken: Mapping[int, Any]
) -> Any:
    chosen = taken[key] == branch
    shape = chosen.shape + (1,) * (cotangent.ndim - chosen.ndim)
    return jnp.where(chosen.reshape(shape), cotangent, 0)
