"""RMSprop: divide by the running root mean square of the gradient."""

import optax

from jaxgrad._types import Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    check_not_negative,
    is_zero,
    scheduled,
    torch_chain,
)


def rmsprop(
    lr: ScalarOrSchedule = 1e-2,
    alpha: Scalar = 0.99,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
    momentum: ScalarOrSchedule = 0.0,
    centered: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""RMSprop, equal to PyTorch's.

    $$ v_t = \alpha v_{t-1} + (1 - \alpha) g_t^2, \quad
       b_t = \mu b_{t-1} + \frac{g_t}{\sqrt{v_t} + \epsilon}, \quad
       \theta_t = \theta_{t-1} - \gamma b_t $$

    with $v_t - m_t^2$ instead of $v_t$ if `centered`, where $m_t$ is the running mean
    of the gradient.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        alpha: $\alpha \ge 0$, the decay of the running means.
        eps: $\epsilon \ge 0$, outside the root.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        momentum: $\mu \ge 0$: a number or a schedule, such as `one_cycle_momentum`.
        centered: Whether to divide by the standard deviation. As in PyTorch, the
            update is NaN where rounding makes the variance negative.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if a hyperparameter is negative.
    Torch: `torch.optim.RMSprop`. `optax.rmsprop` has alpha = 0.9 and eps inside the
        root. It multiplies by the learning rate before the momentum, which gives other
        results under a schedule.

    Examples:
        >>> import jax.numpy as jnp
        >>> params, optimizer = jnp.array([-75.0, -10.0]), rmsprop(lr=1.0)
        >>> optimizer.update(2 * params, optimizer.init(params))[0].round(4)
        Array([10., 10.], dtype=float32)
    """
    check_not_negative(
        "rmsprop",
        lr=lr,
        alpha=alpha,
        eps=eps,
        weight_decay=weight_decay,
        momentum=momentum,
    )
    scale = optax.scale_by_stddev if centered else optax.scale_by_rms
    core = scale(alpha, eps, eps_in_sqrt=False)  # pyright: ignore
    if callable(momentum) or not is_zero(momentum):
        core = optax.chain(core, scheduled(optax.trace, momentum))
    return torch_chain(core, lr, weight_decay=weight_decay, maximize=maximize)
