"""From drafts and recorded numbers to the steps and arguments of a report."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.call import Call, Leaf
from jaxgrad.inspection.program.frames import name_of
from jaxgrad.inspection.program.labels import Draft, Origins
from jaxgrad.inspection.report.data import Argument, Operand, Source, Step
from jaxgrad.inspection.report.summary import summarize
from jaxgrad.inspection.run.gradients import branch_key

# The index of each step and the names of its results, by slot.
Numbering = Mapping[int, tuple[int, tuple[str, ...]]]


def arguments_of(leaves: Sequence[Leaf], gradients: Any) -> tuple[Argument, ...]:
    """The arguments; the first of them have the gradients."""
    arguments = []
    for i, (leaf, gradient) in enumerate(zip_longest(leaves, gradients)):
        why = "not differentiated" if gradient is None else ""
        value, dtype = leaf.value, jnp.result_type(leaf.value)
        shape = np.shape(value)
        arguments.append(Argument(i, leaf.path, shape, dtype, value, gradient, why))
    return tuple(arguments)


def build_steps(
    drafts: Sequence[Draft],
    result: Origins,
    records: Mapping[int, Any],
    cotangents: Mapping[int, Any],
    summary: bool,
) -> tuple[tuple[Step, ...], int | None]:
    """The steps that were run, and the index of the one that gives the result."""
    masks = {draft.item.slot: taken_by(draft, records) for draft in drafts}
    ran = [draft for draft in drafts if masks[draft.item.slot].any()]
    index = numbered(ran)
    steps = []
    for draft in ran:
        slot = draft.item.slot
        mask = None if masks[slot].all() else masks[slot]
        values = _kept(records[slot], mask, summary)
        gradients = _kept(cotangents[slot], mask, summary)
        steps.append(build_step(draft, index, values, gradients, draft.loop, mask))
    origins = (o for o in result if o.kind == "step" and o.number in index)
    final = next((index[origin.number][0] for origin in origins), None)
    return tuple(steps), final


def whole_step(call: Call, result: Any, line: Source) -> Step:
    """A function that cannot be entered, as one step."""
    name = name_of(call.f)
    leaves = enumerate(call.differentiated)
    return Step(
        index=0,
        name=name,
        operation=name,
        inputs=tuple(Operand("argument", leaf.path, i) for i, leaf in leaves),
        shape=jnp.shape(result),
        dtype=jnp.result_type(result),
        value=result,
        gradient=jnp.ones_like(result),
        source=line,
    )


def numbered(drafts: Sequence[Draft]) -> Numbering:
    """The numbers and names of the steps that were run."""
    return {draft.item.slot: (i, names_of(draft)) for i, draft in enumerate(drafts)}


def build_step(
    draft: Draft,
    index: Numbering,
    values: Sequence[Any],
    gradients: Sequence[Any],
    loop: tuple[int, ...] = (),
    taken: np.ndarray | None = None,
) -> Step:
    """A step from its draft and its numbers; of several results each is a tuple."""
    item = draft.item
    number, names = index[item.slot]

    def whole(column: Sequence[Any]) -> Any:
        return tuple(column) if len(names) > 1 else column[0]

    return Step(
        index=number,
        name=_joint_name(draft, names),
        operation=draft.operation,
        inputs=_operands(draft.inputs, index),
        shape=whole([loop + tuple(aval.shape) for aval in draft.avals]),
        dtype=whole([aval.dtype for aval in draft.avals]),
        value=whole(values),
        gradient=whole(gradients),
        source=draft.source,
        scope=item.site.scope,
        loop=loop,
        outputs=names if len(names) > 1 else (),
        aliases=() if len(names) > 1 else tuple(draft.names.get(0, ())[:-1]),
        why=_why(draft),
        taken=taken,
        part=draft.part,
        reverse=draft.reverse,
    )


def names_of(draft: Draft) -> tuple[str, ...]:
    """For each result the outermost variable that holds it, else the operation."""
    results, operation = range(len(draft.avals)), draft.operation
    plain = [f"{operation}[{i}]" for i in results] if len(results) > 1 else [operation]
    return tuple(draft.names.get(i, plain[i : i + 1])[-1] for i in results)


def _kept(arrays: Sequence[Any], mask: np.ndarray | None, summary: bool) -> list[Any]:
    if not summary:
        return list(arrays)
    return [None if x is None else summarize(x, mask) for x in arrays]


def _why(draft: Draft) -> str:
    """Why a step has no gradient; empty if one of its results has one."""
    item = draft.item
    if any(item.active[i] for i in item.shown):
        return ""
    if not any(map(jaxprs.is_floating, draft.avals)):
        return f"{draft.avals[0].dtype}: no gradient"
    if any(e.primitive.name in jaxprs.NOT_REVERSIBLE for e in item.equations):
        return "forward only"
    return "cuts the gradient" if item.cuts else "not differentiated"


def _joint_name(draft: Draft, names: tuple[str, ...]) -> str:
    """`q, k` for unpacked results, `grads` for `grads[0]`, `grads[1]`, ..."""
    if len(names) == 1 or not draft.names:
        return draft.names[0][-1] if 0 in draft.names else draft.operation
    roots = {name.rpartition("[")[0] for name in names}
    return roots.pop() if len(roots) == 1 and "" not in roots else ", ".join(names)


def _operands(origins: Origins, index: Numbering) -> tuple[Operand, ...]:
    operands = []
    for origin in origins:
        if origin.kind != "step":
            number = origin.number if origin.kind == "argument" else None
            operands.append(Operand(origin.kind, origin.label, number))
        elif origin.number in index:
            number, names = index[origin.number]
            label = names[origin.position]
            operands.append(Operand("step", label, number, origin.previous))
    return tuple(operands)


def taken_by(draft: Draft, records: Mapping[int, Any]) -> np.ndarray:
    """Whether the step was run, in each iteration of the loops around it."""
    mask = np.ones(draft.loop, bool)
    for slot, branch in draft.branch:
        chosen = np.asarray(records[branch_key(slot)]) == branch
        mask &= chosen.reshape(chosen.shape + (1,) * (mask.ndim - chosen.ndim))
    return mask
