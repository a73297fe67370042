"""Every activation with its derivatives, and the values chosen at its kinks.

    python -m experiments.activations [--svg]

First the 19 functions of the notebook on its ranges, each beside its gradient; GLU in
two ways, since PyTorch's `glu(x)` differs from the notebook's product of two halves.
Then a card for each activation of PyTorch, with the second derivative and a mark at
each kink: PyTorch's value as a dot, that of jax.nn as a ring.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments._command import run_as_script, section, table
from experiments._frame import Options, experiment
from jaxgrad import activations, losses, plots
from jaxgrad.plots import Curve

# What the notebook lists: PyTorch's class, and the function that it calls.
CLASSES = (
    "ELU Hardshrink Hardtanh LeakyReLU LogSigmoid MultiheadAttention PReLU ReLU ReLU6 "
    "RReLU SELU CELU GELU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink "
    "Threshold Softmin Softmax Softmax2d LogSoftmax AdaptiveLogSoftmaxWithLoss"
)
# Where the function is not the class in lower case.
FUNCTIONS = {
    "LeakyReLU": "leaky_relu",
    "MultiheadAttention": "multi_head_attention",
    "LogSoftmax": "log_softmax",
    "AdaptiveLogSoftmaxWithLoss": "adaptive_log_softmax_with_loss",
}
LISTED = {name: FUNCTIONS.get(name, name.lower()) for name in CLASSES.split()}
# What it draws, on [-6, 6] unless SPANS says otherwise.
DRAWN: dict[str, Callable[[jax.Array], jax.Array]] = {
    "ReLU": activations.relu,
    "HardTanh": activations.hardtanh,
    "ReLU6": activations.relu6,
    "eLU": activations.elu,
    "SeLU": activations.selu,
    "CeLU": activations.celu,
    "LeakyReLU": activations.leaky_relu,
    "PReLU": lambda x: activations.prelu(x, jnp.full(1, 0.25, x.dtype)),
    "RReLU": activations.rrelu,
    "GeLU": activations.gelu,
    "LogSigmoid": activations.logsigmoid,
    "HardShrink": activations.hardshrink,
    "TanhShrink": activations.tanhshrink,
    "Softsign": activations.softsign,
    "Softplus": activations.softplus,
    "Softmin": lambda x: activations.softmin(x, axis=0),
    "SoftShrink": activations.softshrink,
    "LogSoftmax": lambda x: activations.log_softmax(x, axis=0),
}
SPANS = {"CeLU": (-1.0, 1.0)}


@dataclass(frozen=True)
class Config(Options):
    """Every activation with its derivatives, and the values chosen at its kinks."""

    output_dir: Path = Path("results/activations")
    """Folder for the pictures."""
    svg: bool = False
    """Save each picture as SVG too."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The file formats of the pictures."""
        return ("png", "svg") if self.svg else ("png",)


class Result(NamedTuple):
    """The notebook's curves and a card for each activation, in float64."""

    drawn: dict[str, Curve]
    """The notebook's 19 pictures, with GLU as the product of two halves."""
    glu: Curve
    """PyTorch's GLU, over the second half of its x."""
    softmax: np.ndarray
    """Softmax of 200 points, which the notebook computes but does not draw."""
    cards: dict[str, Curve]


def run(config: Config) -> Result:
    """Compute every curve and its derivatives."""
    del config
    with jax.enable_x64(True):
        drawn = {
            title: notebook_curve(function, *SPANS.get(title, (-6.0, 6.0)))
            for title, function in DRAWN.items()
        }
        drawn["GLU"] = glu_of_two_halves()
        points = jnp.linspace(-6.0, 6.0, 200, dtype=jnp.float64)
        softmax = np.asarray(activations.softmax(points, axis=0))
        glu = glu_of_one_axis()
    cards = {name: plots.activation_curve(name) for name in activations.CATALOGUE}
    return Result(drawn, glu, softmax, cards)


def notebook_curve(
    function: Callable[[jax.Array], jax.Array], first: float, last: float
) -> Curve:
    """1000 points, and the gradient of their *sum*, as from `y.sum().backward()`.

    If every value depends on all x (softmin, log-softmax) this is not the slope: the
    sum of a softmin is always 1, and its gradient is 0.
    """
    x = jnp.linspace(first, last, 1000, dtype=jnp.float64)
    gradient = jax.grad(lambda x: jnp.sum(function(x)))(x)
    return Curve(np.asarray(x), np.asarray(function(x)), np.asarray(gradient))


def glu_of_two_halves() -> Curve:
    """The notebook's GLU over x2: x1 in [-6, 0] times the sigmoid of x2 in [0, 6]."""

    def product(x1: jax.Array, x2: jax.Array) -> jax.Array:
        return x1 * activations.sigmoid(x2)

    x1 = jnp.linspace(-6.0, 0.0, 500, dtype=jnp.float64)
    x2 = jnp.linspace(0.0, 6.0, 500, dtype=jnp.float64)
    gradients = jax.grad(lambda *x: jnp.sum(product(*x)), argnums=(0, 1))(x1, x2)
    return Curve(np.asarray(x2), np.asarray(product(x1, x2)), np.add(*gradients))


def glu_of_one_axis() -> Curve:
    """PyTorch's GLU of the 1000 points: the first half, gated by the second.

    The halves of linspace(-6, 6, 1000) end and begin half a step away from 0, where the
    notebook's two axes of 500 points meet. The two gradients are added.
    """
    x = jnp.linspace(-6.0, 6.0, 1000, dtype=jnp.float64)
    gradient = jax.grad(lambda x: jnp.sum(activations.glu(x)))(x)
    return Curve(
        np.asarray(x[500:]),
        np.asarray(activations.glu(x)),
        np.asarray(gradient[:500] + gradient[500:]),
    )


def report(result: Result) -> None:
    """Print the numbers of the notebook's curves, and every kink."""
    section(
        "The notebook's curves in float64: sums, first and last values",
        table(
            ("function", "sum y", "sum dy", "y first", "last", "dy first", "last"),
            [(title, *numbers(curve)) for title, curve in result.drawn.items()]
            + [("GLU of one axis", *numbers(result.glu))],
        ),
    )
    section(
        "Derivatives at the kinks, where each library chooses a value",
        kinks_table(result.cards),
    )
    section(
        "Activations without a kink",
        ", ".join(
            name
            for name, entry in activations.CATALOGUE.items()
            if not entry.kinks(**entry.options)
        ),
    )


def numbers(curve: Curve) -> list[float]:
    """Sum of y, sum of the gradient, y and gradient at both ends."""
    y, slope = curve.value, curve.slope
    return [float(e) for e in (y.sum(), slope.sum(), y[0], y[-1], slope[0], slope[-1])]


def kinks_table(cards: dict[str, Curve]) -> str:
    """One line per kink: the values of PyTorch and jax.nn, and whether they differ."""
    rows = []
    for name, curve in cards.items():
        for kink in curve.kinks:
            other = "-" if kink.jax_nn is None else f"{kink.jax_nn:.6g}"
            same = kink.jax_nn is None or abs(kink.jax_nn - kink.torch) < 1e-6
            rows.append(
                (name, kink.x, f"{kink.torch:.6g}", other, "" if same else "differs")
            )
    return table(("activation", "x", "PyTorch, jaxgrad", "jax.nn", ""), rows)


def figures(result: Result) -> dict[str, Figure]:
    """The notebook's pictures, a card for each activation, and an overview."""
    named = result.drawn | {"GLU of one axis": result.glu}
    pictures = {
        f"notebook_{title.lower().replace(' ', '_')}": plots.curve_card(title, curve)
        for title, curve in named.items()
    }
    pictures |= {
        f"card_{name}": plots.curve_card(name, curve)
        for name, curve in result.cards.items()
    }
    pictures["overview"] = plots.overview(result.cards)
    return pictures


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of each row."""
    titles = (
        "ReLU HardTanh ReLU6 eLU SeLU CeLU LeakyReLU PReLU RReLU GLU GeLU LogSigmoid "
        "HardShrink TanhShrink Softsign Softmin SoftShrink LogSoftmax"
    )
    found: dict[str, Any] = {
        f"3.{i}": numbers(result.drawn[title])
        for i, title in enumerate(titles.split(), start=46)
    }
    found["3.57"] = {
        "LogSigmoid": numbers(result.drawn["LogSigmoid"]),
        "Softplus": numbers(result.drawn["Softplus"]),
    }
    softmax = result.softmax
    found["3.63"] = {
        "LogSoftmax": found["3.63"],
        "softmax of 200 points": [softmax[0], softmax[-1], softmax.sum()],
    }
    found["3.40"] = {"listed": listed(), "drawn": len(result.drawn)}
    found["3.C9"] = numbers(result.glu)[0]
    return found


def listed() -> list[str]:
    """The classes of the notebook's list whose function jaxgrad has."""
    return [
        title
        for title, name in LISTED.items()
        if hasattr(activations, name) or hasattr(losses, name)
    ]


main = experiment("activations", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
