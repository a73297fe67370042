"""Leaves the user's tensors and modules as they were before the run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jaxgrad.inspection.torch_run.arrays import copied, version
from jaxgrad.inspection.torch_run.leaves import Inputs


@contextmanager
def untouched(inputs: Inputs, values: Sequence[Any]) -> Iterator[None]:
    """Restore the buffers, and parameters that change in place, after the run.

    `values` are copies of the leaves.
    """
    import torch

    owners = [part for m in inputs.modules.values() for part in m.modules()]
    buffers = [(owner, dict(owner._buffers)) for owner in owners]
    held = [b for _, each in buffers for b in each.values() if b is not None]
    saved = [(buffer, copied(buffer)) for buffer in held]
    parameters = {id(parameter) for parameter in inputs.parameters}
    pairs = zip(inputs.leaves, values, strict=True)
    own = [
        (leaf.tensor, value) for leaf, value in pairs if id(leaf.tensor) in parameters
    ]
    versions = [version(parameter) for parameter, _ in own]
    grads = [(x.tensor, x.tensor.grad) for x in inputs.leaves if x.tensor.is_leaf]
    try:
        yield
    finally:
        # A batch norm does not count its changes: all buffers are written.
        for (parameter, value), before in zip(own, versions, strict=True):
            if version(parameter) != before:
                saved.append((parameter, value))
        for tensor, gradient in grads:
            tensor.grad = gradient
        with torch.no_grad():
            for owner, each in buffers:
                if isinstance(owner._buffers, dict):
                    owner._buffers.update(each)
            for tensor, value in saved:
                tensor.copy_(value)


@contextmanager
def requiring(tensors: Sequence[Any]) -> Iterator[None]:
    """Let tensors require a gradient during the run."""
    try:
        for tensor in tensors:
            tensor.requires_grad_()
        yield
    finally:
        for tensor in tensors:
            tensor.requires_grad_(False)
