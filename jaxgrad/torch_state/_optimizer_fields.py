"""What our optimizers' states call the fields of torch's, and torch's fields by name.

Torch has a dictionary for each parameter, we have a tree for each field. So a field of
all parameters is read as a state dict, which a layout puts into the tree.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jaxgrad._checks import wrong_type, wrong_value
from jaxgrad._types import PyTree
from jaxgrad.optimizers._adafactor import FactoredMoment, FactoredState
from jaxgrad.optimizers._adagrad import ScaleByAdagradState
from jaxgrad.optimizers._adam import ScaleByAdamaxState, ScaleByAdamState
from jaxgrad.optimizers._asgd import AveragedState
from jaxgrad.optimizers._muon import MuonState
from jaxgrad.optimizers._nadam import ScaleByNadamState
from jaxgrad.optimizers._radam import ScaleByRadamState
from jaxgrad.optimizers._rprop import ResilientState
from jaxgrad.torch_state._arrays import Arrays, as_array
from jaxgrad.torch_state._layout import Layout, Path, Source, positions
from jaxgrad.torch_state._templates import path_of

# For each state, what torch calls its fields, in their order.
STATES: dict[Any, tuple[str, ...]] = {
    optax.TraceState: ("momentum_buffer",),
    optax.ScaleByRmsState: ("square_avg",),
    optax.ScaleByRStdDevState: ("grad_avg", "square_avg"),
    optax.ScaleByAdaDeltaState: ("square_avg", "acc_delta"),
    ScaleByNadamState: ("step", "mu_product", "exp_avg", "exp_avg_sq"),
    ScaleByAdagradState: ScaleByAdagradState._fields,
    ScaleByAdamState: ScaleByAdamState._fields,
    ScaleByAdamaxState: ScaleByAdamaxState._fields,
    ScaleByRadamState: ScaleByRadamState._fields,
    AveragedState: AveragedState._fields,
    ResilientState: ResilientState._fields,
    FactoredState: FactoredState._fields,
    MuonState: MuonState._fields,
}
# Torch has these once for each parameter, and we once for all.
NUMBERS = {"step", "eta", "mu", "mu_product"}
# Ours outside of these states, as of a schedule.
COUNTERS = {"count", "step"}
# Torch's optimizers with these alone count no steps.
WITHOUT_STEP = {optax.TraceState, MuonState}


def is_known(node: Any) -> bool:
    return type(node) in STATES


def is_counter(function: str, path: Path) -> bool:
    """Whether an array outside of these states counts updates; False for an option.

    ValueError for any other, as torch's state has no place for it.
    """
    if path[-1:] and path[-1] in COUNTERS:
        return True
    if "hyperparams" in path:
        return False
    what = "a state with counterparts in torch's"
    raise wrong_value(function, what, repr("/".join(path)))


def converted(field: str, number: Any) -> np.ndarray:
    """A number of torch as ours, or ours as torch's."""
    number = np.asarray(number)
    return 1 - number.astype(np.float64) if field == "mu_product" else number


class Names:
    """The parameters of a torch optimizer, and the names of their fields' arrays."""

    def __init__(self, function: str, theirs: Any, parameters: Sequence[str] | None):
        if not isinstance(theirs, Mapping) or not {"state", "param_groups"} <= {
            *theirs
        }:
            kind, hint = type(theirs).__name__, "pass optimizer.state_dict()"
            raise wrong_type(function, "the state dict of an optimizer", kind, hint)
        groups = theirs["param_groups"]
        indices = [index for group in groups for index in group["params"]]
        names = parameters or [n for g in groups for n in g.get("param_names", ())]
        if len(names) != len(indices):
            hint = "pass parameters=[name for name, _ in module.named_parameters()]"
            what = f"the names of the optimizer's {len(indices)} parameters"
            raise wrong_value(function, what, len(names), hint)
        self.function = function
        self.by_index = dict(zip(indices, names, strict=True))
        self.fields: dict[str, Arrays] = {}
        for index, entry in theirs["state"].items():
            for field, value in entry.items():
                if value is not None:
                    self._add(field, self.by_index[index], value)

    def _add(self, field: str, name: str, value: Any) -> None:
        of = f"{field} of {name}"
        is_number = isinstance(value, int | float)
        array = np.asarray(value) if is_number else as_array(self.function, of, value)
        self.fields.setdefault(field, {})[name] = array

    def source(self, layout: Layout, path: Path) -> Source:
        """Which elements of which parameter an array of ours has."""
        entry, ours = layout.entries.get(path), "/".join(path)
        if entry is None:
            raise wrong_value(
                self.function, "a layout of the parameters", f"no {ours!r}"
            )
        if entry.is_sum:
            names = " + ".join(source.name for source in entry.sources)
            what, got = f"{ours!r} to be one parameter of torch", f"the sum {names}"
            raise wrong_value(self.function, what, got)
        known = {*self.by_index.values()}
        for source in entry.sources:
            if source.name in known:
                return source
        names = " or ".join(repr(source.name) for source in entry.sources)
        what = f"{names} among the optimizer's parameters, for {ours!r}"
        raise wrong_value(self.function, what, "others")

    def is_transposed(self, layout: Layout, path: Path) -> bool:
        """Whether rows are columns in ours; ValueError for any other layout."""
        source = self.source(layout, path)
        shape = layout.shapes[source.name]
        where = positions(source, shape)
        same = positions(Source("", lambda x: x), shape)
        if np.array_equal(where, same):
            return False
        if where.ndim == 2 and np.array_equal(where.T, same):
            return True
        what = (
            f"{source.name!r}, which has moments of rows and columns, as it is in torch"
        )
        got = f"shape {shape} laid out as {where.shape} in {'/'.join(path)!r}"
        raise wrong_value(self.function, what, got)


def leaves_of(tree: PyTree) -> Iterator[tuple[Path, Any]]:
    """The arrays and factored moments of a field by the paths of their parameters."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_moment)
    return ((path_of(path), leaf) for path, leaf in flat)


def is_moment(leaf: Any) -> bool:
    return isinstance(leaf, FactoredMoment)
