"""A two-layer network on random numbers: 500 steps of gradient descent, 200 times.

    python -m experiments.two_layer_net

The notebook's loop is one `jax.lax.scan`. A single start says little, so it runs from
200 starts, and the five losses printed in the notebook are compared with all of them.
A start without randomness gives PyTorch's losses. Then one start in detail: the
backward pass by hand against `jax.grad`, the update by hand against `optax.sgd`, and
float32 against float64, where the last losses are lower.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from matplotlib.figure import Figure

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
from experiments._options import TwoLayerNet as Config
from experiments._reproduction import Part
from experiments._section import Section
from experiments._statistics import fit, normal
from jaxgrad import plots
from jaxgrad.activations import relu

SAMPLED = 8  # random starts whose numbers are compared with N(0, 1)
STARTS = 200  # fewer do not show the spread of the losses
N, D_IN, H, D_OUT = 64, 1000, 100, 10
STEPS = 500
PRINTED = {
    99: 1054.7764892578125,
    199: 13.261177062988281,
    299: 0.24380940198898315,
    399: 0.005378917790949345,
    499: 0.0003115542058367282,
}
TIMES = list(PRINTED)
# Equal in value; the derivative at exactly 0 differs.
RECTIFIERS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "jaxgrad.activations.relu": relu,
    "jnp.maximum(x, 0)": lambda x: jnp.maximum(x, 0),
    "jnp.clip(x, min=0)": lambda x: jnp.clip(x, min=0),
}


class Weights(NamedTuple):
    """The parameters; any pytree can be differentiated."""

    w1: Float[Array, "inputs hidden"]
    w2: Float[Array, "hidden outputs"]


class Data(NamedTuple):
    """The random inputs and targets that the network memorises."""

    x: Float[Array, "batch inputs"]
    y: Float[Array, "batch outputs"]


LossAndGradient = Callable[[Weights, Data], tuple[jax.Array, Weights]]
SHAPES = ((N, D_IN), (N, D_OUT), (D_IN, H), (H, D_OUT))  # x, y, w1, w2


def start(key: jax.Array) -> tuple[Weights, Data]:
    """Four standard normal matrices, as `torch.randn` draws them."""
    keyed = zip(jax.random.split(key, 4), SHAPES, strict=True)
    x, y, w1, w2 = (jax.random.normal(k, shape, jnp.float32) for k, shape in keyed)
    return Weights(w1, w2), Data(x, y)


def fixed_start() -> tuple[Weights, Data]:
    """The same from NumPy's frozen generator, in float64, for PyTorch to repeat."""
    draw = np.random.RandomState(0).standard_normal
    x, y, w1, w2 = (jnp.asarray(draw(shape)) for shape in SHAPES)
    return Weights(w1, w2), Data(x, y)


def loss(weights: Weights, data: Data) -> jax.Array:
    """The sum of squares of `x.mm(w1).clamp(min=0).mm(w2) - y`, of shape ()."""
    prediction = relu(data.x @ weights.w1) @ weights.w2
    return jnp.sum((prediction - data.y) ** 2)


loss_and_gradient: LossAndGradient = jax.value_and_grad(loss)


def loss_and_gradient_by_hand(
    weights: Weights, data: Data
) -> tuple[jax.Array, Weights]:
    """The same by the chain rule, without `jax.value_and_grad`."""
    h = data.x @ weights.w1
    h_relu = jnp.maximum(h, 0)
    error = h_relu @ weights.w2 - data.y
    d_prediction = 2 * error
    d_h = jnp.where(h > 0, d_prediction @ weights.w2.T, 0)
    gradient = Weights(w1=data.x.T @ d_h, w2=h_relu.T @ d_prediction)
    return jnp.sum(error**2), gradient


def train(
    weights: Weights,
    data: Data,
    lr: float = 1e-6,
    steps: int = STEPS,
    gradient: LossAndGradient = loss_and_gradient,
) -> tuple[Weights, Float[Array, "steps"]]:
    """Gradient descent with the update written out.

    Without `no_grad` and `zero_`: the gradient is a value, nothing is recorded, and a
    step returns new weights.

    Returns:
        The trained weights, and the loss before each step.
    """

    def step(weights: Weights, _: None) -> tuple[Weights, jax.Array]:
        value, slopes = gradient(weights, data)
        stepped = jax.tree.map(lambda w, g: w - lr * g, weights, slopes)
        return stepped, value

    return jax.lax.scan(step, weights, length=steps)


def train_with(
    optimizer: optax.GradientTransformation,
    weights: Weights,
    data: Data,
    steps: int = STEPS,
) -> tuple[Weights, Float[Array, "steps"]]:
    """The same loop with an optimizer; the scan carries its state and the weights."""

    def step(carry: tuple[Weights, Any], _: None) -> tuple[Any, jax.Array]:
        weights, state = carry
        value, slopes = loss_and_gradient(weights, data)
        updates, state = optimizer.update(slopes, state, weights)
        return (optax.apply_updates(weights, updates), state), value

    carry = weights, optimizer.init(weights)
    (weights, _), losses = jax.lax.scan(step, carry, length=steps)
    return weights, losses


@partial(jax.jit, static_argnames="side_by_side")
def losses_of_starts(
    keys: jax.Array, lr: float, side_by_side: int
) -> Float[Array, "starts steps"]:
    """All losses of all starts: `map` over groups of starts, `vmap` in a group."""
    return jax.lax.map(
        lambda key: train(*start(key), lr)[1], keys, batch_size=side_by_side
    )


def sections(config: Config) -> Yielded:
    """Train from every start, then the start with the median last loss in four ways."""
    at_least(config, starts=2, side_by_side=1)
    rate = config.lr
    require(0 < rate < math.inf, "--lr", "a positive number", rate)
    keys = jax.random.split(jax.random.key(config.seed), config.starts)
    # PyTorch multiplies float32 in full precision; JAX on a GPU or TPU only on request.
    with jax.default_matmul_precision("highest"):
        losses = np.asarray(losses_of_starts(keys, rate, config.side_by_side))
        require_finite(losses, rate)
        middle = np.argsort(losses[:, -1])[config.starts // 2]
        weights, data = jax.jit(start)(keys[middle])
        yield "spreads", spreads(losses)
        yield "fixed", fixed_run(rate)
        yield "one_run", one_run_in_four_ways(weights, data, rate)
        yield "loss_shape", loss_shape(weights, data)
        yield "at_zero", derivatives_at_zero(weights, data)


def spreads(losses: np.ndarray) -> Section:
    """The losses of all starts, shape (starts, steps), and where the notebook's lie.

    One row for each step at which the notebook printed its loss.
    """
    entries = []
    for t, printed in PRINTED.items():
        now, before = losses[:, t].astype(np.float64), losses[:, max(t - 100, 0)]
        log, quantiles = np.log(now), np.quantile(now, [0.05, 0.5, 0.95])
        z = (np.log(printed) - log.mean()) / log.std(ddof=1)
        shares = np.mean(now < printed), z, np.mean(losses[:, t] < before)
        entries.append((t, printed, *map(float, (*quantiles, *shares))))
    return Section(
        f"The loss before step t, from {len(losses)} starts",
        "Is the notebook's printed loss an ordinary one? Its quantile is the share of "
        "the starts with a lower loss, z its distance from their mean, in standard "
        "deviations of the log loss. Falling is the share of the starts whose loss "
        "has fallen since the row before. At t = 0 the median is "
        f"{float(np.median(losses[:, 0])):.3g}.",
        entries,
        {f"2.{i}": _row(entry, len(losses)) for i, entry in enumerate(entries, 1)},
        ("t", "notebook", "5 %", "median", "95 %", "quantile", "z", "falling"),
        data=losses,
    )


def _row(entry: Sequence[float], starts: int) -> dict[str, Any]:
    """What the seed results check; the spread only if there are enough starts."""
    _, printed, _, median, _, quantile, z, falling = entry
    if starts < STARTS:
        return Part(printed=printed)
    spread = {"median": median, "z": z, "quantile": quantile, "falling_share": falling}
    return {"printed": printed} | spread


def fixed_run(lr: float) -> Section:
    """The exact losses from a start without randomness, and a random one's numbers."""
    with jax.enable_x64(True):
        fixed = fixed_start()
        losses = np.asarray(jax.jit(train)(*fixed, lr)[1])[TIMES]
    drawn = jax.vmap(start)(jax.random.split(jax.random.key(0), SAMPLED))
    matrices = zip(("w1", "w2", "x", "y"), jax.tree.leaves(drawn), strict=True)
    fits = {name: fit(numbers, normal) for name, numbers in matrices}
    rows = {f"2.{i}": {"fixed": loss} for i, loss in enumerate(losses, start=1)}
    rows["2.1"] |= {"start": fits}
    return Section(
        "A start that PyTorch can repeat, in float64",
        "The numbers come from NumPy's RandomState(0), whose stream never changes; "
        "seed_results.toml holds PyTorch's losses from there. Below: the numbers of 8 "
        "random starts, which must be standard normal (Kolmogorov: sqrt(n) times the "
        "largest distance from that distribution; above 2.7 once in a million).",
        [(name, *found) for name, found in fits.items()],
        rows,
        ("matrix", "mean", "variance", "Kolmogorov"),
        "; ".join(
            f"t = {t}: {loss:.10g}" for t, loss in zip(TIMES, losses, strict=True)
        ),
        data=losses,
    )


def one_run_in_four_ways(weights: Weights, data: Data, lr: float) -> Section:
    """The losses from one start in three equivalent ways, and in float64."""
    by_hand = partial(train, gradient=loss_and_gradient_by_hand)
    by_optax = partial(train_with, optax.sgd(lr))
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda a: a.astype(jnp.float64), (weights, data))
        in_float64 = np.asarray(jax.jit(train)(*exact, lr)[1])
    ways = {
        "jax.grad": np.asarray(jax.jit(train)(weights, data, lr)[1]),
        "by hand": np.asarray(jax.jit(by_hand)(weights, data, lr)[1]),
        "optax.sgd": np.asarray(jax.jit(by_optax)(weights, data)[1]),
        "jax.grad, float64": in_float64,
    }
    slopes = jax.jit(loss_and_gradient)(weights, data)[1]
    slopes_by_hand = jax.jit(loss_and_gradient_by_hand)(weights, data)[1]
    difference = max(
        (jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(a))).item()
        for a, b in zip(slopes, slopes_by_hand, strict=True)
    )
    return Section(
        "The median start in four ways",
        "The loss of one start before step t: with jax.grad, with the chain rule by "
        "hand, with an optimizer for the update, and in float64.",
        header=("gradient or update by", *(f"t = {t}" for t in TIMES)),
        entries=[(way, *map(float, losses[TIMES])) for way, losses in ways.items()],
        note="At the start the gradient by hand differs from jax.grad by at most "
        f"{difference:.1e} of its largest entry. In float32 the last updates are "
        "smaller than the last digit of the weights and are lost; in float64 the last "
        "losses are lower.",
        data=(ways, difference),
    )


def loss_shape(weights: Weights, data: Data) -> Section:
    """The loss is a scalar of shape ()."""
    shape = jax.eval_shape(loss, weights, data).shape
    return Section(
        "The shape of the loss",
        f"{shape}: a scalar, in PyTorch as in JAX. The notebook's comment says (1,), "
        "which jax.grad rejects.",
        rows={"2.C1": str(shape)},
    )


def derivatives_at_zero(weights: Weights, data: Data) -> Section:
    """The derivative at exactly 0, by implementation of relu."""
    nearest_to_zero = jnp.min(jnp.abs(data.x @ weights.w1)).item()
    at_zero = [(name, jax.grad(f)(0.0).item()) for name, f in RECTIFIERS.items()]
    return Section(
        "The derivative of the rectifier at exactly 0",
        "max(x, 0) has no derivative at 0, so each function chooses one.",
        header=("function", "derivative at 0"),
        entries=[("torch.clamp(min=0)", 1.0), ("torch.relu", 0.0), *at_zero],
        note="The first two rows are PyTorch 2.13. The notebook uses clamp, this "
        "script relu. That makes no difference here: the smallest |x w1| at the start "
        f"is {nearest_to_zero:.2g}, not 0.",
        data=nearest_to_zero,
    )


def figures(result: Sections) -> dict[str, Figure]:
    """The loss of all starts and the notebook's five points."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes, losses = figure.add_subplot(), result["spreads"].data
    starts, steps = losses.shape
    t = range(steps)
    low, median, high = np.quantile(losses, [0.05, 0.5, 0.95], axis=0)
    blue, vermilion = plots.OKABE_ITO[:2]
    spread = f"5 to 95 % of {starts} starts"
    axes.fill_between(t, low, high, color=blue, alpha=0.25, linewidth=0, label=spread)
    axes.plot(t, median, color=blue, label="median")
    ways, _ = result["one_run"].data
    double = ways["jax.grad, float64"]
    axes.plot(t, double, "--", color=vermilion, label="median start in float64")
    axes.plot(TIMES, list(PRINTED.values()), "kx", label="printed in the notebook")
    axes.set(
        xlabel="step",
        ylabel="sum of squared errors",
        yscale="log",
        title="Two-layer network, 64-1000-100-10, learning rate 1e-6",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return {"loss": figure}


run = complete(sections)
main = experiment("two_layer_net", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
