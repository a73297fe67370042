"""The one walk over a program's control flow.

`interpret` goes through a block and hands every operation to a `Reader`, which says
what a value is: a flag (`differentiable`), the names of what made it (`labels`), a
JAX tracer (`run.gradients`) or a concrete array (`run.tape`). Only here do operands
meet the variables of a body; a reader decides how often a body runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item


class Reader(ABC):
    """What a walk computes at each kind of item: its results, in their order."""

    @abstractmethod
    def literal(self, atom: Any) -> Any:
        """The value of a number that is written into an equation."""

    @abstractmethod
    def constant(self, value: Any) -> Any:
        """The value of an array that a body closes over."""

    @abstractmethod
    def equations(self, item: Item, operands: list[Any]) -> Sequence[Any]:
        """Results of primitive equations that are run together."""

    def jit(self, item: Item, operands: list[Any]) -> Sequence[Any]:
        """Results of a jitted function of the user's."""
        return interpret(item.bodies[0], operands, self)

    def remat(self, item: Item, operands: list[Any]) -> Sequence[Any]:
        """Results of a function under `jax.checkpoint`."""
        return interpret(item.bodies[0], operands, self)

    @abstractmethod
    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> Sequence[Any]:
        """Results of `lax.scan`, `fori_loop` with a known end, or `map`."""

    def shard_map(self, item: Item, operands: list[Any]) -> Sequence[Any]:
        """Results of a function under `shard_map` or `pmap`."""
        return interpret(item.bodies[0], operands, self)

    @abstractmethod
    def cond(self, item: Item, index: Any, operands: list[Any]) -> Sequence[Any]:
        """Results of `lax.cond` or `switch`."""

    @abstractmethod
    def while_loop(self, item: Item, operands: jaxprs.WhileOperands) -> Sequence[Any]:
        """Results of `lax.while_loop`."""

    def after_item(self, item: Item, operands: Any, results: list[Any]) -> list[Any]:
        """Keep what is needed of an item; returns the results for its consumers."""
        return results

    def after_block(self, block: Block, known: Mapping[Any, Any]) -> None:
        """Called at the end of a block with the values of all its variables."""
        del block, known


def interpret(block: Block, inputs: Sequence[Any], reader: Reader) -> list[Any]:
    """The outputs of a block, whose inputs are values as the reader defines them."""
    known = dict(zip(block.inputs, inputs, strict=True))
    for variable, value in block.constants:
        known[variable] = reader.constant(value)

    def read(atoms: Sequence[Any]) -> list[Any]:
        return [reader.literal(a) if jaxprs.is_literal(a) else known[a] for a in atoms]

    for item in block.items:
        operands = read(item.operands)
        results = item.written(_enter(item, operands, reader))
        results = reader.after_item(item, operands, results)
        known.update(zip(item.writes, results, strict=True))
    reader.after_block(block, known)
    return read(block.outputs)


def _enter(item: Item, operands: list[Any], reader: Reader) -> Sequence[Any]:
    equation = item.equation
    match item.kind:
        case "equations":
            return reader.equations(item, operands)
        case "jit":
            return reader.jit(item, operands)
        case "remat":
            return reader.remat(item, operands)
        case "scan":
            return reader.scan(item, jaxprs.scan_operands(equation, operands))
        case "shard_map":
            return reader.shard_map(item, operands)
        case "cond":
            return reader.cond(item, operands[0], operands[1:])
        case "while":
            return reader.while_loop(item, jaxprs.while_operands(equation, operands))
