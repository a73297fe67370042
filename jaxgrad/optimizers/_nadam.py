"""NAdam: Adam with Nesterov momentum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    as_float,
    cast_like,
    float_dtype,
    log,
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


def nadam(
    lr: ScalarOrSchedule = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
    momentum_decay: Scalar = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""NAdam, equal to PyTorch's.

    $$ \mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi}), \quad
       \theta_t = \theta_{t-1} - \frac{\gamma}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}
       \left( \frac{(1 - \mu_t) g_t}{1 - \prod_{i \le t} \mu_i}
       + \frac{\mu_{t+1} m_t}{1 - \prod_{i \le t+1} \mu_i} \right) $$

    with the running means $m_t$ and $v_t$ of Adam.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        betas: $(\beta_1, \beta_2)$, both in [0, 1); $\beta_1$ may be a schedule.
        eps: $\epsilon \ge 0$, outside the root.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        momentum_decay: $\psi \ge 0$.
        decoupled_weight_decay: Whether the weights decay as in `adamw`.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if a hyperparameter is outside its range.
    Torch: `torch.optim.NAdam`. `optax.nadam` keeps the momentum constant.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), nadam(lr=1.0)
        >>> optimizer.update(2 * params, optimizer.init(params))[0]
        Array([1.0565, 1.0565], dtype=float32)
    """
    return moment_chain(
        "nadam",
        lambda betas: scale_by_nadam(betas, eps, momentum_decay),
        lr,
        betas,
        weight_decay,
        maximize,
        decoupled_weight_decay,
        eps=eps,
        momentum_decay=momentum_decay,
    )


class ScaleByNadamState(NamedTuple):
    """State of NAdam, with torch's names except `momentum_correction`."""

    step: Array  # shape=(), dtype=int32
    momentum_correction: Array  # shape=(): 1 - mu_1 ... mu_t, 1 - torch's mu_product
    exp_avg: PyTree  # like the parameters
    exp_avg_sq: PyTree  # like the parameters


def scale_by_nadam(
    betas: tuple[Scalar, Scalar], eps: Scalar, momentum_decay: Scalar
) -> optax.GradientTransformation:
    """Adam's ratio with the next step's momentum."""
    beta1, beta2 = betas

    def init_fn(params: PyTree) -> ScaleByNadamState:
        zeros = optax.tree.zeros_like(params)
        correction = jnp.zeros([], float_dtype())
        return ScaleByNadamState(zero_step(), correction, zeros, zeros)

    def one_minus_mu(step: Array) -> Array:
        t = as_float(step)
        return (1 - beta1) + beta1 * 0.5 * jnp.exp(t * momentum_decay * log(0.96))

    def update_fn(updates: PyTree, state: ScaleByNadamState, params: PyTree = None):
        del params
        step, exp_avg, exp_avg_sq = next_moments(updates, state, betas)
        # 1 - P mu = (1 - mu) + (1 - P) mu: a sum of positive numbers, which does not
        # cancel.
        now, ahead = one_minus_mu(step), one_minus_mu(next_step(step))
        correction = now + state.momentum_correction * (1 - now)
        of_gradient = now / correction
        of_mean = (1 - ahead) / (ahead + correction * (1 - ahead))
        correction2 = bias_correction(beta2, step)

        def direction(g: Array, m: Array, v: Array) -> Array:
            mean = cast_like(of_gradient, g) * g + cast_like(of_mean, g) * m
            return mean / (jnp.sqrt(v / cast_like(correction2, v)) + eps)

        updates = jax.tree.map(direction, updates, exp_avg, exp_avg_sq)
        return updates, ScaleByNadamState(step, correction, exp_avg, exp_avg_sq)

    return transformation(init_fn, update_fn)
