"""Backpropagation and gradient descent, from one weight to a layered network.

    python -m experiments.backprop

The chain h1 = w1 x + b1, y = w2 h1 + b2 and its four gradients; gradient descent on
w x + b by hand, in one `lax.scan`, and with Optax; learning rates that are too large;
the mean squared error of a linear layer, where the step by hand and the optimizer's are
equal bit for bit; and a network whose backward pass is written out.

PyTorch adds the gradient of each backward to `.grad`, so a loop must call `zero_grad`.
In JAX a gradient is the value of a function, and a model is a tuple that a step takes
and returns.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments._backprop.layers import (
    Network,
    figure_network,
    largest_gap,
    layer_gap,
    network_text,
)
from experiments._backprop.linear_layer import (
    PRINTED_LOSS,
    Starts,
    Step,
    many_starts,
    printed_step,
    quantiles_of_printed,
    random_step,
    starts_text,
    step_text,
)
from experiments._command import run_as_script, section, table
from experiments._frame import Options, at_least, experiment
from jaxgrad import plots

X, TRUE = 3.0, 10.0
RATES = (0.01, 0.05, 0.095, 0.1, 0.105, 0.11)
SIZES = (8, 16, 16, 3)


@dataclass(frozen=True)
class Config(Options):
    """Backpropagation and gradient descent, from one weight to a layered network."""

    epochs: int = 20
    """Steps of gradient descent on w x + b."""
    lr: float = 0.01
    """Learning rate, except in the table of rates."""
    starts: int = 5000
    """Random starts of the linear layer, for the distribution of its loss."""
    seed: int = 0
    """Seed of everything random."""
    output_dir: Path = Path("results/backprop")
    """Folder for the pictures."""


class Chain(NamedTuple):
    """The parameters of h1 = w1 x + b1, y = w2 h1 + b2, or their gradients."""

    w1: Any
    b1: Any
    w2: Any
    b2: Any


def chain(params: Chain, x: Any) -> tuple[Any, Any]:
    """y, and h1 as the auxiliary output of `has_aux=True`."""
    h1 = params.w1 * x + params.b1
    y = params.w2 * h1 + params.b2
    return y, h1


def chain_backward(params: Chain, x: Any, h1: Any) -> Chain:
    """The chain rule by hand: dy/dw1 = dy/dh1 x, with dy/dh1 = w2."""
    return Chain(w1=params.w2 * x, b1=params.w2, w2=h1, b2=1.0)


class Params(NamedTuple):
    """The parameters of the notebook's `class Model`, as a value."""

    w: Any
    b: Any


def squared_error(params: Params, x: Any, true: Any) -> tuple[Any, Any]:
    """The loss of w x + b, and the prediction as the auxiliary output."""
    pred = params.w * x + params.b
    return (pred - true) ** 2, pred


gradient = jax.value_and_grad(squared_error, has_aux=True)


class History(NamedTuple):
    """Parameters, prediction and loss before each step, and the last parameters."""

    params: Params
    pred: jax.Array
    loss: jax.Array
    last: Params


def train_step(params: Params, lr: Any) -> tuple[Params, tuple[Params, Any, Any]]:
    """The notebook's `train` as a pure function of the parameters."""
    (loss, pred), slopes = gradient(params, X, TRUE)
    updated = jax.tree.map(lambda p, g: p - lr * g, params, slopes)
    return updated, (params, pred, loss)


def train(params: Params, lr: Any, epochs: int) -> History:
    """All epochs in one `lax.scan`, which is compiled once.

    When compiled, p - lr * g may be rounded only once. Inside `jax.disable_jit()` every
    operation is rounded, as in PyTorch, and the numbers are PyTorch's.
    """
    last, record = jax.lax.scan(lambda p, _: train_step(p, lr), params, length=epochs)
    return History(*record, last)


def train_with(
    optimizer: optax.GradientTransformation, params: Params, epochs: int
) -> History:
    """The same with an optimizer, whose state is carried with the parameters."""

    def step(carry, _):
        params, state = carry
        (loss, pred), slopes = gradient(params, X, TRUE)
        updates, state = optimizer.update(slopes, state, params)
        updated: Any = optax.apply_updates(params, updates)
        return (updated, state), (params, pred, loss)

    carry: Any = (params, optimizer.init(params))
    (last, _), record = jax.lax.scan(step, carry, length=epochs)
    return History(*record, last)


class ChainRun(NamedTuple):
    """The chain at x = 3, w1 = 2, b1 = -10, w2 = 4, b2 = 7."""

    h1: float
    y: float
    gradient: Chain
    by_hand: Chain
    accumulated: Chain
    """PyTorch's `.grad` after a second backward: the sum of both."""


class Result(NamedTuple):
    """Everything the experiment computes."""

    chain: ChainRun
    first_gradient: Params
    op_by_op: History
    compiled: History
    with_optax: History
    rates: dict[float, np.ndarray]
    """The losses of each descent, by learning rate."""
    starts: Starts
    random_step: Step
    printed_step: Step
    network: Network
    deep_gap: float
    """Gap between the backward pass by hand and `jax.grad`, for layers of `SIZES`."""


def run(config: Config) -> Result:
    """Compute everything, in float64 where rounding would hide a difference."""
    at_least(config, epochs=2, starts=1)
    if not math.isfinite(config.lr):
        raise ValueError(f"--lr: expected a finite number, got {config.lr} instead.")
    start, key = Params(jnp.float32(5), jnp.float32(1)), jax.random.key(config.seed)
    rates = jnp.array(RATES, jnp.float32)
    losses = jax.vmap(lambda lr: train(start, lr, config.epochs).loss)(rates)
    with jax.disable_jit():
        op_by_op = train(start, config.lr, config.epochs)
        with_optax = train_with(optax.sgd(config.lr), start, config.epochs)
    with jax.enable_x64(True):
        network = jax.tree.map(lambda number: number.item(), figure_network(key))
        deep_gap = layer_gap(key, SIZES).item()
    return Result(
        chain=run_chain(),
        first_gradient=gradient(start, X, TRUE)[1],
        op_by_op=op_by_op,
        compiled=train(start, config.lr, config.epochs),
        with_optax=with_optax,
        rates=dict(zip(RATES, np.asarray(losses), strict=True)),
        starts=many_starts(key, config.starts),
        random_step=random_step(key, config.lr),
        printed_step=printed_step(),
        network=network,
        deep_gap=deep_gap,
    )


def run_chain() -> ChainRun:
    """Both values and all four gradients from one call, then from a second one."""
    params, x = Chain(w1=2.0, b1=-10.0, w2=4.0, b2=7.0), 3.0
    backward = jax.value_and_grad(chain, has_aux=True)
    (y, h1), found = backward(params, x)
    accumulated = jax.tree.map(jnp.add, found, backward(params, x)[1])
    by_hand = chain_backward(params, x, float(h1))
    return ChainRun(float(h1), float(y), found, by_hand, accumulated)


def report(result: Result) -> None:
    """Print the tables."""
    section("h1 = w1 x + b1, y = w2 h1 + b2", _chain_text(result.chain))
    section("Gradient descent on w x + b, true value 10 at x = 3", _epochs_text(result))
    section("Learning rates: each step multiplies the error", _rates_table(result))
    section("MSELoss of Linear(3, 2) on 5 samples", step_text(result.random_step))
    section(
        f"The same from {len(result.starts.losses)} starts", starts_text(result.starts)
    )
    section("The step printed in the notebook", step_text(result.printed_step))
    section("The figure's network, 4-2-1, in float64", network_text(result.network))
    section(
        f"A network of {'-'.join(map(str, SIZES))}, 16 samples, in float64",
        "largest difference of jax.grad from the backward pass by hand: "
        f"{result.deep_gap:.1e}",
    )


def _chain_text(found: ChainRun) -> str:
    rows = [
        ("jax.grad", *map(float, found.gradient)),
        ("chain rule by hand", *map(float, found.by_hand)),
        ("sum of two calls", *map(float, found.accumulated)),
    ]
    header = ("", *(f"dy/d{name}" for name in Chain._fields))
    return f"h1 = {found.h1:.7g}, y = {found.y:.7g}\n{table(header, rows)}"


def _epochs_text(result: Result) -> str:
    found = result.op_by_op
    rows = zip(*_columns(found), result.compiled.loss.tolist(), strict=True)
    optax_gap = float(largest_gap(found, result.with_optax))
    scale = jnp.maximum(found.loss, 1e-6)  # smaller losses are rounding errors
    compiled_gap = float((abs(result.compiled.loss - found.loss) / scale).max())
    (dw, db), (w, b) = map(_floats, (result.first_gradient, found.last))
    header = ("epoch", "w", "b", "pred", "loss", "loss, compiled")
    return (
        f"first gradient: dL/dw = {dw:.7g}, dL/db = {db:.7g}\n"
        + table(header, [(epoch, *row) for epoch, row in enumerate(rows)])
        + f"\nafter the loop: w = {w:.8g}, b = {b:.8g}\n"
        f"largest difference of any number from optax.sgd: {optax_gap}\n"
        "largest difference of the compiled loss, relative to max(loss, 1e-6): "
        f"{compiled_gap:.1e}"
    )


def _columns(history: History) -> list[list[float]]:
    """w, b, prediction and loss before each step."""
    return [c.tolist() for c in (*history.params, history.pred, history.loss)]


def _floats(params: Params) -> list[float]:
    return [float(p) for p in params]


def _rates_table(result: Result) -> str:
    rows = [
        (lr, 1 - 20 * lr, float(losses[0]), float(losses[-1]))
        for lr, losses in result.rates.items()
    ]
    return table(("lr", "factor 1 - 20 lr", "first loss", "last loss"), rows)


def figures(result: Result) -> dict[str, Figure]:
    """The falling loss, and the losses by learning rate."""
    loss = {"loss": result.op_by_op.loss}
    rates = {  # a logarithmic axis cannot show a loss of 0
        f"lr {lr:g}: factor {1 - 20 * lr:.3g}": np.where(losses > 0, losses, np.nan)
        for lr, losses in result.rates.items()
    }
    title = "each step multiplies the error by 1 - 20 lr (lr 0.05: to 0)"
    return {
        "loss": plots.curves(loss, title="w x + b, true value 10 at x = 3"),
        "rates": plots.curves(rates, title=title, log=True),
    }


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of each row."""
    found, network = result.chain, result.network
    return {
        "0.10": {
            "units": [4, network.hidden_units, 1],
            "o1 - (w11 u1 + w21 u2)": abs(network.o1 - network.weighted_sum),
            "gradient - error x d(output)/dw": network.formula_gap,
            "gradient - by hand": [network.by_hand_gap, result.deep_gap],
        },
        "0.C1": {"inputs": network.inputs_of_u1, "units": network.hidden_units},
        "0.C2": network.twice - network.once,
        "1.7": [found.h1, found.y],
        "1.8": found.gradient,
        "1.9": [found.gradient, found.accumulated],
        **_descent_rows(result),
        **_linear_layer_rows(result),
    }


def _descent_rows(result: Result) -> dict[str, Any]:
    states = list(zip(*_columns(result.op_by_op), strict=True))
    *_, preds, losses = map(np.array, _columns(result.op_by_op))
    closed_form = 36 * 0.64 ** np.arange(len(losses))
    gradient = result.first_gradient
    return {
        "1.10": {"w, b, pred, loss": states[0], "true": TRUE, "gradient": gradient},
        "1.11": states[1],
        "1.12": states[2][2:],
        "1.13": list(zip(*_columns(result.with_optax), strict=True))[:2],
        "1.14": {
            "pred": preds,
            "loss": losses,
            "pred, compiled": result.compiled.pred,
            "loss, compiled": result.compiled.loss,
            "loss / (36 * 0.64^n) - 1": abs(losses / closed_form - 1),
            "change of the loss": np.diff(losses),
        },
        "1.15": _floats(result.op_by_op.last),
        "1.16": {f"{lr:g}": losses[-1] for lr, losses in result.rates.items()},
    }


def _linear_layer_rows(result: Result) -> dict[str, Any]:
    starts, printed, random = result.starts, result.printed_step, result.random_step
    return {
        "4.3": {
            "start": random.start,
            "largest of all starts": starts.largest_parameter,
        },
        "4.4": {
            "5 %": np.quantile(starts.losses, 0.05),
            "95 %": np.quantile(starts.losses, 0.95),
            "quantile of the printed loss": (starts.losses < PRINTED_LOSS).mean(),
        },
        "4.5": {
            "jax.grad - formula": starts.gap,
            "quantiles of the printed gradient": quantiles_of_printed(starts),
        },
        "4.6": {"by hand": printed.by_hand, "start": printed.start},
        "4.7": {
            "by optimizer": printed.by_optimizer,
            "by hand - by optimizer": [
                largest_gap(s.by_hand, s.by_optimizer) for s in (printed, random)
            ],
        },
    }


main = experiment("backprop", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
