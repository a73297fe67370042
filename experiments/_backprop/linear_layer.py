"""The mean squared error of nn.Linear(3, 2): gradient, one step, many starts.

The notebook's start is random, and its numbers are printed with four decimals. So its
loss is compared with the distribution over many starts, its gradient with the formula

    dL/dW = 2 / (N C) (pred - y)^T x,    dL/db = the sum of 2 / (N C) (pred - y),

and its step is undone from the printed parameters and repeated in both ways.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments._backprop.layers import Layer, largest_gap
from experiments._command import table
from jaxgrad.initializers import linear
from jaxgrad.losses import mse_loss

PRINTED_LOSS = 1.2442
PRINTED_GRADIENT = Layer(
    np.array([[0.1615, -0.4457, -0.1647], [0.1898, -1.3372, -0.4121]], np.float32),
    np.array([-0.1185, -0.8956], np.float32),
)
PRINTED_AFTER_STEP = Layer(
    np.array([[0.5757, -0.0990, -0.0727], [0.4901, -0.5506, -0.4168]], np.float32),
    np.array([0.4210, -0.3707], np.float32),
)
PRINTED_LR = 0.01


def random_problem(key: jax.Array) -> tuple[Layer, jax.Array, jax.Array]:
    """An initial `nn.Linear(3, 2)`, x = randn(5, 3) and y = randn(5, 2)."""
    keys = jax.random.split(key, 3)
    x = jax.random.normal(keys[1], (5, 3), jnp.float32)
    y = jax.random.normal(keys[2], (5, 2), jnp.float32)
    return Layer(*linear(keys[0], 3, 2, jnp.float32)), x, y


def loss(layer: Layer, x: Any, y: Any, reduction: Any = "mean") -> jax.Array:
    """`nn.MSELoss()(linear(x), y)`."""
    return mse_loss(x @ layer.weight.T + layer.bias, y, reduction)


def gradient_by_formula(layer: Layer, x: Any, y: Any) -> Layer:
    """The gradient of the mean squared error, by calculus."""
    error = x @ layer.weight.T + layer.bias - y
    scaled = 2 / error.size * error
    return Layer(scaled.T @ x, scaled.sum(axis=0))


def step_by_hand(layer: Layer, gradient: Layer, lr: float) -> Layer:
    """`linear.weight.sub(lr * linear.weight.grad)`, and the bias.

    Op by op, as in PyTorch: when compiled, p - lr * g may be rounded only once.
    """
    return Layer(*(p - lr * g for p, g in zip(layer, gradient, strict=True)))


def step_by_optimizer(layer: Layer, gradient: Layer, lr: float) -> Layer:
    """`optim.SGD(linear.parameters(), lr).step()`."""
    optimizer = optax.sgd(lr)
    updates, _ = optimizer.update(gradient, optimizer.init(layer), layer)
    updated: Any = optax.apply_updates(layer, updates)
    return updated


class Starts(NamedTuple):
    """Loss and gradient of many random starts."""

    losses: jax.Array
    """Shape (starts,)."""
    gradients: Layer
    """Shapes (starts, 2, 3) and (starts, 2)."""
    largest_parameter: jax.Array
    gap: jax.Array
    """The largest gap between `jax.grad` and the formula."""


@partial(jax.jit, static_argnames="starts")
def many_starts(key: jax.Array, starts: int) -> Starts:
    """All starts at once: `vmap` over the key."""
    problems = jax.vmap(random_problem)(jax.random.split(key, starts))
    losses, gradients = jax.vmap(jax.value_and_grad(loss))(*problems)
    by_formula = jax.vmap(gradient_by_formula)(*problems)
    return Starts(
        losses=losses,
        gradients=gradients,
        largest_parameter=jnp.maximum(*(abs(p).max() for p in problems[0])),
        gap=largest_gap(gradients, by_formula),
    )


def quantiles_of_printed(starts: Starts) -> Layer:
    """The quantile of each printed entry among the gradients of all starts."""
    return jax.tree.map(
        lambda found, printed: np.mean(np.asarray(found) < printed, axis=0),
        starts.gradients,
        PRINTED_GRADIENT,
    )


class Step(NamedTuple):
    """A start, and one step from it by hand and by the optimizer."""

    start: Layer
    loss: dict[str, float]
    """By reduction; empty if the data are unknown."""
    gradient: Layer
    by_hand: Layer
    by_optimizer: Layer


def random_step(key: jax.Array, lr: float) -> Step:
    """One step from a random start, on the mean squared error."""
    layer, x, y = jax.jit(random_problem)(key)
    gradient = jax.jit(jax.grad(loss))(layer, x, y)
    return Step(
        layer,
        {name: loss(layer, x, y, name).item() for name in ("mean", "sum")},
        gradient,
        step_by_hand(layer, gradient, lr),
        step_by_optimizer(layer, gradient, lr),
    )


def printed_step() -> Step:
    """Undo the printed step, then repeat it in both ways."""
    after = jax.tree.map(jnp.asarray, PRINTED_AFTER_STEP)
    start = step_by_hand(after, PRINTED_GRADIENT, -PRINTED_LR)
    return Step(
        start,
        {},
        PRINTED_GRADIENT,
        step_by_hand(start, PRINTED_GRADIENT, PRINTED_LR),
        step_by_optimizer(start, PRINTED_GRADIENT, PRINTED_LR),
    )


def starts_text(starts: Starts) -> str:
    """The distribution, and the quantiles of the notebook's numbers in it."""
    low, middle, high = np.quantile(starts.losses, (0.05, 0.5, 0.95))
    quantile = np.mean(np.asarray(starts.losses) < PRINTED_LOSS)
    entries = np.concatenate([np.ravel(q) for q in quantiles_of_printed(starts)])
    quantiles = ", ".join(f"{q:.2f}" for q in entries)
    return (
        f"loss: median {middle:.4g}, 5 to 95 % {low:.4g} to {high:.4g}; the printed "
        f"{PRINTED_LOSS} is at quantile {quantile:.2f}\n"
        f"quantiles of the printed gradient: {quantiles}\n"
        f"largest parameter: {starts.largest_parameter:.6f} "
        f"(1 / sqrt 3 = {3**-0.5:.6f})\n"
        f"largest difference of jax.grad from the formula: {starts.gap:.1e}"
    )


def step_text(step: Step) -> str:
    """The parameters before and after the step."""
    columns = {
        "start": step.start,
        "gradient": step.gradient,
        "by hand": step.by_hand,
        "by optimizer": step.by_optimizer,
    }
    rows = [
        (name, *(float(number) for leaf in layer for number in np.ravel(leaf)))
        for name, layer in columns.items()
    ]
    weights = [f"w[{i},{j}]" for i in range(2) for j in range(3)]
    text = table(("", *weights, "b[0]", "b[1]"), rows)
    gap = largest_gap(step.by_hand, step.by_optimizer)
    losses = "".join(f"{name} loss {value:.7g}; " for name, value in step.loss.items())
    return f"{text}\n{losses}difference by hand from by optimizer: {gap}"
