"""The mean squared error of nn.Linear(3, 2): gradient, one step, many starts.

The notebook's start is random, and its numbers are printed with four decimals. So its
loss is compared with the distribution over many starts, its gradient with the formula

    dL/dW = 2 / (N C) (pred - y)^T x,    dL/db = the sum of 2 / (N C) (pred - y),

and its step is undone from the printed parameters and repeated in both ways. From a
start without randomness the loss, the gradient and the step are PyTorch's to 1e-12.
"""

import math
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments._backprop.layers import Layer, largest_gap
from experiments._section import Section
from experiments._statistics import Fit, fit, uniform
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
BOUND = 3**-0.5  # of the initial parameters of nn.Linear(3, 2)


def random_problem(key: jax.Array) -> tuple[Layer, jax.Array, jax.Array]:
    """An initial `nn.Linear(3, 2)`, x = randn(5, 3) and y = randn(5, 2)."""
    keys = jax.random.split(key, 3)
    x = jax.random.normal(keys[1], (5, 3), jnp.float32)
    y = jax.random.normal(keys[2], (5, 2), jnp.float32)
    return Layer(*linear(keys[0], 3, 2, jnp.float32)), x, y


def fixed_problem() -> tuple[Layer, jax.Array, jax.Array]:
    """A start without randomness, which PyTorch can repeat."""
    shapes = (2, 3), (2,), (5, 3), (5, 2)
    arrays = (jnp.cos(i + jnp.arange(math.prod(s))) for i, s in enumerate(shapes))
    weight, bias, x, y = (a.reshape(s) for a, s in zip(arrays, shapes, strict=True))
    return Layer(BOUND * weight, BOUND * bias), 2 * x, 2 * y


def loss(layer: Layer, x: Any, y: Any, reduction: Any = "mean") -> jax.Array:
    """`nn.MSELoss()(linear(x), y)`."""
    return mse_loss(x @ layer.weight.T + layer.bias, y, reduction)


def gradient_by_formula(layer: Layer, x: Any, y: Any) -> Layer:
    error = x @ layer.weight.T + layer.bias - y
    scaled = 2 / error.size * error
    return Layer(scaled.T @ x, scaled.sum(axis=0))


@partial(jax.jit, static_argnames="starts")
def losses_and_gradients(key: jax.Array, starts: int) -> dict[str, Any]:
    """Measure all starts at once: `vmap` over the keys."""
    problems = jax.vmap(random_problem)(jax.random.split(key, starts))
    losses, gradients = jax.vmap(jax.value_and_grad(loss))(*problems)
    by_formula = jax.vmap(gradient_by_formula)(*problems)
    return {
        "losses": losses,  # (starts,)
        "gradients": gradients,  # (starts, 2, 3) and (starts, 2)
        "start": problems[0],
        "gap": largest_gap(gradients, by_formula),
    }


def fixed_step(lr: float) -> dict[str, Any]:
    """Loss, gradient and both steps of the fixed problem, in float64."""
    with jax.enable_x64(True):
        layer, x, y = fixed_problem()
        value, gradient = jax.value_and_grad(loss)(layer, x, y)
        both = step_by_hand(layer, gradient, lr), step_by_optimizer(layer, gradient, lr)
        names = ("loss", "gradient", "by hand", "by optimizer")
        return {
            n: _flat(found)
            for n, found in zip(names, (value, gradient, *both), strict=True)
        }


def _flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def start_of(parameters: Any) -> dict[str, Any]:
    """Range and distribution of initial weights or biases, in units of 1 / sqrt 3."""
    numbers = np.asarray(parameters, np.float64) / BOUND
    return {
        "smallest": numbers.min(),
        "largest": numbers.max(),
        **Fit._asdict(fit((numbers + 1) / 2, uniform)),
    }


def many_starts(key: jax.Array, starts: int) -> Section:
    """The distribution over the starts, and where the notebook's numbers are in it."""
    found = losses_and_gradients(key, starts)
    losses, start = found["losses"], found["start"]._asdict()
    ranges = {name: start_of(parameters) for name, parameters in start.items()}
    low, middle, high = np.quantile(losses, (0.05, 0.5, 0.95))
    quantile = np.mean(np.asarray(losses) < PRINTED_LOSS)
    quantiles = jax.tree.map(
        lambda found, printed: np.mean(np.asarray(found) < printed, axis=0),
        found["gradients"],
        PRINTED_GRADIENT,
    )
    entries = ", ".join(f"{q:.2f}" for leaf in quantiles for q in np.ravel(leaf))
    return Section(
        f"The same from {starts} starts",
        "One start says little: where do the notebook's numbers lie among many? "
        "The quantile is the share of the starts with a smaller number; PyTorch draws "
        "weights and biases between -1 and 1 over sqrt 3.",
        rows={
            "4.3": ranges,
            "4.4": {
                "printed": PRINTED_LOSS,
                "5 %": low,
                "95 %": high,
                "quantile of the printed loss": quantile,
            },
            "4.5": {
                "printed": PRINTED_GRADIENT,
                "jax.grad - formula": found["gap"],
                "quantiles of the printed gradient": quantiles,
            },
        },
        note=f"loss: median {middle:.4g}, 5 to 95 % {low:.4g} to {high:.4g}; "
        f"the printed {PRINTED_LOSS} is at quantile {quantile:.2f}\n"
        f"quantiles of the printed gradient's eight entries: {entries}\n"
        f"parameters times sqrt 3: {_in_words(ranges)}\n"
        f"largest difference of jax.grad from the formula: {found['gap']:.1e}",
        data=found,
    )


def _in_words(ranges: Mapping[str, Mapping[str, float]]) -> str:
    return "; ".join(
        f"{name} {found['smallest']:.6f} to {found['largest']:.6f}"
        for name, found in ranges.items()
    )


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


def steps(key: jax.Array, lr: float) -> tuple[Section, Section]:
    """A step from a random start, and the printed step, undone and repeated."""
    layer, x, y = jax.jit(random_problem)(key)
    gradient = jax.jit(jax.grad(loss))(layer, x, y)
    losses = {name: loss(layer, x, y, name).item() for name in ("mean", "sum")}
    ratio = losses["sum"] / losses["mean"]
    claim = (
        'The notebook says that the sum "divides by n". It does not: only the mean is '
        f"divided, by all {y.size} errors, and the sum is {ratio:.7g} times as large. "
        "The gradient has the same factor. Below: the weights w and biases b at the "
        "start, their gradient, and both after one step of gradient descent."
    )
    title = "MSELoss of Linear(3, 2) on 5 samples"
    random = _step(title, claim, layer, gradient, lr, losses)
    after = jax.tree.map(jnp.asarray, PRINTED_AFTER_STEP)
    start = step_by_hand(after, PRINTED_GRADIENT, -PRINTED_LR)
    title = "The step printed in the notebook"
    claim = (
        "The start is the notebook's result with its step undone. From there its "
        "gradient leads back to its numbers, by hand and by optax.sgd."
    )
    printed = _step(title, claim, start, PRINTED_GRADIENT, PRINTED_LR)
    by_hand, by_optimizer, gap = printed.data
    fixed = fixed_step(PRINTED_LR)
    rows = {
        "4.4": {"fixed": fixed["loss"]},
        "4.5": {"fixed": fixed["gradient"]},
        "4.6": {"by hand": by_hand, "start": start, "fixed": fixed["by hand"]},
        "4.7": {
            "by optimizer": by_optimizer,
            "by hand - by optimizer": [gap, random.data[-1]],
            "fixed": fixed["by optimizer"],
        },
    }
    random = random._replace(rows={"4.C2": ratio})
    return random, printed._replace(rows=rows)


def _step(
    title: str,
    claim: str,
    start: Layer,
    gradient: Layer,
    lr: float,
    losses: Mapping[str, float] = MappingProxyType({}),
) -> Section:
    """The parameters before and after a step; as data, both results and their gap."""
    by_hand = step_by_hand(start, gradient, lr)
    by_optimizer = step_by_optimizer(start, gradient, lr)
    gap = largest_gap(by_hand, by_optimizer)
    names = ("start", "gradient", "by hand", "by optimizer")
    layers = (start, gradient, by_hand, by_optimizer)
    weights = [f"w[{i},{j}]" for i in range(2) for j in range(3)]
    text = "".join(f"{name} loss {value:.7g}; " for name, value in losses.items())
    return Section(
        title,
        claim,
        header=("", *weights, "b[0]", "b[1]"),
        entries=[
            (name, *(float(number) for leaf in layer for number in np.ravel(leaf)))
            for name, layer in zip(names, layers, strict=True)
        ],
        note=f"{text}difference by hand from by optimizer: {gap}",
        data=(by_hand, by_optimizer, gap),
    )
