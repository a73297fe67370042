"""The ledger of parity is current and names every function; differences are small."""

import inspect
import os
import subprocess
import sys

import pytest

from docs import generate_parity
from docs.ledger import arguments, schedules
from docs.ledger.optimizers import NOT_HERE
from jaxgrad import activations, losses, optimizers
from tests.optimizer_cases import TORCH_NAMES

FUNCTIONS, _, OTHERS = generate_parity.PAGE.read_text(encoding="utf-8").partition(
    "## Schedules"
)
LINES = {
    cells[0].strip("`"): cells
    for line in FUNCTIONS.splitlines()
    if line.startswith("| `")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
ENDINGS = ("_lr", "_momentum", "_restarts")
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


def test_every_schedule_has_a_line_and_agrees_with_torch():
    rows = [line.strip("| ").split(" | ") for line in OTHERS.splitlines()]
    found = {row[0]: row[-1] for row in rows if len(row) == len(schedules.HEADER)}
    names = {name for name in functions_of(optimizers) if name.endswith(ENDINGS)}
    assert names | {"reduce_lr_on_plateau"} <= set(found)
    assert {found[name] for name in names} == {"< 1e-12"}


def test_arguments_are_torchs_except_for_these():
    """The README promises PyTorch's names with these exceptions."""
    renamed = {"input", "dim"}
    absent = {"inplace", "_stacklevel", "training", "options"}
    for name, theirs in arguments.TORCH.items():
        ours = arguments.in_jaxgrad(name)
        names = arguments.renamed(theirs, ours)
        assert set(names) <= renamed
        kept = [key for key in theirs if key not in arguments.DEPRECATED | absent]
        translated = [names.get(key, key) for key in kept]
        assert [key for key in ours if key in translated] == translated, name
        assert set(ours) - set(translated) <= {"key", "dropout_key"}, name
    others = [arguments.differences(name)[3] for name in arguments.TORCH]
    assert {text for text in others if text} == {"`axis`: none, not None"}


@pytest.mark.parity
def test_the_signatures_are_torchs():
    from tests.golden.generate import FUNCTIONS, signature

    assert arguments.TORCH == {name: signature(name) for name in FUNCTIONS}


@pytest.mark.parity
def test_every_schedule_of_torch_has_a_line():
    import torch

    theirs = {
        name
        for name in torch.optim.lr_scheduler.__all__
        if name not in ("LRScheduler", "lr_scheduler")
    }
    assert theirs <= {line.torch for line in schedules.LINES}


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
@pytest.mark.by_hand
def test_the_ledger_is_current():
    """As XLA optimises by default, unlike in the other tests."""
    command = [sys.executable, "-m", "docs.generate_parity", "--check"]
    optimised = {**os.environ, "XLA_FLAGS": ""}
    done = subprocess.run(command, env=optimised, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
