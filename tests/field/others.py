"""What tools say of a case that are no dependency: brainstate and TorchLens.

Each function raises `ImportError` where its package is missing.
"""

import inspect
import re
from typing import Any

import jax
import numpy as np

from tests.field.case import MARK, Case


def brainstate_says(case: Case) -> str:
    """What brainstate's debug_nan says of the gradient."""
    from brainstate.transform import debug_nan  # type: ignore[import-not-found]

    with jax.numpy_dtype_promotion("standard"):
        try:
            debug_nan(jax.grad(case.program), *case.arguments)
        except RuntimeError as error:
            if "NaN/Inf" not in str(error):
                raise
            at = f'File "{case.file}", line {case.line},'
            made = re.search(
                r"primitive(?: +)?: ([\w-]+)|(division by zero)", str(error)
            )
            said = next(filter(None, made.groups())) if made else "NaN or Inf"
            return f"{said}{', line' if at in str(error) else ''}"
    return "nothing"


def torchlens_says(case: Case) -> str:
    """What TorchLens says of the case in PyTorch; "-" if it is not translated.

    First of the values (find_nan), then of the gradients (bisect_nan_backward).
    """
    import torch
    from torchlens import debug, trace  # type: ignore[import-not-found]
    from torchlens.options import CaptureOptions  # type: ignore[import-not-found]

    from tests.field import torch_twins

    name = case.name.title().replace(" ", "")
    twin = getattr(torch_twins, name, None)
    if twin is None:
        return "-"
    arguments = jax.tree.map(
        lambda x: torch.tensor(np.asarray(x), requires_grad=_is_floating(x)),
        case.arguments,
    )

    found = debug.find_nan(twin(), list(arguments))
    if found.found:
        return f"{found.func_name}{_line(twin, found.source_line)}"
    with_grads = CaptureOptions(save_grads=True)
    traced = trace(twin(), list(arguments), capture=with_grads)
    traced.log_backward(traced[traced.output_layers[0]].out)
    born = debug.bisect_nan_backward(traced).birth
    if born is None:
        return "nothing"
    name = re.sub(r"Backward\d*$", "", born.grad_fn_class).lower()
    return f"{name}{_line(twin, born.source_line)}"


def _is_floating(x: Any) -> bool:
    return bool(np.issubdtype(np.asarray(x).dtype, np.floating))


def _line(twin: Any, said: str | None) -> str:
    """Whether TorchLens names the marked line of a module."""
    lines, first = inspect.getsourcelines(twin)
    marked = next(first + i for i, line in enumerate(lines) if MARK in line)
    return ", line" if (said or "").endswith(f"torch_twins.py:{marked}") else ""
