"""The optimizers in the ledger: names in PyTorch and Optax, and differences.

`rows()` measures a parameter's largest absolute distance from PyTorch's golden
trajectory, in float64, over 60 steps of the tests' problem. It measures jaxgrad over
all cases with constant and scheduled learning rates, and Optax twice at PyTorch's
learning rate: with its own defaults, and with options as close to PyTorch's as
possible.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import optax
import optax.contrib

from docs.ledger._table import Table, code, rounded
from jaxgrad import optimizers
from tests import golden
from tests.optimizer_cases import (
    CASES,
    TORCH_NAMES,
    Case,
    follow,
    follow_optimizers,
    problem,
)

GOLDEN = json.loads((golden.FOLDER / "optimizers.json").read_text(encoding="utf-8"))
TRAJECTORIES = {(e["case"], e["scheduled"]): e["path"] for e in GOLDEN["entries"]}
# In torch.optim but not in jaxgrad, and what to use instead.
NOT_HERE = {
    "LBFGS": "calls the closure several times per step: optax.lbfgs",
    "SparseAdam": "JAX has no sparse gradients: adam",
}


class Entry(NamedTuple):
    """Optax's counterpart; the options `matched` bring it closest to torch's."""

    optax: str
    differs: str
    default: Callable[..., Any] | None = None
    matched: Mapping[str, Any] | None = None


class LedgerRow(NamedTuple):
    """One line of the ledger; differences are absolute, of parameters near 1."""

    name: str
    torch: str
    optax: str
    torch_defaults: str
    optax_defaults: str
    differs: str
    cases: int
    jaxgrad_difference: float
    optax_difference: float | None
    optax_matched_difference: float | None


ENTRIES = {
    "sgd": Entry("sgd", "no dampening; the rest is the same", optax.sgd, {}),
    "adagrad": Entry(
        "adagrad",
        "eps inside the root; starts at 0.1; no decay of the rate",
        optax.adagrad,
        {"initial_accumulator_value": 0.0, "eps": 1e-20},
    ),
    "rmsprop": Entry(
        "rmsprop",
        "decay 0.9; eps inside the root; multiplies by the rate before the momentum, "
        "which differs under a schedule",
        optax.rmsprop,
        {"decay": 0.99, "eps_in_sqrt": False},
    ),
    "adadelta": Entry(
        "adadelta", "maximizes without a learning rate", optax.adadelta, {}
    ),
    "adam": Entry(
        "adam",
        "the bias correction loses digits in float32; the maximum of amsgrad is taken "
        "after the correction",
        optax.adam,
        {},
    ),
    "adamw": Entry(
        "adamw",
        "decays by 1e-4; otherwise like adam",
        optax.adamw,
        {"weight_decay": 1e-2},
    ),
    "adamax": Entry(
        "adamax", "the bias correction loses digits in float32", optax.adamax, {}
    ),
    "nadam": Entry("nadam", "the momentum does not warm up", optax.nadam, {}),
    "radam": Entry(
        "radam",
        "eps after the bias correction; also rectifies at rho = 5; loses digits in "
        "float32",
        optax.radam,
        {},
    ),
    "asgd": Entry("-", "not in Optax"),
    "rprop": Entry("rprop", "applies every step one update late", optax.rprop, {}),
    "adafactor": Entry(
        "adafactor",
        "does not factor matrices below 128; other decay, clipping and eps",
        optax.adafactor,
        {"min_dim_size_to_factor": 2, "eps": float(np.finfo(float).eps) ** 2},
    ),
    "muon": Entry(
        "contrib.muon",
        "computes in the parameters' dtype; no decay; divides by the norm plus eps",
        optax.contrib.muon,
        {"weight_decay": 0.1, "eps": 1e-7},
    ),
}


HEADER = (
    "jaxgrad",
    "torch.optim",
    "Optax",
    "PyTorch's defaults",
    "Optax's defaults",
    "what Optax does differently",
    "cases",
    "jaxgrad - torch",
    "Optax by default - torch",
    "Optax with torch's options - torch",
)


def tables() -> list[Table]:
    """The measured table."""
    lines = [
        (
            *map(code, (row.name, row.torch, row.optax)),
            row.torch_defaults,
            row.optax_defaults or "-",
            row.differs,
            row.cases,
            *(
                "-" if difference is None else rounded(difference)
                for difference in row[-3:]
            ),
        )
        for row in rows()
    ]
    return [Table("Optimizers", HEADER, lines)]


def rows() -> list[LedgerRow]:
    """Measure every optimizer."""
    return [_row(name, entry) for name, entry in ENTRIES.items()]


def _row(name: str, entry: Entry) -> LedgerRow:
    cases = [case for case in CASES if case.optimizer == name]
    default, matched = _optax_differences(name, entry, cases[0])
    return LedgerRow(
        name=name,
        torch=TORCH_NAMES[name],
        optax=entry.optax,
        torch_defaults=_defaults(getattr(optimizers, name)),
        optax_defaults="-" if entry.default is None else _defaults(entry.default),
        differs=entry.differs,
        cases=2 * len(cases),
        jaxgrad_difference=max(map(_jaxgrad_difference, cases)),
        optax_difference=default,
        optax_matched_difference=matched,
    )


def _jaxgrad_difference(case: Case) -> float:
    return max(
        _difference(path, case, scheduled)
        for scheduled, path in follow(case, "float64").items()
    )


def _optax_differences(
    name: str, entry: Entry, case: Case
) -> tuple[float | None, float | None]:
    """With Optax's defaults and with PyTorch's, for PyTorch's default case."""
    if entry.default is None or entry.matched is None:
        return None, None
    lr = case.options["lr"]
    paths = follow_optimizers(
        {"default": entry.default(lr), "matched": entry.default(lr, **entry.matched)},
        problem(name),
        "float64",
    )
    return (
        _difference(paths["default"], case, False),
        _difference(paths["matched"], case, False),
    )


def _difference(path: dict[str, np.ndarray], case: Case, scheduled: bool) -> float:
    steps = np.array(GOLDEN["checkpoints"]) - 1
    return max(
        float(np.max(np.abs(path[leaf][steps].reshape(len(steps), -1) - values)))
        for leaf, values in TRAJECTORIES[str(case), scheduled].items()
    )


def _defaults(function: Callable[..., Any]) -> str:
    """The numbers among the defaults, as written in a call."""
    return ", ".join(
        f"{parameter.name}={parameter.default}"
        for parameter in inspect.signature(function).parameters.values()
        if isinstance(parameter.default, (int, float, tuple))
        and not isinstance(parameter.default, bool)
    )
