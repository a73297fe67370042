"""The activations in the notebook's list, each evaluated once.

The list holds PyTorch's classes. Their values at a few points show that each has the
right counterpart. Attention and the adaptive softmax have weights; here these are
cosines, which PyTorch computes in the same way.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad import activations, losses

# What the notebook lists: PyTorch's class, and the function that it calls.
CLASSES = (
    "ELU Hardshrink Hardtanh LeakyReLU LogSigmoid MultiheadAttention PReLU ReLU ReLU6 "
    "RReLU SELU CELU GELU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink "
    "Threshold Softmin Softmax Softmax2d LogSoftmax AdaptiveLogSoftmaxWithLoss"
)
# Functions whose name is not the class's in lower case.
FUNCTIONS = {
    "LeakyReLU": "leaky_relu",
    "MultiheadAttention": "multi_head_attention",
    "LogSoftmax": "log_softmax",
    "AdaptiveLogSoftmaxWithLoss": "adaptive_log_softmax_with_loss",
}
LISTED = {name: FUNCTIONS.get(name, name.lower()) for name in CLASSES.split()}
POINTS = np.array([-7.0, -3.0, -0.75, -0.25, 0.0, 0.5, 1.5, 8.0])
PIXELS = (2, 2, 2)  # the shape in which Softmax2d takes them: channels first
THRESHOLD, REPLACEMENT = 0.1, 20.0
HEADS, LABELS = 2, np.array([0, 2, 3])


def cosines(*shape: int) -> np.ndarray:
    """Weights that need no random generator."""
    return np.cos(np.arange(np.prod(shape))).reshape(shape)


def values() -> dict[str, jax.Array]:
    """The value of every class at POINTS; weights are cosines."""
    return {name: value(name) for name in LISTED}


def value(name: str) -> jax.Array:
    """The value of one PyTorch class, in the current default dtype."""
    if name == "MultiheadAttention":
        return _attention()
    if name == "AdaptiveLogSoftmaxWithLoss":
        return _adaptive_log_softmax()
    x = jnp.asarray(POINTS)
    f: Any = getattr(activations, LISTED[name])
    if name == "PReLU":
        return f(x, jnp.full(1, 0.25))
    if name == "Threshold":
        return f(x, THRESHOLD, REPLACEMENT)
    if name == "Softmax2d":
        return f(x.reshape(PIXELS)).ravel()
    if name in ("Softmin", "Softmax", "LogSoftmax"):
        return f(x, axis=0)
    return f(x)


def _attention() -> jax.Array:
    """Two heads, and a query, key and value of 3, 5 and 5 words of 4 features."""
    query, key, value = (jnp.asarray(cosines(n, 4)) for n in (3, 5, 5))
    shapes = (12, 4), (12,), (4, 4), (4,)
    weights: Any = (jnp.asarray(cosines(*shape)) for shape in shapes)
    attention = activations.multi_head_attention
    return attention(query, key, value, HEADS, *weights)[0]


def _adaptive_log_softmax() -> jax.Array:
    """Four classes, the last two in a cluster: log p of the labels, then the loss."""
    x, head = jnp.asarray(cosines(3, 4)), jnp.asarray(cosines(3, 4))
    cluster = jnp.asarray(cosines(1, 4)), jnp.asarray(cosines(2, 1))
    output, loss = losses.adaptive_log_softmax_with_loss(
        x, jnp.asarray(LABELS), head, [cluster]
    )
    return jnp.append(output, loss)
