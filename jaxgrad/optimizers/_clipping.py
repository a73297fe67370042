"""Clipping of gradients, chained in front of an optimizer.

`optax.chain(clip_grad_norm(1.0), adam(1e-3))` is what a PyTorch loop does between
`backward()` and `step()`.
"""

import math

import jax
import jax.core
import jax.numpy as jnp
import optax

from jaxgrad._checks import check_floating, wrong_value
from jaxgrad._numerics import largest, smallest, widened
from jaxgrad._types import Array, ArrayLike, Number, PyTree, Scalar
from jaxgrad.optimizers._common import transformation


def clip_grad_norm(
    max_norm: Scalar, norm_type: Number = 2.0, error_if_nonfinite: bool = False
) -> optax.GradientTransformation:
    r"""Scale all gradients together so that their norm is at most `max_norm`.

    $$ g \leftarrow g \cdot \min\left(1, \frac{\text{max norm}}{|g| + 10^{-6}}\right) $$

    Args:
        max_norm: The largest norm, in the gradient's unit.
        norm_type: The p of the norm: 2, 1, `math.inf` or another number.
        error_if_nonfinite: Whether a NaN or infinite norm is an error. A concrete norm
            raises; under `jax.jit`, which cannot raise, every gradient becomes NaN.
            If False, as in PyTorch a NaN norm makes every gradient NaN, and an
            infinite norm makes the finite gradients 0.

    Returns: An `optax.GradientTransformation` without state.
    Raises: ValueError on the update, see `error_if_nonfinite`. (PyTorch: RuntimeError.)
    Torch: `torch.nn.utils.clip_grad_norm_`. `optax.clip_by_global_norm` adds no 1e-6
        and has only the 2-norm.

    Examples:
        >>> clip = clip_grad_norm(1.0)
        >>> clip.update(jnp.array([3.0, 4.0]), clip.init(None))[0]
        Array([0.5999999 , 0.79999983], dtype=float32)
    """

    def update_fn(updates: PyTree, state: optax.EmptyState, params: PyTree = None):
        del params
        norm = get_total_norm(updates, norm_type)
        factor = jnp.minimum(max_norm / (norm + 1e-6), 1.0)
        if error_if_nonfinite:
            factor = _checked(factor, norm)
        updates = jax.tree.map(
            lambda g: (widened(g) * factor.astype(widened(g).dtype)).astype(g.dtype),
            updates,
        )
        return updates, state

    return transformation(optax.init_empty_state, update_fn)


def clip_grad_value(clip_value: Scalar) -> optax.GradientTransformation:
    """Clip every entry of real gradients to [-clip_value, clip_value].

    Args:
        clip_value: The largest entry, in the gradient's unit.

    Returns: An `optax.GradientTransformation` without state.
    Torch: `torch.nn.utils.clip_grad_value_`; the same as `optax.clip`.

    Examples:
        >>> clip = clip_grad_value(1.0)
        >>> clip.update(jnp.array([-3.0, 0.5]), clip.init(None))[0]
        Array([-1. ,  0.5], dtype=float32)
    """
    return optax.clip(clip_value)


def get_total_norm(gradients: PyTree, norm_type: Number = 2.0) -> Array:
    """The p-norm of all entries of a pytree of gradients, in float32 or wider.

    Args:
        gradients: A pytree of floating or complex arrays.
        norm_type: The p of the norm: 2, 1, `math.inf` or another number.

    Returns: A scalar, in the widest dtype of the gradients; 0 if there are none.
    Raises: TypeError if a gradient is neither floating nor complex.
    Torch: `torch.nn.utils.get_total_norm`.

    Examples:
        >>> get_total_norm({"weight": jnp.array([[3.0]]), "bias": jnp.array([-4.0])})
        Array(5., dtype=float32)
    """
    leaves = [_absolute(leaf) for leaf in jax.tree.leaves(gradients)]
    norms = [_norm(leaf.ravel(), norm_type) for leaf in leaves if leaf.size]
    if not norms:
        return jnp.zeros([])
    dtype = max((norm.dtype for norm in norms), key=lambda dtype: dtype.itemsize)
    return _norm(jnp.stack([norm.astype(dtype) for norm in norms]), norm_type)


def _absolute(gradient: ArrayLike) -> Array:
    """The absolute values: a norm of complex numbers is the norm of these."""
    if jnp.iscomplexobj(gradient):
        return jnp.abs(gradient)
    return jnp.abs(widened(check_floating("get_total_norm", "gradients", gradient)))


def _norm(vector: Array, norm_type: Number) -> Array:
    if math.isinf(norm_type):
        return (largest if norm_type > 0 else smallest)(vector)
    return jnp.linalg.norm(vector, ord=norm_type)


def _checked(factor: Array, norm: Array) -> Array:
    """`factor`, or NaN if the norm is not finite; ValueError if that is known."""
    finite = jnp.isfinite(norm)
    if not isinstance(finite, jax.core.Tracer) and not finite:
        raise wrong_value("clip_grad_norm", "gradients of a finite norm", norm)
    return jnp.where(finite, factor, jnp.nan)
