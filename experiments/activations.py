"""Every activation with its derivatives, and the values chosen at its kinks.

    python -m experiments.activations

First the notebook's 19 functions on its ranges, each with its gradient; GLU in two
ways, since PyTorch's `glu(x)` differs from the notebook's product of two halves. Then a
card for each PyTorch activation, with the second derivative and marks at the kinks: a
dot for PyTorch's value, a ring for jax.nn's.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments._activations.listed import FUNCTIONS, values
from experiments._command import run_as_script
from experiments._frame import Sections, Yielded, complete, experiment
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._options import Activations as Config
from experiments._section import Section
from jaxgrad import activations, plots
from jaxgrad.plots import Curve

# What it draws in addition to GLU, on [-6, 6] unless SPANS says otherwise.
DRAWN = (
    "ReLU HardTanh ReLU6 eLU SeLU CeLU LeakyReLU PReLU RReLU GeLU LogSigmoid "
    "HardShrink TanhShrink Softsign Softplus Softmin SoftShrink LogSoftmax"
).split()
OPTIONS: dict[str, Any] = {
    "PReLU": {"weight": np.full(1, 0.25)},
    "Softmin": {"axis": 0},
    "LogSoftmax": {"axis": 0},
}
SPANS = {"CeLU": (-1.0, 1.0)}
# The titles of rows 3.46 to 3.63.
ROWS = (
    "ReLU HardTanh ReLU6 eLU SeLU CeLU LeakyReLU PReLU RReLU GLU GeLU LogSigmoid "
    "HardShrink TanhShrink Softsign Softmin SoftShrink LogSoftmax"
).split()


def sections(config: Config) -> Yielded:
    """Compute every curve and its derivatives."""
    del config
    yield from notebook_sections().items()
    yield "kinks", kinks()
    yield "smooth", smooth()


def notebook_sections() -> Sections:
    """The sections with rows."""
    with jax.enable_x64(True):
        return {"drawn": notebook_curves()}


def notebook_curves() -> Section:
    """The notebook's curves in float64; the data are the curves by title."""
    points = jnp.linspace(-6.0, 6.0, 200, dtype=jnp.float64)
    softmax = np.asarray(activations.softmax(points, axis=0))
    curves = {
        title: summed_curve(function(title), *SPANS.get(title, (-6.0, 6.0)))
        for title in DRAWN
    }
    curves["GLU"] = glu_of_two_halves()
    numbers = {title: _numbers(curve) for title, curve in curves.items()}
    rows = {title: _row(curve) for title, curve in curves.items()}
    glu = glu_of_one_axis()
    return Section(
        "The notebook's curves in float64: sums, first and last values",
        "Each function at 1000 points from -6 to 6 (CELU: -1 to 1): the sums over all "
        "points of its values f and of the gradient f' of that sum, and both at the "
        "first and at the last point. These numbers are compared with PyTorch's.",
        header=(
            *("function", "sum of f", "sum of f'", "f at the first"),
            *("f at the last", "f' at the first", "f' at the last"),
        ),
        entries=[
            (title, *(round(number, 12) + 0.0 for number in found))  # no noise, no -0
            for title, found in (numbers | {"GLU of one axis": _numbers(glu)}).items()
        ],
        rows={f"3.{i}": rows[title] for i, title in enumerate(ROWS, start=46)}
        | {
            "3.40": {"listed": jax.jit(values)(), "drawn": len(curves)},
            "3.57": {title: rows[title] for title in ("LogSigmoid", "Softplus")},
            "3.63": {
                "LogSoftmax": rows["LogSoftmax"],
                # The notebook computes this softmax but does not draw it.
                "softmax of 200 points": softmax,
            },
            "3.C9": _numbers(glu)[0],
        },
        note="Softmin's gradient is 0: the sum of a softmin is 1 for every x. Rounding "
        "leaves numbers below 1e-17, which the table and the figure show as 0.",
        data=curves | {"GLU of one axis": glu},
    )


def function(title: str) -> Callable[[jax.Array], jax.Array]:
    """The function of a title, with the options of the notebook."""
    named = getattr(activations, FUNCTIONS.get(title, title.lower()))
    return partial(named, **OPTIONS.get(title, {}))


def _numbers(curve: Curve) -> list[float]:
    """The sums of y and its gradient, and both at the ends."""
    y, slope = curve.value, curve.slope
    return [float(e) for e in (y.sum(), slope.sum(), y[0], y[-1], slope[0], slope[-1])]


def _row(curve: Curve) -> dict[str, Any]:
    return {"sums and ends": _numbers(curve), "y": curve.value, "dy": curve.slope}


def summed_curve(
    f: Callable[[jax.Array], jax.Array], first: float, last: float
) -> Curve:
    """1000 points, and the gradient of their *sum*, as from `y.sum().backward()`.

    If every value depends on all x (softmin, log-softmax) this is not the slope: the
    sum of a softmin is always 1, and its gradient is 0.
    """
    x = jnp.linspace(first, last, 1000, dtype=jnp.float64)

    @jax.jit
    def value_and_gradient(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return f(x), jax.grad(lambda x: jnp.sum(f(x)))(x)

    value, gradient = value_and_gradient(x)
    return Curve(np.asarray(x), np.asarray(value), np.asarray(gradient))


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
    slope = np.asarray(gradient[:500] + gradient[500:])
    return Curve(np.asarray(x[500:]), np.asarray(activations.glu(x)), slope)


def kinks() -> Section:
    """One line per kink; the data are the cards of all activations by name."""
    cards = {name: plots.activation_curve(name) for name in activations.CATALOGUE}
    rows = []
    for name, curve in cards.items():
        for kink in curve.kinks:
            other = "-" if kink.jax_nn is None else f"{kink.jax_nn:.6g}"
            same = kink.jax_nn is None or abs(kink.jax_nn - kink.torch) < 1e-6
            difference = "" if same else "yes"
            rows.append((name, kink.x, f"{kink.torch:.6g}", other, difference))
    return Section(
        "Derivatives at the kinks, where each library chooses a value",
        "At x the slopes from the left and from the right differ. jaxgrad takes "
        "PyTorch's value, which jax.nn does not always take; - means that jax.nn lacks "
        "the function.",
        header=("activation", "x", "PyTorch, jaxgrad", "jax.nn", "jax.nn differs"),
        entries=rows,
        data=cards,
    )


def smooth() -> Section:
    """The activations without a kink."""
    catalogue = activations.CATALOGUE.items()
    names = [name for name, entry in catalogue if not entry.kinks(**entry.options)]
    claim = "These have one derivative at every x, and both libraries agree."
    return Section("Activations without a kink", claim, note=", ".join(names))


def figures(result: Sections) -> dict[str, Figure]:
    """The notebook's figures, a card for each activation, and an overview."""
    pictures: dict[str, Figure] = {
        f"notebook_{title.lower().replace(' ', '_')}": plots.curve_card(title, curve)
        for title, curve in result["drawn"].data.items()
    }
    cards = result["kinks"].data
    pictures |= {
        f"card_{name}": plots.curve_card(name, curve) for name, curve in cards.items()
    }
    return pictures | {"overview": plots.overview(cards)}


run = complete(sections)
main = experiment("activations", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
