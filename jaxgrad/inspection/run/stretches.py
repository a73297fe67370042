"""Many passes of a loop as one compiled operation.

A tape of every operation in every pass of a long loop is slow to record and to search.
`stretches_of` cuts the passes into stretches; a search opens the one that it ends in,
which is cut again, down to single passes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Item
from jaxgrad.inspection.run.gradients import run_block

# The lengths of the stretches are powers of this, so that few are compiled.
BASE = 16


class Stretch(NamedTuple):
    """Some passes of a loop as functions of its arrays, both compiled."""

    results: Callable[..., list[Any]]
    # And the branch that each pass took, by the key of the branching
    results_and_branches: Callable[..., tuple[list[Any], dict[int, Any]]]


def stretches_of(passes: range) -> list[range]:
    """The passes in stretches of a power of `BASE`, then one by one."""
    length, stretches = BASE, []
    while length * BASE < len(passes):
        length *= BASE
    while length > 1 and len(passes) > BASE:
        if length < len(passes):
            stretches.append(passes[:length])
            passes = passes[length:]
        else:
            length //= BASE
    return stretches + single_passes(passes)


def single_passes(passes: range) -> list[range]:
    """The passes one by one."""
    return [passes[i : i + 1] for i in range(len(passes))]


def compiled_stretch(item: Item, length: int, constants: int, carries: int) -> Stretch:
    """`length` passes of a `scan` or `while`, as one function of its arrays."""
    body, reverse = item.bodies[-1], item.equation.params.get("reverse", False)

    def run(*arrays: Any) -> tuple[list[Any], dict[int, Any]]:
        fixed, rest = arrays[:constants], arrays[constants:]
        carry, sliced = rest[:carries], rest[carries:]

        def once(carry: list[Any], xs: list[Any]) -> Any:
            results, branches = run_block(body, [*fixed, *carry, *xs])
            return results[:carries], (results[carries:], branches)

        carry, (stacked, branches) = jax.lax.scan(
            once, list(carry), list(sliced), length, reverse
        )
        return [*carry, *stacked], branches

    compiled = jax.jit(run)
    return Stretch(lambda *arrays: compiled(*arrays)[0], compiled)


def compiled_count(item: Item) -> Callable[[jaxprs.WhileOperands], Any]:
    """How many passes a `while` makes."""
    test, body = item.bodies

    def count(operands: jaxprs.WhileOperands) -> Any:
        of_test, of_body, start = operands

        def running(state: Any) -> Any:
            return run_block(test, [*of_test, *state[1]])[0][0]

        def once(state: Any) -> Any:
            return state[0] + 1, run_block(body, [*of_body, *state[1]])[0]

        return jax.lax.while_loop(running, once, (jnp.int32(0), start))[0]

    return jax.jit(count)
