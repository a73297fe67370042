"""The ledger of parity is current and names every function; differences are small."""

import inspect

import pytest

from docs import generate_parity
from docs.ledger.optimizers import NOT_HERE
from jaxgrad import activations, losses, optimizers
from tests.optimizer_cases import TORCH_NAMES

LINES = {
    cells[0].strip("`"): cells
    for line in generate_parity.PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
OURS = 5  # the column "jaxgrad - torch" of activations and losses
OPTIMIZERS_OURS, BY_DEFAULT, MATCHED = 7, 8, 9


def functions_of(module):
    return {name for name, _ in inspect.getmembers(module, inspect.isfunction)}


def test_every_activation_loss_and_optimizer_has_a_line():
    assert set(LINES) == functions_of(activations) | set(TORCH_NAMES) | (
        functions_of(losses) - {"adaptive_log_softmax"}  # torch's log_prob
    )
    assert set(TORCH_NAMES) <= set(vars(optimizers))


def test_every_activation_and_loss_agrees_with_torch():
    for name in functions_of(activations) - {"gumbel_softmax"}:
        assert LINES[name][OURS] == "< 1e-12, < 1e-12", name
    for name in functions_of(losses) - {"adaptive_log_softmax"}:
        assert LINES[name][OURS] == "< 1e-12, < 1e-12", name


def test_every_optimizer_agrees_with_torch_and_optax_differs_as_described():
    ours = {name: LINES[name][OPTIMIZERS_OURS] for name in TORCH_NAMES}
    assert float(ours.pop("sgd")) < 1e-9  # its parameters grow to 2.5e5
    assert set(ours.values()) == {"< 1e-12"}
    for name in ("sgd", "adadelta", "adam", "adamax"):  # the same by default
        assert LINES[name][BY_DEFAULT] == "< 1e-12"
    for name in ("rmsprop", "adamw"):  # the same with PyTorch's options
        assert float(LINES[name][BY_DEFAULT]) > 1e-4
        assert LINES[name][MATCHED] == "< 1e-12"
    for name in ("nadam", "radam", "rprop", "adafactor", "adagrad"):
        assert float(LINES[name][BY_DEFAULT]) > 1e-6


@pytest.mark.parity
def test_every_optimizer_of_torch_has_a_line():
    import torch

    theirs = {
        name
        for name, _ in inspect.getmembers(torch.optim, inspect.isclass)
        if name != "Optimizer"
    }
    assert theirs == set(TORCH_NAMES.values()) | set(NOT_HERE)


@pytest.mark.slow
def test_the_ledger_is_current():
    assert generate_parity.main(["--check"]) == 0, "python -m docs.generate_parity"
