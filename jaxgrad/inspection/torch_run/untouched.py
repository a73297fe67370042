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
    saved = [(buffer, version(buffer), copied(buffer)) for buffer in held]
    parameters = {id(parameter) for parameter in inputs.parameters}
    pairs = zip(inputs.leaves, values, strict=False)
    saved += [
        (leaf.tensor, version(leaf.tensor), value)
        for leaf, value in pairs
        if id(leaf.tensor) in parameters
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for owner, each in buffers:
                owner._buffers.update(each)
            for tensor, before, value in saved:
                if version(tensor) != before:
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
