"""RAdam: Adam that waits until its second moment can be trusted."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    Betas,
    advanced,
    as_float,
    assemble,
    bias_correction,
    check_betas,
    check_not_negative,
    float_dtype,
    like,
    log,
    transformation,
    zero_step,
    zeros_like,
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
        betas: $(\beta_1, \beta_2)$, both in [0, 1).
        eps: $\epsilon \ge 0$, added to the uncorrected root.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        decoupled_weight_decay: Whether the weights decay as in `adamw`.
        maximize: Whether to climb: the gradient's sign is flipped first.

    Returns:
        An `optax.GradientTransformation`; needs `params` if there is weight decay.

    Raises:
        ValueError: If `lr`, `eps` or `weight_decay` is negative, or `betas` are not
            in [0, 1).

    Examples:
        >>> optimizer = radam(lr=0.1)
        >>> params = jnp.array([-75.0, -10.0])
        >>> updates, state = optimizer.update(2 * params, optimizer.init(params))
        >>> optax.apply_updates(params, updates)
        Array([-60.,  -8.], dtype=float32)

    Torch: `torch.optim.RAdam`. `optax.radam` also rectifies at rho = 5, adds eps after
    the bias correction, and loses digits of rho in float32.
    """
    check_not_negative("radam", lr=lr, eps=eps, weight_decay=weight_decay)
    check_betas("radam", betas)
    return assemble(
        scale_by_radam(betas, eps),
        lr,
        weight_decay=weight_decay,
        decoupled=decoupled_weight_decay,
        maximize=maximize,
    )


class ScaleByRadamState(NamedTuple):
    """State of RAdam, with torch's names."""

    step: Array  # shape=(), dtype=int32
    exp_avg: PyTree  # like the parameters
    exp_avg_sq: PyTree  # like the parameters


def scale_by_radam(betas: Betas, eps: Scalar) -> optax.GradientTransformation:
    """Adam's ratio times the rectification, or the mean alone before it."""
    beta1, beta2 = betas

    def init_fn(params: PyTree) -> ScaleByRadamState:
        zeros = zeros_like(params)
        return ScaleByRadamState(zero_step(), zeros, zeros)

    def update_fn(
        updates: PyTree,
        state: ScaleByRadamState,
        params: PyTree = None,
    ) -> tuple[PyTree, ScaleByRadamState]:
        del params
        step = advanced(state.step)
        exp_avg = optax.tree.update_moment(updates, state.exp_avg, beta1, 1)
        exp_avg_sq = optax.tree.update_moment(updates, state.exp_avg_sq, beta2, 2)
        rho = _average_length(beta2, step)
        rectification = _rectification(beta2, rho)
        correction1 = bias_correction(beta1, step)
        correction2 = jnp.sqrt(bias_correction(beta2, step))

        def direction(m: Array, v: Array) -> Array:
            factor = like(rectification * correction2, v) / (jnp.sqrt(v) + eps)
            return m / like(correction1, m) * jnp.where(rho > 5.0, factor, 1)

        updates = jax.tree.map(direction, exp_avg, exp_avg_sq)
        return updates, ScaleByRadamState(step, exp_avg, exp_avg_sq)

    return transformation(init_fn, update_fn)


def _average_length(beta2: Scalar, step: Array) -> Array:
    r"""$\rho_t$, the length of the average behind $v_t$, without cancellation.

    While $\beta_2^t$ is near 1 the defining difference loses digits. With
    $\lambda = -\log \beta_2$ and $L(z) = \coth z - 1/z$ it is
    $t + L(\lambda / 2) - t L(t \lambda / 2)$, where nothing large cancels.
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
    # Only rho > 5 is used; the bounds keep the root real before.
    rho = jnp.maximum(rho, 5.0)
    limit = jnp.maximum((1 + beta2) / (1 - beta2), 5.0)
    return jnp.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
