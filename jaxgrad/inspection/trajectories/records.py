"""What one training step returned, as arrays with names."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgrad._checks import wrong_type
from jaxgrad._modules import is_object
from jaxgrad.inspection.torch_run.arrays import array_of
from jaxgrad.inspection.trajectories.state import is_tensor

Arrays = dict[str, np.ndarray]
RETURNS = (
    "a step to return its loss, or (loss, gradients, parameters), or a dictionary "
    "of these"
)


@dataclass(eq=False)
class Record:
    """One step: the loss, the gradients, and the parameters after the update.

    `raw` holds the gradients before clipping, if they are known as well; `settings`
    describes the optimizer of PyTorch that made the update.
    """

    loss: float
    gradients: Arrays
    parameters: Arrays
    raw: Arrays = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Trajectory(NamedTuple):
    """A run: the steps, and the parameters at the start, empty if not known."""

    start: Arrays
    records: list[Record]


def record_of(function: str, result: Any) -> Record:
    """The record of what a step returned."""
    loss, gradients, parameters = _parts(function, result)
    try:
        value = float(np.asarray(to_numpy(loss), dtype=np.float64).reshape(()))
    except (TypeError, ValueError) as error:
        got = f"a loss of type {type(loss).__name__}"
        raise wrong_type(function, RETURNS, got) from error
    return Record(value, arrays_in(gradients), arrays_in(parameters))


def _parts(function: str, result: Any) -> tuple[Any, Any, Any]:
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, Mapping):
        lower = {str(key).lower(): value for key, value in result.items()}
        if "loss" not in lower:
            raise wrong_type(function, RETURNS, f"a dictionary of {[*result]}")
        gradients = lower.get("gradients", lower.get("grads"))
        return lower["loss"], gradients, lower.get("parameters", lower.get("params"))
    if not isinstance(result, (tuple, list)):
        return result, None, None
    if not 1 <= len(result) <= 3:
        raise wrong_type(function, RETURNS, f"{len(result)} results")
    loss, gradients, parameters = (*result, None, None)[:3]
    return loss, gradients, parameters


def arrays_in(tree: Any) -> Arrays:
    """Copies of the floating arrays of a tree or module, by their paths."""
    if hasattr(tree, "named_parameters"):
        tree = dict(tree.named_parameters())
    elif is_object(tree):
        nnx = sys.modules["flax.nnx"]
        tree = nnx.to_pure_dict(nnx.state(tree, nnx.Param))
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    arrays = {name_of(path): to_numpy(leaf) for path, leaf in flat if _numeric(leaf)}
    return {name: x for name, x in arrays.items() if is_inexact(x)}


def _numeric(leaf: Any) -> bool:
    return is_tensor(leaf) or isinstance(
        leaf, (jax.Array, np.ndarray, np.generic, float)
    )


def name_of(path: Sequence[Any]) -> str:
    """A path as the user writes it; the key alone of a flat dictionary."""
    if len(path) == 1 and isinstance(getattr(path[0], "key", None), str):
        return path[0].key
    return jax.tree_util.keystr(tuple(path))


def to_numpy(value: Any) -> np.ndarray:
    """A copy as an array of NumPy."""
    return np.array(array_of(value) if is_tensor(value) else value)


def is_inexact(array: np.ndarray) -> bool:
    """Whether its numbers are floating, of JAX's dtypes too."""
    return bool(jax.numpy.issubdtype(array.dtype, jax.numpy.inexact))
