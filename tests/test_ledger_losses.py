"""The ledger of the losses names all of them, and holds what it measures."""

import inspect

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
    for row in rows():
        assert max(row.jaxgrad_difference) < 1e-9, row
