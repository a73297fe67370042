"""What the live comparisons ask of torch: the path of an optimizer, a scheduler's rates.

Imports torch, so only tests marked `parity` and the golden file's generator import it.
"""

import contextlib

import numpy as np
import torch

from tests.optimizer_cases import STEPS, TORCH_NAMES, Case, gradient, problem


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
