"""A concrete run of a program, forward and backward, that the searches read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import jax.numpy as jnp

from jaxgrad._types import Array
from jaxgrad.inspection.program.program import Program
from jaxgrad.inspection.run.backward import Backward, total
from jaxgrad.inspection.run.recorder import run_on_tape
from jaxgrad.inspection.run.tape import Tape, Value


@dataclass(frozen=True)
class Replay:
    """A run operation by operation, on the actual arguments."""

    program: Program
    inputs: Sequence[Value]  # The leaves of the arguments, then the constants
    outputs: Sequence[Value]
    tape: Tape

    @cached_property
    def backward(self) -> Backward:
        """The backward pass from the first output; it runs at the first access."""
        backward = Backward(self.tape.entries)
        backward.run(self.outputs[0])
        return backward

    def gradients(self) -> list[tuple[Value, Array]]:
        """The differentiated inputs, each with its gradient."""
        assert self.backward
        chosen = [value for value in self.inputs if value.active]
        return [(value, _or_zero(value)) for value in chosen]


def replay(program: Program, stretches: bool = False) -> Replay:
    """Run a program on a tape; with `stretches` many passes of a loop are one entry."""
    given = [
        *(("input", leaf.path, leaf.value) for leaf in program.leaves),
        *(("constant", label, value) for label, value in program.constants),
    ]
    inputs = [
        Value(jnp.asarray(value), label=label, kind=kind, active=active)
        for (kind, label, value), active in zip(given, program.active, strict=True)
    ]
    outputs, tape = run_on_tape(program.block, inputs, program.builder, stretches)
    return Replay(program, inputs, outputs, tape)


@contextmanager
def backward_from(replay: Replay, value: Value) -> Iterator[Replay]:
    """The run as if a value on its tape was the result, with cotangents of 1."""
    entries = replay.tape.entries
    values = [*replay.inputs, *(v for e in entries for v in (*e.inputs, *e.outputs))]
    kept = {id(each): (each, each.parts) for each in values}
    try:
        for each, _ in kept.values():
            each.parts = []
        Backward(entries).run(value)
        yield replace(replay, outputs=[value])
    finally:
        for each, parts in kept.values():
            each.parts = parts


def _or_zero(value: Value) -> Array:
    gradient = total(value)
    return jnp.zeros_like(value.array) if gradient is None else gradient
