"""Adadelta: steps in the unit of the parameters."""

import optax

from jaxgrad._types import Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    check_known_range,
    check_not_negative,
    torch_chain,
)


def adadelta(
    lr: ScalarOrSchedule = 1.0,
    rho: Scalar = 0.9,
    eps: Scalar = 1e-6,
    weight_decay: Scalar = 0.0,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""Adadelta, equal to PyTorch's.

    $$ v_t = \rho v_{t-1} + (1 - \rho) g_t^2, \quad
       \Delta_t = \frac{\sqrt{u_{t-1} + \epsilon}}{\sqrt{v_t + \epsilon}} g_t, \quad
       u_t = \rho u_{t-1} + (1 - \rho) \Delta_t^2, \quad
       \theta_t = \theta_{t-1} - \gamma \Delta_t $$

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        rho: $\rho \in [0, 1]$, the decay of both running means.
        eps: $\epsilon \ge 0$, inside the roots.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if `rho` is outside [0, 1] or another hyperparameter is negative.
    Torch: `torch.optim.Adadelta`. `optax.adadelta` is the same with a learning rate;
        without one it maximizes.

    Examples:
        >>> import jax.numpy as jnp
        >>> params, optimizer = jnp.array([-75.0, -10.0]), adadelta()
        >>> optimizer.update(2 * params, optimizer.init(params))[0]
        Array([0.0031623, 0.0031623], dtype=float32)
    """
    check_known_range("adadelta", "rho", rho, 0.0, 1.0)
    check_not_negative("adadelta", lr=lr, eps=eps, weight_decay=weight_decay)
    core = optax.scale_by_adadelta(rho, eps)  # pyright: ignore
    return torch_chain(core, lr, weight_decay=weight_decay, maximize=maximize)
