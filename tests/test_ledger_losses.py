"""The ledger of the losses names all of them, and holds what it measures."""

import inspect

import jax
import pytest

from jaxgrad import losses
from tests.ledger_losses import ENTRIES, rows


def test_every_loss_has_its_line():
    functions = {name for name, _ in inspect.getmembers(losses, inspect.isfunction)}
    assert functions - set(ENTRIES) == {
        "adaptive_log_softmax",
        "adaptive_log_softmax_with_loss",  # a module in PyTorch: test_other_losses.py
    }


@pytest.mark.slow
def test_jaxgrad_is_nowhere_far_from_torch():
    with jax.numpy_dtype_promotion("standard"):  # Optax's own losses are not strict
        ledger = rows()
    for row in ledger:
        assert max(row.jaxgrad_difference) < 1e-9, row
