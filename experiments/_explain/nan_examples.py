"""Two NaNs: one in a training loop, one in the gradient of a finite loss.

The first loop computes binary cross-entropy by its definition. As it learns, the
probabilities approach 1, until one is exactly 1 in float32 and log(1 - p) is infinite.
`checked_value_and_grad` stops the loop there. PyTorch's `torch.nn.BCELoss` hides the
problem by clamping the logarithm at -100, and `set_detect_anomaly` would report
`LogBackward0`, but not the operand that was 0.

The second loss is finite, its gradient is not: `where` selects the value 0, but the
derivative of the branch that it discards is infinite, and 0 times infinity is NaN.
PyTorch's `torch.where` has the same NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import jaxgrad
from experiments._section import Section
from jaxgrad.inspection import Blame
from jaxgrad.losses import binary_cross_entropy_with_logits

STEPS, RATE = 200, 0.5


class Params(NamedTuple):
    """A logistic regression of two features."""

    w: Float[Array, "2"]
    b: Float[Array, ""]


class Points(NamedTuple):
    """Points of the plane and their side of a line, 0 or 1."""

    x: Float[Array, "points 2"]
    y: Float[Array, "points"]


class Descent(NamedTuple):
    losses: list[float]
    """Before each successful step."""
    last: Params
    blame: Blame | None
    """The cause of an early stop with NonFiniteError, if any."""


def nan_in_training(key: jax.Array, steps: int = STEPS) -> Section:
    """The loop with the fault and its fix; the failed step's report is the data."""
    separable = points(key)
    failed = descend(by_definition, separable, steps)
    fixed = descend(of_logits, separable, steps)
    loops = {"by definition, with log(1 - p)": failed, "of the logits": fixed}
    entries = []
    for name, loop in loops.items():
        ending = "no error" if loop.blame is None else "NonFiniteError"
        entries.append((name, len(loop.losses), loop.losses[-1], ending))
    return Section(
        "A NaN in a training loop",
        "Binary cross-entropy by its definition stops at the step at which a "
        "probability becomes exactly 1; computed from the logits it does not. Below "
        "the table is the cause, as checked_value_and_grad reports it.",
        header=("binary cross-entropy", "steps", "last loss", "ended with"),
        entries=entries,
        note=str(failed.blame),
        data=jaxgrad.explain(by_definition)(failed.last, separable),
    )


def nan_in_gradient() -> Section:
    """A finite loss whose gradient is NaN, its report, and the gradient of its fix."""
    vectors = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    explained = jaxgrad.explain(lengths)(vectors)
    gradient = np.asarray(jax.grad(safe_lengths)(vectors), float).round(6).tolist()
    return Section(
        "A finite loss with a NaN in its gradient",
        "where selects the value 0, but the branch that it discards has an infinite "
        "derivative, and 0 times infinity is NaN. The report marks the step.",
        note=f"{explained}\n\nwith two calls of where, the gradient is {gradient}",
        data=explained,
    )


def points(key: jax.Array, count: int = 64) -> Points:
    """Linearly separable points: training drives the probabilities to 0 and 1."""
    x = 3 * jax.random.normal(key, (count, 2))
    return Points(x, (x @ jnp.array([1.0, 2.0]) > 0).astype(jnp.float32))


def by_definition(params: Params, points: Points) -> Float[Array, ""]:
    """Binary cross-entropy, correct on paper."""
    p = jax.nn.sigmoid(points.x @ params.w + params.b)
    of_ones = points.y * jnp.log(p)
    of_zeros = (1 - points.y) * jnp.log(1 - p)
    loss = -jnp.mean(of_ones + of_zeros)
    return loss  # noqa: RET504 - the report calls it loss


def of_logits(params: Params, points: Points) -> Float[Array, ""]:
    """The same from the logits: log(1 - sigmoid) is computed without log(0)."""
    logits = points.x @ params.w + params.b
    return binary_cross_entropy_with_logits(logits, points.y)


def descend(
    loss: Callable[[Params, Points], Float[Array, ""]],
    points: Points,
    steps: int = STEPS,
) -> Descent:
    """Gradient descent that stops at the first NaN or infinity and keeps the reason."""
    loss_and_gradient = jaxgrad.checked_value_and_grad(loss)
    params, losses = Params(jnp.zeros(2), jnp.zeros(())), []
    for _ in range(steps):
        try:
            value, gradient = loss_and_gradient(params, points)
        except jaxgrad.NonFiniteError as error:
            return Descent(losses, params, error.blame)
        losses.append(float(value))
        params = jax.tree.map(lambda p, g: p - RATE * g, params, gradient)
    return Descent(losses, params, None)


def lengths(vectors: Float[Array, "rows columns"]) -> Float[Array, ""]:
    """The sum of the vectors' lengths; `where` returns 0 for a vector of zeros."""
    squares = jnp.sum(vectors**2, axis=1)
    norms = jnp.where(squares > 0, jnp.sqrt(squares), 0.0)
    return norms.sum()


def safe_lengths(vectors: Float[Array, "rows columns"]) -> Float[Array, ""]:
    """The same with a second `where`, so that the square root never gets 0."""
    squares = jnp.sum(vectors**2, axis=1)
    positive: Bool[Array, "rows"] = squares > 0
    norms = jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
    return norms.sum()
