"""Write the golden values: `python -m tests.golden.generate` (needs torch)."""

import inspect
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.cases import CASES, FAMILIES, Case
from tests.composed import IN_TORCH
from tests.golden import FOLDER, Golden, cotangent, direction, dump

TORCH = "2.13.0"
RENAMED = {"axis": "dim"}
# The functions of the table whose counterparts are no modules.
FUNCTIONS = sorted({case.function for case in CASES} - {"softmax2d", *IN_TORCH})


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

    options = {
        RENAMED.get(name, name): torch.tensor(option)
        if isinstance(option, np.ndarray)
        else option
        for name, option in case.options.items()
    }
    # The other kernels for attention have no second derivative.
    plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with plain, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using a target size")  # intended
        warnings.filterwarnings("ignore", "reduction: 'mean'")  # intended, too
        if case.function in IN_TORCH:
            return IN_TORCH[case.function](**arrays, **options)
        first, *others = arrays.values()
        named = dict(zip(list(arrays)[1:], others, strict=True))
        return _torch_function(case.function)(first, **named, **options)


def _torch_function(name: str) -> Callable[..., Any]:
    import torch

    modules = {"softmax2d": torch.nn.Softmax2d()}
    return modules.get(name) or getattr(torch.nn.functional, name)


def _gradients(
    value: Any, weights: np.ndarray, arrays: dict[str, Any], create_graph: bool = False
) -> dict[str, Any]:
    """The gradients of sum(weights * value); zeros without a path in PyTorch."""
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


def signature(function: str) -> dict[str, str | None]:
    """The parameters of a function of torch.nn.functional with their defaults."""
    import torch

    theirs = getattr(torch.nn.functional, function)
    try:
        parameters = inspect.signature(theirs).parameters.values()
    except ValueError:  # a builtin, whose docstring begins with its signature
        text = theirs.__doc__.split(") ->")[0].split("(", 1)[1]
        pairs = [
            part.partition("=") for part in re.sub(r"[*]|:[^,=]*", "", text).split(",")
        ]
        return {
            name.strip(): default.strip() or None
            for name, _, default in pairs
            if name.strip()
        }
    return {
        p.name: None if p.default is p.empty else repr(p.default) for p in parameters
    }


def main() -> None:
    import torch

    assert torch.__version__.startswith(TORCH), f"expected torch {TORCH}"
    for family, cases in FAMILIES.items():
        text = dump(TORCH, {case.id: evaluate(case) for case in cases})
        path = FOLDER / f"{family}.json"
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {len(cases)} cases")
    path = FOLDER / "signatures.json"
    lines = (f"{json.dumps(name)}: {json.dumps(signature(name))}" for name in FUNCTIONS)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{path}: {len(FUNCTIONS)} functions")


if __name__ == "__main__":
    main()
