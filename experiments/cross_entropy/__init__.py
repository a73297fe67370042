"""Cross-entropy: by definition, through softmax and log, and in one function.

    python -m experiments.cross_entropy

Three ways to the same loss, and why only one of them survives large logits: the
naive softmax overflows, the logarithm of a softmax underflows, cross-entropy on
the logits does neither. Then its gradient, which is softmax minus one-hot, and its
options, each beside the formula written out: class weights, ignored labels, label
smoothing, probabilities as targets, pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy
from matplotlib.figure import Figure

from experiments._command import parse, save_figures, section, table
from experiments.cross_entropy._overflow import (
    LOSSES,
    Growing,
    Limit,
    growing,
    limit,
    log_sum_exp_both_ways,
    naive_softmax,
)
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
# x of the logits [0, x]; float32 has surprises at 44, 88 and 89.
LOGITS = (1.0, 10.0, 43.0, 44.0, 87.0, 88.0, 89.0, 200.0, 1000.0)
DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Config:
    """Three ways to cross-entropy, its gradient and its options."""

    largest: float = 150.0
    """The largest logit of the picture; float32's exp overflows at 88.7."""
    output_dir: Path = Path("results/cross_entropy")
    """Where the picture goes."""


def entropy_by_definition(p: jax.Array, q: jax.Array) -> jax.Array:
    """-sum p log q of two distributions; 0 log 0 counts as 0, as its limit is."""
    return -jnp.sum(xlogy(p, q))


class Ways(NamedTuple):
    """One output and the class 2: its probabilities, and the loss by two ways."""

    probabilities: list[float]
    two_steps: float
    at_once: float


class Fault(NamedTuple):
    """What a label out of range does: outside jax.jit, and inside it."""

    error: str
    loss_under_jit: float
    gradient_under_jit: list[float]


class Result(NamedTuple):
    """What the experiment computed."""

    definition: dict[str, float]
    ways: dict[tuple[str, str], Ways]
    """By the name of the output and the dtype."""
    shifts: dict[str, list[float]]
    """Largest change of the softmax of `output` by each of SHIFTS, by dtype."""
    limits: dict[str, Limit]
    log_sum_exps: list[tuple[float, float, float]]
    """x, and log(sum(exp([0, x]))) as it stands and with the shift, in float32."""
    table: Growing
    """At LOGITS."""
    curve: Growing
    """From 0 to `largest`."""
    gradients: dict[str, dict[str, list[float]]]
    options: dict[str, tuple[float, float]]
    """The loss written out, and by `cross_entropy`."""
    fault: Fault


def run(config: Config) -> Result:
    """Compute everything. Only inside `jax.enable_x64` is there any float64."""
    if not 1 < config.largest <= 1e6:
        raise ValueError(
            f"expected --largest in (1, 1e6], got {config.largest} instead"
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
            fault=fault(),
        )


def definition() -> dict[str, float]:
    """Cross-entropy of [0, 0, 1] taken as probabilities, with class 2 as one-hot.

    NLL reads the entry of the target class only: log 0 = -inf elsewhere is no harm.
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
    """How far softmax(x - b) is from softmax(x), for each b of SHIFTS."""
    x = jnp.array(OUTPUTS["output"], dtype)
    return [
        jnp.max(jnp.abs(naive_softmax(x, b) - softmax(x, axis=0))).item()
        for b in SHIFTS
    ]


def gradient_both_ways(output: jax.Array) -> dict[str, list[float]]:
    """softmax(x) - one-hot, and what jax.grad finds."""
    onehot = jax.nn.one_hot(TARGET, 3, dtype=output.dtype)
    return {
        "softmax - one-hot": (softmax(output, axis=0) - onehot).tolist(),
        "jax.grad": jax.grad(cross_entropy)(output, TARGET).tolist(),
    }


def options() -> dict[str, tuple[float, float]]:
    """Every option of cross_entropy beside the formula written out."""
    x = jnp.array(list(OUTPUTS.values()), jnp.float64)
    labels = jnp.array([2, 0, 1])
    weight = jnp.array([1.0, 2.0, 0.5])
    # One loss per sample and class; a label picks one of each row.
    each = -log_softmax(x, axis=1)
    own = each[jnp.arange(3), labels]
    shares = jnp.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    pixels = jnp.stack([x, 2 * x], axis=2)  # (batch, classes, pixels): classes first
    pixel_labels = jnp.stack([labels, labels], axis=1)
    pixel_own = jnp.stack([own, -log_softmax(2 * x, axis=1)[jnp.arange(3), labels]])
    written_out_and_called = {
        "mean over the batch": (own.mean(), cross_entropy(x, labels)),
        "reduction='sum'": (own.sum(), cross_entropy(x, labels, reduction="sum")),
        "weight: sum w l / sum w": (
            (weight[labels] * own).sum() / weight[labels].sum(),
            cross_entropy(x, labels, weight),
        ),
        "ignore_index=-100": (
            own[:2].mean(),
            cross_entropy(x, jnp.array([2, 0, -100])),
        ),
        "label_smoothing=0.1": (
            (0.9 * own + 0.1 * each.mean(axis=1)).mean(),
            cross_entropy(x, labels, label_smoothing=0.1),
        ),
        "probabilities as target": (
            (shares * each).sum(axis=1).mean(),
            cross_entropy(x, shares),
        ),
        "two pixels per sample": (
            pixel_own.mean(),
            cross_entropy(pixels, pixel_labels),
        ),
    }
    return {
        name: (written.item(), called.item())
        for name, (written, called) in written_out_and_called.items()
    }


def fault() -> Fault:
    """Label 3 of three classes. PyTorch raises; a compiled function cannot."""
    logits, label = jnp.array(OUTPUTS["output"]), jnp.array(3)
    try:
        error = f"no error: {cross_entropy(logits, label)}"
    except ValueError as refusal:
        error = f"ValueError: {refusal}"
    loss, gradient = jax.jit(jax.value_and_grad(cross_entropy))(logits, label)
    return Fault(error, loss.item(), gradient.tolist())


def report(result: Result) -> None:
    """Print the tables."""
    section("[0, 0, 1] and class 2", _definition_text(result))
    section("Three outputs, class 2: two steps or one", _ways_table(result))
    section("softmax(x - b) = softmax(x)", _shifts_table(result))
    section("Logits [0, x], class 0, float32", _growing_text(result.table))
    section("log-sum-exp of [0, x], float32", _log_sum_exp_table(result))
    section("Logits [0, x]: the largest x that works", _limits_text(result))
    section("The gradient of cross_entropy", _gradients_table(result))
    section("The options, written out and called (float64)", _options_table(result))
    section("Label 3 of three classes", _fault_text(result.fault))


def _definition_text(result: Result) -> str:
    return (
        "The definition wants probabilities; cross_entropy, as PyTorch's, wants\n"
        "logits and takes the softmax itself.\n\n"
        + table(("loss", "value"), list(result.definition.items()))
    )


def _ways_table(result: Result) -> str:
    header = ("logits", "dtype", "softmax", "log, NLL", "cross_entropy")
    return table(
        header,
        [
            (
                str(OUTPUTS[name]),
                dtype,
                ", ".join(f"{p:.4g}" for p in found.probabilities),
                found.two_steps,
                found.at_once,
            )
            for (name, dtype), found in result.ways.items()
        ],
    )


def _shifts_table(result: Result) -> str:
    return table(
        ("b", *(f"largest change, {dtype}" for dtype in result.shifts)),
        list(zip(SHIFTS, *result.shifts.values(), strict=True)),
    )


def _growing_text(growing: Growing) -> str:
    rows = [
        (
            float(x),
            *(
                f"{loss[i]:.7g} ({growing.slopes[n][i]:.4g})"
                for n, loss in growing.losses.items()
            ),
        )
        for i, x in enumerate(growing.x)
    ]
    return (
        "The loss, and its derivative with respect to x in brackets. The naive one\n"
        "loses its derivative first: that of a quotient squares the denominator, and\n"
        "e^(2x) leaves float32 at half the x. The loss still looks right there.\n\n"
        + table(("x", *growing.losses), rows)
    )


def _log_sum_exp_table(result: Result) -> str:
    return table(("x", "log(sum(exp))", "shifted by max"), result.log_sum_exps)


def _limits_text(result: Result) -> str:
    header = ("dtype", "log(largest)", "naive softmax", *LOSSES)
    return (
        "The naive softmax turns NaN where exp overflows. A loss of class 0 that\n"
        "takes the logarithm of a probability ends where that underflows: XLA flushes\n"
        "numbers below the smallest normal one to 0 on the CPU; PyTorch keeps them,\n"
        "and lasts up to 103.9.\n\n"
        + table(
            header,
            [
                (
                    dtype,
                    found.exp_overflows,
                    found.naive_softmax,
                    *found.by_loss.values(),
                )
                for dtype, found in result.limits.items()
            ],
        )
    )


def _gradients_table(result: Result) -> str:
    return table(
        ("logits", "gradient by", "d/dx0", "d/dx1", "d/dx2"),
        [
            (str(OUTPUTS[name]), by, *gradient)
            for name, found in result.gradients.items()
            for by, gradient in found.items()
        ],
    )


def _options_table(result: Result) -> str:
    return table(
        ("option", "written out", "cross_entropy"),
        [(name, *losses) for name, losses in result.options.items()],
    )


def _fault_text(fault: Fault) -> str:
    return (
        f"called:       {fault.error}\n"
        "inside jit:   values cannot be read, so nothing can be raised; loss "
        f"{fault.loss_under_jit}, gradient {fault.gradient_under_jit}\n"
        "Labels may have any integer dtype: JAX's is int32, PyTorch wants int64."
    )


def figures(result: Result) -> dict[str, Figure]:
    """Loss and slope against the logit; a curve ends where it is not finite."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    curve = result.curve
    panels = {
        "loss of class 0": curve.losses,
        "d loss / dx = softmax of x": curve.slopes,
    }
    for axes, (ylabel, series) in zip(
        figure.subplots(1, 2), panels.items(), strict=True
    ):
        # The curves lie on each other: the one that lasts longest is the widest.
        for width, name in zip((8, 4, 1.5), reversed(LOSSES), strict=True):
            axes.plot(curve.x, _finite(series[name]), linewidth=width, label=name)
        axes.set(xlabel="x of the logits [0, x], float32", ylabel=ylabel)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.suptitle(
        "Cross-entropy at growing logits: each curve ends at its first NaN or inf"
    )
    return {"growing_logits": figure}


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of every row of the notebook that is about cross-entropy."""
    single = {name: result.ways[name, "float32"] for name in OUTPUTS}
    double = {name: result.ways[name, "float64"] for name in OUTPUTS}
    others = ("output2", "output3")
    naive = result.limits["float32"].naive_softmax
    return {
        "3.35": [
            result.definition["-sum p log q"],
            result.definition["nll_loss(log q, 2)"],
        ],
        "3.36": {
            "float32": single["output"].at_once,
            "float64": double["output"].at_once,
            "log(2 + e) - 1": result.definition["log(2 + e) - 1"],
        },
        "3.37": {
            "float32": [single[name].at_once for name in others],
            "float64": [double[name].at_once for name in others],
        },
        "3.38": {
            "probabilities": single["output"].probabilities,
            "float64": double["output"].probabilities,
            "loss": single["output"].two_steps,
            "difference": abs(single["output"].two_steps - single["output"].at_once),
        },
        "3.39": {
            "largest change by a shift": max(result.shifts["float32"]),
            "naive softmax ends at": naive,
        },
    }


def main(argv: Sequence[str] | None = None) -> Result:
    """Parse the options, run, report, and save the picture."""
    config = parse(Config, argv, "cross_entropy")
    result = run(config)
    report(result)
    save_figures(figures(result), config.output_dir)
    return result
