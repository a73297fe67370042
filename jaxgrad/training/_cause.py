"""Why a step is not finite: `find_nonfinite` on that very step and batch.

Two programs can be at fault, and they are searched in this order: the loss with its
gradient, and the update of the optimizer. Where neither is, the sentence says what is
known instead.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgrad._types import Array, PyTree
from jaxgrad.inspection import Blame, find_nonfinite
from jaxgrad.training._epoch import Setup, batch_loss, example_losses, noise_key, scaled
from jaxgrad.training._state import TrainState

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # images, labels, mask

ONLY_COMPILED = (
    "Loss, gradient and update are finite if the step runs operation by operation: "
    "only the compiled program gives this. It depends on rounding: look for a "
    "difference of nearly equal numbers, or a pole that is only just missed."
)


def cause_of(
    setup: Setup,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Batch,
    spoilt: tuple[str, ...],
) -> tuple[Blame | str, np.ndarray]:
    """The blame, or in words why there is none; and the examples at fault, (batch,).

    Args:
        setup: The network and the loss.
        optimizer: The optimizer.
        state: The state before the step.
        batch: The batch with its padding.
        spoilt: The parameters that are not finite after it, if the loss is finite.
    """
    bad = np.zeros(batch[-1].sum(), bool)
    try:
        state = jax.tree.map(lambda leaf: leaf.addressable_data(0), state)
        images, labels, mask = map(jnp.asarray, batch)
        images = scaled(images, setup.white, state.params)
        bad = _bad_examples(setup, state, images, labels)[batch[-1]]
        blame = _blame(setup, optimizer, state, (images, labels, mask), bool(spoilt))
        return blame or ONLY_COMPILED, bad
    except Exception as fault:  # the search must not hide what it searches for
        kind = type(fault).__name__
        return f"The search for the operation failed: {kind}: {fault}", bad


def _bad_examples(
    setup: Setup, state: TrainState, images: Array, labels: Array
) -> np.ndarray:
    run = jax.jit(lambda *arrays: example_losses(setup.apply, setup.loss, *arrays)[0])
    key = noise_key(state)
    losses = run(state.params, state.model_state, key, images, labels)
    return ~np.isfinite(np.asarray(losses))


def _blame(
    setup: Setup,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: tuple[Array, Array, Array],
    only_update: bool,
) -> Blame | None:
    key, (images, labels, mask) = noise_key(state), batch

    def mean_loss(
        params: PyTree, model_state: PyTree, images: Array, labels: Array
    ) -> tuple[Array, PyTree]:
        network = setup.apply, setup.loss
        return batch_loss(*network, params, model_state, key, images, labels, mask)

    def update(params: PyTree, gradients: PyTree, opt_state: Any) -> PyTree:
        updates, _ = optimizer.update(gradients, opt_state, params)
        return updates, optax.apply_updates(params, updates)

    arguments = state.params, state.model_state, images, labels
    blame = find_nonfinite(mean_loss, has_aux=True, argnums=0)(*arguments)
    if blame is not None or not only_update:
        return blame
    gradients, _ = jax.jit(jax.grad(mean_loss, has_aux=True))(*arguments)
    return find_nonfinite(update)(state.params, gradients, state.opt_state)
