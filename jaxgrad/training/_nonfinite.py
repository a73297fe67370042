"""Training stops at the first loss or parameter that is NaN or infinite.

The loop of an epoch is one compiled program, and checking every gradient in it would
take a tenth of its time. So the losses and the parameters are checked after each chunk
of steps. On a fault, the chunk is repeated step by step from a copy of its first state,
bit for bit, until the fault appears again.
"""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from jaxgrad._types import Array, PyTree
from jaxgrad.inspection import Blame
from jaxgrad.training._monitor import Watched
from jaxgrad.training._state import TrainState

_SHOWN = 8  # indices in a message


class NonFinite(FloatingPointError):
    """A loss, or the parameters after an update, are NaN or infinite.

    Attributes:
        epoch: The epoch, counted from 0.
        step: The step of that epoch, counted from 0.
        loss: The loss of that step.
        indices: The training images of its batch, (batch,).
        state: The finite state before the step, a copy that is not donated.
        blame: What `find_nonfinite` says about the step: the operation, the line and
            the cause. None if the search is off or finds nothing; the message says why.
        examples: Those of `indices` whose own loss is not finite; empty if the search
            is off.
        watched: What `fit(watch=...)` has measured in the epoch.
    """

    blame: Blame | None = None
    examples: np.ndarray = np.zeros(0, int)

    def __init__(
        self,
        epoch: int,
        step: int,
        loss: float,
        indices: np.ndarray,
        state: TrainState,
        leaves: tuple[str, ...] = (),
        watched: Watched | None = None,
    ):
        self.epoch, self.step, self.loss = epoch, step, loss
        self.indices, self.state, self.watched = indices, state, watched
        got = f"a loss of {loss:.7g}"
        if leaves:
            got += f" and, after the update, {', '.join(leaves)} with NaN or Inf"
        super().__init__(
            f"training: expected finite numbers, got {got} instead, in step {step} of "
            f"epoch {epoch} (counted from 0; batch of images {_listed(indices)})"
        )

    def explain(self, cause: Blame | str, bad: np.ndarray) -> None:
        """Add the cause to the message, and the examples where `bad` is true."""
        self.examples = self.indices[bad]
        lines = [*self.args]
        few, all_ = len(self.examples), len(self.indices)
        if 0 < few < all_:
            found = f"The loss of {few} of these {all_} images is not finite"
            lines.append(f"{found}: {_listed(self.examples)}.")
        if all_finite(self.state.params):
            largest = max(map(_largest, _inexact(self.state.params)), default=0)
            lines.append(f"Before the step, the largest parameter was {largest:.3g}.")
        if not isinstance(cause, str):
            self.blame = cause
        self.args = ("\n".join([*lines, str(cause)]),)


def _largest(leaf: Array) -> float:
    return float(jnp.max(jnp.abs(leaf), initial=0))


def _listed(indices: np.ndarray) -> str:
    shown = ", ".join(map(str, indices[:_SHOWN]))
    return shown + (", ..." if len(indices) > _SHOWN else "")


def is_finite(losses: np.ndarray, params: PyTree) -> bool:
    """Whether the losses and the parameters hold no NaN and no infinity."""
    return bool(np.isfinite(losses).all()) and bool(all_finite(params))


@jax.jit
def all_finite(params: PyTree) -> Bool[Array, ""]:
    """Whether no leaf holds a NaN or an infinity."""
    finite = [jnp.isfinite(leaf).all() for leaf in _inexact(params)]
    return jnp.stack(finite).all() if finite else jnp.array(True)


def nonfinite_leaves(params: PyTree) -> tuple[str, ...]:
    """The paths of the leaves that hold a NaN or an infinity."""
    return tuple(
        f"params{jax.tree_util.keystr(path)}"
        for path, leaf in jax.tree.leaves_with_path(params)
        if not all_finite(leaf)
    )


def first_fault(
    step_once: Callable[[TrainState, int], tuple[TrainState, float]],
    state: TrainState,
    steps: Iterable[int],
) -> tuple[int, TrainState, float, tuple[str, ...]]:
    """Repeat the steps from `state` up to the first fault.

    Returns:
        The step, the state before it, its loss, and, if the loss is finite, the leaves
        that the step made non-finite. If the fault does not appear again, because the
        steps are not reproducible, the last step.
    """
    step, before, loss = 0, state, float("nan")
    masks = nonfinite_leaves(state.params)  # they may hold -inf from the start
    for step in steps:
        before = copy_of(state)
        state, loss = step_once(state, step)
        if not np.isfinite(loss):
            return step, before, loss, ()
        spoilt = tuple(x for x in nonfinite_leaves(state.params) if x not in masks)
        if spoilt:
            return step, before, loss, spoilt
    return step, before, loss, ()


@jax.jit
def copy_of(state: TrainState) -> TrainState:
    """A copy on the same devices."""
    return jax.tree.map(jnp.copy, state)


def _inexact(params: PyTree) -> list[Array]:
    leaves = jax.tree.leaves(params)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
