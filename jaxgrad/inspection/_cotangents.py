"""Run the graph, and collect every step's value and total cotangent on the way.

A step's result passes through `tap`, which changes nothing on the way forward and
on the way back hands a copy of the cotangent to a second, otherwise unused input:
the gradient with respect to that input *is* the step's gradient, with all its
consumers added up by JAX itself. Inside `scan` the taps are sliced inputs, so every
iteration has its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxgrad._types import Array, ArrayLike
from jaxgrad.inspection._graph import Block, Builder, Item
from jaxgrad.inspection._jaxprs import (
    OPAQUE,
    is_floating,
    is_literal,
    run_jaxpr,
    scan_parts,
)
from jaxgrad.inspection.report.summary import measure

Records = dict[int, Any]
Taps = dict[int, tuple[Array | None, ...]] | None


@dataclass(frozen=True)
class Mode:
    """How to run: keep summaries in place of arrays; each operation by itself."""

    summary: bool = False
    op_by_op: bool = False


def value_and_cotangents(
    block: Block,
    differentiated: Sequence[Array],
    rest: Sequence[ArrayLike],
    mode: Mode,
) -> tuple[Array, list[Any], list[Array], Records, Records]:
    """Value, further results, gradients, values of the steps, cotangents of the steps.

    Args:
        block: Its inputs are `differentiated` and `rest`, in this order; its first
            output is the scalar to differentiate.
        differentiated: The inputs with gradients.
        rest: All other inputs.
        mode: What to keep and how to run.
    """

    def total(inputs, taps):
        (value, *others), records = run(block, [*inputs, *rest], taps, mode)
        return value, (others, records)

    (value, (others, records)), (gradients, cotangents) = jax.value_and_grad(
        total, argnums=(0, 1), has_aux=True
    )(list(differentiated), _taps(block, mode))
    return jnp.asarray(value), others, gradients, records, cotangents


def run(
    block: Block, arguments: Sequence[Any], taps: Taps, mode: Mode
) -> tuple[list[Any], Records]:
    """The outputs of a block, and what its visible items gave, by slot.

    Without taps nothing is tapped or recorded.
    """
    values = dict(zip(block.inputs, arguments, strict=True)) | dict(block.constants)
    records: Records = {}
    put = tap_measured if mode.summary else tap
    for item in block.items:
        operands = [_read(values, atom) for atom in item.operands]
        results, inner = RUN[item.kind](item, operands, taps, mode)
        results = item.written(results)
        records.update(inner)
        if item.visible and taps is not None:
            for i, dummy in zip(item.shown, taps[item.slot], strict=True):
                results[i] = results[i] if dummy is None else put(results[i], dummy)
            records[item.slot] = tuple(_look(results[i], mode) for i in item.shown)
        values.update(zip(item.writes, results, strict=True))
    return [_read(values, atom) for atom in block.outputs], records


@jax.custom_vjp
def tap(x: Array, dummy: Array) -> Array:
    """`x`; the gradient of `dummy` is the cotangent of `x`."""
    del dummy
    return x


tap.defvjp(lambda x, dummy: (x, None), lambda _, cotangent: (cotangent, cotangent))


@jax.custom_vjp
def tap_measured(x: Array, dummy: Array) -> Array:
    """`x`; the gradient of `dummy` is `measure` of the cotangent of `x`."""
    del dummy
    return x


tap_measured.defvjp(
    lambda x, dummy: (x, None), lambda _, cotangent: (cotangent, measure(cotangent))
)


def blank_records(block: Block, mode: Mode) -> Records:
    """Zeros in the place of what the items of a branch not taken would give."""
    blanks: Records = {}
    for item, loop in _items_and_loops(block):
        if item.kind == "cond":
            blanks[~item.slot] = jnp.zeros(loop, jnp.int32)
        if item.visible:
            shown = (item.writes[i] for i in item.shown)
            blanks[item.slot] = tuple(_blank(v.aval, mode, loop) for v in shown)
    return blanks


def _taps(block: Block, mode: Mode) -> Taps:
    return {
        item.slot: tuple(
            _blank(item.writes[i].aval, mode, loop) if item.active[i] else None
            for i in item.shown
        )
        for item, loop in _items_and_loops(block)
        if item.visible
    }


def _items_and_loops(
    block: Block, loop: tuple[int, ...] = ()
) -> Iterator[tuple[Item, tuple[int, ...]]]:
    """Every item of a block with the lengths of the loops around it."""
    for item in block.items:
        length = (item.equation.params["length"],) if item.kind == "scan" else ()
        for body in item.bodies:
            yield from _items_and_loops(body, loop + length)
        yield item, loop


def _blank(aval: Any, mode: Mode, loop: tuple[int, ...]) -> Any:
    if jnp.issubdtype(aval.dtype, jax.dtypes.extended):
        return None
    like = jax.ShapeDtypeStruct(aval.shape, aval.dtype)
    like = jax.eval_shape(measure, like) if mode.summary else like
    return jnp.zeros(loop + like.shape, like.dtype)


def _look(result: Any, mode: Mode) -> Any:
    if jnp.issubdtype(result.dtype, jax.dtypes.extended):
        return None
    return measure(jax.lax.stop_gradient(result)) if mode.summary else result


def _read(values: dict[Any, Any], atom: Any) -> Any:
    return atom.val if is_literal(atom) else values[atom]


def _inner(taps: Taps, *bodies: Block) -> Taps:
    """The taps of what stands in some bodies."""
    if taps is None:
        return None
    items = (item for body in bodies for item in body.all_items())
    return {item.slot: taps[item.slot] for item in items if item.visible}


def _call(item: Item, operands, taps, mode):
    if any(equation.primitive.name in OPAQUE for equation in item.equations):
        operands = [jax.lax.stop_gradient(x) if is_floating(x) else x for x in operands]
    if not mode.op_by_op:
        return run_jaxpr(item.jaxpr, operands), {}
    # Op by op a library's jitted helper is opened, as under jax.disable_jit.
    opened = Builder("primitive", loops=True).block(item.jaxpr)
    return run(opened, operands, None, Mode())[0], {}


def _jit(item: Item, operands, taps, mode):
    return run(item.bodies[0], operands, taps, mode)


def _remat(item: Item, operands, taps, mode):
    body = item.bodies[0]
    params = item.equation.params
    again = jax.checkpoint(
        lambda values, inner: run(body, values, inner, mode),
        prevent_cse=params["prevent_cse"],
        policy=params["policy"],
    )
    return again(operands, _inner(taps, body))


def _scan(item: Item, operands, taps, mode):
    body, params = item.bodies[0], item.equation.params
    constants, carries, _ = scan_parts(item.equation)
    fixed, start = operands[:constants], operands[constants : constants + carries]

    def once(carry, sliced):
        x, inner = sliced
        results, records = run(body, [*fixed, *carry, *x], inner, mode)
        return results[:carries], (results[carries:], records)

    carry, (stacked, records) = jax.lax.scan(
        once,
        start,
        (operands[constants + carries :], _inner(taps, body)),
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return [*carry, *stacked], records


def _cond(item: Item, operands, taps, mode):
    index, *rest = operands
    blanks: Records = {}
    if taps is not None:
        for body in item.bodies:
            blanks.update(blank_records(body, mode))

    def branch(body: Block) -> Callable[..., Any]:
        def taken(values, inner):
            results, records = run(body, values, _inner(inner, body), mode)
            return results, blanks | records

        return taken

    results, records = jax.lax.switch(
        index, [branch(body) for body in item.bodies], rest, _inner(taps, *item.bodies)
    )
    return results, records | {~item.slot: index}


def _while(item: Item, operands, taps, mode):
    del taps
    test, body = item.bodies
    params = item.equation.params
    if test.outputs[0].aval.shape:  # under vmap each element has a test of its own
        return item.equation.primitive.bind(*operands, **params), {}
    tests, fixed = params["cond_nconsts"], params["body_nconsts"]
    of_test, of_body = operands[:tests], operands[tests : tests + fixed]
    return jax.lax.while_loop(
        lambda carry: run(test, [*of_test, *carry], None, mode)[0][0],
        lambda carry: run(body, [*of_body, *carry], None, mode)[0],
        operands[tests + fixed :],
    ), {}


RUN = {
    "call": _call,
    "jit": _jit,
    "remat": _remat,
    "scan": _scan,
    "cond": _cond,
    "while": _while,
}
