"""Adam and its variants: AMSGrad, AdamW and Adamax, which uses the infinity norm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgrad._checks import wrong_value
from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    cast_like,
    check_pair,
    is_array,
    next_step,
    transformation,
    zero_step,
)
from jaxgrad.optimizers._moments import (
    Betas,
    bias_correction,
    moment_chain,
    next_moments,
)


def adam(
    lr: ScalarOrSchedule = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> optax.GradientTransformation:
    r"""Adam, equal to PyTorch's.

    $$ m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
       v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
       \theta_t = \theta_{t-1} - \gamma \frac{m_t / (1 - \beta_1^t)}
                  {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} $$

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        betas: $(\beta_1, \beta_2)$, both in [0, 1); $\beta_1$ may be a schedule.
        eps: $\epsilon \ge 0$, outside the root.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        amsgrad: Whether to divide by the largest $v$ so far. PyTorch takes the
            maximum before the bias correction, Optax after it.
        maximize: Whether to maximize, by flipping the gradient's sign first.
        decoupled_weight_decay: Whether the weights decay as in `adamw`.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if `lr`, `eps` or `weight_decay` is negative, or `betas` are not
        two floats (or two arrays) in [0, 1).
    Torch: `torch.optim.Adam`. `optax.adam` is the same in float64; in float32 its bias
        correction loses three digits.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), adam(lr=1.0)
        >>> optimizer.update(2 * params, optimizer.init(params))[0].round(4)
        Array([1., 1.], dtype=float32)
    """
    _check_kinds("adam", betas)
    return moment_chain(
        "adam",
        lambda betas: scale_by_adam(betas, eps, amsgrad),
        lr,
        betas,
        weight_decay,
        maximize,
        decoupled_weight_decay,
        eps=eps,
    )


def adamw(
    lr: ScalarOrSchedule = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""AdamW, equal to PyTorch's: Adam with decoupled weight decay.

    $$ \theta_t = (1 - \gamma \lambda) \theta_{t-1} - \gamma \cdot
       \text{(Adam's direction)} $$

    The decay enters neither the gradient nor its running means.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        betas: $(\beta_1, \beta_2)$, both in [0, 1); $\beta_1$ may be a schedule.
        eps: $\epsilon \ge 0$, outside the root.
        weight_decay: $\lambda \ge 0$, the decay per step and learning rate.
        amsgrad: Whether to divide by the largest $v$ so far.
        maximize: Whether to maximize: flips the sign of the gradient, not of the decay.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError as in `adam`.
    Torch: `torch.optim.AdamW`. `optax.adamw` decays by 1e-4, PyTorch by 1e-2.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), adamw(lr=1.0)
        >>> optimizer.update(2 * params, optimizer.init(params), params)[0].round(4)
        Array([1.75, 1.1 ], dtype=float32)
    """
    _check_kinds("adamw", betas)
    return moment_chain(
        "adamw",
        lambda betas: scale_by_adam(betas, eps, amsgrad),
        lr,
        betas,
        weight_decay,
        maximize,
        True,
        eps=eps,
    )


def adamax(
    lr: ScalarOrSchedule = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""Adamax, equal to PyTorch's.

    $$ m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
       u_t = \max(\beta_2 u_{t-1}, |g_t| + \epsilon), \quad
       \theta_t = \theta_{t-1} - \frac{\gamma}{1 - \beta_1^t} \frac{m_t}{u_t} $$

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        betas: $(\beta_1, \beta_2)$, both in [0, 1); $\beta_1$ may be a schedule.
        eps: $\epsilon \ge 0$, inside the maximum.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if a hyperparameter is outside its range.
    Torch: `torch.optim.Adamax`. `optax.adamax` is the same in float64; in float32 its
        bias correction loses digits.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), adamax(lr=1.0)
        >>> optimizer.update(2 * params, optimizer.init(params))[0].round(4)
        Array([1., 1.], dtype=float32)
    """
    return moment_chain(
        "adamax",
        lambda betas: scale_by_adamax(betas, eps),
        lr,
        betas,
        weight_decay,
        maximize,
        eps=eps,
    )


class ScaleByAdamState(NamedTuple):
    """State of Adam, with torch's names."""

    step: Array  # shape=(), dtype=int32
    exp_avg: PyTree  # like the parameters
    exp_avg_sq: PyTree  # like the parameters
    max_exp_avg_sq: PyTree | None  # like the parameters; None if not amsgrad


def scale_by_adam(
    betas: tuple[Scalar, Scalar], eps: Scalar, amsgrad: bool = False
) -> optax.GradientTransformation:
    """The ratio of the bias-corrected running means."""

    def init_fn(params: PyTree) -> ScaleByAdamState:
        zeros = optax.tree.zeros_like(params)
        return ScaleByAdamState(zero_step(), zeros, zeros, zeros if amsgrad else None)

    def update_fn(updates: PyTree, state: ScaleByAdamState, params: PyTree = None):
        del params
        step, exp_avg, exp_avg_sq = next_moments(updates, state, betas)
        largest = None
        if amsgrad:
            largest = jax.tree.map(jnp.maximum, state.max_exp_avg_sq, exp_avg_sq)
        correction1 = bias_correction(betas[0], step)
        correction2 = jnp.sqrt(bias_correction(betas[1], step))

        def direction(m: Array, v: Array) -> Array:
            root = jnp.sqrt(v) / cast_like(correction2, v)
            return m / cast_like(correction1, m) / (root + eps)

        updates = jax.tree.map(direction, exp_avg, largest if amsgrad else exp_avg_sq)
        return updates, ScaleByAdamState(step, exp_avg, exp_avg_sq, largest)

    return transformation(init_fn, update_fn)


class ScaleByAdamaxState(NamedTuple):
    """State of Adamax, with torch's names."""

    step: Array  # shape=(), dtype=int32
    exp_avg: PyTree  # like the parameters
    exp_inf: PyTree  # like the parameters


def scale_by_adamax(
    betas: tuple[Scalar, Scalar], eps: Scalar
) -> optax.GradientTransformation:
    """The bias-corrected running mean over the decaying maximum."""
    beta1, beta2 = betas

    def init_fn(params: PyTree) -> ScaleByAdamaxState:
        zeros = optax.tree.zeros_like(params)
        return ScaleByAdamaxState(zero_step(), zeros, zeros)

    def update_fn(updates: PyTree, state: ScaleByAdamaxState, params: PyTree = None):
        del params
        step = next_step(state.step)
        exp_avg = optax.tree.update_moment(updates, state.exp_avg, beta1, 1)
        exp_inf = optax.tree.update_infinity_moment(updates, state.exp_inf, beta2, eps)
        correction = bias_correction(beta1, step)
        updates = jax.tree.map(
            lambda m, u: m / cast_like(correction, m) / u, exp_avg, exp_inf
        )
        return updates, ScaleByAdamaxState(step, exp_avg, exp_inf)

    return transformation(init_fn, update_fn)


def _check_kinds(function: str, betas: Betas) -> None:
    check_pair(function, "betas", betas)
    fixed = [beta for beta in betas if not callable(beta)]
    floats = [isinstance(beta, float | np.floating) for beta in fixed]
    if not all(map(is_array, fixed)) and not all(floats):
        raise wrong_value(function, "betas to be two floats or two arrays", betas)
