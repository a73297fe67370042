"""Stochastic gradient descent, with torch's momentum."""

import jax.numpy as jnp
import optax

from jaxgrad._checks import wrong_value
from jaxgrad._types import Array, ArrayLike, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    is_array,
    is_zero,
    known_number,
    scheduled,
    torch_chain,
)


def sgd(
    lr: ScalarOrSchedule = 1e-3,
    momentum: ScalarOrSchedule = 0.0,
    dampening: Scalar = 0.0,
    weight_decay: Scalar = 0.0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""Stochastic gradient descent, equal to PyTorch's.

    $$ b_1 = g_1, \quad b_t = \mu b_{t-1} + (1 - \tau) g_t, \quad
       \theta_t = \theta_{t-1} - \gamma b_t $$

    with $g_t + \mu b_t$ instead of $b_t$ if `nesterov`, and $g_t$ without momentum.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        momentum: $\mu \ge 0$: a number or a schedule, such as `one_cycle_momentum`.
        dampening: $\tau$; the first gradient is not dampened.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        nesterov: Whether to use Nesterov momentum.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if `lr`, `momentum` or `weight_decay` is negative, or if
        `nesterov` is set without momentum or with dampening.
    Torch: `torch.optim.SGD`. `optax.sgd` is the same without dampening.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), sgd(lr=0.1, momentum=0.9)
        >>> optimizer.update(2 * params, optimizer.init(params))[0].round(4)
        Array([15.,  2.], dtype=float32)
    """
    _check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
    if nesterov:
        _check_nesterov(momentum, dampening)
    core = None
    if callable(momentum) or not is_zero(momentum):
        core = scheduled(lambda mu: _momentum(mu, dampening, nesterov), momentum)
    return torch_chain(core, lr, weight_decay=weight_decay, maximize=maximize)


def _momentum(
    momentum: Scalar, dampening: Scalar, nesterov: bool
) -> optax.GradientTransformation:
    trace = optax.trace(momentum, nesterov)
    if is_zero(dampening):
        return trace

    def factor(step: ArrayLike) -> Array:
        """1 for the first gradient and for a momentum of 0, which may be traced."""
        return jnp.where((step == 0) | (momentum == 0), 1.0, 1.0 - dampening)

    return optax.chain(optax.scale_by_schedule(factor), trace)


def _check_not_negative(**values: ScalarOrSchedule) -> None:
    """Let NaN pass, as only torch's SGD does: it tests `value < 0`."""
    for argument, value in values.items():
        known = known_number("sgd", argument, value)
        if known is not None and known < 0.0:
            raise wrong_value("sgd", f"{argument} >= 0", known)


def _check_nesterov(momentum: ScalarOrSchedule, dampening: Scalar) -> None:
    if callable(momentum) or is_array(momentum) or is_array(dampening):
        return
    if momentum <= 0 or dampening != 0:
        raise wrong_value(
            "sgd",
            "momentum > 0 and dampening = 0 with nesterov=True",
            f"momentum={momentum} and dampening={dampening}",
        )
