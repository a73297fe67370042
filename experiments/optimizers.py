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
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments._command import run_as_script, section, table
from experiments._frame import Options, at_least, experiment
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
CHECKPOINTS = (1, 10, 100, 1000, 5000)
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
    output_dir: Path = Path("results/optimizers")
    """Folder for the pictures."""


class Result(NamedTuple):
    """Everything the experiment computes."""

    heights: np.ndarray
    """Shape (50, 50): x^2 + y^2 on the notebook's grid."""
    paths: dict[str, Descent]
    """The notebook's six, in float64."""
    in_float32: Descent
    """RMSprop again, in the notebook's own float32."""
    l2_in_the_loss: Descent
    """Adam on x^2 + y^2 plus the L2 term that AdamW is said to add."""
    sgd_defaults: dict[str, Any]
    """The options of `sgd` with their default values."""
    races: dict[str, Race]
    """One for each surface."""
    best_paths: dict[str, dict[str, np.ndarray]]
    """By surface and optimizer: the points from one start, at the best rate."""


def run(config: Config) -> Result:
    """Descend as the notebook does, then race."""
    at_least(config, lrs=1, starts=1, race_steps=1)
    with jax.enable_x64(True):
        paths = {name: _notebook_path(FACTORIES[name](LRS[name])) for name in FACTORIES}
        l2_in_the_loss = _notebook_path(adam(1.0), with_l2_term)
    races = {name: _race(surface, config) for name, surface in SURFACES.items()}
    return Result(
        heights=_heights(),
        paths=paths,
        in_float32=_notebook_path(rmsprop(1.0)),
        l2_in_the_loss=l2_in_the_loss,
        sgd_defaults={
            name: parameter.default
            for name, parameter in inspect.signature(sgd).parameters.items()
        },
        races=races,
        best_paths={name: _best_paths(of) for name, of in races.items()},
    )


def with_l2_term(point: Float[Array, "2"]) -> Float[Array, ""]:
    r"""$x^2 + y^2$ plus the L2 term $\frac\lambda2 (x^2 + y^2)$."""
    return SPHERE.function(point) + L2 / 2 * jnp.sum(point**2)


def report(result: Result) -> None:
    """Print the descents, the decay of AdamW, and the race."""
    section(
        "x, y after 1 to 5000 steps down x^2 + y^2 from (-75, -10)",
        table(
            ("optimizer", "lr", *map(str, CHECKPOINTS)),
            [
                (name, LRS[name], *(_point(path, n) for n in CHECKPOINTS))
                for name, path in result.paths.items()
            ],
        )
        + "\n\nRMSprop does not stay at the minimum: as its mean of squares decays, its"
        "\nsteps grow to the learning rate and jump across the minimum. In the"
        f"\nnotebook's float32 it ends at {_point(result.in_float32, STEPS)}, because x"
        "\nand y become exactly 0 before that.",
    )
    section(
        "AdamW decays the weights; it does not add an L2 term to the loss",
        table(
            ("step", "Adam", "Adam, L2 term in the loss", "AdamW"),
            [(n, *(_point(path, n) for path in _adams(result))) for n in (1, 10, 100)],
        )
        + "\n\nOn this surface an L2 term only scales the gradient. Adam divides by the"
        "\nsize of the gradient, so the term changes nothing. AdamW shrinks the weights"
        "\nin addition to Adam's step.",
    )
    for name, of_surface in result.races.items():
        section(f"Race: {name}", str(of_surface))


def figures(result: Result) -> dict[str, Figure]:
    """The notebook's surface and six paths, contours, and sensitivity to the rate."""
    pictures = {
        "surface": plots.surface(SPHERE),
        "paths": plots.paths(
            {name: path.points for name, path in result.paths.items()},
            start=START,
            xlim=(-80, 80),
            ylim=(-15, 15),
        ),
        "sensitivity": plots.sensitivity(list(result.races.values())),
    }
    for name, points in result.best_paths.items():
        pictures[f"contours_{name}"] = plots.contours(SURFACES[name], points)
    return pictures


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of each row."""
    defaults = result.sgd_defaults
    paths = {name: _checkpoints(path) for name, path in result.paths.items()}
    return {
        "3.41": [
            result.heights.max(),
            result.heights.min(),
            result.paths["SGD"].values[0],
        ],
        "3.42": [
            defaults[name]
            for name in ("momentum", "dampening", "weight_decay", "nesterov")
        ],
        "3.64": paths["SGD"],
        "3.65": paths["Adagrad"],
        "3.66": {
            "float64": paths["RMSprop"],
            "float32_end": result.in_float32.points[-1],
        },
        "3.67": paths["Adadelta"],
        "3.68": paths["Adam"],
        "3.69": paths["AdamW"],
        "3.C13": result.paths["AdamW"].points[0],
    }


def _notebook_path(
    optimizer: optax.GradientTransformation, f: Any = SPHERE.function
) -> Descent:
    path = descend(optimizer, f, jnp.asarray(START), STEPS)
    return jax.tree.map(np.asarray, path)


def _heights() -> np.ndarray:
    """x^2 + y^2 on a grid of 50 x 50 points, none of which is the minimum."""
    x, y = np.meshgrid(np.linspace(-10, 10), np.linspace(-10, 10))
    with jax.enable_x64(True):
        return np.asarray(SPHERE.function(jnp.stack([x, y], -1)))


def _race(surface: Surface, config: Config) -> Race:
    low, high = jnp.asarray(surface.bounds)
    key = jax.random.key(config.seed)
    starts = jax.random.uniform(key, (config.starts, 2), minval=low, maxval=high)
    lrs = jnp.logspace(-4, 1, config.lrs)
    return race(FACTORIES, surface, starts, lrs, config.race_steps)


def _best_paths(of: Race) -> dict[str, np.ndarray]:
    """Paths from a start off the axes of symmetry, at the best rate of the race."""
    low, high = jnp.asarray(of.surface.bounds)
    start = low + jnp.array([0.15, 0.3]) * (high - low)
    paths = {}
    for row in of.standings:
        optimizer = FACTORIES[row.optimizer](row.best_lr)
        path = descend(optimizer, of.surface.function, start, of.num_steps)
        paths[row.optimizer] = np.vstack([start, path.points])
    return paths


def _adams(result: Result) -> tuple[Descent, Descent, Descent]:
    return result.paths["Adam"], result.l2_in_the_loss, result.paths["AdamW"]


def _checkpoints(path: Descent) -> list[Float[Array, "2"]]:
    return [path.points[n - 1] for n in CHECKPOINTS]


def _point(path: Descent, step: int) -> str:
    x, y = path.points[step - 1]
    return f"{x:.6g}, {y:.6g}"


main = experiment("optimizers", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
