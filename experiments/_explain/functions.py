"""The functions to explain, written without `explain` in mind.

Each line assigns a name, because the report names a step as the source does.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from experiments.two_layer_net import Data, Weights
from jaxgrad.activations import relu, sigmoid
from jaxgrad.losses import cross_entropy


def backprop(w1: Any, b1: Any, w2: Any, b2: Any, x: Any) -> Any:
    """The notebook's example: h1 = -4, y = -9, gradients 12, 4, -4, 1."""
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    return y  # noqa: RET504 - the report calls it y


def closing_exercise(w1: Any, b1: Any, w2: Any, b2: Any, x: Any, true: Any) -> Any:
    """The same lines with the loss: draw the graph, find d loss / d each parameter."""
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    error = y - true
    loss = error**2
    return loss  # noqa: RET504


def figure_network(
    w_u1: Float[Array, "4"],
    w_u2: Float[Array, "4"],
    w11: Any,
    w21: Any,
    x: Float[Array, "4"],
    true: Any,
) -> Any:
    """Notebook 000's figure: x1 to x4, units u1 and u2, o1 = w11 u1 + w21 u2.

    Half the squared error: its derivative with respect to the output is the output
    error.
    """
    u1 = sigmoid(w_u1 @ x)
    u2 = sigmoid(w_u2 @ x)
    o1 = w11 * u1 + w21 * u2
    output = sigmoid(o1)
    error = output - true
    loss = error**2 / 2
    return loss  # noqa: RET504


def two_layer_net(weights: Weights, data: Data) -> Float[Array, ""]:
    """The sum of squares of `relu(x @ w1) @ w2 - y`."""
    h = data.x @ weights.w1
    h_relu = relu(h)
    prediction = h_relu @ weights.w2
    error = prediction - data.y
    loss = jnp.sum(error**2)
    return loss  # noqa: RET504


def first_batch(
    params: dict[str, dict[str, Array]],
    images: Float[Array, "batch height width"],
    labels: Int[Array, "batch"],
) -> Float[Array, ""]:
    """The perceptron's loss layer by layer, as the Flax model computes it."""
    x = images.reshape(len(images), -1)
    h1 = relu(x @ params["fc1"]["kernel"] + params["fc1"]["bias"])
    h2 = relu(h1 @ params["fc2"]["kernel"] + params["fc2"]["bias"])
    logits = h2 @ params["fc3"]["kernel"] + params["fc3"]["bias"]
    loss = cross_entropy(logits, labels)
    return loss  # noqa: RET504
