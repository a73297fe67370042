"""Six optimizers from one start, and their race over seven surfaces.

    python -m experiments.optimizers

First the notebook's comparison: SGD, Adagrad, RMSprop, Adadelta, Adam and AdamW from
(-75, -10) down x^2 + y^2, 5000 steps, in its float32 and in float64. PyTorch's loop of
`zero_grad`, `backward` and `step` is one `lax.scan` here, and the numbers are the same.
One start on one surface with one learning rate says little about an optimizer, so the
six then race from many starts, with many learning rates, over surfaces of other shapes,
and what each is good and bad at is measured.
"""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments._command import run_as_script
from experiments._frame import (
    Picture,
    Sections,
    Yielded,
    at_least,
    complete,
    experiment,
)
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._optimizers.recording import recording
from experiments._optimizers.strengths import strengths
from experiments._options import Optimizers as Config
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
REACHED = ("optimizer", "lr", *(f"step {n:,}" for n in CHECKPOINTS))
SPHERE = SURFACES["sphere"]
LEGEND = (
    "A start arrives if its path stays within 0.01 of a minimum. At the best rate: the "
    "share of the starts that arrive, the median of their steps, and how far the "
    "median start ends from a minimum. Of all rates: at how many less than half of the "
    "starts arrive, and how many descents end higher than they began."
)
L2 = 0.01  # the default weight decay of torch.optim.AdamW


def sections(config: Config) -> Yielded:
    """Descend as the notebook does, then race."""
    at_least(config, lrs=1, starts=1, race_steps=1)
    yield from notebook_sections().items()
    for name, surface in SURFACES.items():
        yield f"race_{name}", race_section(name, surface, config)


def notebook_sections() -> Sections:
    """The sections with rows, and what they say about the optimizers."""
    with jax.enable_x64(True):
        paths = notebook_paths()
        with_l2 = notebook_path(adam(1.0), with_l2_term)
    return {
        "descents": descents(paths),
        "single": single(notebook_paths()),
        "decay": decay(paths, with_l2),
        "strengths": strengths(FACTORIES, paths, with_l2, START),
    }


def notebook_paths() -> dict[str, Descent]:
    """All six, in the current default dtype."""
    return {name: notebook_path(FACTORIES[name](LRS[name])) for name in FACTORIES}


def notebook_path(
    optimizer: optax.GradientTransformation, f: Any = SPHERE.function
) -> Descent:
    """The notebook's 5000 steps from its start, in the current default dtype."""
    path = descend(optimizer, f, jnp.asarray(START), STEPS)
    return jax.tree.map(np.asarray, path)


def descents(paths: dict[str, Descent]) -> Section:
    """The notebook's six descents in float64."""
    points = checkpoints(paths)
    # x^2 + y^2 on a grid of 50 x 50 points, none of which is the minimum.
    with jax.enable_x64(True):
        grid = np.meshgrid(np.linspace(-10, 10), np.linspace(-10, 10))
        heights = np.asarray(SPHERE.function(jnp.stack(grid, -1)))
    defaults = inspect.signature(sgd).parameters
    options = ("momentum", "dampening", "weight_decay", "nesterov")
    return Section(
        "x, y after 1 to 5000 steps down x^2 + y^2 from (-75, -10), in float64",
        "Each column is the point after so many steps; the minimum is 0, 0. The "
        "learning rates are the notebook's.",
        header=REACHED,
        entries=_lines(points),
        rows={
            "3.41": [heights.max(), heights.min(), paths["SGD"].values[0]],
            "3.42": [defaults[name].default for name in options],
            "3.64": points["SGD"],
            "3.65": points["Adagrad"],
            "3.66": {"float64": points["RMSprop"]},
            "3.67": points["Adadelta"],
            "3.68": points["Adam"],
            "3.69": points["AdamW"],
        },
        data=paths,
    )


def single(paths: dict[str, Descent]) -> Section:
    """The six descents in the notebook's float32, as its figure shows them."""
    points, path = checkpoints(paths), paths["RMSprop"].points
    moving = np.flatnonzero(path.any(axis=1))
    arrival, first = int(moving[-1]) + 2, float(path[0, 1])
    return Section(
        "The same in the notebook's float32",
        "Float32 has no numbers below 1e-45: what is smaller becomes 0.",
        header=REACHED,
        entries=_lines(points),
        rows={
            "3.66": {"float32": points["RMSprop"]},
            "3.70": {
                "points": points,
                "RMSprop": {"y after step 1": first, "at (0, 0) from step": arrival},
            },
        },
        note="RMSprop in float32: its first step takes y to the minimum, up to one "
        f"rounding error of 10 (y = {first:g}), and x follows: figure `paths` shows a "
        f"straight line. From step {arrival} on both are exactly 0, with gradient 0. "
        "In float64 they never become 0: as the mean of squares decays, the steps "
        "grow to the learning rate and jump across the minimum. Figure "
        "`paths_rmsprop` shows the cross that they draw.",
        data=paths,
    )


def checkpoints(paths: dict[str, Descent]) -> dict[str, list[np.ndarray]]:
    """The points after 1, 10, 100, 1000 and 5000 steps."""
    return {name: list(path.points[CHECKPOINTS - 1]) for name, path in paths.items()}


def _lines(points: dict[str, list[np.ndarray]]) -> list[tuple[Any, ...]]:
    return [(name, LRS[name], *map(_text, reached)) for name, reached in points.items()]


def with_l2_term(point: Float[Array, "2"]) -> Float[Array, ""]:
    r"""$x^2 + y^2$ plus the L2 term $\frac\lambda2 (x^2 + y^2)$."""
    return SPHERE.function(point) + L2 / 2 * jnp.sum(point**2)


def decay(paths: dict[str, Descent], with_l2: Descent) -> Section:
    """AdamW against Adam, with and without the L2 term that AdamW supposedly adds."""
    compared = (paths["Adam"], with_l2, paths["AdamW"])
    return Section(
        "AdamW decays the weights; it does not add an L2 term to the loss",
        "The same descent by Adam, by Adam with the L2 term 0.005 (x^2 + y^2) added to "
        "the loss, and by AdamW with a weight decay of 0.01: x, y after the steps.",
        header=("step", "Adam", "Adam, L2 term in the loss", "AdamW"),
        entries=[
            (n, *(_text(path.points[n - 1]) for path in compared)) for n in (1, 10, 100)
        ],
        rows={"3.C13": paths["AdamW"].points[0]},
        note="On this surface an L2 term only scales the gradient. Adam divides by the "
        "size of the gradient, so the term changes nothing. AdamW shrinks the weights "
        "in addition to Adam's step.",
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
    claim = (
        f"{config.starts} random starts, each with {config.lrs} learning rates from "
        f"1e-4 to 10 and {config.race_steps} steps. "
    )
    claim += LEGEND if surface is SPHERE else "The columns are those of the sphere."
    return Section(
        f"Race: {name}",
        claim,
        header=(
            *("optimizer", "best rate", "starts arrive", "after steps"),
            *("distance left", "rates too bad", "end higher"),
        ),
        entries=[
            (
                row.optimizer,
                f"{row.best_lr:.3g}",
                f"{row.arrived:.0%}",
                f"{row.steps:g}",
                f"{row.distance:.1e}",
                f"{row.sensitivity:.0%}",
                f"{row.diverged:.0%}",
            )
            for row in found.standings
        ],
        data=(found, best_paths(found)),
    )


def best_paths(of: Race) -> dict[str, np.ndarray]:
    """Paths from a start off the axes of symmetry, at the best rate of the race.

    By the optimizer's name and rate.
    """
    low, high = jnp.asarray(of.surface.bounds)
    start = low + jnp.array([0.15, 0.3]) * (high - low)
    paths = {}
    for row in of.standings:
        optimizer = FACTORIES[row.optimizer](row.best_lr)
        path = descend(optimizer, of.surface.function, start, of.num_steps)
        label = f"{row.optimizer}, lr {row.best_lr:.3g}"
        paths[label] = np.vstack([start, path.points])
    return paths


def figures(result: Sections) -> dict[str, Picture]:
    """The notebook's surface and six paths, contours, and sensitivity to the rate.

    And the race as a recording, which the results page plays.
    """
    races = {name: result[f"race_{name}"].data for name in SURFACES}
    six, doubles = result["single"].data, result["descents"].data
    both = {"RMSprop, float32": six["RMSprop"], "RMSprop, float64": doubles["RMSprop"]}
    contours = {
        name: plots.contours(SURFACES[name], paths)
        for name, (_, paths) in races.items()
    }
    return {
        "surface": plots.surface(SPHERE),
        "paths": _drawn({f"{name}, lr {LRS[name]:g}": six[name] for name in six}),
        "paths_rmsprop": _drawn(both),
        "sensitivity": plots.sensitivity([found for found, _ in races.values()]),
        **{f"contours_{name}": picture for name, picture in contours.items()},
        "race": recording(
            contours, {name: found for name, (found, _) in races.items()}
        ),
    }


def _drawn(paths: dict[str, Descent]) -> Figure:
    """The notebook's figure: its start, its axes."""
    points = {label: path.points for label, path in paths.items()}
    return plots.paths(points, start=START, xlim=(-80, 80), ylim=(-15, 15), of=SPHERE)


run = complete(sections)
main = experiment("optimizers", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
