"""Write the golden values: `python -m tests.golden.generate` (needs torch)."""

import warnings
from typing import Any

import numpy as np

from tests.cases import FAMILIES, Case
from tests.golden import FOLDER, Golden, cotangent, direction, dump

TORCH = "2.13.0"
RENAMED = {"axis": "dim"}


def evaluate(case: Case) -> Golden:
    """Value, gradients and second derivatives of a case, by PyTorch in float64."""
    import torch

    arrays = {
        name: torch.tensor(array, dtype=torch.float64, requires_grad=True)
        for name, array in case.arrays.items()
    }
    value = in_torch(case, **arrays)
    gradients = _gradients(value, cotangent(value.shape), arrays, create_graph=True)
    second = {}
    if case.second:
        slope = sum(
            (gradient * torch.tensor(direction(gradient.shape))).sum()
            for gradient in gradients.values()
        )
        second = _gradients(slope, np.ones(()), arrays)
    return Golden(_numpy(value), _map(gradients), _map(second))


def in_torch(case: Case, **arrays: Any) -> Any:
    """The case's value, for the given tensors."""
    import torch

    modules = {"softmax2d": torch.nn.Softmax2d()}
    function = modules.get(case.function) or getattr(torch.nn.functional, case.function)
    options = {
        RENAMED.get(name, name): torch.tensor(option)
        if isinstance(option, np.ndarray)
        else option
        for name, option in case.options.items()
    }
    first, *others = arrays.values()
    names = list(arrays)[1:]
    # The other ways of computing an attention have no second derivative.
    plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with plain, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using a target size")  # broadcast is meant
        warnings.filterwarnings("ignore", "reduction: 'mean'")  # kl_div's is meant too
        return function(first, **dict(zip(names, others, strict=True)), **options)


def _gradients(
    value: Any, weights: np.ndarray, arrays: dict[str, Any], create_graph: bool = False
) -> dict[str, Any]:
    """The gradients of sum(weights * value); zeros where PyTorch sees no path."""
    import torch

    if not value.requires_grad:
        return {name: torch.zeros_like(array) for name, array in arrays.items()}
    gradients = torch.autograd.grad(
        value,
        list(arrays.values()),
        torch.tensor(weights, dtype=torch.float64),
        create_graph=create_graph,
        materialize_grads=True,
    )
    return dict(zip(arrays, gradients, strict=True))


def _map(tensors: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: _numpy(tensor) for name, tensor in tensors.items()}


def _numpy(tensor: Any) -> np.ndarray:
    return tensor.numpy(force=True) + 0.0  # -0.0 becomes 0.0


def main() -> None:
    import torch

    assert torch.__version__.startswith(TORCH), f"expected torch {TORCH}"
    for family, cases in FAMILIES.items():
        text = dump(TORCH, {case.id: evaluate(case) for case in cases})
        path = FOLDER / f"{family}.json"
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
