"""A function of the user's, traced, taken apart and labelled: all but its numbers."""

from dataclasses import dataclass
from typing import Any

from jaxgrad._checks import wrong_type
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Builder, Depth
from jaxgrad.inspection.program.call import Call, Leaf, Traced, refusal, trace_at_best
from jaxgrad.inspection.program.differentiable import mark_differentiable
from jaxgrad.inspection.program.failures import NotEntered
from jaxgrad.inspection.program.frames import closed_over_name, definition_of, home_of
from jaxgrad.inspection.program.labels import (
    Draft,
    Origin,
    Origins,
    constant_label,
    draft_steps,
)


@dataclass(frozen=True, eq=False)
class Program:
    """What `explain` and the faults work on."""

    call: Call
    traced: Traced
    builder: Builder  # What grouped the equations
    block: Block  # Its inputs are the leaves, then the constants
    leaves: list[Leaf]
    constants: list[tuple[str, Any]]  # Label and value of the closed-over arrays
    active: tuple[bool, ...]  # For each input of the block whether it has a gradient
    drafts: list[Draft]  # The steps in the order of execution, without their numbers
    result: Origins  # Where the first output comes from


def trace_to_replay(call: Call, has_aux: bool) -> Traced:
    """The trace of a call whose result is one floating scalar, to be replayed.

    Raises:
        NotEntered: If it cannot be taken apart.
        TypeError: If the result is something else.
        Exception: JAX's, if it refuses to differentiate it.
    """
    traced = trace_at_best(call)
    if not traced.scalar or (traced.tree.num_leaves > 1 and not has_aux):
        remedy = "reduce it, for example with a sum"
        expected = "f to return one floating scalar"
        raise wrong_type(call.function, expected, traced.description, remedy)
    if jaxprs.has_references(traced.jaxpr):
        raise NotEntered("it changes arrays in place", definition_of(call.f))
    leaves = call.leaves_of(traced)
    refused = refusal(traced, leaves, [leaf.differentiated for leaf in leaves])
    if refused is not None:
        raise refused
    return traced


def take_apart(call: Call, traced: Traced, depth: Depth = "user") -> Program:
    """The program of a trace; `depth` says what counts as a step."""
    builder = Builder(depth, home_of(call.f))
    block = builder.root_block(traced.jaxpr)
    leaves = call.leaves_of(traced)
    constants = [
        (closed_over_name(call.f, value) or constant_label(value), value)
        for value in jaxprs.constants_of(traced.jaxpr)
    ]
    active = (*(leaf.differentiated for leaf in leaves), *(False for _ in constants))
    mark_differentiable(block, active)
    inputs = (
        *(Origin("argument", i, label=leaf.path) for i, leaf in enumerate(leaves)),
        *(Origin("constant", i, label=c[0]) for i, c in enumerate(constants)),
    )
    drafts, outputs = draft_steps(block, inputs)
    parts = builder, block, leaves, constants, active, drafts
    return Program(call, traced, *parts, outputs[0] if outputs else ())
