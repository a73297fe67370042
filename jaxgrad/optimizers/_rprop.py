"""Rprop: steps that depend only on the signs of the gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._checks import wrong_value
from jaxgrad._numerics import in_tiny, sign
from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    cast_like,
    check_not_negative,
    check_pair,
    known_number,
    lr_at,
    torch_chain,
    transformation,
    zero_step,
)

Pair = tuple[Scalar, Scalar]


def rprop(
    lr: ScalarOrSchedule = 1e-2,
    etas: Pair = (0.5, 1.2),
    step_sizes: Pair = (1e-6, 50.0),
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""Resilient backpropagation, equal to PyTorch's.

    Each parameter has its own step size, `lr` at first. While the gradient keeps its
    sign, the size is multiplied by $\eta_+$. When the sign changes, the size is
    multiplied by $\eta_-$ and the parameter does not move in that step. Then

    $$ \theta_t = \theta_{t-1} - \text{sign}(g_t) \, \text{step size}_t $$

    Args:
        lr: The first step size, $\ge 0$: a number or an Optax schedule. As in
            PyTorch, only the first value of a schedule is used.
        etas: $(\eta_-, \eta_+)$ with $0 < \eta_- < 1 < \eta_+$.
        step_sizes: The smallest and the largest step size, in the parameters' unit.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`.
    Raises: ValueError if `lr` is negative or `etas` is outside the range above.
    Torch: `torch.optim.Rprop`. In both, a parameter with a NaN gradient does not move.
        `optax.rprop` applies every step one update late.

    Examples:
        >>> optimizer = rprop(lr=1.0)
        >>> params = jnp.array([-75.0, -10.0])
        >>> state = optimizer.init(params)
        >>> for _ in range(3):
        ...     updates, state = optimizer.update(2 * params, state)
        >>> updates
        Array([1.44, 1.44], dtype=float32)
    """
    check_not_negative("rprop", lr=lr)
    check_pair("rprop", "etas", etas)
    check_pair("rprop", "step_sizes", step_sizes)
    shrink, grow = (known_number("rprop", "etas", eta) for eta in etas)
    if shrink is not None and grow is not None and not 0.0 < shrink < 1.0 < grow:
        raise wrong_value("rprop", "etas with 0 < etas[0] < 1 < etas[1]", etas)
    return torch_chain(_resilient(lr, etas, step_sizes), 1.0, maximize=maximize)


class ResilientState(NamedTuple):
    """State of Rprop, with torch's names."""

    prev: PyTree  # like the parameters: the last gradient, 0 if it was not applied
    step_size: PyTree  # like the parameters


def _resilient(
    lr: ScalarOrSchedule, etas: Pair, step_sizes: Pair
) -> optax.GradientTransformation:
    def init_fn(params: PyTree) -> ResilientState:
        first = lr_at(lr, zero_step())
        sizes = jax.tree.map(lambda p: jnp.full_like(p, first), params)
        return ResilientState(optax.tree.zeros_like(params), sizes)

    def update_fn(updates: PyTree, state: ResilientState, params: PyTree = None):
        del params
        agreement = jax.tree.map(_agreement, updates, state.prev)
        sizes = jax.tree.map(
            lambda a, size: _resized(a, size, etas, step_sizes),
            agreement,
            state.step_size,
        )
        kept = jax.tree.map(lambda a, g: jnp.where(a < 0, 0, g), agreement, updates)
        updates = jax.tree.map(lambda g, size: size * sign(g), kept, sizes)
        return updates, ResilientState(kept, sizes)

    return transformation(init_fn, update_fn)


def _agreement(g: Array, prev: Array) -> Array:
    """The sign of g * prev; 0 where the product is too small for a subnormal number.

    Torch's product is 0 there too. XLA's is 0 earlier, below the normal numbers.
    """
    info = jnp.finfo(g.dtype)
    half_ulp = float(info.eps) / 2 / float(info.tiny)
    is_seen = in_tiny(g) > half_ulp / in_tiny(prev)
    return jnp.where(is_seen, sign(g) * sign(prev), 0)


def _resized(agreement: Array, size: Array, etas: Pair, step_sizes: Pair) -> Array:
    shrink, grow = (cast_like(eta, size) for eta in etas)
    factor = jnp.where(agreement > 0, grow, jnp.where(agreement < 0, shrink, 1))
    return jnp.clip(size * factor, *(cast_like(bound, size) for bound in step_sizes))
