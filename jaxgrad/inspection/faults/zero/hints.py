"""From the cause of a zero gradient to a sentence and advice."""

from collections.abc import Mapping

from jaxgrad.inspection.faults.zero.cause import Cause, Reason

WHY: Mapping[Reason, str] = {
    "unconnected": "the result does not depend on it",
    "stopped": "stop_gradient ends the derivative here",
    "integer": "{operation} is piecewise constant, so its derivative is zero",
    "branch": "{operation} selects something else, so no gradient passes here",
    "multiplied": "it is multiplied by zero",
    "saturated": "{operation} is saturated: its derivative is exactly 0 in {dtype}, "
    "although the function changes further away",
    "dead": "{operation} is flat here: every element is on the side of the kink with "
    "slope 0",
    "underflow": "the gradient is not zero, but it or a factor of it is too small for "
    "{dtype}",
    "rule": "the rule of a custom derivative returns zero, although the function "
    "changes",
    "cancelled": "parts of the gradient that are not zero add up to zero, here and "
    "wherever the argument is moved",
    "stationary": "this is a stationary point: the derivative of {operation} is zero "
    "here, but not nearby",
}
REMEDY: Mapping[Reason, str] = {
    "unconnected": "Use it in the function, or leave it out of the differentiated "
    "arguments; check that it was not overwritten on the way.",
    "stopped": "Remove stop_gradient if the argument should be trained; otherwise "
    "leave it out of the differentiated arguments.",
    "integer": "Use a smooth form (softmax for argmax, a sigmoid for a comparison), or "
    "a straight-through estimator: x + stop_gradient(round(x) - x).",
    "branch": "Check the condition or the mask; a smooth form (softplus, logsumexp, "
    "softmax) passes a gradient to every branch.",
    "multiplied": "Find out what makes the zero: data, a mask, or a weight. A layer "
    "that starts at zero on purpose (LoRA, ReZero) is normal in the first step; "
    "otherwise start from small random numbers.",
    "saturated": "Keep its argument small (normalise, scale the initial weights down), "
    "or compute the loss from the logits: sigmoid_binary_cross_entropy, log_softmax.",
    "dead": "Lower the learning rate, start with a bias of zero or above, normalise "
    "before it, or use leaky_relu, elu or gelu. A hinge loss whose margins are all met "
    "is flat as well; that is normal.",
    "underflow": "Compute this in float32 (if it already is: in float64, or with "
    "logarithms), or scale the loss up and the gradient down again.",
    "rule": "Correct the rule: jaxgrad.check_gradients compares it with differences.",
    "cancelled": "The result does not depend on this argument: look at the terms that "
    "remove it, such as a difference with itself or a sum of a softmax.",
    "stationary": "This is normal at a minimum; if training starts here, choose "
    "another initial value.",
}
DECIDES = "only a condition or the number of iterations depends on it"
SECOND = (
    " The second derivative of relu and of other piecewise linear functions is zero."
)
LAST_USED = "it is used in {operation}, but the result does not depend on that"
NOT_TAKEN = "it is used only in a branch that was not taken"
CLIPPED = (
    "Widen the bounds, or use a smooth bound (tanh, sigmoid, softplus) that keeps a "
    "gradient outside. A clip may also be meant to end the gradient, as PPO's is."
)
SHIFT = (
    "It is a shift that the function subtracts again, like a bias before a "
    "normalisation: it can be left out."
)


COMPARISONS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}
# The steps that are a comparison, and not only contain one.
COMPARING = frozenset("greater greater_equal less less_equal equal not_equal".split())


def hint(cause: Cause, operation: str, dtype: str) -> str:
    """Why the gradient is zero, and what to write instead."""
    primitive = cause.entry.primitive if cause.entry else ""
    if primitive in COMPARISONS and operation not in {primitive, *COMPARING}:
        operation = f"a comparison ({COMPARISONS[primitive]}) in {operation}"
    why = WHY[cause.reason].format(operation=operation, dtype=dtype)
    remedy = REMEDY[cause.reason]
    if cause.clips:
        remedy = CLIPPED
    if cause.reason == "cancelled" and cause.normal:
        remedy = SHIFT
    unseen = cause.block is None or cause.block.not_taken
    if unseen and cause.reason in ("branch", "integer"):
        why = NOT_TAKEN if cause.reason == "branch" else DECIDES
    if cause.reason == "unconnected" and operation:
        why = LAST_USED.format(operation=operation)
        site = cause.entry and cause.entry.site
        remedy += SECOND if site and site.derivative else ""
    return f"{why[0].upper()}{why[1:]}. {remedy}"
