"""Two hunts for a NaN: a training loop that ends in one, and a finite loss without one.

The first writes binary cross entropy as its definition reads. It learns for a while,
and the better it gets, the closer the probabilities come to 1, until one is 1 in
float32. `checked_value_and_grad` stops the loop there; in PyTorch
`torch.nn.BCELoss` hides the trap by ending the logarithm at -100, and
`set_detect_anomaly` would name `LogBackward0`, but not the operand that was 0.

The second has a loss that is finite, and a gradient that is not: `where` selects the
value 0, yet the derivative of the branch it discarded is infinite, and 0 times infinity
is NaN. PyTorch's `torch.where` gives the same NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

import jaxgrad
from jaxgrad.inspection import Blame, Explanation
from jaxgrad.losses import binary_cross_entropy_with_logits

STEPS, RATE = 200, 0.5


class Params(NamedTuple):
    """A logistic regression of two features."""

    w: Float[Array, "2"]
    b: Float[Array, ""]


class Points(NamedTuple):
    """Points of the plane, and on which side of a line they lie: 0 or 1."""

    x: Float[Array, "points 2"]
    y: Float[Array, "points"]


Loss = Callable[[Params, Points], Float[Array, ""]]


class Descent(NamedTuple):
    """What became of a training loop."""

    losses: list[float]
    """Before each step that went well."""
    last: Params
    """Where it ended."""
    blame: Blame | None
    """Why it ended early, if it did."""


class Hunt(NamedTuple):
    """Two NaNs, found and mended."""

    by_definition: Descent
    report: Explanation
    """Of the step that failed."""
    mended: Descent
    lengths: Explanation
    """Of a finite loss whose gradient is NaN."""
    mended_gradient: Float[Array, "rows columns"]


def points(key: jax.Array, count: int = 64) -> Points:
    """Points that a line parts: training drives the probabilities to 0 and 1."""
    x = 3 * jax.random.normal(key, (count, 2))
    return Points(x, (x @ jnp.array([1.0, 2.0]) > 0).astype(jnp.float32))


def by_definition(params: Params, points: Points) -> Float[Array, ""]:
    """Binary cross entropy, right on paper."""
    p = jax.nn.sigmoid(points.x @ params.w + params.b)
    of_ones = points.y * jnp.log(p)
    of_zeros = (1 - points.y) * jnp.log(1 - p)
    loss = -jnp.mean(of_ones + of_zeros)
    return loss  # noqa: RET504 - the report calls it loss


def of_logits(params: Params, points: Points) -> Float[Array, ""]:
    """The same from the logits: log(1 - sigmoid) is computed directly, never log(0)."""
    logits = points.x @ params.w + params.b
    return binary_cross_entropy_with_logits(logits, points.y)


def descend(loss: Loss, points: Points, steps: int = STEPS) -> Descent:
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
    """The sum of the vectors' lengths; for a vector of zeros, `where` answers 0."""
    squares = jnp.sum(vectors**2, axis=1)
    norms = jnp.where(squares > 0, jnp.sqrt(squares), 0.0)
    return norms.sum()


def mended_lengths(vectors: Float[Array, "rows columns"]) -> Float[Array, ""]:
    """The double `where`: the square root never sees the 0."""
    squares = jnp.sum(vectors**2, axis=1)
    positive: Bool[Array, "rows"] = squares > 0
    norms = jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
    return norms.sum()


def hunt(key: jax.Array, steps: int = STEPS) -> Hunt:
    """Run both, broken and mended."""
    separable = points(key)
    failed = descend(by_definition, separable, steps)
    vectors = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    return Hunt(
        by_definition=failed,
        report=jaxgrad.explain(by_definition)(failed.last, separable),
        mended=descend(of_logits, separable, steps),
        lengths=jaxgrad.explain(lengths)(vectors),
        mended_gradient=jax.grad(mended_lengths)(vectors),
    )
