"""The state of torch's optimizers into that of ours.

A walk over our state: the nodes of `STATES` hold what torch holds, and whatever else
counts, such as a schedule, has the number of updates. Torch counts them for each
parameter, we once, so they have to be equal.
"""

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import check_int, wrong_value
from jaxgrad._types import PyTree
from jaxgrad.optimizers._adafactor import FactoredMoment
from jaxgrad.torch_state._layout import Layout, Path
from jaxgrad.torch_state._optimizer_fields import (
    NUMBERS,
    STATES,
    Names,
    converted,
    is_counter,
    is_known,
    is_moment,
    leaves_of,
)
from jaxgrad.torch_state._templates import as_jax, path_of


def optimizer_from_torch(
    theirs: Mapping[str, Any],
    state: PyTree,
    layout: Layout,
    parameters: Sequence[str] | None = None,
    steps: SupportsIndex | None = None,
) -> PyTree:
    """The state of an optimizer of `jaxgrad.optimizers`, with the values of torch's.

    A step with it is the step that torch's optimizer would take, if both have the same
    hyperparameters: our state does not say whether they do. Muon's step depends on
    which axis of a matrix is the first, so that of a transposed kernel differs in size.

    Args:
        theirs: `optimizer.state_dict()` of a `torch.optim` optimizer.
        state: The state to fill, such as `optimizer.init(params)`; it may be abstract,
            and part of a larger one, as of `optax.chain` or `optax.partition`.
        layout: Where torch's parameters are in `params`, from `layout`.
        parameters: Their names in the order in which the optimizer got them; not needed
            if it got `named_parameters()`.
        steps: The number of updates so far. Needed if ours counts and torch's does not:
            SGD and Muon with a schedule, SGD with dampening.
    Returns: A state like `state`.
    Raises: TypeError if `theirs` is no state dict of an optimizer; ValueError if a
        field of either side is missing on the other, a shape does not fit, parameters
        differ in their number of steps, one is the sum of two, or a value would be
        rounded.
    """
    names = Names("optimizer_from_torch", theirs, parameters)
    return _Takeover(names, layout).filled(state, steps)


class _Takeover:
    """Torch's fields on their way into ours, and which of them have been used."""

    def __init__(self, names: Names, layout: Layout):
        self.names, self.function, self.layout = names, names.function, layout
        self.used: set[tuple[str, str]] = set()

    def filled(self, state: PyTree, steps: SupportsIndex | None) -> PyTree:
        counted = self._steps(steps)

        def node(path: Any, old: Any) -> Any:
            return self._node(old) if is_known(old) else self._other(path, old, counted)

        new = jax.tree_util.tree_map_with_path(node, state, is_leaf=is_known)
        self._check_used()
        return new

    def _steps(self, steps: SupportsIndex | None) -> int | None:
        found = {int(number) for number in self.names.fields.get("step", {}).values()}
        if steps is None:
            return found.pop() if len(found) == 1 else None
        given = check_int(self.function, "steps", steps, least=0)
        if len(found) == 1 and found != {given}:
            raise wrong_value(self.function, f"steps={found.pop()}, as torch", given)
        return given

    def _node(self, old: Any) -> Any:
        """One of our states."""
        fields = dict(zip(STATES[type(old)], old, strict=True))
        tree = next(tree for field, tree in fields.items() if field not in NUMBERS)
        paths = [path for path, _ in leaves_of(tree)]
        return type(old)(
            *(
                self._number(field, paths, value)
                if field in NUMBERS
                else self._tree(field, value)
                for field, value in fields.items()
            )
        )

    def _other(self, path: Any, old: Any, steps: int | None) -> Any:
        """What is in no state that torch has: a counter, or a hyperparameter."""
        if not is_counter(self.function, path_of(path)):
            return old
        if steps is None:
            what = "steps, the number of updates, which our state counts"
            raise wrong_value(self.function, what, "none in torch's state")
        return as_jax(self.function, "steps", np.asarray(steps), old.dtype)

    def _number(self, field: str, paths: list[Path], old: Any) -> Any:
        names = [self.names.source(self.layout, path).name for path in paths]
        numbers = {self._value(field, name).item() for name in names}
        if len(numbers) != 1:
            what = f"one {field!r} for all parameters"
            raise wrong_value(self.function, what, sorted(numbers))
        return jnp.array(converted(field, numbers.pop()).astype(old.dtype))

    def _tree(self, field: str, old: PyTree) -> PyTree:
        def leaf(path: Any, old: Any) -> Any:
            ours = path_of(path)
            if is_moment(old):
                return self._moment(ours, old)
            source = self.names.source(self.layout, ours)
            array = _as_real(source.pick(self._value(field, source.name)))
            return self._checked(f"{field} of {source.name}", array, old)

        return jax.tree_util.tree_map_with_path(leaf, old, is_leaf=is_moment)

    def _moment(self, path: Path, old: FactoredMoment) -> FactoredMoment:
        name = self.names.source(self.layout, path).name
        row, col = (self._value(field, name) for field in FactoredMoment._fields)
        if self.names.is_transposed(self.layout, path):
            row, col = col.T, row.T
        return FactoredMoment(
            self._checked(f"row_var of {name}", row, old.row_var),
            self._checked(f"col_var of {name}", col, old.col_var),
        )

    def _value(self, field: str, name: str) -> np.ndarray:
        """A field of one parameter."""
        fields = self.names.fields
        if name not in fields.get(field, {}):
            what = f"{field!r} of {name!r} in torch's state"
            has = [repr(other) for other, of in fields.items() if name in of]
            raise wrong_value(self.function, what, ", ".join(has) or "no step so far")
        self.used.add((field, name))
        value, shape = fields[field][name], self.layout.shapes[name]
        if field not in {*NUMBERS, *FactoredMoment._fields} and value.shape != shape:
            what = f"{field!r} of {name!r} of shape {shape}"
            raise wrong_value(self.function, what, f"shape {value.shape}")
        return value

    def _checked(self, what: str, array: np.ndarray, old: Any) -> jax.Array:
        if array.shape != old.shape:
            expected = f"{what!r} to fit ours of shape {old.shape}"
            raise wrong_value(self.function, expected, f"shape {array.shape}")
        return as_jax(self.function, what, array, old.dtype)

    def _check_used(self) -> None:
        every = {(f, name) for f, of in self.names.fields.items() for name in of}
        unused = sorted(f"{f} of {n}" for f, n in every - self.used if f != "step")
        if unused:
            shown = ", ".join(unused[:6]) + (" ..." if unused[6:] else "")
            hint = "both optimizers need the same options and parameters"
            what = "a state with a place for each field of torch's"
            raise wrong_value(self.function, what, f"none for {shown}", hint)


def _as_real(array: np.ndarray) -> np.ndarray:
    """A complex array as pairs of reals, as our states have it."""
    if not np.iscomplexobj(array):
        return array
    return np.stack([np.real(array), np.imag(array)], -1)
