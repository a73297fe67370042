"""The learning rate that falls when a metric stops improving."""

from typing import Any, Literal, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import optax

from jaxgrad._checks import check_choice, check_int, check_number, wrong_value
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, Number, PyTree, Scalar
from jaxgrad.optimizers._common import cast_like, float_dtype


class PlateauState(NamedTuple):
    """State of ReduceLROnPlateau, with torch's names."""

    lr: Array  # shape=(): the rate of the next update
    best: Array  # shape=(): the best metric so far
    num_bad_epochs: Array  # shape=(), dtype=int32: metrics since then
    cooldown_counter: Array  # shape=(), dtype=int32: metrics left in the cooldown


def reduce_lr_on_plateau(
    lr: Scalar,
    mode: Literal["min", "max"] = "min",
    factor: Number = 0.1,
    patience: SupportsIndex = 10,
    threshold: Number = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: SupportsIndex = 0,
    min_lr: Number = 0.0,
    eps: Number = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Multiply by a rate that is reduced when a metric stops improving.

    Chain it after an optimizer with the rate 1.0, and give the metric to `update` as
    `value`. An update is multiplied by the current rate; then the metric decides the
    next rate, as PyTorch's `scheduler.step(metric)` does after `optimizer.step()`.
    Without `value` the rate stays. For a metric per epoch, do not chain it: pass every
    update through `update(updates, state)` and the epoch's metric through
    `update((), state, value=metric)`.

    Args:
        lr: The rate at the start.
        mode: Whether a better metric is smaller ("min") or larger ("max").
        factor: The factor of a reduction, below 1.
        patience: The number of metrics without improvement after which the next one
            reduces the rate.
        threshold: By how much a metric must be better than the best so far to count.
        threshold_mode: "rel": the threshold is relative to the best; "abs": absolute.
        cooldown: The number of metrics after a reduction that do not count as bad.
        min_lr: The smallest rate.
        eps: A reduction by this much or less is skipped.

    Returns: An `optax.GradientTransformationExtraArgs` whose state is a `PlateauState`;
        `optax.tree.get(state, "lr")` is the next rate.
    Raises: TypeError or ValueError if `factor` >= 1, `mode` or `threshold_mode` is
        unknown, `patience` or `cooldown` is not an int, or another argument is not a
        number.
    Torch: `torch.optim.lr_scheduler.ReduceLROnPlateau`. `optax.contrib`'s
        `reduce_on_plateau` reduces one metric earlier, and before the update whose
        metric it gets; its limit is a factor, not a rate. With `asgd`, `rprop` and
        `adafactor` the rate is not a factor of the update: use
        `optax.inject_hyperparams` with the state's `lr`.

    Examples:
        >>> from jaxgrad.optimizers import sgd
        >>> optimizer = optax.chain(sgd(1.0), reduce_lr_on_plateau(0.5, patience=0))
        >>> params = jnp.array(8.0)
        >>> state = optimizer.init(params)
        >>> for metric in (3.0, 4.0, 2.0):
        ...     updates, state = optimizer.update(2.0, state, params, value=metric)
        ...     print(updates, optax.tree.get(state, "lr"))
        -1.0 0.5
        -1.0 0.05
        -0.1 0.05
    """
    name = "reduce_lr_on_plateau"
    check_choice(name, "mode", mode, ("min", "max"))
    check_choice(name, "threshold_mode", threshold_mode, ("rel", "abs"))
    patience = check_int(name, "patience", patience)
    cooldown = check_int(name, "cooldown", cooldown)
    factor = check_number(name, "factor", factor)
    if factor >= 1:
        raise wrong_value(name, "factor < 1", factor)
    sign = 1 if mode == "min" else -1

    def bar(best: Array) -> Array:
        """What the next metric has to be better than."""
        return (
            best * (1 - sign * threshold)
            if threshold_mode == "rel"
            else best - sign * threshold
        )

    def init_fn(params: PyTree) -> PlateauState:
        del params
        worst, zero = jnp.asarray(sign * jnp.inf, float_dtype()), jnp.int32(0)
        return PlateauState(jnp.asarray(lr, float_dtype()), worst, zero, zero)

    def after(metric: ArrayLike, state: PlateauState) -> PlateauState:
        metric = jnp.asarray(metric, state.best.dtype).reshape(())
        better = sign * metric < sign * bar(state.best)
        cooling = state.cooldown_counter > 0
        bad = jnp.where(better | cooling, 0, state.num_bad_epochs + 1)
        reduce = bad > patience
        lower = jnp.maximum(state.lr * factor, min_lr)
        lower = jnp.where(state.lr - lower > eps, lower, state.lr)
        return PlateauState(
            jnp.where(reduce, lower, state.lr),
            jnp.where(better, metric, state.best),
            jnp.where(reduce, 0, bad),
            jnp.where(reduce, cooldown, jnp.maximum(state.cooldown_counter - 1, 0)),
        )

    def update_fn(
        updates: PyTree,
        state: PlateauState,
        params: PyTree = None,
        *,
        value: ArrayLike | None = None,
        **extra_args: Any,
    ) -> tuple[PyTree, PlateauState]:
        del params, extra_args
        updates = jax.tree.map(lambda u: _scaled(u, state.lr), updates)
        return updates, state if value is None else after(value, state)

    update: Any = update_fn  # of any type of state
    return optax.GradientTransformationExtraArgs(init_fn, update)


def _scaled(update: ArrayLike, lr: Array) -> Array:
    """`update * lr`, in float32 for half precision, in the dtype of `update`."""
    update = jnp.asarray(update)
    wide = widened(update)
    return (wide * cast_like(lr, wide)).astype(update.dtype)
