"""The chain rule of a report: what every step sends back along each of its edges.

The program is compiled and run once more, with a tap on each operand as well as on
each result. So JAX computes every part of a gradient, and the parts add up to it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._guards import undisturbed
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Item
from jaxgrad.inspection.program.call import Leaf
from jaxgrad.inspection.program.failures import warn_of_own_failure
from jaxgrad.inspection.program.program import Program
from jaxgrad.inspection.report.data import ChainRule, Contribution, Form, Report
from jaxgrad.inspection.run.cache import compiled
from jaxgrad.inspection.run.gradients import read_key, value_and_cotangents
from jaxgrad.inspection.run.routes import Place, Reads, Route, Routes, reads_of
from jaxgrad.inspection.run.slopes import forms_of, formulas_of, slopes_of
from jaxgrad.inspection.run.steps import Numbering, numbered, taken_by

Kind = Literal["step", "argument"]
EFFECTS = "the function prints, calls back or changes arrays: it is not run again"
DELETED = "an argument has been deleted since, for example donated"
CHANGED = (
    "run again, the program gives other gradients: an argument has changed since, or "
    "these are rounding errors"
)


def chain_rule(
    program: Program, report: Report, op_by_op: bool, summary: bool
) -> ChainRule:
    """The contributions to the gradients of a report, or why there are none."""
    jaxpr = program.traced.jaxpr
    if jaxpr.effects or jaxprs.has_references(jaxpr):
        return ChainRule((), EFFECTS)
    given = (*program.leaves, *program.constants)
    if any(isinstance(x, jax.Array) and x.is_deleted() for x in map(_value, given)):
        return ChainRule((), DELETED)
    try:
        with undisturbed():
            chain = _chain_rule(program, report, op_by_op)
            return chain.brief() if summary else chain
    except Exception as fault:
        function = program.call.function
        reason = warn_of_own_failure(function, fault, "The chain rule is not shown.")
        return ChainRule((), f"jaxgrad failed, {reason}")


def _value(given: Leaf | tuple[str, Any]) -> Any:
    return given.value if isinstance(given, Leaf) else given[1]


def _chain_rule(program: Program, report: Report, op_by_op: bool) -> ChainRule:
    reads = reads_of(program.block, program.active)
    wanted = reads.active()
    slopes = slopes_of(program.block, wanted)
    constants = [value for _, value in program.constants]

    def run(differentiated: list[Any], others: list[Any]) -> Any:
        rest = [*others, *constants]
        options = op_by_op, wanted, slopes
        return value_and_cotangents(program.block, differentiated, rest, *options)

    inputs = program.call.differentiated, program.traced.others
    arrays = tuple([leaf.value for leaf in leaves] for leaves in inputs)
    numbers = run(*arrays) if op_by_op else compiled(run, arrays)(*arrays)
    _, _, gradients, records, cotangents = numbers
    if not _same(report, gradients):
        return ChainRule((), CHANGED)
    sent = _Sent(program, reads, records, cotangents)
    return ChainRule(tuple(sent.contributions()))


def _same(report: Report, gradients: Sequence[Any]) -> bool:
    """Whether these are the gradients of the report, up to rounding."""
    before = [a.gradient for a in report.arguments if a.gradient is not None]
    return all(
        np.allclose(np.asarray(x, np.complex128), np.asarray(y, np.complex128), 1e-3)
        or not bool(jnp.isfinite(x).all())
        for x, y in zip(before, gradients, strict=True)
    )


class _Part(NamedTuple):
    """A cotangent that an item sends, with the routes of the operand that it is for."""

    slot: int  # The item; -1 for the result of the function
    routes: Routes
    cotangent: Any
    formula: str = ""
    slope: Any = None
    form: Form = ""


class _Sent:
    """From recorded cotangents to the contributions of a report."""

    def __init__(
        self,
        program: Program,
        reads: Reads,
        records: Mapping[int, Any],
        cotangents: Mapping[int, Any],
    ) -> None:
        self.program, self.reads = program, reads
        self.records, self.cotangents = records, cotangents
        ran = [d for d in program.drafts if taken_by(d, records).any()]
        self.index: Numbering = numbered(ran)
        self.items = {item.slot: item for item in program.block.all_items()}
        self.consumers = self._consumers()

    def contributions(self) -> Iterator[Contribution]:
        """Everything that is sent to an argument or a result of a step."""
        for part in self._parts():
            by = self._steps(part.slot)
            for route in part.routes:
                target = self._target(route) if route.active else None
                if target is not None:
                    value = route.back(part.cotangent, self.records)
                    local = part.formula, part.slope, part.form
                    yield Contribution(by, *target, value, *local)

    def _parts(self) -> Iterator[_Part]:
        for slot, results in self.reads.results.items():
            if slot == -1:
                one = jnp.ones((), self.program.block.outputs[0].aval.dtype)
                yield _Part(-1, results[0], one)
            elif slot in self.cotangents:
                shown = self.items[slot].shown
                pairs = zip(shown, self.cotangents[slot], strict=True)
                yield from (
                    _Part(slot, results[i], c) for i, c in pairs if c is not None
                )
        for slot, operands in self.reads.operands.items():
            yield from self._parts_of(self.items[slot], operands)

    def _parts_of(self, item: Item, operands: Sequence[Routes]) -> Iterator[_Part]:
        sent = self.cotangents.get(read_key(item.slot))
        if sent is None:
            return
        wanted = [c is not None for c in sent]
        formulas = formulas_of(item, [self._label(routes) for routes in operands])
        forms = forms_of(item, wanted)
        slopes = iter(
            self.records[item.slot][len(item.shown) :] if item.visible else ()
        )
        for routes, cotangent, formula, form in zip(
            operands, sent, formulas, forms, strict=True
        ):
            slope = next(slopes, None) if form else None
            if cotangent is not None:
                known = form if slope is not None else ""
                yield _Part(item.slot, routes, cotangent, formula, slope, known or "")

    def _target(self, route: Route) -> tuple[Kind, int, int] | None:
        kind, slot, position = route.place
        if kind == "argument":
            return "argument", slot, 0
        item = self.items[slot]
        if slot not in self.index or position not in item.shown:
            return None
        return "step", self.index[slot][0], item.shown.index(position)

    def _label(self, routes: Routes) -> str:
        """What the source calls an operand."""
        names = dict.fromkeys(self._name(route.place) for route in routes)
        return next(iter(names)) if len(names) == 1 else "the operand"

    def _name(self, place: Place) -> str:
        kind, slot, position = place
        if kind == "argument":
            leaves = len(self.program.leaves)
            if slot < leaves:
                return self.program.leaves[slot].path
            return self.program.constants[slot - leaves][0]
        known = slot in self.index and position in self.items[slot].shown
        if not known:
            return "the operand"
        return self.index[slot][1][self.items[slot].shown.index(position)]

    def _steps(self, slot: int) -> tuple[int, ...]:
        """The step of an item; of one that is not shown the steps that read it."""
        if slot in self.index:
            return (self.index[slot][0],)
        pending, seen, steps = [slot], {slot}, set()
        while pending:
            for reader in self.consumers[pending.pop()] - seen:
                seen.add(reader)
                if reader in self.index:
                    steps.add(self.index[reader][0])
                else:
                    pending.append(reader)
        return tuple(sorted(steps))

    def _consumers(self) -> dict[int, set[int]]:
        """For each item the items that read its results."""
        consumers: dict[int, set[int]] = defaultdict(set)
        for column in (self.reads.operands, self.reads.results):
            for slot, operands in column.items():
                for route in (r for routes in operands for r in routes):
                    if route.place[0] == "step":
                        consumers[route.place[1]].add(slot)
        return consumers


def summed(parts: Sequence[Contribution]) -> jax.Array | None:
    """The parts of one gradient added up; None if one of them is not known."""
    values = [part.value for part in parts]
    if any(value is None for value in values):
        return None
    total, *rest = values
    for value in rest:
        total = total + value
    return total
