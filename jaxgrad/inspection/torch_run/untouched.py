"""Leaves the user's tensors and modules as they were before the run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxgrad.inspection.torch_run.arrays import copied
from jaxgrad.inspection.torch_run.leaves import Inputs


@contextmanager
def untouched(inputs: Inputs, values: Sequence[Any]) -> Iterator[None]:
    """Restore the leaves, and the modules' buffers and attributes, after the run.

    `values` are copies of the leaves.
    """
    import torch

    modules = [part for m in inputs.modules.values() for part in m.modules()]
    owners = [_Owner.of(module) for module in modules]
    leaves = [
        _Tensor.of(leaf.tensor, value)
        for leaf, value in zip(inputs.leaves, values, strict=True)
    ]
    held = [b for m in modules for b in m._buffers.values() if b is not None]
    buffers = [_Tensor.of(buffer, copied(buffer)) for buffer in held]
    try:
        yield
    finally:
        with torch.no_grad():
            for each in (*owners, *leaves, *buffers):
                each.restore()


@dataclass(eq=False)
class _Owner:
    """A module's own parameters and buffers, and whether it trains."""

    module: Any
    parameters: dict[str, Any]
    buffers: dict[str, Any]
    training: bool

    @classmethod
    def of(cls, module: Any) -> "_Owner":
        held = dict(module._parameters), dict(module._buffers)
        return cls(module, *held, module.training)

    def restore(self) -> None:
        module = self.module
        if isinstance(module._parameters, dict):  # not those of a scripted module
            module._parameters.update(self.parameters)
            module._buffers.update(self.buffers)
        if module.training != self.training:
            module.training = self.training


@dataclass(eq=False)
class _Tensor:
    """A tensor, its memory, and a copy of its values."""

    tensor: Any
    memory: Any
    value: Any
    gradient: Any
    is_leaf: bool
    requires_grad: bool

    @classmethod
    def of(cls, tensor: Any, value: Any) -> "_Tensor":
        is_leaf = tensor.is_leaf
        gradient = tensor.grad if is_leaf or tensor.retains_grad else None
        memory = tensor.detach()
        return cls(tensor, memory, value, gradient, is_leaf, tensor.requires_grad)

    def restore(self) -> None:
        tensor = self.tensor
        if self.is_leaf:
            if not tensor.is_leaf:  # changed in place by one with a gradient
                tensor.detach_()
            if tensor.requires_grad != self.requires_grad:
                tensor.requires_grad_(self.requires_grad)
        if self.is_leaf or tensor.retains_grad:
            tensor.grad = self.gradient
        if _moved(tensor, self.memory):
            tensor.data = self.memory
        # Neither a batch norm nor a change of `.data` counts as a change.
        if not _equal(self.memory, self.value):
            tensor.data.copy_(self.value)


def _moved(tensor: Any, memory: Any) -> bool:
    try:
        return tensor.data_ptr() != memory.data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse and nested tensors
        return False


def _equal(one: Any, other: Any) -> bool:
    import torch

    try:
        return torch.equal(one, other)
    except (NotImplementedError, RuntimeError):  # sparse and nested tensors
        return True


@contextmanager
def requiring(tensors: Sequence[Any]) -> Iterator[None]:
    """Let tensors require a gradient during the run."""
    try:
        for tensor in tensors:
            tensor.requires_grad_()
        yield
    finally:
        for tensor in tensors:
            if tensor.is_leaf:
                tensor.requires_grad_(False)
