"""Backpropagation by hand: a multilayer perceptron with its backward pass written out.

The forward pass keeps every activation. The backward pass goes from the last layer to
the first and carries delta = dL/do, the gradient of a layer's weighted sums o. With the
layer's input u,

    dL/dW = delta^T u        dL/db = sum of delta        dL/du = delta W

and for the layer below delta = dL/du * a'(o). Only the comparisons at the end call
`jax.grad`. The loss is half the squared error: its gradient is the output error.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments._section import Section
from jaxgrad.initializers import linear

SIZES = (8, 16, 16, 3)


class Layer(NamedTuple):
    """Weight, shape (out, in), and bias, shape (out,), as in `nn.Linear`."""

    weight: Any
    bias: Any


def start(key: jax.Array, sizes: Sequence[int]) -> list[Layer]:
    """PyTorch's initial `nn.Linear` for every layer."""
    keys = jax.random.split(key, len(sizes) - 1)
    shapes = zip(keys, sizes[:-1], sizes[1:], strict=True)
    return [Layer(*linear(k, inputs, outputs)) for k, inputs, outputs in shapes]


def forward(layers: Sequence[Layer], x: jax.Array) -> list[jax.Array]:
    """The input, shape (batch, in), and the activation of every layer."""
    activations = [x]
    for layer in layers:
        sums = activations[-1] @ layer.weight.T + layer.bias
        activations.append(jax.nn.sigmoid(sums))
    return activations


def half_squared_error(
    layers: Sequence[Layer], x: jax.Array, y: jax.Array
) -> jax.Array:
    return jnp.sum((forward(layers, x)[-1] - y) ** 2) / 2


def backward(
    layers: Sequence[Layer], activations: Sequence[jax.Array], y: jax.Array
) -> list[Layer]:
    """The gradient of `half_squared_error` from the activations that `forward` kept."""
    gradients = []
    upstream = activations[-1] - y  # dL/da of the last layer: the output error
    inputs_and_outputs = zip(layers, activations[:-1], activations[1:], strict=True)
    for layer, u, a in reversed(list(inputs_and_outputs)):
        delta = upstream * a * (1 - a)  # a'(o) of the sigmoid in terms of a(o)
        gradients.append(Layer(delta.T @ u, delta.sum(axis=0)))
        upstream = delta @ layer.weight
    return gradients[::-1]


@jax.jit
def figure_network(key: jax.Array) -> dict[str, Any]:
    """Measure what the notebook says about its figure, which has no biases.

    Inputs x1 to x4, hidden units u1 and u2, one output.
    """
    layers = [Layer(weight, 0 * bias) for weight, bias in start(key, (4, 2, 1))]
    x, true = jnp.array([[0.5, -1.0, 2.0, 1.5]]), jnp.array([[1.0]])
    activations = _, u, output = forward(layers, x)
    gradient = jax.grad(half_squared_error)(layers, x, true)
    o1 = (u @ layers[1].weight.T)[0, 0]
    slopes_of_u1 = jax.grad(lambda x: forward(layers, x)[1][0, 0])(x)
    slopes_of_output = jax.jacrev(lambda layers: forward(layers, x)[-1])(layers)
    by_formula = jax.tree.map(
        lambda slope: jnp.tensordot(output - true, slope, axes=2), slopes_of_output
    )
    (w11, w21), (u1, u2) = layers[1].weight[0], u[0]
    return {
        "hidden units": u.size,
        "inputs of u1": jnp.count_nonzero(slopes_of_u1),
        "o1": o1,
        "w11 u1 + w21 u2": w11 * u1 + w21 * u2,
        "a(o1)": jax.nn.sigmoid(o1),
        "a(a(o1))": jax.nn.sigmoid(jax.nn.sigmoid(o1)),
        "formula gap": largest_gap(gradient, by_formula),
        "by hand gap": largest_gap(gradient, backward(layers, activations, true)),
    }


@partial(jax.jit, static_argnames=("sizes", "batch"))
def layer_gap(key: jax.Array, sizes: tuple[int, ...], batch: int = 16) -> jax.Array:
    """The gap between `backward` and `jax.grad`, for random layers and data."""
    keys = jax.random.split(key, 3)
    layers = start(keys[0], sizes)
    x = jax.random.normal(keys[1], (batch, sizes[0]))
    y = jax.random.uniform(keys[2], (batch, sizes[-1]))
    by_hand = backward(layers, forward(layers, x), y)
    return largest_gap(by_hand, jax.grad(half_squared_error)(layers, x, y))


def largest_gap(one: Any, other: Any) -> jax.Array:
    """The largest difference between two pytrees."""
    gaps = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), one, other)
    return jnp.max(jnp.stack(jax.tree.leaves(gaps)))


def networks(key: jax.Array) -> dict[str, Section]:
    """The figure's network against the notebook's statements, and a deeper one."""
    with jax.enable_x64(True):
        found = jax.tree.map(lambda number: number.item(), figure_network(key))
        deep_gap = layer_gap(key, SIZES).item()
    keys = ("o1", "w11 u1 + w21 u2", "a(o1)", "a(a(o1))", "formula gap", "by hand gap")
    o1, weighted_sum, once, twice, formula, by_hand = (found[key] for key in keys)
    hidden, inputs = found["hidden units"], found["inputs of u1"]
    figure = Section(
        "The figure's network, 4-2-1, in float64",
        "Notebook 000 gives a weight's gradient as the output error times d output / d "
        "weight, and goes from the output back to the inputs. Both give jax.grad's "
        "numbers.",
        rows={
            "0.10": {
                "units": [4, hidden, 1],
                "o1 - (w11 u1 + w21 u2)": abs(o1 - weighted_sum),
                "gradient - error x d(output)/dw": formula,
                "gradient - by hand": [by_hand, deep_gap],
            },
            "0.C1": {"inputs": inputs, "units": hidden},
            "0.C2": twice - once,
        },
        note=f"o1 = {o1:.7g}, w11 u1 + w21 u2 = {weighted_sum:.7g}\n"
        "largest difference of jax.grad from (output error) d(output)/dw: "
        f"{formula:.1e}\n"
        "largest difference of jax.grad from the backward pass by hand: "
        f"{by_hand:.1e}\n"
        f"u1 depends on {inputs} inputs, x1 to x4; the notebook writes u3 and u4 "
        f"for x3 and x4, but there are {hidden} hidden units\n"
        f"y = a(o1) = {once:.7g}; the notebook also writes a(a(o1)), which is "
        f"{twice:.7g}",
        data=found,
    )
    deep = Section(
        f"A network of {'-'.join(map(str, SIZES))}, 16 samples, in float64",
        "The same backward pass written out works for any number of layers.",
        note="largest difference of jax.grad from the backward pass by hand: "
        f"{deep_gap:.1e}",
        data=deep_gap,
    )
    return {"network": figure, "deep_network": deep}
