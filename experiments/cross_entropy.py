"""Cross-entropy: by definition, through softmax and log, and in one function.

    python -m experiments.cross_entropy

Three ways to the same loss, of which only one works for large logits: the naive softmax
overflows, the logarithm of a softmax underflows, cross-entropy of the logits does
neither. Then its gradient, which is softmax minus one-hot, and its options, each beside
the formula: class weights, ignored labels, label smoothing, probabilities as targets,
pixels.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy
from matplotlib.figure import Figure

from experiments._command import run_as_script, section, table
from experiments._cross_entropy.overflow import (
    LOSSES,
    Growing,
    Limit,
    growing,
    limit,
    log_sum_exp_both_ways,
    naive_softmax,
)
from experiments._frame import Options, experiment
from jaxgrad.activations import log_softmax, softmax
from jaxgrad.losses import cross_entropy, nll_loss

# The notebook's three outputs of a network, and the class they should have.
OUTPUTS = {
    "output": [0.0, 0.0, 1.0],
    "output2": [2.0, 35.2, -13.7],
    "output3": [2.0, -13.7, 35.2],
}
TARGET = 2
SHIFTS = (-50.0, -1.0, 0.5, 30.0)
# x of the logits [0, x]; in float32 something fails at 44, 88 and 89.
LOGITS = (1.0, 10.0, 43.0, 44.0, 87.0, 88.0, 89.0, 200.0, 1000.0)
DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Config(Options):
    """Three ways to cross-entropy, its gradient and its options."""

    largest: float = 150.0
    """Largest logit of the picture; exp overflows in float32 at 88.7."""
    output_dir: Path = Path("results/cross_entropy")
    """Folder for the picture."""


def entropy_by_definition(p: jax.Array, q: jax.Array) -> jax.Array:
    """-sum p log q of two distributions, with 0 log 0 = 0."""
    return -jnp.sum(xlogy(p, q))


class Ways(NamedTuple):
    """The probabilities of one output, and its loss for class 2 in two ways."""

    probabilities: list[float]
    two_steps: float
    at_once: float


class OutOfRange(NamedTuple):
    """What a label out of range does: outside jax.jit, and inside it."""

    error: str
    loss_under_jit: float
    gradient_under_jit: list[float]


class Result(NamedTuple):
    """Everything the experiment computes."""

    definition: dict[str, float]
    ways: dict[tuple[str, str], Ways]
    """By the name of the output and the dtype."""
    shifts: dict[str, list[float]]
    """Largest change of the softmax of `output` by each of SHIFTS, by dtype."""
    limits: dict[str, Limit]
    log_sum_exps: list[tuple[float, float, float]]
    """x, and log(sum(exp([0, x]))) as written and without overflow, in float32."""
    table: Growing
    """At LOGITS."""
    curve: Growing
    """From 0 to `largest`."""
    gradients: dict[str, dict[str, list[float]]]
    options: dict[str, tuple[float, float]]
    """The loss by the formula, and by `cross_entropy`."""
    out_of_range: OutOfRange


def run(config: Config) -> Result:
    """Compute everything, under x64: each dtype is named where it is used."""
    if not 1 < config.largest <= 1e6:
        raise ValueError(
            f"--largest: expected a number in (1, 1e6], got {config.largest} instead."
        )
    with jax.enable_x64(True):
        return Result(
            definition=definition(),
            ways={
                (name, dtype): ways(jnp.array(output, dtype))
                for name, output in OUTPUTS.items()
                for dtype in ("float32", "float64")
            },
            shifts={dtype: shift_errors(dtype) for dtype in ("float32", "float64")},
            limits={dtype: limit(dtype) for dtype in DTYPES},
            log_sum_exps=[log_sum_exp_both_ways(x) for x in LOGITS],
            table=growing(np.array(LOGITS)),
            curve=growing(np.linspace(0, config.largest, 601)),
            gradients={
                name: gradient_both_ways(jnp.array(output, "float64"))
                for name, output in OUTPUTS.items()
            },
            options=options(),
            out_of_range=out_of_range(),
        )


def definition() -> dict[str, float]:
    """Cross-entropy of [0, 0, 1] taken as probabilities, with class 2 as one-hot.

    NLL reads only the entry of the target class, so log 0 = -inf elsewhere is harmless.
    """
    q = jnp.array(OUTPUTS["output"], jnp.float32)
    onehot = jax.nn.one_hot(TARGET, 3, dtype=jnp.float32)
    return {
        "-sum p log q": entropy_by_definition(onehot, q).item(),
        "nll_loss(log q, 2)": nll_loss(jnp.log(q), TARGET).item(),
        "cross_entropy(q, 2)": cross_entropy(q, TARGET).item(),
        "log(2 + e) - 1": math.log(2 + math.e) - 1,
    }


def ways(output: jax.Array) -> Ways:
    """The notebook's batch of one: logits of shape (1, 3), target of shape (1,)."""
    logits, target = output[None], jnp.array([TARGET])
    probabilities = softmax(logits, axis=1)
    return Ways(
        probabilities[0].tolist(),
        nll_loss(jnp.log(probabilities), target).item(),
        cross_entropy(logits, target).item(),
    )


def shift_errors(dtype: str) -> list[float]:
    """The largest change from softmax(x) to softmax(x - b), for each b of SHIFTS."""
    x = jnp.array(OUTPUTS["output"], dtype)
    shifted = [naive_softmax(x, b) for b in SHIFTS]
    return [jnp.max(jnp.abs(s - softmax(x, axis=0))).item() for s in shifted]


def gradient_both_ways(output: jax.Array) -> dict[str, list[float]]:
    """The gradient by calculus and by jax.grad."""
    onehot = jax.nn.one_hot(TARGET, 3, dtype=output.dtype)
    return {
        "softmax - one-hot": (softmax(output, axis=0) - onehot).tolist(),
        "jax.grad": jax.grad(cross_entropy)(output, TARGET).tolist(),
    }


def options() -> dict[str, tuple[float, float]]:
    """Every option of cross_entropy beside its formula."""
    x = jnp.array(list(OUTPUTS.values()), jnp.float64)
    labels, ignored = jnp.array([2, 0, 1]), jnp.array([2, 0, -100])
    weight = jnp.array([1.0, 2.0, 0.5])
    # One loss per sample and class; a label selects one of each row.
    each = -log_softmax(x, axis=1)
    own = each[jnp.arange(3), labels]
    weighted = (weight[labels] * own).sum() / weight[labels].sum()
    smoothed = (0.9 * own + 0.1 * each.mean(axis=1)).mean()
    shares = jnp.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    by_shares = (shares * each).sum(axis=1).mean()
    pixels = jnp.stack([x, 2 * x], axis=2)  # (batch, classes, pixels): classes first
    pixel_labels = jnp.stack([labels, labels], axis=1)
    pixel_own = jnp.stack([own, -log_softmax(2 * x, axis=1)[jnp.arange(3), labels]])
    formula_and_function = {
        "mean over the batch": (own.mean(), cross_entropy(x, labels)),
        "reduction='sum'": (own.sum(), cross_entropy(x, labels, reduction="sum")),
        "weight: sum w l / sum w": (weighted, cross_entropy(x, labels, weight)),
        "ignore_index=-100": (own[:2].mean(), cross_entropy(x, ignored)),
        "label_smoothing=0.1": (
            smoothed,
            cross_entropy(x, labels, label_smoothing=0.1),
        ),
        "probabilities as target": (by_shares, cross_entropy(x, shares)),
        "two pixels per sample": (
            pixel_own.mean(),
            cross_entropy(pixels, pixel_labels),
        ),
    }
    return {
        name: (formula.item(), function.item())
        for name, (formula, function) in formula_and_function.items()
    }


def out_of_range() -> OutOfRange:
    """Label 3 of three classes. PyTorch raises; a compiled function cannot."""
    logits, label = jnp.array(OUTPUTS["output"]), jnp.array(3)
    try:
        error = f"no error: {cross_entropy(logits, label)}"
    except ValueError as raised:
        error = f"ValueError: {raised}"
    loss, gradient = jax.jit(jax.value_and_grad(cross_entropy))(logits, label)
    return OutOfRange(error, loss.item(), gradient.tolist())


def report(result: Result) -> None:
    """Print the tables."""
    section(
        "[0, 0, 1] and class 2",
        "The definition takes probabilities. cross_entropy, like PyTorch's, takes\n"
        "logits and applies the softmax itself.\n\n"
        + table(("loss", "value"), list(result.definition.items())),
    )
    section("Three outputs, class 2, in two steps or one", _ways_table(result))
    section(
        "softmax(x - b) = softmax(x)",
        table(
            ("b", *(f"largest change, {dtype}" for dtype in result.shifts)),
            list(zip(SHIFTS, *result.shifts.values(), strict=True)),
        ),
    )
    section("Logits [0, x], class 0, float32", _growing_text(result.table))
    header = ("x", "log(sum(exp))", "shifted by max")
    section("log-sum-exp of [0, x], float32", table(header, result.log_sum_exps))
    section("Logits [0, x]: the largest x that works", _limits_text(result))
    section("The gradient of cross_entropy", _gradients_table(result))
    section(
        "The options by formula and by function (float64)",
        table(
            ("option", "formula", "cross_entropy"),
            [(name, *losses) for name, losses in result.options.items()],
        ),
    )
    section("Label 3 of three classes", _out_of_range_text(result.out_of_range))


def _ways_table(result: Result) -> str:
    rows = [
        (
            str(OUTPUTS[name]),
            dtype,
            ", ".join(f"{p:.4g}" for p in found.probabilities),
            found.two_steps,
            found.at_once,
        )
        for (name, dtype), found in result.ways.items()
    ]
    return table(("logits", "dtype", "softmax", "log, NLL", "cross_entropy"), rows)


def _growing_text(growing: Growing) -> str:
    columns = [
        [
            f"{loss:.7g} ({slope:.4g})"
            for loss, slope in zip(
                growing.losses[way], growing.slopes[way], strict=True
            )
        ]
        for way in growing.losses
    ]
    return (
        "The loss, and in brackets its derivative with respect to x. In the naive way\n"
        "the derivative fails first: the derivative of a quotient squares the\n"
        "denominator, and e^(2x) overflows in float32 at half the x. The loss still\n"
        "looks right there.\n\n"
        + table(
            ("x", *growing.losses), list(zip(growing.x.tolist(), *columns, strict=True))
        )
    )


def _limits_text(result: Result) -> str:
    rows = [
        (dtype, found.exp_overflows, found.naive_softmax, *found.by_loss.values())
        for dtype, found in result.limits.items()
    ]
    return (
        "The naive softmax becomes NaN where exp overflows. A loss of class 0 that\n"
        "takes the logarithm of a probability fails where the probability underflows.\n"
        "On the CPU, XLA flushes numbers below the smallest normal one to 0; PyTorch\n"
        "keeps them, and fails above 103.9.\n\n"
        + table(("dtype", "log(largest)", "naive softmax", *LOSSES), rows)
    )


def _gradients_table(result: Result) -> str:
    rows = [
        (str(OUTPUTS[name]), by, *gradient)
        for name, found in result.gradients.items()
        for by, gradient in found.items()
    ]
    return table(("logits", "gradient by", "d/dx0", "d/dx1", "d/dx2"), rows)


def _out_of_range_text(found: OutOfRange) -> str:
    return (
        f"outside jit:  {found.error}\n"
        "inside jit:   values cannot be read, so nothing can be raised; loss "
        f"{found.loss_under_jit}, gradient {found.gradient_under_jit}\n"
        "Labels may have any integer dtype: JAX's is int32, PyTorch wants int64."
    )


def figures(result: Result) -> dict[str, Figure]:
    """Loss and slope against the logit; a curve ends where it is not finite."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    x, losses, slopes = result.curve
    panels = {"loss of class 0": losses, "d loss / dx = softmax of x": slopes}
    for axes, (ylabel, series) in zip(
        figure.subplots(1, 2), panels.items(), strict=True
    ):
        # The curves coincide: the one that goes furthest is the widest.
        for width, name in zip((8, 4, 1.5), reversed(LOSSES), strict=True):
            y = np.where(np.isfinite(series[name]), series[name], np.nan)
            axes.plot(x, y, linewidth=width, label=name)
        axes.set(xlabel="x of the logits [0, x], float32", ylabel=ylabel)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.suptitle(
        "Cross-entropy at growing logits: each curve ends at its first NaN or inf"
    )
    return {"growing_logits": figure}


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of each row."""
    single = {name: result.ways[name, "float32"] for name in OUTPUTS}
    double = {name: result.ways[name, "float64"] for name in OUTPUTS}
    output, others = single["output"], ("output2", "output3")
    return {
        "3.35": [
            result.definition["-sum p log q"],
            result.definition["nll_loss(log q, 2)"],
        ],
        "3.36": {
            "float32": output.at_once,
            "float64": double["output"].at_once,
            "log(2 + e) - 1": result.definition["log(2 + e) - 1"],
        },
        "3.37": {
            "float32": [single[name].at_once for name in others],
            "float64": [double[name].at_once for name in others],
        },
        "3.38": {
            "probabilities": output.probabilities,
            "float64": double["output"].probabilities,
            "loss": output.two_steps,
            "difference": abs(output.two_steps - output.at_once),
        },
        "3.39": {
            "largest change by a shift": max(result.shifts["float32"]),
            "naive softmax ends at": result.limits["float32"].naive_softmax,
        },
    }


main = experiment("cross_entropy", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
