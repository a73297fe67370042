"""From a culprit to advice: what usually causes it, and what to write instead."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.culprit import Culprit
from jaxgrad.inspection.program import jaxprs

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
    "eigh": "the eigenvectors of eigenvalues that coincide",
    "eig": "the eigenvectors of eigenvalues that coincide",
    "svd": "the singular vectors of singular values that coincide or are 0",
}
NOT_INVERTIBLE = (
    "the matrix is singular: add a small multiple of the identity, or use "
    "jnp.linalg.lstsq or pinv"
)
# Steps of a library for which one cause is usual, whichever primitive failed.
OF_OPERATION = {
    "cholesky": "the matrix is not positive definite: make sure that it is symmetric, "
    "and add a small multiple of the identity",
    "inv": NOT_INVERTIBLE,
    "solve": NOT_INVERTIBLE,
    "det": NOT_INVERTIBLE,
    "slogdet": NOT_INVERTIBLE,
    "mean": "the mean of an empty array is NaN",
    "nanmean": "the mean of an empty array is NaN",
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
    "arccos": "acos",
    "arcsin": "asin",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "norm": "sqrt",
    "std": "sqrt",
    "safe_norm": "sqrt",
    "global_norm": "sqrt",
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
    """Advice for a non-finite value.

    Args:
        culprit: Where the walk ended.
        operation: What the step computes, in the user's words.
    """
    if culprit.phase == "input":
        return (
            "This argument was already non-finite: look at the data, or, for a "
            "parameter, at the update before."
        )
    if culprit.phase == "constant":
        if jnp.isnan(culprit.value.array).any():
            return "The function contains a NaN constant."
        if operation.startswith("segment_"):
            return "A segment is empty: its maximum is -inf, its minimum inf."
        return (
            "An infinite constant reaches the result: mask with a large finite number "
            "(-1e9 for logits), and make sure that no row is fully masked."
        )
    if culprit.phase == "backward":
        return _backward(culprit, operation) + "."
    if _in_derivative(culprit):
        return _derivative(culprit, operation) + "."
    return _forward(culprit, operation) + "."


def _in_derivative(culprit: Culprit) -> bool:
    """Whether a step belongs to a gradient that the user takes inside."""
    site = culprit.entry.site if culprit.entry else None
    return site is not None and site.derivative


def _derivative(culprit: Culprit, operation: str) -> str:
    assert culprit.entry is not None
    base = operation.removesuffix(" (backward)")
    primitive = SPELLED.get(base, base)
    if primitive not in SINGULAR or culprit.entry.primitive in OVERFLOW:
        return _forward(culprit, base)
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


def _forward(culprit: Culprit, operation: str) -> str:
    assert culprit.entry is not None
    primitive, dtype = culprit.entry.primitive, culprit.value.array.dtype
    overflow = np.asarray(jnp.isinf(culprit.value.array))[culprit.mask].all()
    if primitive in OVERFLOW:
        edge = np.log(float(jnp.finfo(dtype).max))
        return (
            f"{primitive} leaves the range of {dtype} above {edge:.1f}: work in the "
            "log domain (log_softmax, logsumexp, softplus), or subtract the maximum "
            "first"
        )
    if primitive == "log" and operation in ("logsumexp", "log_softmax"):
        return f"every element that {operation} sees is -inf: a row is fully masked"
    if primitive == "log" and culprit.met_zero:
        return (
            "0 * log(0) is NaN: jax.scipy.special.xlogy(x, y) is 0 at x = 0, and so is "
            "entr(x), which is -x * log(x)"
        )
    if operation in OF_OPERATION:
        return OF_OPERATION[operation]
    if primitive in DOMAIN and not (overflow and _far_from_its_pole(culprit)):
        if primitive == "div" and _of_zero(culprit):
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


def _backward(culprit: Culprit, operation: str) -> str:
    entry = culprit.entry
    if culprit.adding or entry is None:
        return (
            "The cotangents of several readers are finite, but their sum is not: "
            "scale the loss down, or accumulate in a wider dtype"
        )
    primitive, dtype = entry.primitive, culprit.value.array.dtype
    if primitive in jaxprs.CUSTOM_RULES:
        return "The rule of a custom derivative returned it: look at the rule"
    if primitive in COINCIDING:
        return f"{COINCIDING[primitive].capitalize()} have no derivative"
    if primitive not in SINGULAR and primitive not in LINEAR:
        return f"The derivative of {primitive} is not finite here"
    incoming = [np.asarray(c) for c in culprit.cotangents if c is not None]
    blocked = any(c.shape == culprit.mask.shape and _zero(c, culprit) for c in incoming)
    if not blocked and _far_from_its_pole(culprit):
        return (
            f"The gradient leaves the range of {dtype} on its way back through "
            f"{operation}{_narrower(dtype)}"
        )
    reason = SINGULAR[primitive][-1] if primitive in SINGULAR else "it overflowed"
    if dtype == jnp.float16:
        reason += "; float16 ends at 65504, so compute this step in float32"
    way = DOUBLE_WHERE if _selected_from(culprit) else GUARD
    return _singular(reason, operation, blocked and way)


def _of_zero(culprit: Culprit) -> bool:
    """Whether the numerator is 0 as well."""
    assert culprit.entry is not None
    numerator = np.asarray(culprit.entry.operands[0].array)
    chosen = culprit.mask if numerator.shape == culprit.mask.shape else ...
    return bool((numerator[chosen] == 0).all())


def _narrower(dtype: Any) -> str:
    """What helps where a gradient explodes."""
    if dtype == jnp.float16:
        return " (float16 ends at 65504): compute this in float32, or scale less"
    return ": scale the loss down, or keep the factors that meet here small"


def _far_from_its_pole(culprit: Culprit) -> bool:
    """Whether the deciding operand is not where the primitive is infinite."""
    assert culprit.entry is not None
    if culprit.entry.primitive not in SINGULAR:
        return True
    position, poles, _ = SINGULAR[culprit.entry.primitive]
    if len(culprit.entry.operands) <= position:
        return False
    array = np.asarray(culprit.entry.operands[position].array)
    if array.shape == culprit.mask.shape:
        array = array[culprit.mask]
    return bool(poles) and not np.isin(array, np.asarray(poles, array.dtype)).any()


def _selected_from(culprit: Culprit) -> bool:
    """Whether a `where` stands between what was computed and the result."""
    assert culprit.entry is not None
    seen, pending = set(), list(culprit.entry.outputs)
    while pending:
        for reader, _ in pending.pop().parts:
            if reader is None or reader.number in seen:
                continue
            if reader.primitive == "select_n":
                return True
            seen.add(reader.number)
            pending += reader.outputs
    return False


def _zero(cotangent: np.ndarray, culprit: Culprit) -> bool:
    return bool((cotangent[culprit.mask] == 0).all())
