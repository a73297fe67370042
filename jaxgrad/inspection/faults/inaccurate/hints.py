"""From the reason to a sentence, and to what to write instead."""

from collections.abc import Mapping

from jaxgrad.inspection.faults.inaccurate.cause import ANGLES, Cause, Reason, origin
from jaxgrad.inspection.faults.inaccurate.twin import Operation

WHY: Mapping[Reason, str] = {
    "cancellation": "numbers that are nearly equal are subtracted, so their rounding "
    "errors are all that is left",
    "variance": "the mean of the squares and the square of the mean are nearly equal, "
    "and their difference loses the digits",
    "absorbed": "a small number is added to a large one, which keeps few of its digits "
    "or none",
    "accumulated": "each addition to the growing sum is rounded, and the errors add up",
    "matmul": "the matrix product is computed in {dtype}, with fewer digits than the "
    "result has",
    "overflow": "{operation} is larger than {dtype} can hold, although the result is "
    "not",
    "underflow": "{operation} is too small for {dtype}, although the result is not",
    "amplified": "{operation} is steep here, so it enlarges the rounding of its "
    "operands",
}
REMEDY: Mapping[Reason, str] = {
    "cancellation": "Rearrange the formula so that the difference is taken before the "
    "rounding, or compute this part in float64.",
    "variance": "Subtract the mean first, in two passes: "
    "jnp.mean((x - jnp.mean(x)) ** 2), or jnp.var.",
    "absorbed": "Keep the small number apart: log1p(x) for log(1 + x), expm1, or "
    "subtract the large number before adding.",
    "accumulated": "Sum pairwise (jnp.sum of an array), with Kahan's compensation, or "
    "in a wider dtype.",
    "matmul": "Pass float32 operands with precision='highest', or accumulate with "
    "preferred_element_type=jnp.float32. In mixed precision this may be meant.",
    "overflow": "Scale before (hypot, logsumexp, subtract the maximum), or use "
    "logarithms.",
    "underflow": "Scale before (hypot), add logarithms instead of multiplying, or use "
    "logsumexp.",
    "amplified": "Compute its operand more accurately, from numbers that are exact.",
}
NEAR_ONE = (
    "Write log1p of the difference from 1; for probabilities log_softmax, log_sigmoid "
    "or logsumexp of the logits."
)
ANGLE = (
    "For an angle write jnp.arctan2 of the cross and the dot product; on a sphere, "
    "half angles (haversine)."
)
# What to write for a difference, by the operations that made its terms.
REWRITING: Mapping[str, str] = {
    "exp": "jnp.expm1(x) for exp(x) - 1; for several terms sinh and cosh of halves.",
    "exp2": "jnp.expm1(x * log(2)) for 2**x - 1.",
    "log": "jnp.log1p: log(a) - log(b) is log1p((a - b) / b); log_softmax and "
    "logsumexp for log-probabilities.",
    "log1p": "one log1p of the quotient for a difference of two.",
    "sqrt": "multiply by the conjugate: sqrt(a) - sqrt(b) is "
    "(a - b) / (sqrt(a) + sqrt(b)); a root of a quadratic is 2c / (-b -+ sqrt(d)).",
    "rsqrt": "a common denominator, then multiply by the conjugate.",
    "cbrt": "multiply by the conjugate: a - b is (a**3 - b**3) / (a**2 + a b + b**2).",
    "pow": "expm1 and log1p: (x + 1)**p - x**p is x**p * expm1(p * log1p(1 / x)).",
    "cos": "half angles: 1 - cos(x) is 2 * sin(x / 2)**2; cos(a) - cos(b) is "
    "-2 * sin((a + b) / 2) * sin((a - b) / 2).",
    "sin": "half angles: sin(a) - sin(b) is 2 * cos((a + b) / 2) * sin((a - b) / 2); "
    "near 0 a series for x - sin(x).",
    "tan": "tan(a) - tan(b) is sin(a - b) / (cos(a) * cos(b)); near 0 a series.",
    "atan": "jnp.arctan2(a - b, 1 + a * b) for atan(a) - atan(b).",
    "logistic": "the logits: a sigmoid minus 1 is -sigmoid(-x); "
    "sigmoid_binary_cross_entropy or log_sigmoid.",
    "tanh": "1 - tanh(x)**2 is 1 / cosh(x)**2, and 1 - tanh(x) is 2 * sigmoid(-2 * x).",
    "erf": "jax.scipy.special.erfc(x) for 1 - erf(x).",
    "div": "a common denominator, so that the difference is taken before the division; "
    "for a softmax use the logits: log_softmax, logsumexp.",
    "integer_pow": "a product: a**2 - b**2 is (a - b) * (a + b).",
    "square": "a product: a**2 - b**2 is (a - b) * (a + b).",
    "mul": "a product, as (a - b) * (a + b) for a**2 - b**2, or subtract before "
    "multiplying.",
}
ARITHMETIC = frozenset(("div", "integer_pow", "square", "mul"))
# How many operations before the difference are looked at.
DEPTH = 3


def hint(cause: Cause, operation: str) -> str:
    """Why the digits are lost, and what to write instead."""
    dtype = str(cause.stage.place.pair.own.dtype)
    if cause.reason == "matmul":
        given = [*cause.stage.operation.inputs, *cause.stage.operation.outputs]
        dtype = str(min((x.own.dtype for x in given), key=lambda d: d.itemsize))
    why = WHY[cause.reason].format(operation=operation, dtype=dtype)
    remedy = REMEDY[cause.reason]
    if cause.reason == "cancellation":
        known = _rewriting(cause.stage.operation)
        remedy = f"Instead: {known}" if known else remedy
    if cause.reason == "absorbed" and cause.stage.operation.iteration:
        remedy = REMEDY["accumulated"]
    if cause.reason == "amplified" and cause.stage.operation.name == "log":
        remedy = NEAR_ONE
    if cause.reason == "amplified" and cause.stage.operation.name in ANGLES:
        remedy = ANGLE
    return f"{why[0].upper()}{why[1:]}. {remedy}"


def _rewriting(operation: Operation) -> str:
    """The rewriting for what made the terms: the nearest function, else arithmetic."""
    names, row = [], [operation]
    for _ in range(DEPTH):
        makers = [origin(pair) for each in row for pair in each.inputs]
        row = [maker for maker in makers if maker is not None]
        names += [maker.name for maker in row if maker.name in REWRITING]
    functions = [name for name in names if name not in ARITHMETIC]
    return REWRITING[(functions or names)[0]] if names else ""
