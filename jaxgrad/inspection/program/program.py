"""A function of the user's, traced, taken apart and labelled: all but its numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Builder, Depth
from jaxgrad.inspection.program.call import Call, Leaf, Traced, refusal
from jaxgrad.inspection.program.differentiable import mark_differentiable
from jaxgrad.inspection.program.frames import closed_over_name, home_of
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

    call: Call  # The function and its arguments
    traced: Traced  # Its trace
    builder: Builder  # What grouped the equations
    # The equations, grouped into what the user wrote. Its inputs are the leaves, then
    # the constants
    block: Block
    # For each input of the block, whether it is differentiated
    active: tuple[bool, ...]

    @classmethod
    def of(
        cls,
        call: Call,
        traced: Traced,
        depth: Depth = "user",
        differentiated: Callable[[Leaf], bool] = lambda leaf: leaf.differentiated,
    ) -> "Program":
        """Take a trace apart.

        Args:
            call: The function and its arguments.
            traced: Its trace.
            depth: What counts as a step.
            differentiated: Which leaves have a gradient.
        """
        builder = Builder(depth, home_of(call.f))
        block = builder.program(traced.jaxpr)
        flags = [
            differentiated(leaf) for leaf in (*call.differentiated, *traced.others)
        ]
        active = (*flags, *(False for _ in jaxprs.constants_of(traced.jaxpr)))
        mark_differentiable(block, active)
        return cls(call, traced, builder, block, active)

    @property
    def leaves(self) -> list[Leaf]:
        """The arguments that are inputs of the block, in their order."""
        return self.call.leaves_of(self.traced)

    @cached_property
    def constants(self) -> list[tuple[str, Any]]:
        """The label and the value of each array that the function closes over."""
        values = jaxprs.constants_of(self.traced.jaxpr)
        return [
            (closed_over_name(self.call.f, value) or constant_label(value), value)
            for value in values
        ]

    @cached_property
    def _labelled(self) -> tuple[list[Draft], list[Origins]]:
        inputs = [
            *(Origin("argument", i, label=x.path) for i, x in enumerate(self.leaves)),
            *(Origin("constant", i, label=c[0]) for i, c in enumerate(self.constants)),
        ]
        return draft_steps(self.block, inputs)

    @property
    def drafts(self) -> list[Draft]:
        """The steps in the order of execution, without their numbers."""
        return self._labelled[0]

    @property
    def result(self) -> Origins:
        """Where the first output comes from."""
        return self._labelled[1][0]

    def refusal(self) -> Exception | None:
        """The error with which JAX refuses to differentiate the program, or None."""
        return refusal(self.traced, self.leaves, self.active[: len(self.leaves)])
