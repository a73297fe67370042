"""The schedules in the ledger: names in PyTorch and Optax, and differences.

The difference is the largest of a rate (or a momentum) from PyTorch's golden one,
relative to the largest rate of the case, over all cases and steps.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from docs.ledger._table import Table, rounded
from jaxgrad import optimizers
from tests import golden, plateau_cases
from tests.schedule_cases import SCHEDULES

HEADER = (
    "jaxgrad",
    "PyTorch",
    "Optax",
    "what Optax does differently",
    "cases",
    "jaxgrad - torch",
)


class Line(NamedTuple):
    """A schedule, and its counterparts in PyTorch and Optax."""

    name: str
    torch: str
    optax: str
    differs: str


LINES = (
    Line("lambda_lr", "LambdaLR", "-", "any function"),
    Line("multiplicative_lr", "MultiplicativeLR", "-", "not in Optax"),
    Line("step_lr", "StepLR", "exponential_decay", "with staircase=True the same"),
    Line(
        "multi_step_lr",
        "MultiStepLR",
        "piecewise_constant_schedule",
        "a factor per boundary",
    ),
    Line("constant_lr", "ConstantLR", "-", "not in Optax"),
    Line("linear_lr", "LinearLR", "linear_schedule", "rates instead of factors"),
    Line("exponential_lr", "ExponentialLR", "exponential_decay", "the same"),
    Line(
        "polynomial_lr", "PolynomialLR", "polynomial_schedule", "may be NaN at the end"
    ),
    Line(
        "cosine_annealing_lr",
        "CosineAnnealingLR",
        "cosine_decay_schedule",
        "stays at the bottom",
    ),
    Line(
        "cosine_annealing_warm_restarts",
        "CosineAnnealingWarmRestarts",
        "sgdr_schedule",
        "needs a list of all cycles",
    ),
    Line("one_cycle_lr", "OneCycleLR", "cosine_onecycle_schedule", "is one step off"),
    Line("one_cycle_momentum", "OneCycleLR's momentum", "-", "not in Optax"),
    Line("cyclic_lr", "CyclicLR", "-", "not in Optax"),
    Line("cyclic_momentum", "CyclicLR's momentum", "-", "not in Optax"),
    Line("sequential_lr", "SequentialLR", "join_schedules", "the same"),
    Line("chained_lr", "ChainedScheduler", "-", "not in Optax"),
    Line("swa_lr", "swa_utils.SWALR", "-", "not in Optax"),
    Line(
        "reduce_lr_on_plateau",
        "ReduceLROnPlateau",
        "contrib.reduce_on_plateau",
        "reduces one metric earlier, before the update; min_scale is a factor",
    ),
)


def tables() -> list[Table]:
    """The measured table."""
    found = differences()
    lines = [
        (*line, len(found[line.name]), rounded(max(found[line.name]))) for line in LINES
    ]
    return [Table("Schedules", HEADER, lines)]


def differences() -> dict[str, list[float]]:
    """The difference of every case, by the schedule's name."""
    found: dict[str, list[float]] = {}
    rates = _golden("schedules.json")
    for case in SCHEDULES:
        ours = jax.vmap(case.schedule)(jnp.arange(case.steps, dtype=jnp.int32))
        found.setdefault(_name(case.name), []).append(_distance(ours, rates[case.name]))
    for case in plateau_cases.CASES:
        expected = _golden("plateaus.json")[str(case)]
        found.setdefault("reduce_lr_on_plateau", []).append(
            _distance(_plateau(case), expected)
        )
    return found


def _name(case: str) -> str:
    """The schedule of a case; those in words are joined schedules."""
    first = case.split("(")[0].split(" ")[0]
    return first if hasattr(optimizers, first) else "sequential_lr"


def _plateau(case: plateau_cases.PlateauCase) -> Sequence[float]:
    plateau: Any = optimizers.reduce_lr_on_plateau(plateau_cases.LR, **case.options)
    state, rates = plateau.init(()), []
    for metric in case.metrics:
        _, state = plateau.update((), state, value=metric)
        rates.append(float(state.lr))
    return rates


def _distance(ours: Any, theirs: Sequence[float]) -> float:
    return float(np.max(np.abs(np.asarray(ours) - theirs)) / np.max(theirs))


def _golden(name: str) -> dict[str, list[float]]:
    text = (golden.FOLDER / name).read_text(encoding="utf-8")
    return {entry["case"]: entry["rates"] for entry in json.loads(text)["entries"]}
