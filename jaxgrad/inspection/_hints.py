"""From a finding to advice: what usually causes it, and what to write instead."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection._blame import Finding

# The primitives whose derivative is infinite somewhere, with the guard they need.
SINGULAR = {
    "sqrt": "sqrt at 0 has an infinite derivative",
    "rsqrt": "1 / sqrt at 0 is infinite",
    "cbrt": "the cube root at 0 has an infinite derivative",
    "log": "log at 0 has an infinite derivative",
    "log1p": "log1p at -1 has an infinite derivative",
    "div": "the derivative of a quotient is infinite at a denominator of 0",
    "pow": "a power has an infinite derivative at base 0",
    "integer_pow": "a negative power has an infinite derivative at 0",
    "exp": "exp overflowed",
    "acos": "arccos has an infinite derivative at -1 and 1",
    "asin": "arcsin has an infinite derivative at -1 and 1",
    "acosh": "arccosh has an infinite derivative at 1",
    "atanh": "arctanh has an infinite derivative at -1 and 1",
    "atan2": "arctan2 has no derivative at (0, 0)",
}
DOMAIN = {
    "acos": "arccos is defined on [-1, 1]: clip its argument",
    "asin": "arcsin is defined on [-1, 1]: clip its argument",
    "acosh": "arccosh is defined from 1 on: clip its argument",
    "atanh": "arctanh is defined inside (-1, 1): clip its argument",
    "sqrt": "sqrt of a negative number is NaN: clip its argument at 0",
    "rsqrt": "1 / sqrt is infinite at 0 and NaN below: add an epsilon to its argument",
    "log": "log is -inf at 0 and NaN below: bound its argument from below, or compute "
    "the logarithm directly (log_softmax, log_sigmoid, logsumexp)",
    "log1p": "log1p is -inf at -1 and NaN below: bound its argument from below",
    "pow": "a negative base with a fractional power is NaN, and base 0 with a negative "
    "power infinite: bound the base from below",
    "integer_pow": "a power left the range of {dtype}, or 0 has a negative power",
    "div": "a division by 0: put 1 in the place of a zero denominator, "
    "where(d == 0, 1, d), or add an epsilon",
    "rem": "a remainder modulo 0: put 1 in the place of a zero divisor",
}
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


def hint(finding: Finding, operands: Mapping[str, np.ndarray], operation: str) -> str:
    """Advice for a finding.

    Args:
        finding: The finding.
        operands: The values that met at the first non-finite elements.
        operation: What the step computes, in the user's words.
    """
    if finding.phase == "input":
        return (
            "The value came in so: look at the data, or, for a parameter, at the "
            "update before."
        )
    if finding.phase == "constant":
        if np.isnan(np.asarray(finding.value.array, np.float64)).any():
            return "A NaN stands in the function itself."
        return (
            "An infinite constant reaches the result: mask with a large finite number "
            "(-1e9 for logits), and see that no row is masked throughout."
        )
    if finding.phase == "backward":
        return _backward(finding, operation) + "."
    if _in_derivative(finding):
        return _derivative(finding, operation) + "."
    return _forward(finding, operands, operation) + "."


def _in_derivative(finding: Finding) -> bool:
    """Whether a step belongs to a gradient that the user takes inside."""
    entry = finding.entry
    stack = entry.place.stack if entry and entry.place else ""
    return "jvp(" in stack or "transpose(" in stack


def _derivative(finding: Finding, operation: str) -> str:
    assert finding.entry is not None
    base = operation.removesuffix(" (backward)")
    primitive = SPELLED.get(base, base)
    if primitive not in SINGULAR or finding.entry.primitive in OVERFLOW:
        return _forward(finding, {}, base)
    return _singular(SINGULAR[primitive], base, finding.met_zero)


def _singular(reason: str, operation: str, blocked: bool) -> str:
    if operation in ("norm", "std", "var", "global_norm"):
        return (
            f"{operation} at 0: {reason}; add an epsilon under the root, or use "
            "where twice (optax.safe_norm does)"
        )
    if blocked:
        return f"{DOUBLE_WHERE}; here {reason}"
    return f"{reason[0].upper()}{reason[1:]}: keep its argument away from there"


def _forward(
    finding: Finding, operands: Mapping[str, np.ndarray], operation: str
) -> str:
    assert finding.entry is not None
    primitive, dtype = finding.entry.primitive, finding.value.array.dtype
    overflow = np.isinf(np.asarray(finding.value.array, np.float64)[finding.mask]).all()
    if primitive in OVERFLOW:
        edge = np.log(float(jnp.finfo(dtype).max))
        return (
            f"{primitive} leaves the range of {dtype} above {edge:.1f}: work in the "
            "log domain (log_softmax, logsumexp, softplus), or subtract the maximum "
            "first"
        )
    if primitive == "log" and operation in ("logsumexp", "log_softmax"):
        return f"{operation} of nothing but -inf: a row is masked throughout"
    if primitive in DOMAIN:
        if primitive == "div" and all(np.all(v == 0) for v in operands.values()):
            return f"0 / 0 is NaN: {DOMAIN['div'].removeprefix('a division by 0: ')}"
        return DOMAIN[primitive].format(dtype=dtype)
    if overflow and dtype == jnp.float16:
        return (
            "float16 ends at 65504: compute this step in float32 or bfloat16, or scale "
            "its operands down"
        )
    if overflow:
        return f"the result leaves the range of {dtype}: scale the operands down"
    if primitive.startswith("custom_"):
        return "a function with a custom derivative returned it: look at its definition"
    return f"{primitive} has no finite value for these operands"


def _backward(finding: Finding, operation: str) -> str:
    entry = finding.entry
    if finding.adding or entry is None:
        return (
            "The cotangents of several readers are finite, but their sum is not: "
            "scale the loss down, or accumulate in a wider dtype"
        )
    primitive = entry.primitive
    if primitive.startswith("custom_"):
        return "The rule of a custom derivative returned it: look at the rule"
    incoming = [np.asarray(c, np.float64) for c in finding.cotangents if c is not None]
    blocked = any(c.shape == finding.mask.shape and _zero(c, finding) for c in incoming)
    reason = SINGULAR.get(
        primitive, f"the derivative of {primitive} is not finite here"
    )
    if finding.value.array.dtype == jnp.float16:
        reason += "; float16 ends at 65504, so compute this step in float32"
    return _singular(reason, operation, blocked)


def _zero(cotangent: np.ndarray, finding: Finding) -> bool:
    return bool((cotangent[finding.mask] == 0).all())
