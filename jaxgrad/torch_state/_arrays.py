"""Torch's tensors as NumPy arrays with the same bits, and back.

Torch is not imported here: whoever passes a tensor has already imported it. NumPy has
no bfloat16 and float8 of its own, so these travel as integers of the same size.
"""

import sys
from collections.abc import Mapping
from os import PathLike
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import wrong_type, wrong_value

Arrays = dict[str, np.ndarray]

CONVERT = (
    "this library opens no pickle; in torch, pass the dictionary that "
    "torch.load(path, weights_only=True) returns, or save it with "
    "safetensors.torch.save_file and use read_safetensors"
)


def as_arrays(function: str, state: Mapping[str, Any]) -> Arrays:
    """A state dict as NumPy arrays, which may share the memory of the tensors."""
    if isinstance(state, str | bytes | PathLike):
        raise wrong_type(function, "a state dict", f"the path {state!r}", CONVERT)
    if not isinstance(state, Mapping):
        hint = "pass module.state_dict()"
        raise wrong_type(function, "a state dict", type(state).__name__, hint)
    return {name: as_array(function, name, value) for name, value in state.items()}


def as_array(function: str, name: str, value: Any) -> np.ndarray:
    """A tensor or an array as a NumPy array; TypeError for anything else."""
    if not isinstance(name, str):
        raise wrong_type(function, "names that are strings", repr(name))
    if is_tensor(value):
        return _from_tensor(function, name, value)
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return np.asarray(value)
    hint = f"pass checkpoint[{name!r}]" if isinstance(value, Mapping) else ""
    kind = type(value).__name__
    raise wrong_type(function, f"{name!r} to be a tensor or an array", kind, hint)


def is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_tensor(function: str, name: str, tensor: Any) -> np.ndarray:
    torch = sys.modules["torch"]
    kind = str(tensor.dtype).removeprefix("torch.")
    try:
        dense = tensor.detach().cpu().resolve_conj().resolve_neg()
        if kind == "bfloat16" or kind.startswith("float8"):
            integers = getattr(torch, f"uint{8 * dense.element_size()}")
            bits = dense.contiguous().view(integers)
            return bits.numpy().view(jnp.dtype(kind))
        return dense.numpy()
    except (RuntimeError, TypeError) as fault:
        what = f"{name!r} to be a dense tensor with values, of a dtype that JAX has"
        raise wrong_value(function, what, f"{kind} ({fault})") from fault


def like_value(function: str, name: str, array: np.ndarray, like: Any) -> Any:
    """The array as a tensor or NumPy array of the dtype and device of `like`."""
    if not is_tensor(like):
        return cast_exactly(function, name, array, np.asarray(like).dtype)
    dtype = jnp.dtype(str(like.dtype).removeprefix("torch."))
    return as_tensor(cast_exactly(function, name, array, dtype)).to(like.device)


def as_tensor(array: np.ndarray) -> Any:
    """An array as a tensor that shares its memory, where torch has been imported."""
    torch = sys.modules["torch"]
    if array.dtype.isbuiltin == 1:  # not one of ml_dtypes
        return torch.from_numpy(array)
    integers = array.view(f"u{array.dtype.itemsize}")
    return torch.from_numpy(integers).view(getattr(torch, array.dtype.name))


def cast_exactly(function: str, name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
    """A copy in another dtype; ValueError if a value would be rounded."""
    if array.dtype == dtype:
        return np.array(array)
    fits = not jnp.iscomplexobj(array) or jnp.issubdtype(dtype, jnp.complexfloating)
    if fits:
        with np.errstate(all="ignore"):
            cast = np.array(array, dtype)
            if ((cast.astype(array.dtype) == array) | (array != array)).all():
                return cast
    hint = "cast one of the two before; 64 bits need jax_enable_x64"
    what = f"{name!r} with values that {np.dtype(dtype)} has"
    raise wrong_value(function, what, f"others in {array.dtype}", hint)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def memory(array: np.ndarray) -> Any:
    """Equal for arrays that are views of the same elements; None without elements."""
    if not array.size:
        return None
    address = array.__array_interface__["data"][0]
    return address, array.shape, array.strides, array.dtype.str


def nested(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict as nested dictionaries of NumPy arrays, which are copies.

    `"layer.0.weight"` becomes `["layer"]["0"]["weight"]`; `flat` is the inverse.

    Args:
        state: Names to torch tensors or arrays of any shape, as of
            `module.state_dict()` or `read_safetensors`.
    Returns: The same arrays under the parts of their names.
    Raises: TypeError if `state` is no mapping of names to tensors or arrays; ValueError
        if a name is also the beginning of another.

    Examples:
        >>> nested({"fc.weight": np.ones(2), "fc.bias": np.zeros(1)})
        {'fc': {'weight': array([1., 1.]), 'bias': array([0.])}}
    """
    tree: dict[str, Any] = {}
    for name, array in as_arrays("nested", state).items():
        *modules, leaf = name.split(".")
        node = tree
        for part in modules:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise _two_things(name, part)
        if leaf in node:
            raise _two_things(name, leaf)
        node[leaf] = np.array(array)
    return tree


def _two_things(name: str, part: str) -> ValueError:
    what = "names of which none is the beginning of another"
    return wrong_value("nested", what, f"{name!r} and an array or module {part!r}")


def flat(tree: Mapping[str, Any]) -> Arrays:
    """Nested dictionaries of arrays as a state dict, the inverse of `nested`.

    Args:
        tree: Dictionaries with strings as keys, and torch tensors or arrays as leaves.
    Returns: The arrays, copied, under their keys joined by dots.
    Raises: TypeError for other keys or leaves; ValueError if two arrays get one name.

    Examples:
        >>> flat({"fc": {"weight": np.ones(2), "bias": np.zeros(1)}})
        {'fc.weight': array([1., 1.]), 'fc.bias': array([0.])}
    """
    arrays: Arrays = {}
    for name, value in _items(tree, ""):
        if name in arrays:
            raise wrong_value("flat", "each array to have its own name", repr(name))
        arrays[name] = np.array(as_array("flat", name, value))
    return arrays


def _items(tree: Any, prefix: str) -> Any:
    for key, value in tree.items():
        if not isinstance(key, str):
            raise wrong_type("flat", "keys that are strings", repr(key))
        if isinstance(value, Mapping):
            yield from _items(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
