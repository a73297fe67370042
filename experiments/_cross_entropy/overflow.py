"""Three ways to compute one loss, and the logits at which each of them fails.

exp overflows, a probability underflows, a squared denominator overflows at half the
logit: each way fails where its first intermediate number leaves the range of the dtype.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments._section import Section
from jaxgrad.activations import softmax
from jaxgrad.losses import cross_entropy, nll_loss

# x of the logits [0, x]; in float32 something fails at 44, 88 and 89.
LOGITS = (1.0, 10.0, 43.0, 44.0, 87.0, 88.0, 89.0, 200.0, 1000.0)
DTYPES = ("float16", "bfloat16", "float32", "float64")
BISECTIONS = 60


def naive_softmax(x: jax.Array, b: float = 0.0) -> jax.Array:
    """The formula as written, with `b` subtracted from every exponent."""
    exponentials = jnp.exp(x - b)
    return exponentials / jnp.sum(exponentials)


# The same loss in three ways. The last is PyTorch's nn.CrossEntropyLoss.
LOSSES: dict[str, Callable[[jax.Array, int], jax.Array]] = {
    "naive softmax, log, NLL": lambda x, target: -jnp.log(naive_softmax(x))[target],
    "softmax, log, NLL": lambda x, target: nll_loss(jnp.log(softmax(x, 0)), target),
    "cross_entropy": cross_entropy,
}


def growing(largest: float) -> Section:
    """The three losses at LOGITS; as data, at LOGITS and from 0 to `largest`."""
    x = np.linspace(0, largest, 601)
    found, curves = losses_and_slopes(np.array(LOGITS)), losses_and_slopes(x)
    columns = [
        [f"{loss:.7g} ({slope:.4g})" for loss, slope in zip(*both, strict=True)]
        for both in found.values()
    ]
    return Section(
        "Logits [0, x], class 0, float32",
        "The loss, and in brackets its derivative with respect to x. In the naive way "
        "the derivative fails first: the derivative of a quotient squares the "
        "denominator, and e^(2x) overflows in float32 at half the x. The loss still "
        "looks right there.",
        header=("x", *LOSSES),
        entries=list(zip(LOGITS, *columns, strict=True)),
        data=(found, x, curves),
    )


def losses_and_slopes(x: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each loss of [0, x] for class 0 and its slope in x, in float32, for all x."""

    def both(loss: Callable[[jax.Array, int], jax.Array]) -> tuple:
        slope = jax.value_and_grad(lambda x: loss(_pair(x), 0))
        values = jax.jit(jax.vmap(slope))(jnp.asarray(x, jnp.float32))
        return tuple(map(np.asarray, values))

    return {name: both(loss) for name, loss in LOSSES.items()}


def log_sum_exps() -> Section:
    """log(sum(exp([0, x]))) as written, and with the largest entry taken out of exp."""
    entries = []
    for x in LOGITS:
        pair = _pair(jnp.float32(x))
        top = jnp.max(pair)
        shifted = top + jnp.log(jnp.sum(jnp.exp(pair - top)))
        entries.append((x, jnp.log(jnp.sum(jnp.exp(pair))).item(), shifted.item()))
    header = ("x", "log(sum(exp))", "shifted by max")
    return Section("log-sum-exp of [0, x], float32", header=header, entries=entries)


def limits() -> Section:
    """The largest logit that each way can take, in each dtype."""
    ways = [naive_softmax, *(lambda x, f=f: f(x, 0) for f in LOSSES.values())]
    entries = [
        (
            dtype,
            math.log(float(jnp.finfo(dtype).max)),
            *(largest_finite(way, dtype) for way in ways),
        )
        for dtype in DTYPES
    ]
    return Section(
        "Logits [0, x]: the largest x that works",
        "The naive softmax becomes NaN where exp overflows. A loss of class 0 that "
        "takes the logarithm of a probability fails where the probability underflows. "
        "On the CPU, XLA flushes numbers below the smallest normal one to 0; PyTorch "
        "keeps them, and fails above 103.9.",
        header=("dtype", "log(largest)", "naive softmax", *LOSSES),
        entries=entries,
        rows={"3.39": {"naive softmax ends at": entries[DTYPES.index("float32")][2]}},
    )


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


def _pair(x: jax.Array) -> jax.Array:
    return jnp.stack([jnp.zeros_like(x), x])
