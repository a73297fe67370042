"""Leaves the user's tensors and modules as they were before the run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from jaxgrad.inspection.torch_run.arrays import version


@contextmanager
def untouched(modules: Mapping[str, Any], tensors: Sequence[Any]) -> Iterator[None]:
    """Restore buffers, and parameters that change in place, after the run."""
    import torch

    owners = [part for module in modules.values() for part in module.modules()]
    buffers = [(owner, dict(owner._buffers)) for owner in owners]
    held = [b for _, each in buffers for b in each.values() if b is not None]
    saved = [(t, version(t), t.detach().clone()) for t in (*held, *tensors)]
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
