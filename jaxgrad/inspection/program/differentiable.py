"""Which values a derivative passes through: they depend on the arguments, smoothly.

Only these have a cotangent that JAX computes. JAX refuses a reverse derivative through
a `while` or a callback, so no gradient passes through them. The rule of a custom
derivative decides which tangents its result depends on.
"""

from collections.abc import Sequence
from typing import Any

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.interpreter import Reader, interpret


def mark_differentiable(block: Block, inputs: Sequence[bool]) -> None:
    """Fill in `active` and `cuts` of every item; `inputs` are differentiated or not."""
    interpret(block, list(inputs), _Marker())


class _Marker(Reader):
    """A value is a flag: whether a derivative passes through it."""

    def literal(self, atom: Any) -> bool:
        return False

    def constant(self, value: Any) -> bool:
        return False

    def equations(self, item: Item, operands: list[bool]) -> Sequence[bool]:
        if not any(operands):
            return [False] * len(item.writes)
        if not item.is_primitive:
            return interpret(item.opened, operands, self)
        name = item.equation.primitive.name
        if name == "custom_jvp_call":
            return jaxprs.perturbed(item.jaxpr, operands)
        return [jaxprs.has_derivative(name)] * len(item.writes)

    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> Sequence[bool]:
        constants, carry, sliced = operands
        while True:  # until the carry gains no more flags
            results = interpret(item.bodies[0], [*constants, *carry, *sliced], self)
            grown = [a or b for a, b in zip(carry, results, strict=False)]
            if grown == carry:
                return results
            carry = grown

    def cond(self, item: Item, index: bool, operands: list[bool]) -> Sequence[bool]:
        branches = [interpret(body, operands, self) for body in item.bodies]
        return [any(column) for column in zip(*branches, strict=True)]

    def while_loop(self, item: Item, operands: jaxprs.WhileOperands) -> Sequence[bool]:
        return [False] * len(item.equation.outvars)

    def after_item(self, item: Item, operands: list[bool], results: list[bool]):
        # Anything may be written into a mutable array before it is read.
        flags = [
            jaxprs.is_reference(v.aval) or (flag and jaxprs.is_floating(v.aval))
            for flag, v in zip(results, item.writes, strict=True)
        ]
        item.active = tuple(flags)
        item.cuts = any(operands) and not any(flags)
        return flags
