"""One strength and one weakness of each of the six optimizers, measured.

The notebook says in words what each is good at. Here this is measured on four surfaces,
in races that do not depend on the options of the experiment, and on the notebook's own
paths.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._optimizers.recording import arrival
from experiments._section import Section
from jaxgrad.descent import SURFACES, Factory, Path, Standing, race

NAMES = ("sphere", "bowl", "rosenbrock", "himmelblau")
RATES = np.logspace(-3, 1, 13, dtype=np.float32)
STARTS, STEPS, NEAR = 16, 1000, 1e-2


class Measured(NamedTuple):
    """The measurements of one optimizer: its races, and its path in the notebook."""

    races: dict[str, Standing]  # by surface
    first_step: float  # its length
    last_step: float
    end: float  # distance of the last point from the minimum
    after_100: float
    arrival: int | None  # steps until it stays near the minimum
    farthest: float  # distance of any of the last 1000 points
    turns: int  # how often y changes its sign before it stays near 0

    def steps(self, surface: str) -> str:
        """The median number of steps at the best rate."""
        return f"{self.races[surface].steps:g} steps"

    def arrived(self, surface: str = "rosenbrock") -> str:
        """The share of the starts that arrive at the best rate."""
        return f"{self.races[surface].arrived:.0%}"

    def working_rates(self, surface: str) -> float:
        """The share of the rates at which at least half of the starts arrive."""
        return 1 - self.races[surface].sensitivity

    @property
    def spread(self) -> float:
        """The largest best rate of the four surfaces over the smallest."""
        best = [standing.best_lr for standing in self.races.values()]
        return max(best) / min(best)


def measure(
    factories: Mapping[str, Factory], paths: Mapping[str, Path], start: Any
) -> dict[str, Measured]:
    """Race on the four surfaces, and measure the notebook's paths."""
    standings = {name: _standings(factories, name) for name in NAMES}
    return {
        optimizer: Measured(
            {name: of_surface[optimizer] for name, of_surface in standings.items()},
            *_along(np.vstack([start, paths[optimizer].points])),
        )
        for optimizer in factories
    }


def _standings(factories: Mapping[str, Factory], name: str) -> dict[str, Standing]:
    low, high = jnp.asarray(SURFACES[name].bounds)
    key = jax.random.key(0)
    starts = jax.random.uniform(key, (STARTS, 2), minval=low, maxval=high)
    found = race(factories, SURFACES[name], starts, RATES, STEPS, tolerance=NEAR)
    return {standing.optimizer: standing for standing in found.standings}


def _along(points: np.ndarray) -> tuple[Any, ...]:
    """The lengths, distances and turns of a path to the origin, in Measured's order."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    distance = np.linalg.norm(points, axis=1)
    y = points[:, 1]
    turns = np.sum((y[1:] * y[:-1] < 0) & (abs(y[:-1]) > NEAR))
    return (
        float(lengths[0]),
        float(lengths[-1]),
        float(distance[-1]),
        float(distance[100]),
        arrival(distance, NEAR),
        float(distance[-1000:].max()),
        int(turns),
    )


def sentences(found: Mapping[str, Measured], l2_gap: float) -> dict[str, list[str]]:
    """A strength and a weakness of each; `l2_gap`: how much an L2 term changes Adam."""
    sgd, adagrad, rmsprop, adadelta, adam, adamw = (
        found[name]
        for name in ("SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW")
    )

    other = max(
        m.races["rosenbrock"].arrived for name, m in found.items() if name != "Adam"
    )
    return {
        "SGD": [
            "the fastest where all directions are equally steep: "
            f"{sgd.steps('sphere')} on the sphere (Adam: {adam.steps('sphere')}).",
            "one rate must fit all directions: on the bowl, 100 times steeper in y, "
            f"{sgd.working_rates('bowl'):.0%} of the rates work (Adam: "
            f"{adam.working_rates('bowl'):.0%}) and the best takes "
            f"{sgd.steps('bowl')}; in Rosenbrock's valley {sgd.arrived()} of the "
            "starts arrive.",
        ],
        "Adagrad": [
            "each coordinate has its own rate, so steepness does not matter: "
            f"{adagrad.steps('bowl')} on the bowl, {adagrad.steps('sphere')} on the "
            "sphere.",
            "its steps only shrink: the notebook's path begins with a step of "
            f"{adagrad.first_step:.3g}, ends with one of {adagrad.last_step:.1g}, and "
            f"after 5000 steps the minimum is still {adagrad.end:.3g} away.",
        ],
        "RMSprop": [
            "it forgets old gradients, so its steps do not shrink to nothing: after "
            f"100 steps of the notebook's path it is {rmsprop.after_100:.2g} from the "
            f"minimum, Adagrad {adagrad.after_100:.3g}.",
            "it does not settle: at a fixed rate it jumps across the minimum; the last "
            f"1000 points of its path in float64 are up to {rmsprop.farthest:.2g} "
            "away.",
        ],
        "Adadelta": [
            "its rate needs no tuning: its best rates on the four surfaces differ by a "
            f"factor of {adadelta.spread:.2g} (SGD's: {sgd.spread:.3g}).",
            f"it is slow: its first step has length {adadelta.first_step:.1g}, and "
            f"after 5000 the minimum is {adadelta.end:.3g} away (the next slowest: "
            f"{adagrad.end:.3g}).",
        ],
        "Adam": [
            f"it can follow a curved valley: on Rosenbrock's {adam.arrived()} of the "
            f"starts arrive, with any other optimizer at most {other:.0%}.",
            "its momentum carries it past the minimum: in the notebook's path y "
            f"changes its sign {adam.turns} times (SGD's: {sgd.turns}), and it is near "
            f"the minimum after {adam.arrival} steps (SGD: {sgd.arrival}).",
        ],
        "AdamW": [
            "its decay shrinks the weights whatever the gradient: after 100 steps they "
            f"are at {adamw.after_100:.2g} (Adam: {adam.after_100:.2g}); an L2 term in "
            f"the loss changes Adam's path by {l2_gap:.0e}.",
            "it pulls towards 0, not towards the minimum: on Himmelblau's surface it "
            f"ends {adamw.races['himmelblau'].distance:.1g} away from one (Adam: "
            f"{adam.races['himmelblau'].distance:.1g}), and on Rosenbrock's "
            f"{adamw.arrived()} of the starts arrive.",
        ],
    }


def strengths(
    factories: Mapping[str, Factory], paths: Mapping[str, Path], l2: Path, start: Any
) -> Section:
    """The measurements as a table, and the sentences; the data are the measurements."""
    found = measure(factories, paths, start)
    l2_gap = float(abs(l2.points - paths["Adam"].points).max())
    said = sentences(found, l2_gap)
    return Section(
        "What each optimizer is good and bad at",
        f"Races from {STARTS} starts with {len(RATES)} rates from 0.001 to 10, "
        f"{STEPS} steps. On three surfaces: the median number of steps until a path "
        f"stays within {NEAR} of a minimum, at the best rate. On Rosenbrock's: the "
        "share of the starts that arrive. Rates that work: the share of the rates at "
        "which most starts arrive on the bowl. Spread of rates: the largest best rate "
        "of the four surfaces over the smallest. End: the distance from the minimum "
        "after the 5000 steps of the notebook's path.",
        [
            (
                name,
                *(m.races[s].steps for s in ("sphere", "bowl", "himmelblau")),
                m.arrived(),
                f"{m.working_rates('bowl'):.0%}",
                round(m.spread, 1),
                f"{m.end:.2g}",
            )
            for name, m in found.items()
        ],
        header=(
            *("optimizer", "sphere", "bowl", "himmelblau", "rosenbrock"),
            *("rates that work", "spread of rates", "end"),
        ),
        note="\n".join(
            f"{name} {sign} {line}"
            for name, (strength, fault) in said.items()
            for sign, line in (("+", strength), ("-", fault))
        ),
        data=found,
    )
