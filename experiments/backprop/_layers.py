"""Backpropagation by hand: a multilayer perceptron whose backward pass is written out.

The forward pass keeps every activation. The backward pass walks from the last layer to
the first and carries delta = dL/do, the gradient of a layer's weighted sums o. With the
layer's input u it holds

    dL/dW = delta^T u        dL/db = sum of delta        dL/du = delta W

and one layer down delta = dL/du * a'(o). Nothing here but the comparisons at the end
calls `jax.grad`. The loss is half the squared error: its gradient is the output error.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgrad.initializers import linear


class Layer(NamedTuple):
    """Weight, shape (out, in), and bias, shape (out,), as `nn.Linear` keeps them."""

    weight: Any
    bias: Any


def start(key: jax.Array, sizes: Sequence[int]) -> list[Layer]:
    """Torch's default start of `nn.Linear` for every layer."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        Layer(*linear(k, inputs, outputs))
        for k, inputs, outputs in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def forward(layers: Sequence[Layer], x: jax.Array) -> list[jax.Array]:
    """The input, shape (batch, in), and the activation of every layer after it."""
    activations = [x]
    for layer in layers:
        sums = activations[-1] @ layer.weight.T + layer.bias
        activations.append(jax.nn.sigmoid(sums))
    return activations


def half_squared_error(
    layers: Sequence[Layer], x: jax.Array, y: jax.Array
) -> jax.Array:
    """Half the sum of the squared output errors."""
    return jnp.sum((forward(layers, x)[-1] - y) ** 2) / 2


def backward(
    layers: Sequence[Layer], activations: Sequence[jax.Array], y: jax.Array
) -> list[Layer]:
    """The gradient of `half_squared_error` from what `forward` kept, layer by layer."""
    gradients = []
    upstream = activations[-1] - y  # dL/da of the last layer: the output error
    inputs_and_outputs = zip(layers, activations[:-1], activations[1:], strict=True)
    for layer, u, a in reversed(list(inputs_and_outputs)):
        delta = upstream * a * (1 - a)  # a'(o) of the sigmoid, by a = a(o)
        gradients.append(Layer(delta.T @ u, delta.sum(axis=0)))
        upstream = delta @ layer.weight
    return gradients[::-1]


class Network(NamedTuple):
    """The figure's network: inputs x1 to x4, hidden units u1 and u2, one output."""

    hidden_units: Any
    inputs_of_u1: Any
    """On how many inputs u1 depends."""
    o1: Any
    weighted_sum: Any
    """w11 u1 + w21 u2."""
    once: Any
    twice: Any
    """a(o1), and a(a(o1)), which the notebook writes."""
    formula_gap: Any
    """Between `jax.grad` and (output error) x d(output)/dw."""
    by_hand_gap: Any
    """Between `jax.grad` and `backward`."""


@jax.jit
def figure_network(key: jax.Array) -> Network:
    """Measure what the notebook says of its figure, which has no biases."""
    layers = [
        Layer(layer.weight, jnp.zeros_like(layer.bias))
        for layer in start(key, (4, 2, 1))
    ]
    x, true = jnp.array([[0.5, -1.0, 2.0, 1.5]]), jnp.array([[1.0]])
    activations = _, u, output = forward(layers, x)
    gradient = jax.grad(half_squared_error)(layers, x, true)
    o1 = (u @ layers[1].weight.T)[0, 0]
    slopes_of_u1 = jax.grad(lambda x: forward(layers, x)[1][0, 0])(x)
    slopes_of_output = jax.jacrev(lambda layers: forward(layers, x)[-1])(layers)
    predicted = jax.tree.map(
        lambda slope: jnp.tensordot(output - true, slope, axes=2), slopes_of_output
    )
    (w11, w21), (u1, u2) = layers[1].weight[0], u[0]
    return Network(
        hidden_units=u.size,
        inputs_of_u1=jnp.count_nonzero(slopes_of_u1),
        o1=o1,
        weighted_sum=w11 * u1 + w21 * u2,
        once=jax.nn.sigmoid(o1),
        twice=jax.nn.sigmoid(jax.nn.sigmoid(o1)),
        formula_gap=largest_gap(gradient, predicted),
        by_hand_gap=largest_gap(gradient, backward(layers, activations, true)),
    )


@partial(jax.jit, static_argnames=("sizes", "batch"))
def layer_gap(key: jax.Array, sizes: tuple[int, ...], batch: int = 16) -> jax.Array:
    """Between `backward` and `jax.grad`, for random layers and data."""
    keys = jax.random.split(key, 3)
    layers = start(keys[0], sizes)
    x = jax.random.normal(keys[1], (batch, sizes[0]))
    y = jax.random.uniform(keys[2], (batch, sizes[-1]))
    by_hand = backward(layers, forward(layers, x), y)
    return largest_gap(by_hand, jax.grad(half_squared_error)(layers, x, y))


def largest_gap(one: Any, other: Any) -> jax.Array:
    """The largest difference between two trees of arrays."""
    gaps = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), one, other)
    return jnp.max(jnp.stack(jax.tree.leaves(gaps)))


def network_text(found: Network) -> str:
    """What `figure_network` found, beside what the notebook writes."""
    return "\n".join(
        [
            f"o1 = {found.o1:.7g}, w11 u1 + w21 u2 = {found.weighted_sum:.7g}",
            f"largest difference of jax.grad from (output error) d(output)/dw: "
            f"{found.formula_gap:.1e}",
            f"largest difference of jax.grad from the backward pass by hand: "
            f"{found.by_hand_gap:.1e}",
            f"u1 depends on {found.inputs_of_u1} inputs, x1 to x4; the notebook writes "
            f"u3 and u4 for x3 and x4, but there are {found.hidden_units} hidden units",
            f"y = a(o1) = {found.once:.7g}; the notebook also writes a(a(o1)), "
            f"which is {found.twice:.7g}",
        ]
    )
