"""Both sides of a port, with the same numbers, ready to be called or compared."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import torch

from tests.ports.case import theirs
from tests.ports.numbers import numbers_of


class Program(NamedTuple):
    """A program and its arguments; the parameters of PyTorch's have their names."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    parameters: dict[str, Any] | None = None


def original(program: str, dtype: str) -> Program:
    """PyTorch's program."""
    state, data = (_mapped(_tensor, each, dtype) for each in numbers_of(program))
    function, first, parameters = theirs(program).build(state)
    return Program(function, (*first, *data.values()), parameters)


def port(module: ModuleType, program: str, dtype: str) -> Program:
    """The JAX program of a module."""
    state, data = (_mapped(_array, each, dtype) for each in numbers_of(program))
    return Program(module.loss, (module.params_from_torch(state), *data.values()))


def _mapped(f: Any, numbers: dict[str, Any], dtype: str) -> dict[str, Any]:
    return {
        name: f(x, dtype if x.dtype.kind == "f" else x.dtype.name)
        for name, x in numbers.items()
    }


def _tensor(x: Any, dtype: str) -> Any:
    return torch.as_tensor(x).to(getattr(torch, dtype))


def _array(x: Any, dtype: str) -> Any:
    return jnp.asarray(x, jax.dtypes.canonicalize_dtype(dtype))
