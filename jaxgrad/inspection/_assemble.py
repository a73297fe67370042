"""Put the drafts and the recorded numbers together: arguments and steps."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection._cotangents import Mode
from jaxgrad.inspection._describe import Draft, Origin, constant_label
from jaxgrad.inspection._graph import OPAQUE, is_floating
from jaxgrad.inspection._steps import Argument, Operand, Step
from jaxgrad.inspection._summary import Summary
from jaxgrad.inspection._trace import Leaf


def arguments_of(
    leaves: Sequence[Leaf], gradients: Sequence[Any]
) -> tuple[Argument, ...]:
    """The arguments; the first of them have the gradients."""
    arguments = []
    for i, leaf in enumerate(leaves):
        gradient = gradients[i] if i < len(gradients) else None
        arguments.append(
            Argument(
                index=i,
                path=leaf.path,
                shape=np.shape(leaf.value),
                dtype=jnp.result_type(leaf.value),
                value=leaf.value,
                gradient=gradient,
                why="not differentiated" if gradient is None else "",
            )
        )
    return tuple(arguments)


def as_input(constant: Any) -> Any:
    """A constant of a jaxpr as an input of a compiled program."""
    return constant if isinstance(constant, jax.Array) else np.asarray(constant)


def constant_name(f: Callable[..., Any], constant: Any) -> str:
    """The name under which `f` closes over an array, else its dtype and shape."""
    try:
        closed = inspect.getclosurevars(inspect.unwrap(f))
    except (TypeError, ValueError):
        return constant_label(constant)
    for name, value in {**closed.globals, **closed.nonlocals}.items():
        if value is constant or _same_memory(value, constant):
            return name
    return constant_label(constant)


def steps_of(
    drafts: Sequence[Draft],
    result: Sequence[Origin],
    records: Mapping[int, Any],
    cotangents: Mapping[int, Any],
    mode: Mode,
) -> tuple[tuple[Step, ...], int | None]:
    """The steps that were run, and the index of the one that gives the result."""
    if mode.summary:
        records, cotangents = jax.device_get((records, cotangents))
    masks = {draft.item.slot: _taken(draft, records) for draft in drafts}
    ran = [draft for draft in drafts if masks[draft.item.slot].any()]
    index = {draft.item.slot: i for i, draft in enumerate(ran)}
    names = {draft.item.slot: _names(draft) for draft in ran}
    steps = tuple(
        _step(
            draft,
            index[draft.item.slot],
            _operands(draft.inputs, index, names),
            _Numbers(records, cotangents, masks[draft.item.slot], mode),
            names[draft.item.slot],
        )
        for draft in ran
    )
    final = [o.index for o in result if o.kind == "step" and o.index in index]
    return steps, index[final[0]] if final else None


class _Numbers:
    """What was recorded for one step."""

    def __init__(self, records, cotangents, mask: np.ndarray, mode: Mode) -> None:
        self.records, self.cotangents, self.mode = records, cotangents, mode
        self.mask = None if mask.all() else mask

    def values(self, draft: Draft) -> list[Any]:
        return self._read(draft, self.records[draft.item.slot])

    def gradients(self, draft: Draft) -> list[Any]:
        return self._read(draft, self.cotangents[draft.item.slot])

    def _read(self, draft: Draft, recorded: Sequence[Any]) -> list[Any]:
        if not self.mode.summary:
            return list(recorded)
        sizes = [int(np.prod(aval.shape)) for aval in draft.avals]
        return [
            None if measures is None else Summary.of(measures, size, self.mask)
            for measures, size in zip(recorded, sizes, strict=True)
        ]


def _step(
    draft: Draft,
    index: int,
    inputs: tuple[Operand, ...],
    numbers: _Numbers,
    names: tuple[str, ...],
) -> Step:
    item = draft.item
    shapes = [draft.loop + tuple(aval.shape) for aval in draft.avals]
    dtypes = [aval.dtype for aval in draft.avals]
    several = len(names) > 1
    whole = (lambda column: tuple(column)) if several else (lambda column: column[0])
    return Step(
        index=index,
        name=_joint_name(draft, names),
        operation=draft.operation,
        inputs=inputs,
        shape=whole(shapes),
        dtype=whole(dtypes),
        value=whole(numbers.values(draft)),
        gradient=whole(numbers.gradients(draft)),
        source=draft.source,
        scope=item.place.scope,
        loop=draft.loop,
        outputs=names if several else (),
        aliases=() if several else tuple(draft.names.get(0, ())[:-1]),
        why=_why(draft),
        taken=numbers.mask,
        part=draft.part,
    )


def _why(draft: Draft) -> str:
    """Why a step has no gradient; empty if one of its results has one."""
    item = draft.item
    if any(item.active[i] for i in item.shown):
        return ""
    if not any(map(is_floating, draft.avals)):
        return f"{draft.avals[0].dtype}: no gradient"
    if any(equation.primitive.name in OPAQUE for equation in item.equations):
        return "forward only"
    return "constant: no gradient"


def _names(draft: Draft) -> tuple[str, ...]:
    """The name of each result."""
    if len(draft.avals) == 1:
        return (draft.name(0),)
    return tuple(
        draft.names[i][-1] if i in draft.names else f"{draft.operation}[{i}]"
        for i in range(len(draft.avals))
    )


def _joint_name(draft: Draft, names: tuple[str, ...]) -> str:
    """`q, k` for unpacked results, `grads` for `grads[0]`, `grads[1]`, ..."""
    if len(names) == 1 or not draft.names:
        return draft.name(0)
    roots = {name.rpartition("[")[0] for name in names}
    return roots.pop() if len(roots) == 1 and "" not in roots else ", ".join(names)


def _operands(
    origins: Sequence[Origin],
    index: Mapping[int, int],
    names: Mapping[int, tuple[str, ...]],
) -> tuple[Operand, ...]:
    operands = []
    for origin in origins:
        if origin.kind != "step":
            number = origin.index if origin.kind == "argument" else None
            operands.append(Operand(origin.kind, origin.label, number))
        elif origin.index in index:
            label = names[origin.index][origin.position]
            number = index[origin.index]
            operands.append(Operand("step", label, number, origin.previous))
    return tuple(operands)


def _taken(draft: Draft, records: Mapping[int, Any]) -> np.ndarray:
    """Whether the step was run, in each iteration of the loops around it."""
    mask = np.ones(draft.loop, bool)
    for slot, branch in draft.branch:
        chosen = np.asarray(records[~slot]) == branch
        mask &= chosen.reshape(chosen.shape + (1,) * (mask.ndim - chosen.ndim))
    return mask


def _same_memory(value: Any, constant: Any) -> bool:
    return isinstance(value, np.ndarray) and np.may_share_memory(
        value, np.asarray(constant)
    )
