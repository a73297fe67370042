"""Numbers beyond the range of their dtype: exponentials, powers, sums of cotangents.

An infinity of the forward pass need not show in the result: 1 / (1 + inf) is 0. But its
derivative multiplies it by 0, which is NaN.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint
from jaxgrad.inspection.faults.nonfinite.hints.points import (
    DERIVATIVES,
    VALUES,
    fact_at,
)
from jaxgrad.inspection.run.backward import Backward, total
from jaxgrad.inspection.run.tape import nonfinite

ARITHMETIC = frozenset(
    "add sub mul div pow integer_pow square dot_general conv_general_dilated "
    "convert_element_type reduce_sum reduce_prod cumsum cumprod add_any scatter_add "
    "scatter-add scatter_mul reduce_window_sum".split()
)
# Of finite numbers, these give NaN only where infinities of both signs meet.
SUMS = frozenset(
    "dot_general conv_general_dilated reduce_sum cumsum add_any scatter_add "
    "scatter-add reduce_window_sum".split()
)
# The functions that overflow, with the logarithm of their base.
EXPONENTIAL = {"exp": 1.0, "expm1": 1.0, "exp2": np.log(2), "cosh": 1.0, "sinh": 1.0}
BOUND = (
    "bound the exponent (jnp.minimum), or write it with sigmoid, softplus or logsumexp"
)
# A gradient that overflows in one of these met a large factor, or kept growing.
GROWING = frozenset(
    "mul dot_general conv_general_dilated convert_element_type exp".split()
) | {*DERIVATIVES, *VALUES}
# Where a value of fewer elements is read, its gradient is a sum of cotangents.
SUMMING = frozenset("broadcast_in_dim add sub gather".split())


class Excess(NamedTuple):
    """What leaves the range of a dtype, and what to do."""

    fact: str
    remedy: str


def exponential(case: Case) -> Hint | None:
    """An exponential that overflows."""
    fact = _beyond_the_edge(case)
    if fact is None:
        return None
    return Hint(
        f"{fact}: work in the log domain (log_softmax, logsumexp, softplus), or "
        "subtract the maximum first"
    )


def overflow(case: Case) -> Hint | None:
    """An infinity that arithmetic made from finite operands, or NaN from several."""
    primitive = case.entry.primitive
    if primitive not in ARITHMETIC:
        return None
    if primitive not in SUMS and not np.isinf(case.bad).all():
        return None
    if any(value.bad().any() for value in case.entry.inputs):
        return None
    return Hint(": ".join(_arithmetic(case)))


def swallowed(case: Case) -> Excess | None:
    """An infinity made of finite numbers, away from any pole."""
    array, mask = np.asarray(case.entry.outputs[0].array), case.culprit.mask
    if any(value.bad().any() for value in case.entry.inputs):
        return None
    if array.shape != mask.shape or not np.isinf(array[mask]).all():
        return None
    fact = _beyond_the_edge(case)
    if fact is not None:
        return Excess(fact, BOUND)
    at_pole = fact_at(VALUES.get(case.entry.primitive, ()), case.operands())
    if case.entry.primitive not in ARITHMETIC or at_pole is not None:
        return None
    return _arithmetic(case)


def added_up(case: Case) -> Hint | None:
    """Finite parts of a cotangent whose sum is not finite."""
    if not case.culprit.adding:
        return None
    return Hint(
        "The cotangents that arrive here are finite, but their sum is not"
        f"{_end(case)}: scale the loss down, or accumulate in a wider dtype"
    )


def summed(case: Case) -> Hint | None:
    """The finite cotangents of all elements to which one was broadcast."""
    entry, mask = case.entry, case.culprit.mask
    several = np.size(entry.outputs[0].array) > mask.size
    if entry.primitive not in SUMMING or not several or not _scales(case):
        return None
    return Hint(
        "Several elements read this one, and the sum of their cotangents leaves the "
        f"range of {case.dtype}{_end(case)}: convert to a wider dtype before this "
        "step, or scale the loss down"
    )


def grown(case: Case) -> Hint | None:
    """A gradient that overflows away from any pole."""
    infinite = case.entry.primitive in GROWING and np.isinf(_sent(case)).all()
    finite = not any(nonfinite(c).any() for c in _cotangents(case))
    if case.culprit.zero is not None or not finite:
        return None
    if not infinite and not _scales(case):
        return None
    remedy = ": scale the loss down, or keep the factors that meet here small"
    if case.dtype == jnp.float16:
        remedy = f"{_end(case)}: compute this in float32, or scale less"
    return Hint(
        f"The gradient leaves the range of {case.dtype} on its way back through "
        f"{case.operation}{remedy}"
    )


def _beyond_the_edge(case: Case) -> str | None:
    """Where an exponential leaves the range, if its arguments are beyond."""
    primitive = case.entry.primitive
    if primitive not in EXPONENTIAL:
        return None
    edge = np.log(float(jnp.finfo(case.dtype).max)) / EXPONENTIAL[primitive]
    exponents = np.abs(np.real(case.operands()[0]).astype(float))
    if not (exponents > edge - 0.01).all():
        return None
    return f"{primitive} leaves the range of {case.dtype} above {edge:.1f}"


def _arithmetic(case: Case) -> Excess:
    if case.dtype == jnp.float16:
        remedy = "compute this step in float32 or bfloat16, or scale its operands down"
        return Excess("float16 ends at 65504", remedy)
    fact = f"the result leaves the range of {case.dtype}"
    return Excess(fact, "rescale the operands")


def _end(case: Case) -> str:
    return " (float16 ends at 65504)" if case.dtype == jnp.float16 else ""


def _scales(case: Case) -> bool:
    """Whether the gradient is finite for cotangents of a millionth."""
    return bool(np.isfinite(_sent(case, 1e-6)).all())


def _sent(case: Case, scale: int | float = 1.0) -> np.ndarray:
    """What the operation sends back to the bad elements, its cotangents scaled."""
    entry, value = case.entry, case.culprit.value
    cotangents = [total(output) for output in entry.outputs]
    scaled = [None if c is None else (c * scale).astype(c.dtype) for c in cotangents]
    position = next(i for i, v in enumerate(entry.inputs) if v is value)
    sent = Backward([]).pull(entry, [v.array for v in entry.inputs], scaled)
    return np.asarray(sent[position])[case.culprit.mask]


def _cotangents(case: Case) -> list[Any]:
    """The cotangents that arrive at the operation."""
    given = map(total, case.entry.outputs)
    return [cotangent for cotangent in given if cotangent is not None]
