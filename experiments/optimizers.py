"""Six optimizers from one start, and their race over seven surfaces.

    python -m experiments.optimizers

First the notebook's comparison: SGD, Adagrad, RMSprop, Adadelta, Adam and AdamW from
(-75, -10) down x^2 + y^2, 5000 steps, in float64. PyTorch's loop of `zero_grad`,
`backward` and `step` is one `lax.scan` here, and the numbers are the same. One start on
one surface with one learning rate says little about an optimizer, so the six then race
from many starts, with many learning rates, over surfaces of other shapes.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments._command import run_as_script
from experiments._frame import Options, Sections, at_least, experiment, report
from experiments._frame import reproduced as reproduced
from experiments._section import Section
from jaxgrad import plots
from jaxgrad.descent import SURFACES, Race, Surface, descend, race
from jaxgrad.descent import Path as Descent
from jaxgrad.optimizers import adadelta, adagrad, adam, adamw, rmsprop, sgd

FACTORIES = {
    "SGD": sgd,
    "Adagrad": adagrad,
    "RMSprop": rmsprop,
    "Adadelta": adadelta,
    "Adam": adam,
    "AdamW": adamw,
}
LRS = dict.fromkeys(FACTORIES, 1.0) | {"SGD": 0.1}
START = (-75.0, -10.0)
STEPS = 5000
CHECKPOINTS = np.array([1, 10, 100, 1000, 5000])
SPHERE = SURFACES["sphere"]
L2 = 0.01  # the default weight decay of torch.optim.AdamW


@dataclass(frozen=True)
class Config(Options):
    """Six optimizers from one start, and their race over seven surfaces."""

    lrs: int = 32
    """Number of learning rates in the race, from 1e-4 to 10."""
    starts: int = 32
    """Number of random starts in the race, inside the bounds of each surface."""
    race_steps: int = 1000
    """Steps of each descent in the race."""
    seed: int = 0
    """Seed of the starts."""


def run(config: Config) -> Sections:
    """Descend as the notebook does, then race."""
    at_least(config, lrs=1, starts=1, race_steps=1)
    with jax.enable_x64(True):
        paths = {name: notebook_path(FACTORIES[name](LRS[name])) for name in FACTORIES}
        with_l2 = notebook_path(adam(1.0), with_l2_term)
    races = {
        f"race_{name}": race_section(name, surface, config)
        for name, surface in SURFACES.items()
    }
    return {"descents": descents(paths), "decay": decay(paths, with_l2), **races}


def notebook_path(
    optimizer: optax.GradientTransformation, f: Any = SPHERE.function
) -> Descent:
    """The notebook's 5000 steps from its start, in the current default dtype."""
    path = descend(optimizer, f, jnp.asarray(START), STEPS)
    return jax.tree.map(np.asarray, path)


def descents(paths: dict[str, Descent]) -> Section:
    """The notebook's six descents in float64, and RMSprop in its own float32."""
    in_float32 = notebook_path(rmsprop(1.0))
    points = {name: list(path.points[CHECKPOINTS - 1]) for name, path in paths.items()}
    # x^2 + y^2 on a grid of 50 x 50 points, none of which is the minimum.
    with jax.enable_x64(True):
        grid = np.meshgrid(np.linspace(-10, 10), np.linspace(-10, 10))
        heights = np.asarray(SPHERE.function(jnp.stack(grid, -1)))
    defaults = inspect.signature(sgd).parameters
    options = ("momentum", "dampening", "weight_decay", "nesterov")
    rmsprop_ends = {"float64": points["RMSprop"], "float32_end": in_float32.points[-1]}
    return Section(
        "x, y after 1 to 5000 steps down x^2 + y^2 from (-75, -10)",
        header=("optimizer", "lr", *map(str, CHECKPOINTS)),
        entries=[
            (name, LRS[name], *map(_text, reached)) for name, reached in points.items()
        ],
        rows={
            "3.41": [heights.max(), heights.min(), paths["SGD"].values[0]],
            "3.42": [defaults[name].default for name in options],
            "3.64": points["SGD"],
            "3.65": points["Adagrad"],
            "3.66": rmsprop_ends,
            "3.67": points["Adadelta"],
            "3.68": points["Adam"],
            "3.69": points["AdamW"],
        },
        note="RMSprop does not stay at the minimum: as its mean of squares decays, its"
        "\nsteps grow to the learning rate and jump across the minimum. In the"
        f"\nnotebook's float32 it ends at {_text(in_float32.points[-1])}, because x"
        "\nand y become exactly 0 before that.",
        data=paths,
    )


def with_l2_term(point: Float[Array, "2"]) -> Float[Array, ""]:
    r"""$x^2 + y^2$ plus the L2 term $\frac\lambda2 (x^2 + y^2)$."""
    return SPHERE.function(point) + L2 / 2 * jnp.sum(point**2)


def decay(paths: dict[str, Descent], with_l2: Descent) -> Section:
    """AdamW against Adam, with and without the L2 term that AdamW supposedly adds."""
    compared = (paths["Adam"], with_l2, paths["AdamW"])
    return Section(
        "AdamW decays the weights; it does not add an L2 term to the loss",
        header=("step", "Adam", "Adam, L2 term in the loss", "AdamW"),
        entries=[
            (n, *(_text(path.points[n - 1]) for path in compared)) for n in (1, 10, 100)
        ],
        rows={"3.C13": paths["AdamW"].points[0]},
        note="On this surface an L2 term only scales the gradient. Adam divides by the"
        "\nsize of the gradient, so the term changes nothing. AdamW shrinks the weights"
        "\nin addition to Adam's step.",
        data=with_l2,
    )


def _text(point: Any) -> str:
    x, y = point
    return f"{x:.6g}, {y:.6g}"


def race_section(name: str, surface: Surface, config: Config) -> Section:
    """The race over one surface; as data also the best paths."""
    low, high = jnp.asarray(surface.bounds)
    key = jax.random.key(config.seed)
    starts = jax.random.uniform(key, (config.starts, 2), minval=low, maxval=high)
    lrs = jnp.logspace(-4, 1, config.lrs)
    found = race(FACTORIES, surface, starts, lrs, config.race_steps)
    return Section(f"Race: {name}", note=str(found), data=(found, best_paths(found)))


def best_paths(of: Race) -> dict[str, np.ndarray]:
    """Paths from a start off the axes of symmetry, at the best rate of the race."""
    low, high = jnp.asarray(of.surface.bounds)
    start = low + jnp.array([0.15, 0.3]) * (high - low)
    paths = {}
    for row in of.standings:
        optimizer = FACTORIES[row.optimizer](row.best_lr)
        path = descend(optimizer, of.surface.function, start, of.num_steps)
        paths[row.optimizer] = np.vstack([start, path.points])
    return paths


def figures(result: Sections) -> dict[str, Figure]:
    """The notebook's surface and six paths, contours, and sensitivity to the rate."""
    races = {name: result[f"race_{name}"].data for name in SURFACES}
    pictures = {
        "surface": plots.surface(SPHERE),
        "paths": plots.paths(
            {name: path.points for name, path in result["descents"].data.items()},
            start=START,
            xlim=(-80, 80),
            ylim=(-15, 15),
        ),
        "sensitivity": plots.sensitivity([found for found, _ in races.values()]),
    }
    for name, (_, paths) in races.items():
        pictures[f"contours_{name}"] = plots.contours(SURFACES[name], paths)
    return pictures


main = experiment("optimizers", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
