"""Search inside a function with a custom derivative, and inside its rule.

A tape records such a function as one entry. If the function made a NaN, its body runs
on a separate tape; if its derivative did, the rule runs on one.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgrad.inspection.faults.describe import Describer, line_of
from jaxgrad.inspection.faults.nonfinite.culprit import Culprit, blame_forward
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Builder
from jaxgrad.inspection.program.differentiable import mark_differentiable
from jaxgrad.inspection.program.failures import NEEDS_VALUE
from jaxgrad.inspection.program.labels import Origin, draft_steps
from jaxgrad.inspection.run.backward import Backward
from jaxgrad.inspection.run.recorder import run_on_tape
from jaxgrad.inspection.run.tape import Entry, Value, first_made


def run_inside(culprit: Culprit, names: Describer) -> tuple[Describer, Culprit] | None:
    """The culprit inside a culprit that is one entry, and what describes it."""
    entry = culprit.entry
    if entry is None or entry.primitive not in jaxprs.RUNNING or culprit.adding:
        return None
    if culprit.phase == "backward":
        closed, arrays = _rule(culprit, entry)
        labels = [names.label(value) for value in entry.inputs]
        labels += ["cotangent"] * len(entry.outputs)
    elif culprit.phase == "forward":
        closed, values = _body(entry)
        arrays = [value.array for value in values]
        labels = [names.label(value) for value in values]
    else:
        return None
    if closed is None:
        return None
    found = _run_apart(closed, arrays, labels, names.tape.builder)
    # A library's solver is easier to understand as a whole.
    own = entry.primitive in jaxprs.CUSTOM_RULES or (
        found is not None and line_of(found[1].entry, None)
    )
    return found if own else None


def _run_apart(
    closed: Any, arrays: Sequence[Any], labels: Sequence[str], builder: Builder
) -> tuple[Describer, Culprit] | None:
    """Run a function on a separate tape: what describes it, and the culprit."""
    given = [*arrays, *jaxprs.constants_of(closed)]
    names = [*labels, *("" for _ in given[len(labels) :])]
    inputs = [
        Value(array, kind="input", label=name)
        for array, name in zip(given, names, strict=True)
    ]
    block = builder.root_block(closed)
    mark_differentiable(block, [False] * len(inputs))
    try:
        outputs, tape = run_on_tape(block, inputs, builder, stretches=True)
    except RuntimeError:  # a library checks for NaN while it runs
        return None
    bad = next((value for value in outputs if value.bad().any()), None)
    if bad is None:
        return None
    origins = (Origin("argument", i, label=v.label) for i, v in enumerate(inputs))
    drafts, _ = draft_steps(block, tuple(origins))
    culprit = blame_forward(bad)
    first = first_made(tape.entries)
    if first and not (culprit.entry and line_of(culprit.entry, None)):
        # A solver that stops at a NaN returns a new NaN from its own formula.
        value = next(value for value in first.outputs if value.bad().any())
        culprit = Culprit("forward", first, value, value.bad())
    return Describer(drafts, tape), culprit


def _body(entry: Entry) -> tuple[Any, Sequence[Value]]:
    """The function that has a custom derivative, and its arguments."""
    if "call_jaxpr" in entry.params:
        return entry.params["call_jaxpr"], entry.operands
    arrays = [value.array for value in entry.inputs]
    return jax.make_jaxpr(entry.function)(*arrays), entry.inputs


def _rule(culprit: Culprit, entry: Entry) -> tuple[Any, list[Any]]:
    """The rule of a custom derivative as a jaxpr, and its arguments."""
    arrays, pull = [value.array for value in entry.inputs], Backward([]).pull

    def rule(*given: Any) -> list[Any]:  # the arrays, then the cotangents
        xs, cotangents = given[: len(arrays)], given[len(arrays) :]
        if entry.primitive != "custom_vjp_call" or entry.item is None:
            return list(pull(entry, xs, cotangents).values())
        known = {id(v): x for v, x in zip(entry.inputs, xs, strict=True)}
        operands = [known.get(id(v), v.array) for v in entry.operands]
        active = [v.active for v in entry.operands]
        equation = entry.item.equation
        sent = jaxprs.run_backward_rule(equation, operands, active, cotangents)
        return [x for x in sent if isinstance(x, jax.Array)]

    cotangents = [
        jnp.zeros_like(value.array) if cotangent is None else cotangent
        for cotangent, value in zip(culprit.cotangents, entry.outputs, strict=True)
    ]
    try:
        return jax.make_jaxpr(rule)(*arrays, *cotangents), [*arrays, *cotangents]
    except NEEDS_VALUE:
        return None, []
