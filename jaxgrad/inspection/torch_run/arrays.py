"""Tensors as NumPy arrays, and the tensors inside nested values."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.report.summary import Summary, summarize

# Tensors of these types have no NumPy counterpart of their own.
WIDER = {"complex32": "complex64", "qint8": "float32", "quint8": "float32"}


def tensors_in(value: Any) -> list[Any]:
    """The tensors of nested lists, tuples and mappings, in their order."""
    import torch

    found, pending = [], [value]
    while pending:
        each = pending.pop()
        if isinstance(each, torch.Tensor):
            found.append(each)
        elif isinstance(each, (tuple, list)):
            pending.extend(reversed(each))
        elif isinstance(each, Mapping):
            pending.extend(reversed([*each.values()]))
    return found


def dtype_of(tensor: Any) -> Any:
    """The NumPy data type; `bfloat16` and 8-bit floats are those of JAX."""
    return _dtype_of(tensor.dtype)


@functools.cache
def _dtype_of(dtype: Any) -> Any:
    name = str(dtype).removeprefix("torch.")
    return jnp.dtype(WIDER.get(name, name))


def array_of(tensor: Any) -> np.ndarray:
    """The values as an array, which shares the memory of a tensor on the CPU.

    A nested tensor is padded with zeros.
    """
    import torch

    tensor = tensor.detach()
    if tensor.is_nested:
        tensor = torch.nested.to_padded_tensor(tensor, 0)
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    if tensor.dtype is torch.complex32:
        tensor = tensor.to(torch.complex64)
    dtype = dtype_of(tensor)
    if dtype.isbuiltin == 1:
        return tensor.numpy()
    return tensor.view(getattr(torch, f"int{8 * dtype.itemsize}")).numpy().view(dtype)


def is_differentiated(tensor: Any) -> bool:
    """Whether a tensor requires a gradient and can receive one.

    PyTorch refuses to differentiate a view that was made and changed under `no_grad`,
    if what it views requires a gradient.
    """
    try:
        tensor.grad_fn  # noqa: B018
    except RuntimeError:
        return False
    return tensor.requires_grad


def part_of(base: Any, view: Any) -> Callable[[Any], Any]:
    """A function from a gradient of `base` to that of its view."""
    import torch

    size, stride = base.size(), base.stride()
    as_real = base.is_complex() and not view.is_complex()
    offset = view.storage_offset() - base.storage_offset() * (1 + as_real)
    inside = view.size(), view.stride(), offset

    def part(gradient: Any) -> Any:
        like = {"dtype": gradient.dtype, "device": gradient.device}
        whole = torch.empty_strided(size, stride, **like).copy_(gradient)
        whole = torch.view_as_real(whole) if as_real else whole
        return whole.as_strided(*inside)

    return part


def shape_of(tensor: Any) -> tuple[int, ...]:
    """The shape of `array_of`."""
    return array_of(tensor).shape if tensor.is_nested else tuple(tensor.shape)


def with_arrays(value: Any) -> Any:
    """Nested tuples, lists and mappings with arrays in place of tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        return array_of(copied(value))
    if isinstance(value, Mapping):
        return {key: with_arrays(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        inside = map(with_arrays, value)
        return (
            type(value)(*inside) if hasattr(value, "_fields") else type(value)(inside)
        )
    return value


def version(tensor: Any) -> int:
    """How often a tensor was changed in place; 0 where PyTorch does not count."""
    return 0 if tensor.is_inference() else tensor._version


def copied(tensor: Any) -> Any:
    """A copy of a value, which no later call changes."""
    return tensor.detach().clone()


def summarized(tensor: Any) -> Summary:
    """The summary of a value."""
    return summarize(array_of(tensor))
