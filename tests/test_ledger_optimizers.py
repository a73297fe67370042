"""The ledger of the optimizers names all of them, and holds what it measures."""

import inspect
from typing import Any

import jax
import pytest

from tests.ledger_optimizers import ENTRIES, NOT_HERE, rows
from tests.optimizer_cases import TORCH_NAMES


def test_every_optimizer_has_its_line():
    assert list(ENTRIES) == list(TORCH_NAMES)


@pytest.mark.parity
def test_every_optimizer_of_torch_has_its_line():
    import torch

    theirs = {
        name
        for name, _ in inspect.getmembers(torch.optim, inspect.isclass)
        if name != "Optimizer"
    }
    assert theirs == set(TORCH_NAMES.values()) | set(NOT_HERE)


@pytest.mark.slow
def test_jaxgrad_is_nowhere_far_from_torch_and_optax_is_as_described():
    with jax.numpy_dtype_promotion("standard"):  # Optax's own are not strict
        ledger: dict[str, Any] = {row.name: row for row in rows()}
    for row in ledger.values():
        assert row.jaxgrad_difference < (1e-2 if row.name == "muon" else 1e-9), row
    for name in ("sgd", "adadelta", "adam", "adamax"):  # the same by default
        assert ledger[name].optax_difference < 1e-9
    for name in ("rmsprop", "adamw"):  # the same once told
        assert ledger[name].optax_difference > 1e-4
        assert ledger[name].optax_matched_difference < 1e-9
    for name in ("nadam", "radam", "rprop", "adafactor", "adagrad"):
        assert ledger[name].optax_difference > 1e-6
