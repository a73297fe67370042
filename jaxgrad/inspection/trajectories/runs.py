"""Runs of a training: from its start, from one moved by an ulp, in double precision.

A `Training` is started any number of times. What its step changes is restored first, or
a function that builds the step is called again.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import jax
import numpy as np

from jaxgrad._checks import check_callable, wrong_type
from jaxgrad._modules import is_object
from jaxgrad.inspection.torch_run.training import Watched, in_double, watching
from jaxgrad.inspection.trajectories.records import (
    Arrays,
    Record,
    Trajectory,
    arrays_in,
    record_of,
)
from jaxgrad.inspection.trajectories.state import (
    Change,
    State,
    is_float,
    is_tensor,
    is_tree,
)

DEEPEST = 4  # Of the parts of what a step holds
REPLAYED = 2  # Steps that are run again to see that a training starts anew
Step = Callable[[Any], Any]


class Training:
    """A training that can be started again.

    Attributes:
        can_restart: Whether a second run repeats the first one; None before a try.
    """

    def __init__(self, function: str, name: str, given: Any) -> None:
        self.function = function
        self.can_restart: bool | None = None
        pure = isinstance(given, tuple) and len(given) == 2 and callable(given[0])
        self._given: Callable[..., Any] = (
            Stateful(given[0], given[1]) if pure else given  # pyright: ignore
        )
        check_callable(function, name, self._given)
        self._state = State(self._given)
        self._factory: bool | None = None if not _arguments(self._given) else False

    @contextmanager
    def started(self, change: Change | None = None) -> Iterator[Step]:
        """The step of a new run, from a start that `change` has moved."""
        self._state.restore()
        step = self._step()
        if change is not None:
            (State(step) if self._factory else self._state).map(change)
        try:
            yield step
        finally:
            self._state.restore()

    def _step(self) -> Step:
        if self._factory is False:
            return self._given if _arguments(self._given) else lambda _: self._given()
        result = self._given()
        self._factory = callable(result)
        if self._factory:
            return result if _arguments(result) else lambda _: result()
        self._state.restore()
        return lambda _: self._given()

    def run(self, batches: Sequence[Any], change: Change | None = None) -> Trajectory:
        """The steps on some batches."""
        with self.started(change) as step, observed(step) as seen:
            return follow(self.function, step, batches, seen)

    def check_restart(self, batches: Sequence[Any], first: Trajectory) -> None:
        """See whether the first steps of another run repeat those of the first."""
        again = self.run(batches[:REPLAYED])
        pairs = zip(again.records, first.records, strict=False)
        self.can_restart = all(_equal(a, b) for a, b in pairs)


def follow(
    function: str, step: Step, batches: Sequence[Any], seen: Watched | None
) -> Trajectory:
    """Call a step on each batch, and record what it returns and what is seen."""
    held = State(step)
    starts = [arrays for _, arrays in _held(held)]
    known = seen.values() if seen is not None else {}
    records = []
    for batch in batches:
        if seen is not None:
            seen.clear()
        record = record_of(function, step(batch))
        if seen is not None:
            _complete(record, seen)
        if not record.parameters and record.gradients:
            # The shallowest: an optimizer's moments have the same names and shapes.
            found = [x for x in _held(held) if _alike(x[1], record.gradients)]
            record.parameters = min(found, key=lambda x: x[0], default=(0, {}))[1]
        records.append(record)
    first = records[0].parameters if records else {}
    watched = {name: known[name] for name in first if name in known}
    return Trajectory(_nearest([watched, *starts], first), records)


def _held(state: State) -> Iterator[tuple[int, Arrays]]:
    """The trees of arrays that a step holds, and their parts, with their depths."""
    for tree in state.trees:
        yield from _parts_of(tree, 0)


def _parts_of(tree: Any, depth: int) -> Iterator[tuple[int, Arrays]]:
    if depth > DEEPEST or not isinstance(tree, (tuple, list, dict)):
        if hasattr(tree, "params"):
            yield depth, arrays_in(tree.params)
        elif is_tree(tree) or is_object(tree):
            yield depth, arrays_in(tree)
        return
    if isinstance(tree, dict) and not all(isinstance(k, str | int) for k in tree):
        return
    yield depth, arrays_in(tree)
    for each in tree.values() if isinstance(tree, dict) else tree:
        yield from _parts_of(each, depth + 1)


def _shapes(arrays: Arrays) -> list[tuple[int, ...]]:
    return [x.shape for x in arrays.values()]


def _alike(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(a[n].shape == b[n].shape for n in a)


def _nearest(starts: Sequence[Arrays], first: Arrays) -> Arrays:
    """Where the parameters started: the arrays like them that are nearest to them."""
    fitting = [
        dict(zip(first, arrays.values(), strict=True))
        for arrays in starts
        if _shapes(arrays) == _shapes(first)
    ]
    if not fitting or not first:
        return {}
    return min(fitting, key=lambda arrays: _apart(arrays, first))


def _apart(a: Arrays, b: Arrays) -> float:
    return sum(
        float(np.abs(np.asarray(a[n], float) - np.asarray(b[n], float)).sum())
        for n in b
    )


def _complete(record: Record, seen: Watched) -> None:
    """Add to a record what its step did not return."""
    record.gradients = record.gradients or dict(seen.gradients())
    record.raw = dict(seen.raw)
    record.settings = dict(seen.settings)
    record.parameters = record.parameters or seen.values()


@contextmanager
def observed(step: Step) -> Iterator[Watched | None]:
    """Watch a step of PyTorch; None for any other."""
    if "torch" not in sys.modules or not State(step).tensors:
        yield None
        return
    with watching(step) as seen:
        yield seen


class Stateful:
    """A pure step and its start as a step that keeps its state."""

    def __init__(self, step: Callable[..., Any], start: Any) -> None:
        self.step, self.state = step, start

    def __call__(self, batch: Any) -> Any:
        """One step; returns all but the state."""
        result = self.step(self.state, batch)
        if not isinstance(result, tuple) or len(result) < 2:
            expected = "a pure step to return (state, loss, gradients)"
            raise wrong_type("compare_training", expected, type(result).__name__)
        self.state, *rest = result
        return rest[0] if len(rest) == 1 else tuple(rest)


def _arguments(f: Callable[..., Any]) -> bool:
    """Whether a function takes a batch."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters)


def _equal(a: Record, b: Record) -> bool:
    """Whether two records are the same, bit for bit."""
    if a.loss != b.loss and not (np.isnan(a.loss) and np.isnan(b.loss)):
        return False
    pairs = ((a.gradients, b.gradients), (a.parameters, b.parameters))
    return all(
        x.keys() == y.keys() and all(x[n].tobytes() == y[n].tobytes() for n in x)
        for x, y in pairs
    )


@contextmanager
def double() -> Iterator[None]:
    """JAX and PyTorch compute in double precision."""
    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        if "torch" in sys.modules:
            stack.enter_context(in_double())
        yield


def in_double_precision(value: Any) -> Any:
    """A floating array or tensor in double precision."""
    return value.double() if is_tensor(value) else value.astype(np.float64)


def batch_in_double(batch: Any) -> Any:
    """A batch with its floating arrays and tensors in double precision."""

    def convert(x: Any) -> Any:
        floating = x.is_floating_point() if is_tensor(x) else is_float(x)
        return in_double_precision(x) if floating else x

    return jax.tree.map(convert, batch)


def moved(by: float, shapes: set[tuple[int, ...]], change: Change | None) -> Change:
    """A change of the parameters by `by`, relative and up or down, after `change`."""
    generator = np.random.default_rng(0)

    def move(value: Any) -> Any:
        value = value if change is None else change(value)
        if tuple(value.shape) not in shapes or not np.prod(value.shape, dtype=int):
            return value
        signs = generator.choice([-by, by], tuple(value.shape))
        if is_tensor(value):
            factor = value.new_tensor(1.0).double() + value.new_tensor(signs).double()
            return (value.double() * factor).to(value.dtype)
        widened = np.asarray(value, np.float64) * (1 + signs)
        return (
            jax.numpy.asarray(widened, value.dtype)
            if isinstance(value, jax.Array)
            else widened.astype(value.dtype)
        )

    return move
