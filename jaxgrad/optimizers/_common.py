"""Shared by the optimizers: the chain around their cores, checks and scalars.

Scalars that depend on the step are computed without cancellation, so float32 keeps the
digits that torch gets from Python's doubles. Half precision is computed in float32 and
stored in its own dtype. A complex parameter is a pair of reals, as in torch.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxgrad._checks import check_number, check_range, wrong_type, wrong_value
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, DTypeLike, PyTree, Scalar, ScalarOrSchedule


def torch_chain(
    core: optax.GradientTransformation | None,
    lr: ScalarOrSchedule | None,
    *,
    weight_decay: Scalar = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> optax.GradientTransformation:
    """Flip the gradient, add decayed weights, the core, multiply by -lr.

    Decoupled weights are added after the core; `lr` is None if the core uses it itself.
    """
    decay: Any = None
    if not is_zero(weight_decay):
        decay = optax.add_decayed_weights(weight_decay)  # pyright: ignore
    links = (
        _negated() if maximize else None,
        None if decoupled else decay,
        core,
        decay if decoupled else None,
        None if lr is None else scale_by_lr(lr),
    )
    return at_least_float32(optax.chain(*(link for link in links if link is not None)))


def _negated() -> optax.GradientTransformation:
    # A product with -1 would make subnormal numbers 0.
    return optax.stateless(lambda updates, _: jax.tree.map(jnp.negative, updates))


def scale_by_lr(lr: ScalarOrSchedule) -> optax.GradientTransformation:
    """Multiply by -lr; like a schedule's value, an array takes each leaf's dtype."""
    if is_array(lr):
        return optax.scale_by_learning_rate(lambda step: lr_at(lr, step))
    return optax.scale_by_learning_rate(lr)  # pyright: ignore


def lr_at(lr: ScalarOrSchedule, step: ArrayLike) -> ArrayLike:
    """The learning rate of the update after `step` earlier ones."""
    if callable(lr):
        return lr(step)
    return jnp.reshape(lr, ()) if is_array(lr) else lr


def at_least_float32(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """Run `inner` on reals, in float32 for half precision; results keep their dtypes.

    `inner` gets a complex leaf as a real one with an additional last axis of 2.
    """

    def init_fn(params: PyTree) -> PyTree:
        # A Python number is weakly typed: the state would change its type, and the
        # second update would compile again.
        return inner.init(
            jax.tree.map(
                lambda p: view_as_real(jnp.asarray(p, jnp.result_type(p))), params
            )
        )

    def update_fn(updates: PyTree, state: PyTree, params: PyTree = None):
        # An array hyperparameter can have another dtype than the leaves.
        with jax.numpy_dtype_promotion("standard"):
            new_updates, new_state = inner.update(
                _widened(updates), _widened(state), _widened(params)
            )
        new_updates = jax.tree.map(_view_like, new_updates, updates)
        return _cast_to(new_updates, updates), _cast_to(new_state, state)

    return transformation(init_fn, update_fn)


def real_only(
    function: str, inner: optax.GradientTransformation
) -> optax.GradientTransformation:
    """`inner`, whose `init` raises TypeError if a parameter is complex, as in torch."""

    def init_fn(params: PyTree) -> PyTree:
        for leaf in jax.tree.leaves(params):
            if jnp.iscomplexobj(leaf):
                raise wrong_type(function, "real parameters", jnp.result_type(leaf))
        return inner.init(params)

    return transformation(init_fn, inner.update)


class ScheduledState(NamedTuple):
    """State of a core whose hyperparameters follow schedules."""

    step: Array  # shape=(), dtype=int32
    inner: PyTree  # the core's state


def scheduled(
    make_core: Callable[[Any], optax.GradientTransformation], hyperparameters: Any
) -> optax.GradientTransformation:
    """The core of `hyperparameters`, in which schedules are evaluated at every step."""
    if not any(map(callable, jax.tree.leaves(hyperparameters))):
        return make_core(hyperparameters)

    def core_at(step: Array) -> optax.GradientTransformation:
        return make_core(
            jax.tree.map(lambda h: h(step) if callable(h) else h, hyperparameters)
        )

    def init_fn(params: PyTree) -> ScheduledState:
        step = zero_step()
        return ScheduledState(step, core_at(step).init(params))

    def update_fn(updates: PyTree, state: ScheduledState, params: PyTree = None):
        updates, inner = core_at(state.step).update(updates, state.inner, params)
        return updates, ScheduledState(next_step(state.step), inner)

    return transformation(init_fn, update_fn)


def transformation(
    init_fn: Callable[..., Any], update_fn: Callable[..., Any]
) -> optax.GradientTransformation:
    """An `optax.GradientTransformation`, for any type of state."""
    return optax.GradientTransformation(init_fn, update_fn)


def zero_step() -> Array:
    return jnp.zeros([], jnp.int32)


def next_step(step: Array) -> Array:
    """The step counter after one more update; it saturates instead of overflowing."""
    return step + (step < jnp.iinfo(step.dtype).max).astype(step.dtype)


def log(x: Scalar) -> Scalar:
    """The logarithm of `x`, in double precision if `x` is a Python number."""
    if isinstance(x, jax.Array):
        return jnp.log(x)
    return math.log(x) if x > 0 else -math.inf


def as_float(step: ArrayLike) -> Array:
    """`step` in the widest enabled floating dtype."""
    return jnp.asarray(step, float_dtype())


def float_dtype() -> DTypeLike:
    """float64 if x64 is enabled, else float32."""
    return jnp.result_type(float)


def cast_like(scalar: ArrayLike, leaf: Array) -> Array:
    return jnp.asarray(scalar, leaf.dtype)


def check_params(function: str, params: PyTree) -> None:
    if params is None:
        raise wrong_value(
            function,
            "update(updates, state, params), since it depends on the parameters",
            "params=None",
        )


def check_not_negative(function: str, **values: ScalarOrSchedule) -> None:
    """ValueError if a known value is negative, or not a single number."""
    for argument, value in values.items():
        check_known_range(function, argument, value, least=0.0)


def check_known_range(
    function: str,
    argument: str,
    value: ScalarOrSchedule,
    least: int | float = -math.inf,
    most: int | float = math.inf,
) -> None:
    """ValueError if a known value is outside [least, most], or not a single number."""
    known = known_number(function, argument, value)
    if known is not None:
        check_range(function, argument, known, least, most)


def check_pair(function: str, argument: str, value: Any) -> None:
    """TypeError unless `value` holds two of something."""
    if not hasattr(value, "__len__") or len(value) != 2:
        raise wrong_type(function, f"{argument} to be a pair", value)


def known_number(function: str, argument: str, value: ScalarOrSchedule) -> float | None:
    """`value` as a float, or None for a schedule or a traced value."""
    if callable(value):
        return None
    check_number(function, argument, value)
    if np.size(value) != 1:
        what = f"{argument} to be a single number"
        raise wrong_value(function, what, f"shape {np.shape(value)}")
    if isinstance(value, Tracer):
        return None
    return float(np.asarray(value).reshape(()))


def is_array(x: object) -> bool:
    """Whether `x` is an array, on which Python must not branch: it may be traced."""
    return isinstance(x, jax.Array | np.ndarray)


def is_zero(x: Scalar) -> bool:
    """Whether `x` is the Python number 0; an array may change between updates."""
    return not is_array(x) and bool(x == 0)


def view_as_real(x: Array) -> Array:
    """A complex array as pairs of real and imaginary parts; a real one unchanged."""
    return jnp.stack([x.real, x.imag], -1) if jnp.iscomplexobj(x) else x


def _view_like(x: Array, reference: ArrayLike) -> Array:
    """Pairs as complex numbers if `reference` is complex."""
    return jax.lax.complex(x[..., 0], x[..., 1]) if jnp.iscomplexobj(reference) else x


def _widened(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: view_as_real(widened(jnp.asarray(x))), tree)


def _cast_to(tree: PyTree, reference: PyTree) -> PyTree:
    return jax.tree.map(
        lambda x, r: jnp.asarray(x).astype(jnp.result_type(r)), tree, reference
    )
