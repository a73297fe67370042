"""The two graphs that the notebooks show or ask for, drawn by explain.

Notebook 000 draws a network and gives the formula for the gradient of a weight.
Notebook 001 ends with an exercise: draw the graph on a blank sheet, and find the
derivative of the loss with respect to each parameter. Both are also worked out by hand
here, from the loss backwards.
"""

import jax.numpy as jnp
import numpy as np

import jaxgrad
from experiments._explain.functions import closing_exercise, figure_network
from experiments._section import Section

EXERCISE = {"w1": 2.0, "b1": -10.0, "w2": 4.0, "b2": 7.0, "x": 3.0, "true": 10.0}
INPUTS, TRUE = [0.5, -1.0, 2.0, 1.5], 1.0
INTO_UNITS = {"u1": [0.2, -0.4, 0.1, 0.3], "u2": [-0.5, 0.1, 0.4, -0.2]}
OUT_OF_UNITS = {"u1": 0.7, "u2": -0.9}


def exercise() -> Section:
    """The exercise: its gradients by the chain rule on paper and by explain."""
    explain = jaxgrad.explain(closing_exercise, argnums=(0, 1, 2, 3))
    explained = explain(*EXERCISE.values())
    w1, b1, w2, b2 = (gradient.item() for gradient in explained.gradients)
    h1, y = explained["h1"], explained["y"]
    d_y = 2 * (y.value.item() - EXERCISE["true"])
    d_h1 = d_y * EXERCISE["w2"]
    return Section(
        "The closing exercise of notebook 001: d loss / d each parameter",
        "On paper, from the loss backwards. A parameter with a positive derivative "
        "must become smaller. The graph is saved as closing_exercise.svg.",
        [
            ("d loss / d y", "2 (y - true)", d_y, y.gradient.item()),
            ("d loss / d w2", "d loss / d y * h1", d_y * h1.value.item(), w2),
            ("d loss / d b2", "d loss / d y", d_y, b2),
            ("d loss / d h1", "d loss / d y * w2", d_h1, h1.gradient.item()),
            ("d loss / d w1", "d loss / d h1 * x", d_h1 * EXERCISE["x"], w1),
            ("d loss / d b1", "d loss / d h1", d_h1, b1),
        ],
        header=("derivative", "chain rule", "on paper", "explain"),
        note=str(explained),
        data=explained,
    )


def network_of_the_figure() -> Section:
    """The figure's network, with the notebook's formula for every weight."""
    arguments = [*map(jnp.array, INTO_UNITS.values()), *OUT_OF_UNITS.values()]
    explain = jaxgrad.explain(figure_network, argnums=(0, 1, 2, 3))
    explained = explain(*arguments, jnp.array(INPUTS), TRUE)
    output, *units = (explained[name].value.item() for name in ("output", "u1", "u2"))
    slopes = _slopes_of_output(output, np.array(units))
    error = output - TRUE
    of_inputs, of_units = np.split(
        np.hstack(list(map(np.ravel, explained.gradients))), [8]
    )
    found = [*of_units.tolist(), *of_inputs.tolist()]
    return Section(
        "The network of notebook 000's figure: the gradient of every weight",
        "As the notebook writes it, (output error) d output / d weight, and by "
        "explain. The graph is saved as figure_network.svg, with the gradient in every "
        "node.",
        [
            (name, float(error * slope), by_explain)
            for (name, slope), by_explain in zip(slopes.items(), found, strict=True)
        ],
        header=("weight", "error * d output / d weight", "explain"),
        note=str(explained),
        data=explained,
    )


def _slopes_of_output(output: float, units: np.ndarray) -> dict[str, float]:
    """The slopes of the output on paper; a sigmoid has a'(o) = a(o) (1 - a(o))."""
    d_o1 = output * (1 - output)
    d_sums = d_o1 * np.array(list(OUT_OF_UNITS.values())) * units * (1 - units)
    slopes: dict[str, float] = dict(zip(("w11", "w21"), d_o1 * units, strict=True))
    for unit, d_sum in zip(INTO_UNITS, d_sums, strict=True):
        slopes |= {f"w_{unit}[{i}]": d_sum * x for i, x in enumerate(INPUTS)}
    return slopes
