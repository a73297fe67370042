"""Which arguments a result depends on at all: by values, or only by decisions.

This reader has no values: all branches count, and so does what chooses a branch or ends
a loop. If a result depends on an argument here but not on the tape, a branch that was
not taken uses the argument.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.interpreter import Reader, interpret


class Source(NamedTuple):
    """An input, by its position, and how a value depends on it."""

    position: int
    way: Literal["value", "decision"] = "value"


Sources = frozenset[Source]
NONE: Sources = frozenset()


@dataclass(frozen=True)
class _Dependence(Reader):
    """A value is the set of inputs that it depends on."""

    # By input the slots of the branches and loops where it matters
    met: dict[int, int] = field(default_factory=dict)
    slot: int | None = None  # The step being opened

    def literal(self, atom: Any) -> Sources:
        return NONE

    def constant(self, value: Any) -> Sources:
        return NONE

    def equations(self, item: Item, operands: list[Sources]) -> Sequence[Sources]:
        if item.is_primitive:
            return [NONE.union(*operands)] * len(item.writes)
        inside = replace(self, slot=self._slot(item))
        return interpret(item.opened, operands, inside)

    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> Sequence[Sources]:
        constants, carry, sliced = operands
        return self._loop(item.bodies[0], constants, carry, sliced)

    def while_loop(self, item: Item, operands: jaxprs.WhileOperands):
        test, body = item.bodies
        of_test, of_body, carry = operands
        results = self._loop(body, of_body, carry, [])
        (running,) = interpret(test, [*of_test, *results], self)
        self._meet(item, running)
        return [each | _deciding(running) for each in results]

    def cond(self, item: Item, index: Sources, operands: list[Sources]):
        branches = [interpret(body, operands, self) for body in item.bodies]
        everywhere = [NONE.union(*results) for results in branches]
        self._meet(item, index)
        self._meet(
            item, NONE.union(*everywhere) - everywhere[0].intersection(*everywhere)
        )
        columns = zip(*branches, strict=True)
        return [_deciding(index).union(*column) for column in columns]

    def _loop(self, body: Block, constants, carry, sliced) -> list[Sources]:
        while True:  # until the carry gains no more inputs
            results = interpret(body, [*constants, *carry, *sliced], self)
            grown = [a | b for a, b in zip(carry, results, strict=False)]
            if grown == carry:
                return [*carry, *results[len(carry) :]]
            carry = grown

    def _slot(self, item: Item) -> int:
        return item.slot if self.slot is None else self.slot

    def _meet(self, item: Item, sources: Iterable[Source]) -> None:
        for source in sources:
            self.met.setdefault(source.position, self._slot(item))


def _deciding(sources: Sources) -> Sources:
    return frozenset(Source(each.position, "decision") for each in sources)


def dependence(block: Block) -> tuple[Sources, dict[int, int]]:
    """The inputs behind the first output, and by input the branch where it matters."""
    reader = _Dependence()
    inputs = [frozenset((Source(i),)) for i in range(len(block.inputs))]
    return interpret(block, inputs, reader)[0], reader.met
