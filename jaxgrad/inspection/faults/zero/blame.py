"""From the cause of a zero gradient to a `Blame` in the user's terms."""

from typing import Any

import numpy as np

from jaxgrad.inspection.faults.describe import (
    Describer,
    guarded,
    iteration_of,
    line_of,
)
from jaxgrad.inspection.faults.zero.blocks import Block
from jaxgrad.inspection.faults.zero.cause import Cause
from jaxgrad.inspection.faults.zero.hints import hint
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.run.backward import total
from jaxgrad.inspection.run.tape import Value

# How many elements of an operand a finding keeps.
KEPT = 100


def write(
    names: Describer, value: Value, mask: np.ndarray, cause: Cause, path: str = ""
) -> Blame:
    """The finding for the elements `mask` of an argument; `path` for a part of it."""
    entry = cause.entry
    step = guarded(lambda: names.step(entry), None)
    operation = step.operation if step else entry.primitive if entry else ""
    dtype = str(cause.block.value.array.dtype if cause.block else value.array.dtype)
    advice = guarded(lambda: hint(cause, operation, dtype), "")
    what = (
        f"{path} ({int(mask.sum())} of {mask.size} elements)" if path else value.label
    )
    link = "last used in" if cause.reason == "unconnected" else "because of"
    because = f", {link} {step.name}{_when(cause)}" if step else ""
    return Blame(
        phase="backward",
        step=step,
        argument=value.label,
        iteration=iteration_of(entry),
        count=int(mask.sum()),
        operands=guarded(lambda: _operands(names, cause), {}),
        hint=advice,
        primitive=entry.primitive if entry else "",
        source=line_of(entry, step),
        kind="zero",
        reason=cause.reason,
        summary=f"The gradient of {what} is zero ({cause.reason}){because}",
    )


def _when(cause: Cause) -> str:
    """In which iterations of a loop."""
    first = iteration_of(cause.entry)
    if first is None:
        return ""
    count = len({block.entry.iteration for block in cause.alike})
    return (
        f" in {count} iterations, from {first}"
        if count > 1
        else (f" in iteration {first}")
    )


def _operands(names: Describer, cause: Cause) -> dict[str, np.ndarray]:
    """The numbers that prove the cause, by name."""
    block = cause.block
    if block is None:
        return {}
    if block.position is None:
        parts = enumerate(part for _, part in block.value.parts)
        return {f"cotangent {i}": _kept(part, block.mask) for i, part in parts}
    shown = {_label(names, block, block.value): _kept(block.value.array, block.mask)}
    others = [cause.zero] if cause.zero is not None else []
    if block.entry.primitive == "select_n":
        others.append(block.entry.inputs[0])
    for other in others:
        alike = np.shape(other.array) == block.mask.shape
        mask = block.mask if alike else np.asarray(np.asarray(other.array) == 0)
        shown[_label(names, block, other)] = _kept(other.array, mask)
    for output, live in zip(block.entry.outputs, block.live, strict=True):
        cotangent = total(output)
        if cotangent is not None and live is not None and np.any(cotangent):
            shown["cotangent"] = _kept(cotangent, live)
    return shown


def _label(names: Describer, block: Block, value: Value) -> str:
    position = next((i for i, v in enumerate(block.entry.inputs) if v is value), 0)
    known = names.label(value)
    return known or f"operand {position} of {block.entry.primitive}"


def _kept(array: Any, mask: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    return (array[mask] if array.shape == mask.shape else array.reshape(-1))[:KEPT]
