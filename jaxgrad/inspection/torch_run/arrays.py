"""Tensors as NumPy arrays, and the tensors inside nested values."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.report.summary import Summary, summarize

# Tensors of these types have no NumPy counterpart of their own.
WIDER = {"complex32": "complex64", "qint8": "float32", "quint8": "float32"}


def tensors_in(value: Any) -> Iterator[Any]:
    """The tensors of nested lists, tuples and mappings, in their order."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from tensors_in(each)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors_in(each)


def dtype_of(tensor: Any) -> Any:
    """The NumPy data type; `bfloat16` and 8-bit floats are those of JAX."""
    name = str(tensor.dtype).removeprefix("torch.")
    return jnp.dtype(WIDER.get(name, name))


def array_of(tensor: Any) -> np.ndarray:
    """The values as an array, which shares the memory of a tensor on the CPU."""
    import torch

    tensor = tensor.detach()
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


def version(tensor: Any) -> int:
    """How often a tensor was changed in place; 0 where PyTorch does not count."""
    return 0 if tensor.is_inference() else tensor._version


def copied(tensor: Any) -> Any:
    """A copy of a value, which no later call changes."""
    return tensor.detach().clone()


def summarized(tensor: Any) -> Summary:
    """The summary of a value."""
    return summarize(array_of(tensor))
