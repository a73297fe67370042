"""The root of a negative number, often a variance that rounding took below 0."""

import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint, met
from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.run.tape import Entry, Value

# What leaves the numbers as they are.
SAME = ("convert_element_type", "broadcast_in_dim", "reshape", "squeeze", "copy")
# A difference as small as this beside what it is taken of is rounding.
ROUNDING = 1e-4
CLIP = "clip it at 0 (jnp.maximum)"
TWICE = "or compute a variance as mean((x - mean(x))**2), which is never negative"


def negative_root(case: Case) -> Hint | None:
    """A negative operand, although an epsilon was added, or after a cancellation."""
    if case.entry.primitive not in ("sqrt", "rsqrt"):
        return None
    operand = case.entry.operands[0]
    elements = met(operand, case.culprit.mask)
    if np.iscomplexobj(elements) or not elements.size or not (elements < 0).all():
        return None
    fact = "sqrt of a negative number is NaN"
    maker, added = _maker(operand), ""
    epsilon = None if maker is None else _epsilon(maker)
    if maker is not None and epsilon is not None:
        term, small = epsilon
        added = f", and the {number(small, 3)} that is added is too small to prevent it"
        maker = _maker(term)
    if maker is not None and _cancels(maker):
        return Hint(
            f"{fact}{added}: the difference of nearly equal numbers is rounded below "
            f"0; {CLIP}, {TWICE}"
        )
    if added:
        return Hint(f"{fact}{added}: {CLIP} before that")
    ends = " and add an epsilon" if case.entry.primitive == "rsqrt" else ""
    return Hint(f"{fact}: {CLIP}{ends}")


def _maker(value: Value) -> Entry | None:
    """The operation behind casts and reshapes."""
    while value.maker is not None and value.maker.primitive in SAME:
        value = value.maker.operands[0]
    return value.maker


def _epsilon(entry: Entry) -> tuple[Value, float] | None:
    """The other term of a sum with a positive constant, and the constant."""
    if entry.primitive != "add" or len(entry.operands) != 2:
        return None
    for term, small in (entry.operands, entry.operands[::-1]):
        numbers = np.unique(np.asarray(_written(small)))
        if numbers.size == 1 and numbers[0] > 0:
            return term, float(numbers[0])
    return None


def _written(value: Value) -> np.ndarray:
    """The numbers of a value that is written into the program; none of another."""
    while value.maker is not None and value.maker.primitive in SAME:
        value = value.maker.operands[0]
    written = value.kind in ("literal", "constant")
    return np.asarray(value.array) if written else np.zeros(0)


def _cancels(entry: Entry) -> bool:
    """Whether a difference is rounding beside the numbers it is taken of."""
    if entry.primitive != "sub":
        return False
    left, right = (np.asarray(v.array, float) for v in entry.operands)
    left, right = np.broadcast_arrays(left, right)
    negative = left < right
    apart = np.abs(left - right)[negative]
    return bool((apart <= ROUNDING * np.abs(right)[negative]).all())
