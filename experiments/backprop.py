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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments._backprop.layers import largest_gap, networks
from experiments._backprop.linear_layer import many_starts, steps
from experiments._command import run_as_script
from experiments._frame import (
    Sections,
    Yielded,
    at_least,
    complete,
    experiment,
    require,
    require_finite,
)
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._options import Backprop as Config
from experiments._section import Section
from jaxgrad import plots

X, TRUE = 3.0, 10.0
RATES = (0.01, 0.05, 0.095, 0.1, 0.105, 0.11)


def sections(config: Config) -> Yielded:
    """Compute everything, in float64 where rounding would hide a difference."""
    at_least(config, epochs=2, starts=1)
    require(math.isfinite(config.lr), "--lr", "a finite number", config.lr)
    start, key = Params(jnp.float32(5), jnp.float32(1)), jax.random.key(config.seed)
    yield "chain", chain_twice()
    yield "descent", descent(start, config.lr, config.epochs)
    yield "rates", rates(start, config.epochs)
    random_step, printed_step = steps(key, config.lr)
    yield "random_step", random_step
    yield "starts", many_starts(key, config.starts)
    yield "printed_step", printed_step
    yield from networks(key).items()


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


def chain_twice() -> Section:
    """Both values and all four gradients from one call, then from a second one."""
    params, x = Chain(w1=2.0, b1=-10.0, w2=4.0, b2=7.0), 3.0
    backward = jax.value_and_grad(chain, has_aux=True)
    (y, h1), found = backward(params, x)
    gradients = {
        "jax.grad": found,
        "chain rule by hand": chain_backward(params, x, float(h1)),
        # What PyTorch's .grad holds after a second backward.
        "sum of two calls": jax.tree.map(jnp.add, found, backward(params, x)[1]),
    }
    return Section(
        "h1 = w1 x + b1, y = w2 h1 + b2",
        f"h1 = {h1:.7g} and y = {y:.7g}. A gradient is the value of a function: a "
        "second call returns the same. PyTorch adds that of a second backward to "
        ".grad, which then holds the sum.",
        [(name, *map(float, gradient)) for name, gradient in gradients.items()],
        {"1.7": [h1, y], "1.8": found, "1.9": [found, gradients["sum of two calls"]]},
        ("gradient by", *(f"dy/d{name}" for name in Chain._fields)),
    )


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

    def rows(self) -> list[tuple[float, ...]]:
        """w, b, prediction and loss before each step."""
        columns = (*self.params, self.pred, self.loss)
        return list(zip(*(column.tolist() for column in columns), strict=True))


def train(params: Params, lr: Any, epochs: int) -> History:
    """The notebook's `train` as a pure function: one `lax.scan`, compiled once.

    When compiled, p - lr * g may be rounded only once. Inside `jax.disable_jit()` every
    operation is rounded, as in PyTorch, and the numbers are PyTorch's.
    """

    def step(params, _):
        (loss, pred), slopes = gradient(params, X, TRUE)
        updated = jax.tree.map(lambda p, g: p - lr * g, params, slopes)
        return updated, (params, pred, loss)

    last, record = jax.lax.scan(step, params, length=epochs)
    return History(*record, last)


def train_with(
    optimizer: optax.GradientTransformation, params: Params, epochs: int
) -> History:
    """The same with an optimizer; the scan carries its state and the parameters."""

    def step(carry, _):
        params, state = carry
        (loss, pred), slopes = gradient(params, X, TRUE)
        updates, state = optimizer.update(slopes, state, params)
        updated: Any = optax.apply_updates(params, updates)
        return (updated, state), (params, pred, loss)

    carry: Any = (params, optimizer.init(params))
    (last, _), record = jax.lax.scan(step, carry, length=epochs)
    return History(*record, last)


def descent(start: Params, lr: float, epochs: int) -> Section:
    """Op by op, compiled, and with Optax; the three histories are the data."""
    with jax.disable_jit():
        found = train(start, lr, epochs)
        with_optax = train_with(optax.sgd(lr), start, epochs)
    require_finite(found.loss, lr)
    compiled = train(start, lr, epochs)
    first = gradient(start, X, TRUE)[1]
    scale = jnp.maximum(found.loss, 1e-6)  # smaller losses are rounding errors
    compiled_gap = float((abs(compiled.loss - found.loss) / scale).max())
    closed_form = 36 * 0.64 ** np.arange(epochs)
    states, losses = found.rows(), np.array(found.loss, np.float64)
    numbered = enumerate(zip(states, compiled.loss.tolist(), strict=True))
    return Section(
        "Gradient descent on w x + b, true value 10 at x = 3",
        f"The first gradient is dL/dw = {first.w:.7g}, dL/db = {first.b:.7g}. Each "
        "row shows weight, bias, prediction and loss before its step. The last column "
        "is the loss when the loop is compiled as a whole, which rounds differently.",
        [(epoch, *state, loss) for epoch, (state, loss) in numbered],
        {
            "1.10": {"w, b, pred, loss": states[0], "true": TRUE, "gradient": first},
            "1.11": states[1],
            "1.12": states[2][2:] if epochs > 2 else None,
            "1.13": with_optax.rows()[:2],
            "1.14": {
                "pred": found.pred,
                "loss": losses,
                "pred, compiled": compiled.pred,
                "loss, compiled": compiled.loss,
                "loss / (36 * 0.64^n) - 1": abs(losses / closed_form - 1),
                "change of the loss": np.diff(losses),
            },
            "1.15": list(found.last),
        },
        ("epoch", "w", "b", "pred", "loss", "loss, compiled"),
        note=f"after the loop: w = {found.last.w:.8g}, b = {found.last.b:.8g}\n"
        "largest difference of any number from optax.sgd: "
        f"{float(largest_gap(found, with_optax))}\n"
        "largest difference of the compiled loss, relative to max(loss, 1e-6): "
        f"{compiled_gap:.1e}",
        data=(found, compiled, with_optax),
    )


def rates(start: Params, epochs: int) -> Section:
    """The descent at every rate; the data are the losses by rate."""
    lrs = jnp.array(RATES, jnp.float32)
    losses = np.asarray(jax.vmap(lambda lr: train(start, lr, epochs).loss)(lrs))
    by_rate = dict(zip(RATES, losses, strict=True))
    return Section(
        "Learning rates: each step multiplies the error",
        f"A step multiplies the error of the prediction by 1 - 20 lr. Between -1 and 1 "
        f"the loss falls, at -1 it stays, beyond it grows. The last loss is that of "
        f"step {epochs - 1}.",
        header=("lr", "factor 1 - 20 lr", "first loss", "last loss"),
        entries=[
            (lr, 1 - 20 * lr, float(of_lr[0]), float(of_lr[-1]))
            for lr, of_lr in by_rate.items()
        ],
        rows={"1.16": {f"{lr:g}": of_lr[-1] for lr, of_lr in by_rate.items()}},
        data=by_rate,
    )


def figures(result: Sections) -> dict[str, Figure]:
    """The falling loss, and the losses by learning rate."""
    op_by_op, *_ = result["descent"].data
    by_rate = {  # a logarithmic axis cannot show a loss of 0
        f"lr {lr:g}: factor {1 - 20 * lr:.3g}": np.where(losses > 0, losses, np.nan)
        for lr, losses in result["rates"].data.items()
    }
    title = "each step multiplies the error by 1 - 20 lr (lr 0.05: to 0)"
    loss = {"loss": op_by_op.loss}
    return {
        "loss": plots.curves(loss, title="w x + b, true value 10 at x = 3"),
        "rates": plots.curves(by_rate, title=title, log=True),
    }


run = complete(sections)
main = experiment("backprop", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
