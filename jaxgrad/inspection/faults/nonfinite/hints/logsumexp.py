"""Rows that are all -inf: their logsumexp has no finite value and no derivative."""

import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint
from jaxgrad.inspection.run.tape import Entry, Value


def masked_row(case: Case) -> Hint | None:
    """A logarithm of a sum of exponentials, all of which are 0."""
    reads = _exponents(case.entry)
    if reads is None or not (reads == -np.inf).all():
        return None
    return Hint(
        f"every element that {case.operation} reads is -inf: a row is fully masked; "
        "write a large negative number (-1e9) instead of -inf"
    )


def _exponents(entry: Entry) -> np.ndarray | None:
    """The exponents of a sum of exponentials that is 0; None without such a sum."""
    value: Value | None = entry.operands[0] if entry.primitive == "log" else None
    summed = None
    while value is not None and value.maker is not None and value.maker.operands:
        maker = value.maker
        if maker.primitive == "reduce_sum":
            empty = np.asarray(value.array) == 0
            axes = maker.params.get("axes", ())
            summed = np.broadcast_to(
                np.expand_dims(empty, axes), np.shape(maker.operands[0].array)
            )
        elif maker.primitive == "exp" and summed is not None:
            exponents = np.asarray(maker.operands[0].array)
            return exponents[summed] if exponents.shape == summed.shape else None
        elif maker.primitive not in ("abs", "convert_element_type", "stop_gradient"):
            return None
        value = maker.operands[0]
    return None
