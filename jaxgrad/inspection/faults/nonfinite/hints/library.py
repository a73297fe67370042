"""Operations inside a library: its own line, and what its caller can change."""

import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint
from jaxgrad.inspection.program.blocks import CallSite
from jaxgrad.inspection.program.frames import (
    Frame,
    is_library,
    is_machinery,
    source_of,
)
from jaxgrad.inspection.program.names import summands_of
from jaxgrad.inspection.report.data import Source
from jaxgrad.inspection.run.tape import Entry, Value

# The files of `jax.numpy` whose functions only bind the primitive of the same name.
ELEMENTARY = ("ufuncs", "indexing", "util", "array_constructors", "vectorize")
SAME = ("convert_element_type", "broadcast_in_dim", "reshape", "copy", "sqrt")


def library_line(entry: Entry) -> Source | None:
    """The line of a library that ran an operation; None if the user's own line did."""
    frame = _innermost(entry.own_site)
    if frame is None or not is_library(frame.code.co_filename):
        return None
    return source_of(frame)


def zero_epsilon(case: Case) -> Hint | None:
    """An epsilon that should keep an operand away from 0, but is 0 itself."""
    position = {"div": 1, "sqrt": 0, "rsqrt": 0, "log": 0, "pow": 0}
    at = position.get(case.entry.primitive)
    if at is None or len(case.entry.operands) <= at:
        return None
    operand = case.entry.operands[at]
    array = np.asarray(operand.array)
    if (
        array[case.culprit.mask] if array.shape == case.culprit.mask.shape else array
    ).any():
        return None
    added = _added_zero(operand)
    if added is None:
        return None
    entry, literal = added
    name = _name_of_summand(entry, entry.operands.index(literal))
    what = f"{name}, which is added here," if name else "the number that is added here"
    dtype = np.dtype(literal.array.dtype)
    if dtype == np.float16:
        return Hint(
            f"{what} is 0 in float16, where numbers below 6e-8 are 0: make it larger "
            "(1e-4), or compute this step in float32"
        )
    if not name or library_line(entry) is None:
        return None  # it may not be meant as an epsilon
    return Hint(f"{what} is 0: pass a larger {name} (1e-8)")


def _added_zero(value: Value) -> tuple[Entry, Value] | None:
    """The sum that made a value, with its constant summand of 0."""
    while (entry := value.maker) is not None and entry.operands:
        if entry.primitive == "add":
            zeros = (v for v in entry.operands if _written_zero(v))
            literal = next(zeros, None)
            return None if literal is None else (entry, literal)
        if entry.primitive not in SAME:
            return None
        value = entry.operands[0]
    return None


def _written_zero(value: Value) -> bool:
    while value.maker is not None and value.maker.primitive in SAME[:-1]:
        value = value.maker.operands[0]
    return value.kind in ("literal", "constant") and not np.any(value.array)


def _name_of_summand(entry: Entry, position: int) -> str:
    """What the source calls one side of a sum: `eps_root`."""
    frame = _innermost(entry.own_site)
    names = summands_of(frame) if frame is not None else ()
    return names[position] if position < len(names) else ""


def _innermost(site: CallSite | None) -> Frame | None:
    frames = site.frames if site is not None else ()
    kept = (f for f in reversed(frames) if not _elementary(f.code.co_filename))
    return next(kept, None)


def _elementary(file: str) -> bool:
    return is_machinery(file) or any(
        file.endswith(f"/jax/_src/numpy/{name}.py") for name in ELEMENTARY
    )
