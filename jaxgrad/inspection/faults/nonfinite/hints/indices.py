"""An index out of bounds, where `take`, `x[i]` and an embedding give NaN."""

from typing import Any

import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint, first
from jaxgrad.inspection.run.tape import Value

# Operations of a library that keep the user's indices.
KEEPING = ("convert_element_type", "broadcast_in_dim", "reshape", "copy", "squeeze")


def out_of_bounds(case: Case) -> Hint | None:
    """The indices out of bounds, where a gather reads NaN."""
    if case.entry.primitive != "gather" or len(case.entry.operands) != 2:
        return None
    table, indices = case.entry.operands
    found = _outside(case.entry.params, np.shape(table.array), indices.array)
    if found is None:
        return None
    outside, axis, size = found
    given = _given(indices, outside.shape)
    values = np.asarray(given.array).reshape(outside.shape)
    label, value = case.name(given), values[outside][0]
    shape = np.shape(given.array)
    place = first(outside.reshape(shape)) if outside.size == given.array.size else ""
    where = f"{label}{place} = {value}" if label else f"{value} at {place}"
    gives = "take puts NaN there" if case.operation == "take" else "it reads NaN there"
    text = f"an index is out of bounds ({where} in an axis of {size}), and {gives}"
    name = case.label(given) or f"index along axis {axis}"
    return Hint(f"{text}: check the indices", {name: values[outside]})


def _outside(
    params: Any, shape: tuple[int, ...], indices: Any
) -> tuple[np.ndarray, int, int] | None:
    """Which indices are outside of which axis, and the axis's size."""
    numbers, sizes = params.get("dimension_numbers"), params.get("slice_sizes")
    if numbers is None or sizes is None:
        return None
    for component, axis in enumerate(numbers.start_index_map):
        index = np.asarray(indices)[..., component]
        outside = (index < 0) | (index > shape[axis] - sizes[axis])
        if outside.any():
            return outside, axis, shape[axis]
    return None


def _given(value: Value, shape: tuple[int, ...]) -> Value:
    """The user's indices, before a library counted negative ones from the end."""
    size = int(np.prod(shape))
    while (entry := value.maker) is not None and entry.operands:
        before = entry.operands[0]
        if entry.primitive == "select_n":  # i < 0 ? i + size : i
            before = entry.operands[1]
        elif entry.primitive not in KEEPING:
            break
        if np.size(before.array) != size:
            break
        value = before
    return value
