"""The state of our optimizers into that of torch's."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import jax
import numpy as np

from jaxgrad._checks import check_int, wrong_value
from jaxgrad._types import PyTree
from jaxgrad.optimizers._adafactor import FactoredMoment
from jaxgrad.torch_state._arrays import (
    Arrays,
    as_array,
    as_tensor,
    like_value,
    same_bits,
)
from jaxgrad.torch_state._layout import Layout, Path, positions
from jaxgrad.torch_state._optimizer_fields import (
    NUMBERS,
    STATES,
    WITHOUT_STEP,
    Names,
    converted,
    is_counter,
    is_known,
    is_moment,
    leaves_of,
)
from jaxgrad.torch_state._templates import path_of

FUNCTION = "optimizer_to_torch"


def optimizer_to_torch(
    state: PyTree,
    like: Mapping[str, Any],
    layout: Layout,
    parameters: Sequence[str] | None = None,
    steps: SupportsIndex | None = None,
) -> dict[str, Any]:
    """The state dict of a torch optimizer with the values of ours, the inverse.

    Args:
        state: The state of an optimizer of `jaxgrad.optimizers`, or one that holds it.
        like: `optimizer.state_dict()` of the torch optimizer, before or after its first
            step. Its `param_groups`, which hold the hyperparameters, are kept.
        layout: As for `optimizer_from_torch`.
        parameters: As for `optimizer_from_torch`.
        steps: The number of updates so far. Needed if torch's optimizer counts them,
            ours does not, and `like` is from before the first step.
    Returns: A dictionary for `optimizer.load_state_dict`, with new tensors; NumPy
        arrays where `like` has them, or torch has not been imported.
    Raises: As `optimizer_from_torch`.
    """
    export = _Export(Names(FUNCTION, like, parameters), layout)
    for path, node in jax.tree_util.tree_flatten_with_path(state, is_leaf=is_known)[0]:
        if is_known(node):
            export.add(node)
        elif is_counter(FUNCTION, path_of(path)):
            export.counts.add(int(node))
    export.add_steps(steps)
    entries = {
        index: export.entry(name, like["state"].get(index, {}))
        for index, name in export.names.by_index.items()
        if name in export.fields or index in like["state"]
    }
    return {**like, "state": entries}


class _Export:
    """Our fields on their way into torch's."""

    def __init__(self, names: Names, layout: Layout):
        self.names, self.layout = names, layout
        self.fields: dict[str, Arrays] = {}  # of each parameter
        self.uncounted: set[str] = set()  # parameters whose steps torch counts, not we
        self.counts: set[int] = set()

    def add(self, node: Any) -> None:
        """Take the values of one of our states."""
        fields = dict(zip(STATES[type(node)], node, strict=True))
        numbers = {
            field: np.asarray(fields.pop(field))
            for field in [*fields]
            if field in NUMBERS
        }
        covered = set()
        for field, tree in fields.items():
            for name, arrays in self._of_parameters(field, tree).items():
                self.fields.setdefault(name, {}).update(arrays)
                covered.add(name)
        for name in covered:
            self.fields[name].update(numbers)
        if "step" in numbers:
            self.counts.add(int(numbers["step"]))
        elif type(node) not in WITHOUT_STEP:
            self.uncounted |= covered

    def _of_parameters(self, field: str, tree: PyTree) -> dict[str, Arrays]:
        """Torch's arrays of a field by parameter."""
        found: dict[str, Arrays] = {}
        values: dict[Path, np.ndarray] = {}
        for path, leaf in leaves_of(tree):
            source = self.names.source(self.layout, path)
            if is_moment(leaf):
                found[source.name] = self._moment(path, leaf)
            else:
                shape = positions(source, self.layout.shapes[source.name]).shape
                values[path] = _like_parameter(np.asarray(leaf), shape)
        arrays = self.layout.scatter(FUNCTION, values, {})
        known = {*self.names.by_index.values()}
        return found | {n: {field: array} for n, array in arrays.items() if n in known}

    def _moment(self, path: Path, moment: FactoredMoment) -> Arrays:
        row, col = map(np.asarray, moment)
        if self.names.is_transposed(self.layout, path):
            row, col = col.T, row.T
        return {"row_var": row, "col_var": col}

    def add_steps(self, steps: SupportsIndex | None) -> None:
        """Count the steps where torch does and our state does not."""
        if steps is not None:
            self.counts = {check_int(FUNCTION, "steps", steps, least=0)}
        theirs = self.names.fields.get("step", {})
        for name in sorted(self.uncounted):
            known = {*self.counts} or {int(theirs[n]) for n in (name,) if n in theirs}
            if len(known) != 1:
                what = "steps, the number of updates, which torch counts"
                raise wrong_value(FUNCTION, what, sorted(known) or "none in our state")
            self.fields[name]["step"] = np.array(known.pop(), np.float32)

    def entry(self, name: str, like: Mapping[str, Any]) -> dict[str, Any]:
        """Torch's state of one parameter."""
        fields = self.fields.get(name, {})
        like = {field: value for field, value in like.items() if value is not None}
        if like and {*like} != {*fields}:
            what = f"a state of {name!r} with torch's {', '.join(sorted(like))}"
            hint = "both optimizers need the same options and parameters"
            got = ", ".join(sorted(fields)) or "none of them"
            raise wrong_value(FUNCTION, what, got, hint)
        return {
            field: _value(f"{field} of {name}", field, fields[field], like.get(field))
            for field in like or fields
        }


def _like_parameter(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array of ours in its parameter's shape: pairs of reals as complex numbers."""
    if array.shape == shape or array.shape != (*shape, 2):
        return array
    pairs = np.ascontiguousarray(array)
    return pairs.view(np.result_type(array, np.complex64))[..., 0]


def _value(what: str, field: str, array: np.ndarray, like: Any) -> Any:
    """A value of torch's state; a number that fits ours stays as it is in `like`."""
    if field not in NUMBERS:
        return _new(array) if like is None else like_value(FUNCTION, what, array, like)
    if like is None:
        return _new(converted(field, array).astype(_number_dtype()))
    if isinstance(like, int | float):
        return type(like)(array)
    old = as_array(FUNCTION, what, like)
    if same_bits(converted(field, old).astype(array.dtype), array):
        return like_value(FUNCTION, what, old, like)
    number = converted(field, array).astype(old.dtype)
    return like_value(FUNCTION, what, number, like)


def _new(array: np.ndarray) -> Any:
    array = np.array(array)
    return as_tensor(array) if "torch" in sys.modules else array


def _number_dtype() -> str:
    """The dtype in which torch makes such numbers."""
    torch = sys.modules.get("torch")
    is_double = torch is not None and torch.get_default_dtype() == torch.float64
    return "float64" if is_double else "float32"
