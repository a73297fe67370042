"""The path of a torch optimizer and the rates of a scheduler, for live comparisons.

It imports torch: only tests marked `parity` and the golden generator use it.
"""

import contextlib
import warnings

import numpy as np
import torch

from tests.optimizer_cases import STEPS, TORCH_NAMES, Case, gradient, problem
from tests.plateau_cases import LR as PLATEAU_LR
from tests.plateau_cases import PlateauCase
from tests.schedule_cases import LR as SCHEDULE_LR
from tests.schedule_cases import ScheduleCase


@contextlib.contextmanager
def default_dtype(dtype):
    """Torch keeps the scalars of ASGD and NAdam in its default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def follow_torch(
    case: Case, dtype: str, scheduled: bool = False, size: int = 1
) -> dict[str, np.ndarray]:
    """The path of torch's optimizer: for each leaf its values after each step."""
    torch_dtype = getattr(torch, dtype)
    with default_dtype(torch.float64 if dtype == "float64" else torch.float32):
        start, target, noise, scale = (
            {name: torch.tensor(leaf, dtype=torch_dtype) for name, leaf in tree.items()}
            for tree in problem(case.optimizer, size)
        )
        optimizer = getattr(torch.optim, TORCH_NAMES[case.optimizer])(
            list(start.values()), **case.options
        )
        scheduler = torch.optim.lr_scheduler.StepLR(
            optimizer, 10, 0.5 if scheduled else 1.0
        )
        path = {name: [] for name in start}
        for step in range(STEPS):
            for name, param in start.items():
                param.grad = gradient(
                    param, target[name], noise[name][step], scale[name]
                )
            optimizer.step()
            scheduler.step()
            for name, param in start.items():
                path[name].append(param.double().numpy().copy())
    return {name: np.stack(values) for name, values in path.items()}


def torch_plateau(case: PlateauCase) -> list[float]:
    """The learning rate after each metric under torch's ReduceLROnPlateau."""
    param = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([param], lr=PLATEAU_LR)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **case.options)
    rates = []
    for metric in case.metrics:
        scheduler.step(metric)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


def follow_torch_cycled(case: Case) -> dict[str, np.ndarray]:
    """The path in float64 while OneCycleLR cycles the rate and the momentum."""
    with default_dtype(torch.float64):
        start, target, noise, scale = (
            {name: torch.tensor(leaf) for name, leaf in tree.items()}
            for tree in problem(case.optimizer)
        )
        optimizer = getattr(torch.optim, TORCH_NAMES[case.optimizer])(
            list(start.values()), **case.options
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, case.options["lr"], STEPS
        )
        path = {name: [] for name in start}
        for step in range(STEPS):
            for name, param in start.items():
                param.grad = gradient(
                    param, target[name], noise[name][step], scale[name]
                )
            optimizer.step()
            scheduler.step()
            for name, param in start.items():
                path[name].append(param.numpy().copy())
    return {name: np.stack(values) for name, values in path.items()}


def torch_rates(case: ScheduleCase) -> list[float]:
    """The learning rate of each step under torch's scheduler."""
    param = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([param], lr=SCHEDULE_LR, momentum=0.9)
    with warnings.catch_warnings():  # SequentialLR calls what torch deprecates
        warnings.simplefilter("ignore")
        scheduler = case.scheduler(torch.optim.lr_scheduler, optimizer)
        rates = []
        for _ in range(case.steps):
            rates.append(float(optimizer.param_groups[0][case.reads]))
            optimizer.step()
            scheduler.step()
    return rates
