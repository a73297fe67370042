"""The name, the source line and the operands of every item of a program.

No values here: a `Draft` is a step before its value and gradient are known.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.frames import helper_name, source_of
from jaxgrad.inspection.program.interpreter import Reader, interpret
from jaxgrad.inspection.program.names import operation_of
from jaxgrad.inspection.program.variables import variables_of
from jaxgrad.inspection.report.data import Source


class Origin(NamedTuple):
    """Where an operand comes from, by slot (`step`) or number (`argument`)."""

    kind: Literal["step", "argument", "constant"]
    number: int = -1
    position: int = 0
    label: str = ""
    previous: bool = False


# An operand may come from several steps: one per branch, or per loop pass.
Origins = tuple[Origin, ...]


@dataclass(eq=False)
class Draft:
    """A step without its value and gradient; `names` are by result, inner first."""

    item: Item
    operation: str
    inputs: Origins
    source: Source
    loop: tuple[int, ...]
    part: str
    branch: tuple[tuple[int, int], ...]
    reverse: bool  # Whether the innermost loop runs from its last index to its first
    names: dict[int, list[str]] = field(default_factory=dict)

    @property
    def avals(self) -> list[Any]:
        """The types of the results."""
        return [self.item.writes[i].aval for i in self.item.shown]


def draft_steps(block: Block, inputs: Origins) -> tuple[list[Draft], list[Origins]]:
    """The drafts in the order of execution, and the origins of the outputs."""
    drafts: dict[int, Draft] = {}
    outputs = interpret(block, [(o,) for o in inputs], _Labeller(drafts))
    return list(drafts.values()), outputs


@dataclass(frozen=True)
class _Labeller(Reader):
    """A value is where it comes from."""

    drafts: dict[int, Draft]  # By slot, filled in during the walk
    # The user's line around a body without lines of its own
    source: Source = field(default_factory=lambda: source_of(None))
    loop: tuple[int, ...] = ()  # The lengths of the loops around it, outermost first
    part: str = ""  # Name of the branch or loop around it
    branch: tuple[tuple[int, int], ...] = ()  # Slot and index of the branches around
    reverse: bool = False  # Whether the innermost loop starts at its last index

    def literal(self, atom: Any) -> Origins:
        return self.constant(atom.val)

    def constant(self, value: Any) -> Origins:
        return (Origin("constant", label=constant_label(value)),)

    def equations(self, item: Item, operands: list[Origins]) -> list[Origins]:
        return [_joined(operands)] * len(item.writes)

    def jit(self, item: Item, operands: list[Origins]) -> list[Origins]:
        inside = replace(self, source=self._source(item))
        return interpret(item.bodies[0], operands, inside)

    remat = jit

    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> list[Origins]:
        constants, carry, sliced = operands
        body, source = item.bodies[0], self._source(item)
        loop = (*self.loop, *item.lengths)
        inside = replace(self, source=source, loop=loop, part="loop")
        inside = replace(inside, reverse=item.equation.params["reverse"])
        # Once to learn what an iteration hands to the next, once more knowing it.
        first = replace(inside, drafts={})
        handed = interpret(body, [*constants, *carry, *sliced], first)
        pairs = zip(carry, map(_of_the_previous, handed), strict=False)
        carry = [_joined(pair) for pair in pairs]
        return interpret(body, [*constants, *carry, *sliced], inside)

    def shard_map(self, item: Item, operands: list[Origins]) -> list[Origins]:
        loop = (*self.loop, *item.lengths)
        inside = replace(self, source=self._source(item), loop=loop, part="shard")
        return interpret(item.bodies[0], operands, inside)

    def cond(self, item: Item, index: Any, operands: list[Origins]) -> list[Origins]:
        columns, source = [], self._source(item)
        for i, body in enumerate(item.bodies):
            part = f"branch {i + 1} of {len(item.bodies)}"
            branch = (*self.branch, (item.slot, i))
            inside = replace(self, source=source, part=part, branch=branch)
            columns.append(interpret(body, operands, inside))
        return [_joined(column) for column in zip(*columns, strict=True)]

    def while_loop(self, item: Item, operands: jaxprs.WhileOperands) -> list[Origins]:
        return [_joined(itertools.chain(*operands))] * len(item.equation.outvars)

    def after_item(
        self, item: Item, operands: list[Origins], results: list[Origins]
    ) -> list[Origins]:
        if not item.visible:
            return results
        inputs = operands if item.kind == "equations" else [*operands[:1], *results]
        if item.kind == "scan":
            inputs = results
        self.drafts[item.slot] = self._draft(item, _joined(inputs))
        shown = {i: position for position, i in enumerate(item.shown)}
        positions = [shown.get(i, 0) for i in range(len(item.writes))]
        return [(Origin("step", item.slot, position),) for position in positions]

    def after_block(self, block: Block, known: Mapping[Any, Origins]) -> None:
        for variable, name in variables_of(block):
            origins = known.get(variable, ())
            if len(origins) == 1 and origins[0].kind == "step":
                _, slot, position, *_ = origins[0]
                if slot in self.drafts:
                    self.drafts[slot].names.setdefault(position, []).append(name)

    def _source(self, item: Item) -> Source:
        if item.site.user is None:
            return self.source
        frames, user = item.site.frames, item.site.user
        return source_of(frames[user], frames[user + 1 :])

    def _draft(self, item: Item, inputs: Origins) -> Draft:
        operation = jaxprs.name_in(item.equation)
        if item.site.anchor is not None:
            operation = operation_of(item.site.frames[item.site.anchor]) or operation
        if item.site.backward:
            operation += " (backward)"
        if item.kind == "equations" and len(item.equations) > 1:
            # The numbers inside a library's formula are not the user's.
            inputs = tuple(o for o in inputs if o.kind != "constant" or o.number >= 0)
        source = self._source(item)
        if helper := helper_name(jaxprs.helper_in(item.equation)):
            source = replace(source, via=(*source.via, helper))
        place = self.loop, self.part, self.branch, self.reverse
        return Draft(item, operation, inputs, source, *place)


def _of_the_previous(origins: Origins) -> Origins:
    return tuple(o._replace(previous=True) for o in origins if o.kind == "step")


def _joined(columns: Iterable[Iterable[Origin]]) -> Origins:
    return tuple(dict.fromkeys(itertools.chain.from_iterable(columns)))


def constant_label(value: Any) -> str:
    """A constant in a few characters: `2.0`, or `float32[3,4]`."""
    shape = np.shape(value)
    dtype = getattr(value, "dtype", None)
    is_key = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.extended)
    if shape == () and not is_key:
        number = np.asarray(value).item()
        return f"{number:.6g}" if isinstance(number, float) else str(number)
    return f"{dtype or type(value).__name__}[{','.join(map(str, shape))}]"
