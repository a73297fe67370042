"""Adamax: Adam with the infinity norm."""

from typing import NamedTuple

import jax
import optax

from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    cast_like,
    next_step,
    transformation,
    zero_step,
    zeros_like,
)
from jaxgrad.optimizers._moments import Betas, bias_correction, moment_chain


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
        betas: $(\beta_1, \beta_2)$, both in [0, 1).
        eps: $\epsilon \ge 0$, inside the maximum.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        maximize: Whether to maximize: the gradient's sign is flipped first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if `lr`, `eps` or `weight_decay` is negative, or `betas` are not
        in [0, 1).
    Torch: `torch.optim.Adamax`. `optax.adamax` is the same in float64; in float32 its
        bias correction loses digits.

    Examples:
        >>> import jax.numpy as jnp
        >>> optimizer = adamax(lr=1.0)
        >>> params = jnp.array([-75.0, -10.0])
        >>> updates, state = optimizer.update(2 * params, optimizer.init(params))
        >>> optax.apply_updates(params, updates)
        Array([-74.,  -9.], dtype=float32)
    """
    core = scale_by_adamax(betas, eps)
    return moment_chain(
        "adamax", core, lr, betas, weight_decay, maximize=maximize, eps=eps
    )


class ScaleByAdamaxState(NamedTuple):
    """State of Adamax, with torch's names."""

    step: Array  # shape=(), dtype=int32
    exp_avg: PyTree  # like the parameters
    exp_inf: PyTree  # like the parameters


def scale_by_adamax(betas: Betas, eps: Scalar) -> optax.GradientTransformation:
    """The bias-corrected running mean over the decaying maximum."""
    beta1, beta2 = betas

    def init_fn(params: PyTree) -> ScaleByAdamaxState:
        zeros = zeros_like(params)
        return ScaleByAdamaxState(zero_step(), zeros, zeros)

    def update_fn(
        updates: PyTree, state: ScaleByAdamaxState, params: PyTree = None
    ) -> tuple[PyTree, ScaleByAdamaxState]:
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
