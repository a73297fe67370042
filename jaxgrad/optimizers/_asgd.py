"""Averaged stochastic gradient descent."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    as_float,
    cast_like,
    check_not_negative,
    check_params,
    float_dtype,
    lr_at,
    next_step,
    torch_chain,
    transformation,
    zero_step,
)


def asgd(
    lr: ScalarOrSchedule = 1e-2,
    lambd: Scalar = 1e-4,
    alpha: Scalar = 0.75,
    t0: Scalar = 1e6,
    weight_decay: Scalar = 0.0,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""Averaged stochastic gradient descent, equal to PyTorch's.

    $$ \theta_t = (1 - \lambda \eta_t) \theta_{t-1} - \eta_t g_t, \quad
       \bar\theta_t = \bar\theta_{t-1} + \mu_t (\theta_t - \bar\theta_{t-1}), $$
    $$ \eta_{t+1} = \frac{\gamma}{(1 + \lambda \gamma t)^\alpha}, \quad
       \mu_{t+1} = \frac{1}{\max(1, t - t_0)}, \quad \eta_1 = \gamma, \quad \mu_1 = 1 $$

    The result is the average $\bar\theta$: `optax.tree.get(state, "ax")`.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule. As in
            PyTorch, a schedule acts one step late.
        lambd: $\lambda$, the decay of the weights.
        alpha: $\alpha$, the exponent of the rate's decay.
        t0: $t_0$, the step after which to average.
        weight_decay: The factor $\ge 0$ of the L2 term.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params`.
    Raises: ValueError if `lr` or `weight_decay` is negative or, on the update, if
        `params` is None.
    Torch: `torch.optim.ASGD`, which rounds eta and mu to float32 unless torch's default
        dtype is float64. Optax has no counterpart.

    Examples:
        >>> optimizer = asgd(lr=0.1, t0=0)
        >>> params = jnp.array([-75.0, -10.0])
        >>> state = optimizer.init(params)
        >>> for _ in range(3):
        ...     updates, state = optimizer.update(2 * params, state, params)
        ...     params = optax.apply_updates(params, updates)
        >>> optax.tree.get(state, "ax")
        Array([-43.198833 ,  -5.7598443], dtype=float32)
    """
    check_not_negative("asgd", lr=lr, weight_decay=weight_decay)
    core = _averaged(lr, lambd, alpha, t0)
    return torch_chain(core, None, weight_decay=weight_decay, maximize=maximize)


class AveragedState(NamedTuple):
    """State of ASGD, with torch's names."""

    step: Array  # shape=(), dtype=int32
    eta: Array  # shape=(): the rate of the next step
    mu: Array  # shape=(): the weight of the next parameters in the average
    ax: PyTree  # like the parameters: their average


def _averaged(
    lr: ScalarOrSchedule, lambd: Scalar, alpha: Scalar, t0: Scalar
) -> optax.GradientTransformation:
    def init_fn(params: PyTree) -> AveragedState:
        step = zero_step()
        return AveragedState(
            step,
            jnp.asarray(lr_at(lr, step), float_dtype()),
            jnp.ones([], float_dtype()),
            optax.tree.zeros_like(params),
        )

    def update_fn(updates: PyTree, state: AveragedState, params: PyTree = None):
        check_params("asgd", params)
        eta, mu = state.eta, state.mu
        updates = jax.tree.map(
            lambda g, p: -cast_like(eta, g) * (g + lambd * p), updates, params
        )
        ax = jax.tree.map(
            lambda a, p, u: jnp.where(
                mu == 1, p + u, a + cast_like(mu, a) * (p + u - a)
            ),
            state.ax,
            params,
            updates,
        )
        rate = jnp.asarray(lr_at(lr, state.step), float_dtype())
        step = next_step(state.step)
        t = as_float(step)
        eta = rate / (1 + lambd * rate * t) ** alpha
        mu = 1 / jnp.maximum(1, t - t0)
        return updates, AveragedState(step, eta, mu, ax)

    return transformation(init_fn, update_fn)
