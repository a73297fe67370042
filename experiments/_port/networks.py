"""The three networks in JAX, and each with a mistake that ports often have.

A mistake is one line. Each is a function of its own, as an engineer would write it, so
that the report can name the line.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgrad.activations import relu
from jaxgrad.losses import cross_entropy

Arrays = dict[str, jax.Array]


def two_layer_net(weights: Arrays, x: jax.Array, y: jax.Array) -> jax.Array:
    """The sum of squares of `x.mm(w1).clamp(min=0).mm(w2) - y`."""
    h = x @ weights["w1"]
    h_clamped = jnp.where(h >= 0, h, 0)
    prediction = h_clamped @ weights["w2"]
    return jnp.sum((prediction - y) ** 2)


def two_layer_net_with_relu(weights: Arrays, x: jax.Array, y: jax.Array) -> jax.Array:
    """The same with a relu: equal in value, with another derivative at 0."""
    h = x @ weights["w1"]
    h_clamped = relu(h)
    prediction = h_clamped @ weights["w2"]
    return jnp.sum((prediction - y) ** 2)


def mlp_params(state: Arrays) -> Any:
    """PyTorch's weights as kernels: transposed."""
    names = ("fc1", "fc2", "fc3")
    return {n: (state[f"{n}.weight"].T, state[f"{n}.bias"]) for n in names}


def dense(params: tuple[jax.Array, jax.Array], x: jax.Array) -> jax.Array:
    kernel, bias = params
    return x @ kernel + bias


def mlp(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
    """The cross-entropy of a perceptron with two hidden layers."""
    x = images.reshape(len(images), -1)
    h1 = relu(dense(params["fc1"], x))
    h2 = relu(dense(params["fc2"], h1))
    return cross_entropy(dense(params["fc3"], h2), labels)


def mlp_of_probabilities(
    params: Any, images: jax.Array, labels: jax.Array
) -> jax.Array:
    """The same, but the loss takes the softmax of a softmax."""
    x = images.reshape(len(images), -1)
    h1 = relu(dense(params["fc1"], x))
    h2 = relu(dense(params["fc2"], h1))
    probabilities = jax.nn.softmax(dense(params["fc3"], h2))
    return cross_entropy(probabilities, labels)


def cnn_params(state: Arrays) -> Arrays:
    """Kernels as JAX wants them: height, width, input and output channels."""
    return {
        "kernel": state["conv.weight"].transpose(2, 3, 1, 0),
        "conv_bias": state["conv.bias"],
        "fc": state["fc.weight"].T,
        "fc_bias": state["fc.bias"],
    }


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def max_pool(x: jax.Array) -> jax.Array:
    window = (1, 2, 2, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def cnn(params: Arrays, images: jax.Array, labels: jax.Array) -> jax.Array:
    """The cross-entropy of a convolutional network, with channels last."""
    h = conv(images.transpose(0, 2, 3, 1), params["kernel"]) + params["conv_bias"]
    h = max_pool(relu(h))
    flat = h.transpose(0, 3, 1, 2).reshape(len(h), -1)
    logits = flat @ params["fc"] + params["fc_bias"]
    return cross_entropy(logits, labels)


def cnn_flattened_as_it_is(
    params: Arrays, images: jax.Array, labels: jax.Array
) -> jax.Array:
    """The same, but flattened with channels last, where PyTorch has them first."""
    h = conv(images.transpose(0, 2, 3, 1), params["kernel"]) + params["conv_bias"]
    h = max_pool(relu(h))
    flat = h.reshape(len(h), -1)
    logits = flat @ params["fc"] + params["fc_bias"]
    return cross_entropy(logits, labels)
