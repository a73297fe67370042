"""From a culprit to advice: what usually causes it, and what to write instead."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.culprit import Culprit
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.tape import Entry

# The primitives whose derivative is infinite somewhere: the operand that decides, the
# points, and a sentence.
SINGULAR: Mapping[str, tuple[int, tuple[float, ...], str]] = {
    "sqrt": (0, (0,), "sqrt at 0 has an infinite derivative"),
    "rsqrt": (0, (0,), "1 / sqrt at 0 is infinite"),
    "cbrt": (0, (0,), "the cube root at 0 has an infinite derivative"),
    "log": (0, (0,), "log at 0 has an infinite derivative"),
    "log1p": (0, (-1,), "log1p at -1 has an infinite derivative"),
    "div": (1, (0,), "the derivative of a quotient is infinite at a denominator of 0"),
    "pow": (0, (0,), "a power has an infinite derivative at base 0"),
    "integer_pow": (0, (0,), "a negative power has an infinite derivative at 0"),
    "exp": (0, (), "exp overflowed"),
    "acos": (0, (-1, 1), "arccos has an infinite derivative at -1 and 1"),
    "asin": (0, (-1, 1), "arcsin has an infinite derivative at -1 and 1"),
    "acosh": (0, (1,), "arccosh has an infinite derivative at 1"),
    "atanh": (0, (-1, 1), "arctanh has an infinite derivative at -1 and 1"),
    "atan2": (0, (0,), "arctan2 has no derivative at (0, 0)"),
}
# Decompositions that have no derivative at some matrices.
COINCIDING = {
    "eigh": "The eigenvectors of eigenvalues that coincide",
    "eig": "The eigenvectors of eigenvalues that coincide",
    "svd": "The singular vectors of singular values that coincide or are 0",
}
NOT_INVERTIBLE = (
    "the matrix is singular: add a small multiple of the identity, or use "
    "jnp.linalg.lstsq or pinv"
)
# Steps of a library for which one cause is usual, whichever primitive failed.
EMPTY = "the mean of an empty array is NaN"
OF_OPERATION = {
    "cholesky": "the matrix is not positive definite: make sure that it is symmetric, "
    "and add a small multiple of the identity",
    **dict.fromkeys(("inv", "solve", "det", "slogdet"), NOT_INVERTIBLE),
    **dict.fromkeys(("mean", "nanmean"), EMPTY),
    "take": "an index is out of bounds, and take returns NaN there: check the indices",
}
DOMAIN = {
    "acos": "arccos is defined on [-1, 1]: clip its argument",
    "asin": "arcsin is defined on [-1, 1]: clip its argument",
    "acosh": "arccosh is defined for x >= 1: clip its argument",
    "atanh": "arctanh is defined inside (-1, 1): clip its argument",
    "sqrt": "sqrt of a negative number is NaN: clip its argument at 0",
    "rsqrt": "1 / sqrt is infinite at 0 and NaN below: add an epsilon to its argument",
    "log": "log is -inf at 0 and NaN below: bound its argument from below, or compute "
    "the logarithm directly (log_softmax, log_sigmoid, logsumexp)",
    "log1p": "log1p is -inf at -1 and NaN below: bound its argument from below",
    "pow": "a negative base with a fractional power is NaN, and base 0 with a negative "
    "power infinite: bound the base from below",
    "integer_pow": "a power left the range of {dtype}, or 0 has a negative power",
    "div": "a division by 0: replace a zero denominator by 1, "
    "where(d == 0, 1, d), or add an epsilon",
    "rem": "a remainder modulo 0: replace a zero divisor by 1",
}
# A gradient that overflows in one of these met a large factor, or kept growing.
LINEAR = frozenset("mul dot_general conv_general_dilated convert_element_type".split())
ARITHMETIC = LINEAR | frozenset(
    "add sub div pow integer_pow square reduce_sum reduce_prod cumsum cumprod "
    "add_any scatter_add scatter-add scatter_mul reduce_window_sum".split()
)
OVERFLOW = ("exp", "exp2", "expm1", "cosh", "sinh")
# The user's words for a primitive whose derivative is infinite somewhere.
SPELLED = {
    "divide": "div",
    "power": "pow",
    **{f"arc{name}": f"a{name}" for name in ("cos", "sin", "cosh", "tanh")},
    **dict.fromkeys(("norm", "std", "safe_norm", "global_norm"), "sqrt"),
}
DOUBLE_WHERE = (
    "The branch is not selected, but 0 * inf = NaN passes a `where`: use it twice, "
    "where(ok, f(where(ok, x, 1)), 0), so that f never sees the bad x"
)
GUARD = (
    "A factor of 0 makes the cotangent 0, but 0 * inf = NaN: guard the argument, "
    "f(where(ok, x, 1)), so that f never sees the bad x"
)


def hint(culprit: Culprit, operation: str) -> str:
    """Advice for a non-finite value; `operation` is the step in the user's words."""
    entry = culprit.entry
    if culprit.phase == "input":
        return (
            "This argument was already non-finite: look at the data, or, for a "
            "parameter, at the previous update."
        )
    if culprit.phase == "constant":
        return _constant(culprit, operation)
    if entry is None or culprit.adding:
        return (
            "The cotangents that arrive here are finite, but their sum is not: "
            "scale the loss down, or accumulate in a wider dtype."
        )
    if culprit.phase == "backward":
        return _backward(culprit, entry, operation) + "."
    if entry.site is not None and entry.site.derivative:
        return _derivative(culprit, entry, operation) + "."
    return _forward(culprit, entry, operation) + "."


def _constant(culprit: Culprit, operation: str) -> str:
    if jnp.isnan(culprit.value.array).any():
        return "The function contains a NaN constant."
    if operation.startswith("segment_"):
        return "A segment is empty: its maximum is -inf, its minimum inf."
    return (
        "An infinite constant reaches the result: mask with a large finite number "
        "(-1e9 for logits), and make sure that no row is fully masked."
    )


def _derivative(culprit: Culprit, entry: Entry, operation: str) -> str:
    """For a step of a gradient that the user takes inside."""
    base = operation.removesuffix(" (backward)")
    primitive = SPELLED.get(base, base)
    if primitive not in SINGULAR or entry.primitive in OVERFLOW:
        return _forward(culprit, entry, base)
    return _singular(SINGULAR[primitive][-1], base, culprit.met_zero and DOUBLE_WHERE)


def _singular(reason: str, operation: str, blocked: str | bool) -> str:
    if operation in ("norm", "std", "var", "global_norm"):
        return (
            f"{operation} at 0: {reason}; add an epsilon under the root, or use "
            "where twice (optax.safe_norm does)"
        )
    if blocked:
        return f"{blocked}; here {reason}"
    return f"{reason[0].upper()}{reason[1:]}: keep the argument away from that point"


def _forward(culprit: Culprit, entry: Entry, operation: str) -> str:
    primitive, dtype = entry.primitive, culprit.value.array.dtype
    overflow = np.asarray(jnp.isinf(culprit.value.array))[culprit.mask].all()
    if primitive in OVERFLOW:
        edge = np.log(float(jnp.finfo(dtype).max))
        return (
            f"{primitive} leaves the range of {dtype} above {edge:.1f}: work in the "
            "log domain (log_softmax, logsumexp, softplus), or subtract the maximum "
            "first"
        )
    if primitive == "log" and operation in ("logsumexp", "log_softmax"):
        return f"every element that {operation} reads is -inf: a row is fully masked"
    if primitive == "log" and culprit.met_zero:
        return (
            "0 * log(0) is NaN: jax.scipy.special.xlogy(x, y) is 0 at x = 0, and so is "
            "entr(x), which is -x * log(x)"
        )
    if operation in OF_OPERATION:
        return OF_OPERATION[operation]
    if primitive in DOMAIN and not (overflow and _far_from_its_pole(culprit, entry)):
        numerator = entry.operands[0].array if primitive == "div" else 1
        if (_chosen(numerator, culprit) == 0).all():
            return f"0 / 0 is NaN: {DOMAIN['div'].removeprefix('a division by 0: ')}"
        return DOMAIN[primitive].format(dtype=dtype)
    if overflow and dtype == jnp.float16:
        return (
            "float16 ends at 65504: compute this step in float32 or bfloat16, or scale "
            "its operands down"
        )
    if overflow and primitive in ARITHMETIC:
        return f"the result leaves the range of {dtype}: scale the operands down"
    if overflow:
        return (
            f"{operation or primitive} is infinite here, or leaves the range of "
            f"{dtype}: keep the argument away from this point"
        )
    if primitive in jaxprs.CUSTOM_RULES:
        return "a function with a custom derivative returned it: look at its definition"
    return f"{primitive} has no finite value for these operands"


def _backward(culprit: Culprit, entry: Entry, operation: str) -> str:
    primitive, dtype = entry.primitive, culprit.value.array.dtype
    if primitive in jaxprs.CUSTOM_RULES:
        return "The rule of a custom derivative returned it: look at the rule"
    if primitive in COINCIDING:
        return f"{COINCIDING[primitive]} have no derivative"
    if primitive not in SINGULAR and primitive not in LINEAR:
        return f"The derivative of {primitive} is not finite here"
    incoming = [np.asarray(c) for c in culprit.cotangents if c is not None]
    blocked = any(
        c.shape == culprit.mask.shape and (c[culprit.mask] == 0).all() for c in incoming
    )
    if not blocked and _far_from_its_pole(culprit, entry):
        remedy = ": scale the loss down, or keep the factors that meet here small"
        if dtype == jnp.float16:
            remedy = " (float16 ends at 65504): compute this in float32, or scale less"
        return (
            f"The gradient leaves the range of {dtype} on its way back through "
            f"{operation}{remedy}"
        )
    reason = SINGULAR[primitive][-1] if primitive in SINGULAR else "it overflowed"
    if dtype == jnp.float16:
        reason += "; float16 ends at 65504, so compute this step in float32"
    way = DOUBLE_WHERE if _feeds_a_where(entry) else GUARD
    return _singular(reason, operation, blocked and way)


def _chosen(array: Any, culprit: Culprit) -> np.ndarray:
    """The elements of an operand that met at the non-finite ones, if that is known."""
    array = np.asarray(array)
    return array[culprit.mask] if array.shape == culprit.mask.shape else array


def _far_from_its_pole(culprit: Culprit, entry: Entry) -> bool:
    """Whether the deciding operand is not where the primitive is infinite."""
    if entry.primitive not in SINGULAR:
        return True
    position, poles, _ = SINGULAR[entry.primitive]
    if len(entry.operands) <= position:
        return False
    array = _chosen(entry.operands[position].array, culprit)
    return bool(poles) and not np.isin(array, np.asarray(poles, array.dtype)).any()


def _feeds_a_where(entry: Entry) -> bool:
    """Whether a `where` is on the way from what was computed to the result."""
    seen, pending = set(), list(entry.outputs)
    while pending:
        for consumer, _ in pending.pop().parts:
            if consumer is None or consumer.number in seen:
                continue
            if consumer.primitive == "select_n":
                return True
            seen.add(consumer.number)
            pending += consumer.outputs
    return False
