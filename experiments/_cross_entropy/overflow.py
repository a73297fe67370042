"""Three ways to compute one loss, and the logits at which each of them fails.

exp overflows, a probability underflows, a squared denominator overflows at half the
logit: each way fails where its first intermediate number leaves the range of the dtype.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.activations import softmax
from jaxgrad.losses import cross_entropy, nll_loss

BISECTIONS = 60


def naive_softmax(x: jax.Array, b: float = 0.0) -> jax.Array:
    """The formula as written, with `b` subtracted from every exponent."""
    exponentials = jnp.exp(x - b)
    return exponentials / jnp.sum(exponentials)


def log_sum_exp(x: jax.Array) -> jax.Array:
    """log(sum(exp(x))) without overflow: the largest entry is taken out of exp."""
    largest = jnp.max(x)
    return largest + jnp.log(jnp.sum(jnp.exp(x - largest)))


# The same loss in three ways. The last is PyTorch's nn.CrossEntropyLoss.
Loss = Callable[[jax.Array, int], jax.Array]
LOSSES: dict[str, Loss] = {
    "naive softmax, log, NLL": lambda x, target: -jnp.log(naive_softmax(x))[target],
    "softmax, log, NLL": lambda x, target: nll_loss(jnp.log(softmax(x, 0)), target),
    "cross_entropy": cross_entropy,
}


class Limit(NamedTuple):
    """The largest x for which the logits [0, x] work in one dtype."""

    exp_overflows: float
    """log of the dtype's largest number."""
    naive_softmax: float
    """The largest x whose naive softmax is not NaN."""
    by_loss: dict[str, float]
    """The largest x whose loss of class 0 is finite, by loss."""


class Growing(NamedTuple):
    """The loss of the logits [0, x] for class 0, and its slope in x, in float32."""

    x: np.ndarray
    losses: dict[str, np.ndarray]
    slopes: dict[str, np.ndarray]


def limit(dtype: str) -> Limit:
    """Search the largest logit that each way can take."""
    by_loss = {
        name: largest_finite(lambda pair, loss=loss: loss(pair, 0), dtype)
        for name, loss in LOSSES.items()
    }
    overflow = math.log(float(jnp.finfo(dtype).max))
    return Limit(overflow, largest_finite(naive_softmax, dtype), by_loss)


def largest_finite(f: Callable[[jax.Array], jax.Array], dtype: str) -> float:
    """The largest x >= 1 for which f([0, x]) is finite, by bisection of log x."""
    is_finite = jax.jit(lambda x: jnp.isfinite(f(_pair(x))).all())
    low, high = 1.0, float(jnp.finfo(dtype).max)
    if is_finite(jnp.asarray(high, dtype)):
        return high
    for _ in range(BISECTIONS):
        middle = math.sqrt(low) * math.sqrt(high)
        if is_finite(jnp.asarray(middle, dtype)):
            low = middle
        else:
            high = middle
    return float(jnp.asarray(low, dtype))


def log_sum_exp_both_ways(x: float) -> tuple[float, float, float]:
    """x, and log(sum(exp([0, x]))) as written and without overflow."""
    pair = _pair(jnp.float32(x))
    return x, jnp.log(jnp.sum(jnp.exp(pair))).item(), log_sum_exp(pair).item()


def growing(x: np.ndarray) -> Growing:
    """Loss and slope at all x at once: vmap over value_and_grad."""
    losses, slopes = {}, {}
    for name, loss in LOSSES.items():
        both = jax.value_and_grad(lambda x, loss=loss: loss(_pair(x), 0))
        values = jax.jit(jax.vmap(both))(jnp.asarray(x, jnp.float32))
        losses[name], slopes[name] = map(np.asarray, values)
    return Growing(x, losses, slopes)


def _pair(x: jax.Array) -> jax.Array:
    return jnp.stack([jnp.zeros_like(x), x])
