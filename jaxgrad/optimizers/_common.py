"""What torch's optimizers share: the order of the parts, the checks, the scalars.

Every optimizer is the same chain around its own part: flip the gradient
(`maximize`), add the decayed weights (`weight_decay`), the part, the decayed weights
here instead if they are decoupled, times -lr. Scalars that depend on the step are
computed without cancellation, so that float32 loses no digits where torch uses
Python's doubles; half precision is computed in float32 and stored as it came.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxgrad._checks import check_range
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, DTypeLike, PyTree, Scalar, ScalarOrSchedule

Betas: TypeAlias = tuple[Scalar, Scalar]


def assemble(
    part: optax.GradientTransformation | None,
    lr: ScalarOrSchedule | None,
    *,
    weight_decay: Scalar = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> optax.GradientTransformation:
    """The chain around `part`; `lr` is None if the part has applied it itself."""
    decay = None if is_zero(weight_decay) else optax.add_decayed_weights(weight_decay)
    links = (
        optax.scale(-1.0) if maximize else None,
        None if decoupled else decay,
        part,
        decay if decoupled else None,
        None if lr is None else scale_by_lr(lr),
    )
    return at_least_float32(optax.chain(*(link for link in links if link is not None)))


def scale_by_lr(lr: ScalarOrSchedule) -> optax.GradientTransformation:
    """Times -lr; an array is cast to each leaf's dtype, as a schedule's value is."""
    if is_array(lr):
        return optax.scale_by_learning_rate(lambda step: lr_at(lr, step))
    return optax.scale_by_learning_rate(lr)


def lr_at(lr: ScalarOrSchedule, step: ArrayLike) -> ArrayLike:
    """The learning rate of the update that follows `step` others."""
    if callable(lr):
        return lr(step)
    return jnp.reshape(lr, ()) if is_array(lr) else lr


def at_least_float32(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """`inner`, computed in float32 for half precision; dtypes stay as they came."""

    def init_fn(params: PyTree) -> PyTree:
        # A Python number is weakly typed: the state would change its type, and the
        # second update would compile again.
        return inner.init(
            jax.tree.map(lambda p: jnp.asarray(p, jnp.result_type(p)), params)
        )

    def update_fn(
        updates: PyTree, state: PyTree, params: PyTree = None
    ) -> tuple[PyTree, PyTree]:
        # A hyperparameter that is an array may be of another dtype than the leaves.
        with jax.numpy_dtype_promotion("standard"):
            new_updates, new_state = inner.update(
                _widened(updates), _widened(state), _widened(params)
            )
        return _cast_like(new_updates, updates), _cast_like(new_state, state)

    return transformation(init_fn, update_fn)


def transformation(
    init_fn: Callable[..., Any], update_fn: Callable[..., Any]
) -> optax.GradientTransformation:
    """The pair as Optax's type, whatever the type of its state."""
    return optax.GradientTransformation(init_fn, update_fn)


def zero_step() -> Array:
    """The step counter before the first update."""
    return jnp.zeros([], jnp.int32)


def advanced(step: Array) -> Array:
    """The step counter after one more update; it never overflows."""
    return step + (step < jnp.iinfo(step.dtype).max).astype(step.dtype)


def zeros_like(params: PyTree) -> PyTree:
    """Zeros in the shapes and dtypes of `params`."""
    return jax.tree.map(jnp.zeros_like, params)


def bias_correction(decay: Scalar, step: Array) -> Array:
    """1 - decay**step without the cancellation that costs float32 three digits."""
    return -jnp.expm1(as_float(step) * log(decay))


def log(x: Scalar) -> Scalar:
    """The logarithm of `x`, in double precision where `x` is a Python number."""
    if isinstance(x, jax.Array):
        return jnp.log(x)
    return math.log(x) if x > 0 else -math.inf


def as_float(step: ArrayLike) -> Array:
    """`step` in the widest floating dtype that this configuration computes in."""
    return jnp.asarray(step, float_dtype())


def float_dtype() -> DTypeLike:
    """float64 if x64 is enabled, else float32."""
    return jnp.result_type(float)


def like(scalar: ArrayLike, leaf: Array) -> Array:
    """`scalar` in the dtype of `leaf`."""
    return jnp.asarray(scalar, leaf.dtype)


def check_params(function: str, params: PyTree) -> None:
    """ValueError if an update that depends on the parameters does not get them."""
    if params is None:
        raise ValueError(
            f"{function}: expected update(updates, state, params), since the update "
            "depends on the parameters, got params=None instead."
        )


def check_not_negative(function: str, **values: ScalarOrSchedule) -> None:
    """ValueError if a value that is known is no single number >= 0."""
    for argument, value in values.items():
        known = known_number(function, argument, value)
        if known is not None:
            check_range(function, argument, known, least=0.0)


def check_betas(function: str, betas: Betas) -> None:
    """ValueError unless both betas lie in [0, 1)."""
    for index, beta in enumerate(betas):
        known = known_number(function, f"betas[{index}]", beta)
        if known is not None and not 0.0 <= known < 1.0:
            raise ValueError(
                f"{function}: expected betas[{index}] in [0, 1), got {known} instead."
            )


def known_number(function: str, argument: str, value: ScalarOrSchedule) -> float | None:
    """`value` as a float, or None for a schedule and for what is still traced."""
    if callable(value):
        return None
    if np.size(value) != 1:
        raise ValueError(
            f"{function}: expected {argument} to be a single number, "
            f"got shape {np.shape(value)} instead."
        )
    if isinstance(value, Tracer):
        return None
    return float(np.asarray(value).reshape(()))


def is_array(x: object) -> bool:
    """Whether `x` is an array, whose value must not steer Python: it may be traced."""
    return isinstance(x, jax.Array | np.ndarray)


def is_zero(x: Scalar) -> bool:
    """Whether `x` is the number 0; an array's value might change between updates."""
    return not is_array(x) and bool(x == 0)


def _widened(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: widened(jnp.asarray(x)), tree)


def _cast_like(tree: PyTree, reference: PyTree) -> PyTree:
    return jax.tree.map(
        lambda x, r: jnp.asarray(x).astype(jnp.result_type(r)), tree, reference
    )
