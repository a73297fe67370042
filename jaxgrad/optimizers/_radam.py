"""RAdam: Adam that does not divide by the second moment until it is reliable."""

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
    transformation,
    zero_step,
)
from jaxgrad.optimizers._moments import (
    Betas,
    bias_correction,
    moment_chain,
    next_moments,
)


def radam(
    lr: ScalarOrSchedule = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""RAdam, equal to PyTorch's.

    $$ \rho_\infty = \frac{2}{1 - \beta_2} - 1, \quad
       \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad
       \theta_t = \theta_{t-1} - \gamma \frac{m_t}{1 - \beta_1^t} r_t, $$
    $$ r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}
                        {(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}
             \frac{\sqrt{1 - \beta_2^t}}{\sqrt{v_t} + \epsilon}
       \text{ if } \rho_t > 5 \text{ else } 1 $$

    with the running means $m_t$ and $v_t$ of Adam.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        betas: $(\beta_1, \beta_2)$, both in [0, 1); $\beta_1$ may be a schedule.
        eps: $\epsilon \ge 0$, added to the uncorrected root.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        decoupled_weight_decay: Whether the weights decay as in `adamw`.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if a hyperparameter is outside its range.
    Torch: `torch.optim.RAdam`. `optax.radam` also rectifies at rho = 5, adds eps after
        the bias correction, and loses digits of rho in float32.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), radam(lr=0.1)
        >>> optimizer.update(2 * params, optimizer.init(params))[0].round(4)
        Array([15.,  2.], dtype=float32)
    """
    return moment_chain(
        "radam",
        lambda betas: scale_by_radam(betas, eps),
        lr,
        betas,
        weight_decay,
        maximize,
        decoupled_weight_decay,
        eps=eps,
    )


class ScaleByRadamState(NamedTuple):
    """State of RAdam, with torch's names."""

    step: Array  # shape=(), dtype=int32
    exp_avg: PyTree  # like the parameters
    exp_avg_sq: PyTree  # like the parameters


def scale_by_radam(
    betas: tuple[Scalar, Scalar], eps: Scalar
) -> optax.GradientTransformation:
    """Adam's ratio times the rectification; the mean alone while rho <= 5."""
    beta1, beta2 = betas

    def init_fn(params: PyTree) -> ScaleByRadamState:
        zeros = optax.tree.zeros_like(params)
        return ScaleByRadamState(zero_step(), zeros, zeros)

    def update_fn(updates: PyTree, state: ScaleByRadamState, params: PyTree = None):
        del params
        step, exp_avg, exp_avg_sq = next_moments(updates, state, betas)
        rho = _average_length(beta2, step)
        rectification = _rectification(beta2, rho)
        correction1 = bias_correction(beta1, step)
        correction2 = jnp.sqrt(bias_correction(beta2, step))

        def direction(m: Array, v: Array) -> Array:
            factor = cast_like(rectification * correction2, v) / (jnp.sqrt(v) + eps)
            return m / cast_like(correction1, m) * jnp.where(rho > 5.0, factor, 1)

        updates = jax.tree.map(direction, exp_avg, exp_avg_sq)
        return updates, ScaleByRadamState(step, exp_avg, exp_avg_sq)

    return transformation(init_fn, update_fn)


def _average_length(beta2: Scalar, step: Array) -> Array:
    r"""$\rho_t$, the number of gradients averaged in $v_t$, without cancellation.

    While $\beta_2^t$ is near 1, the difference that defines it loses digits. With
    $\lambda = -\log \beta_2$ and $L(z) = \coth z - 1/z$ it equals
    $t + L(\lambda / 2) - t L(t \lambda / 2)$, which cancels only small terms.
    """
    t = as_float(step)
    rate = jnp.asarray(-log(beta2), float_dtype())
    early = t + _langevin(rate / 2) - t * _langevin(t * rate / 2)
    late = (1 + beta2) / (1 - beta2) - 2 * t / jnp.expm1(t * rate)
    return jnp.where(t * rate < 0.4, early, late)


def _langevin(z: Array) -> Array:
    """Coth(z) - 1/z for 0 < z < 0.2, to twelve digits."""
    coefficients = (2 / 93555, -1 / 4725, 2 / 945, -1 / 45, 1 / 3)
    return z * jnp.polyval(jnp.asarray(coefficients, z.dtype), z * z)


def _rectification(beta2: Scalar, rho: Array) -> Array:
    # The caller uses the result only for rho > 5; the bounds keep the root real below.
    rho = jnp.maximum(rho, 5.0)
    limit = jnp.maximum((1 + beta2) / (1 - beta2), 5.0)
    return jnp.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
