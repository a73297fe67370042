"""Run a program, and collect every step's value and total cotangent on the way.

A step's result passes through `tap`, which returns it unchanged and, in the backward
pass, copies the cotangent to a second, otherwise unused input. The gradient with
respect to that input *is* the step's gradient: JAX itself has added up the parts from
all consumers. Inside `scan` the taps are sliced inputs, so every iteration has its own.
The chain rule taps what each item reads as well: that is what it sends back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from jaxgrad._types import Array, ArrayLike
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.interpreter import Reader, interpret

Records = dict[int, Any]
Taps = dict[int, tuple[Array | None, ...]]


def value_and_cotangents(
    block: Block,
    differentiated: Sequence[Array],
    rest: Sequence[ArrayLike],
    op_by_op: bool = False,
    reads: Mapping[int, Sequence[bool]] | None = None,
    slopes: "Mapping[int, Slopes] | None" = None,
) -> tuple[Array, list[Any], list[Array], Records, Records]:
    """Value, further results, gradients, values of the steps, cotangents of the steps.

    The inputs of the block are `differentiated` and `rest`; its first output is the
    scalar to differentiate. `reads` says by slot to which operands the cotangents are
    wanted that are sent there: they are with the others by `read_key`. The values of
    the steps of `slopes` are followed by their derivatives.
    """
    slopes = slopes or {}

    def total(inputs: list[Array], taps: Taps) -> tuple[Any, tuple[Any, Records]]:
        runner = _Runner(op_by_op, taps, slopes)
        value, *others = interpret(block, [*inputs, *rest], runner)
        return value, (others, runner.records)

    run = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
    results, (gradients, cotangents) = run(
        list(differentiated), _taps(block, reads or {})
    )
    value, (others, records) = results
    return jnp.asarray(value), others, gradients, records, cotangents


def run_block(block: Block, inputs: Sequence[Any]) -> tuple[list[Any], Records]:
    """The outputs of a block, and the branch taken by each of the user's `cond`s."""
    runner = _Runner(op_by_op=False, taps=None)
    return interpret(block, inputs, runner), runner.records


def branch_key(slot: int) -> int:
    """The key in the records of the index of the branch that a `cond` took."""
    return ~slot


def read_key(slot: int) -> int:
    """The key in the cotangents of what an item sends to its operands."""
    return ~slot


class Slopes(NamedTuple):
    """How to compute the derivatives of a step with respect to its operands."""

    function: Callable[[Sequence[Any]], Sequence[Any]]
    avals: Sequence[Any]  # The types of what it returns


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def tap(axes: tuple[str, ...], x: Array, dummy: Array) -> Array:
    """`x`; the gradient of `dummy`, which varies over `axes`, is its cotangent."""
    del axes, dummy
    return x


def _cotangents(axes: tuple[str, ...], _: None, cotangent: Array) -> tuple[Array, ...]:
    return cotangent, jaxprs.as_varying(cotangent, axes)


tap.defvjp(lambda axes, x, dummy: (x, None), _cotangents)


@dataclass(frozen=True)
class _Runner(Reader):
    """A value is what JAX computes with; without taps only branches are recorded."""

    op_by_op: bool
    taps: Taps | None
    slopes: Mapping[int, Slopes] = field(default_factory=dict)
    axes: tuple[str, ...] = ()  # Of the surrounding `shard_map` that tracks them
    records: Records = field(default_factory=dict)

    def literal(self, atom: Any) -> Any:
        return atom.val

    def constant(self, value: Any) -> Any:
        return value

    def equations(self, item: Item, operands: list[Any]) -> Sequence[Any]:
        taps = (self.taps or {}).get(read_key(item.slot), ())
        for i, dummy in enumerate(taps):
            if dummy is not None:
                operands[i] = tap(self.axes, operands[i], dummy)
        if item.is_primitive or not self.op_by_op:
            return jaxprs.run_jaxpr(item.jaxpr, operands)
        # Op by op a library's jitted helper is opened, as under jax.disable_jit.
        return interpret(item.opened, operands, _Runner(self.op_by_op, None))

    def remat(self, item: Item, operands: list[Any]) -> Sequence[Any]:
        body, params = item.bodies[0], item.equation.params
        options = {name: params[name] for name in ("prevent_cse", "policy")}
        again = jax.checkpoint(partial(self._inside, body), **options)
        results, records = again(operands, self._taps_of(body))
        self.records.update(records)
        return results

    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> Sequence[Any]:
        constants, carry, sliced = operands
        body, params = item.bodies[0], item.equation.params

        def once(carry: list[Any], inputs: Any) -> Any:
            xs, taps = inputs
            results, records = self._inside(body, [*constants, *carry, *xs], taps)
            return results[: len(carry)], (results[len(carry) :], records)

        inputs = sliced, self._taps_of(body)
        options = {name: params[name] for name in ("length", "reverse", "unroll")}
        carry, (stacked, records) = jax.lax.scan(once, carry, inputs, **options)
        self.records.update(records)
        return [*carry, *stacked]

    def shard_map(self, item: Item, operands: list[Any]) -> Sequence[Any]:
        body, of = item.bodies[0], jaxprs.shard_parameters(item.equation)
        inside = replace(self, axes=(*self.axes, *of.axes) if of.checked else ())

        def local(values: list[Any], taps: Taps | None) -> Any:
            taps = jax.tree.map(lambda stacked: stacked[0], taps)
            results, records = inside._inside(body, values, taps)
            return results, jax.tree.map(lambda record: record[None], records)

        stacked = PartitionSpec(of.axes)
        specs = (list(of.in_specs), stacked), (list(of.out_specs), stacked)
        run = jaxprs.shard_mapped(local, of, *specs, of.checked)
        results, records = run(operands, self._taps_of(body))
        self.records.update(records)
        return results

    def cond(self, item: Item, index: Any, operands: list[Any]) -> Sequence[Any]:
        blanks: Records = {}
        for body in item.bodies:
            blanks.update(self._blank_records(body, values=self.taps is not None))

        def branch(body: Block) -> Callable[..., Any]:
            def taken(values: list[Any], taps: Taps | None) -> Any:
                taps = _taps_in(taps, body)
                results, records = self._inside(body, values, taps)
                return results, self._recorded(blanks | records)

            return taken

        branches, taps = [*map(branch, item.bodies)], self._taps_of(*item.bodies)
        results, records = jax.lax.switch(index, branches, operands, taps)
        index = self._recorded(jnp.asarray(index))
        self.records.update(records | {branch_key(item.slot): index})
        return results

    def while_loop(self, item: Item, operands: jaxprs.WhileOperands) -> Sequence[Any]:
        of_test, of_body, start = operands
        test, body = item.bodies
        if test.outputs[0].aval.shape:  # under vmap each element has its own test
            primitive, params = item.equation.primitive, item.equation.params
            return primitive.bind(*of_test, *of_body, *start, **params)
        inside = _Runner(self.op_by_op, None)
        return jax.lax.while_loop(
            lambda carry: interpret(test, [*of_test, *carry], inside)[0],
            lambda carry: interpret(body, [*of_body, *carry], inside),
            start,
        )

    def after_item(self, item: Item, operands: Any, results: list[Any]) -> list[Any]:
        if not item.visible or self.taps is None:
            return results
        for i, dummy in zip(item.shown, self.taps[item.slot], strict=True):
            if dummy is not None:
                results[i] = tap(self.axes, results[i], dummy)
        shown = (None if _is_key(results[i]) else results[i] for i in item.shown)
        slopes = self.slopes.get(item.slot)
        more = () if slopes is None else slopes.function(operands)
        self.records[item.slot] = self._recorded((*shown, *more))
        return results

    def _recorded(self, records: Any) -> Any:
        """Records that vary over all axes of the outer `shard_map`, as taps do."""
        if not self.axes:
            return records
        return jax.tree.map(lambda x: jaxprs.as_varying(x, self.axes), records)

    def _inside(
        self, body: Block, values: list[Any], taps: Taps | None
    ) -> tuple[list[Any], Records]:
        """The results and the records of a body that JAX runs by itself."""
        runner = _Runner(self.op_by_op, taps, self.slopes, self.axes)
        return interpret(body, values, runner), runner.records

    def _taps_of(self, *bodies: Block) -> Taps | None:
        return _taps_in(self.taps, *bodies)

    def _blank_records(self, block: Block, values: bool) -> Records:
        """What the items of a branch that is not taken record: zeros, and no branch."""
        records: Records = {}
        for item, loop in _items_and_loops(block):
            if item.visible and values:
                more = self.slopes[item.slot].avals if item.slot in self.slopes else ()
                shown = (item.writes[i].aval for i in item.shown)
                records[item.slot] = _blanks((*shown, *more), loop)
            if item.kind == "cond":
                records[branch_key(item.slot)] = jnp.full(loop, -1, jnp.int32)
        return records


def _taps_in(taps: Taps | None, *bodies: Block) -> Taps | None:
    """The taps of the items of some bodies."""
    if taps is None:
        return None
    slots = {item.slot for body in bodies for item in body.all_items()}
    return {key: tap for key, tap in taps.items() if max(key, ~key) in slots}


def _taps(block: Block, reads: Mapping[int, Sequence[bool]]) -> Taps:
    """A zero for each cotangent that JAX computes: of a step's result, or of a read."""
    taps: Taps = {}
    for item, loop in _items_and_loops(block):
        if item.visible:
            shown = [(item.writes[i].aval, item.active[i]) for i in item.shown]
            taps[item.slot] = _blanks([a if on else None for a, on in shown], loop)
        if any(wanted := reads.get(item.slot, ())):
            pairs = zip(item.reads, wanted, strict=True)
            avals = [v.aval if on else None for v, on in pairs]
            taps[read_key(item.slot)] = _blanks(avals, loop)
    return taps


def _items_and_loops(
    block: Block, loop: tuple[int, ...] = ()
) -> Iterator[tuple[Item, tuple[int, ...]]]:
    """Every item of a block with the lengths of the loops around it."""
    for item in block.items:
        for body in item.bodies:
            yield from _items_and_loops(body, loop + item.lengths)
        yield item, loop


def _blanks(avals: Sequence[Any], loop: tuple[int, ...]) -> tuple[Any, ...]:
    """Zeros of these types, in all iterations; None for None and for a random key."""
    return tuple(
        None if a is None or _is_key(a) else jnp.zeros(loop + a.shape, a.dtype)
        for a in avals
    )


def _is_key(value: Any) -> bool:
    """Whether it is a random key, which has no value to show."""
    return jnp.issubdtype(value.dtype, jax.dtypes.extended)
