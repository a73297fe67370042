"""Adam, with its variants AMSGrad and AdamW."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    Betas,
    advanced,
    assemble,
    bias_correction,
    check_betas,
    check_not_negative,
    is_array,
    like,
    transformation,
    zero_step,
    zeros_like,
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
        betas: $(\beta_1, \beta_2)$, both in [0, 1).
        eps: $\epsilon \ge 0$, outside the root.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        amsgrad: Whether to divide by the largest $v$ so far. PyTorch takes the
            maximum before the bias correction, Optax after it.
        maximize: Whether to climb: the gradient's sign is flipped first.
        decoupled_weight_decay: Whether the weights decay as in `adamw`.

    Returns:
        An `optax.GradientTransformation`; needs `params` if there is weight decay.

    Raises:
        ValueError: If `lr`, `eps` or `weight_decay` is negative, or `betas` are not
            two floats (or two arrays) in [0, 1).

    Examples:
        >>> optimizer = adam(lr=1.0)
        >>> params = jnp.array([-75.0, -10.0])
        >>> updates, state = optimizer.update(2 * params, optimizer.init(params))
        >>> optax.apply_updates(params, updates)
        Array([-74.,  -9.], dtype=float32)

    Torch: `torch.optim.Adam`. `optax.adam` is the same in float64; in float32 its bias
    correction loses three digits.
    """
    return _adam(
        "adam",
        lr,
        betas,
        eps,
        weight_decay,
        amsgrad,
        maximize=maximize,
        decoupled=decoupled_weight_decay,
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
    r"""AdamW, equal to PyTorch's: Adam whose weights decay beside the gradient.

    $$ \theta_t = (1 - \gamma \lambda) \theta_{t-1} - \gamma \cdot
       \text{(Adam's direction)} $$

    The decay enters neither the gradient nor its running means: it is no L2 term.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        betas: $(\beta_1, \beta_2)$, both in [0, 1).
        eps: $\epsilon \ge 0$, outside the root.
        weight_decay: $\lambda \ge 0$, the decay per step and learning rate.
        amsgrad: Whether to divide by the largest $v$ so far.
        maximize: Whether to climb: the gradient's sign is flipped, the decay's not.

    Returns:
        An `optax.GradientTransformation`; needs `params` if there is weight decay.

    Raises:
        ValueError: As in `adam`.

    Examples:
        >>> optimizer = adamw(lr=1.0)
        >>> params = jnp.array([-75.0, -10.0])
        >>> state = optimizer.init(params)
        >>> updates, state = optimizer.update(2 * params, state, params)
        >>> optax.apply_updates(params, updates)
        Array([-73.25,  -8.9 ], dtype=float32)

    Torch: `torch.optim.AdamW`. `optax.adamw` decays by 1e-4, PyTorch by 1e-2.
    """
    return _adam(
        "adamw",
        lr,
        betas,
        eps,
        weight_decay,
        amsgrad,
        maximize=maximize,
        decoupled=True,
    )


class ScaleByAdamState(NamedTuple):
    """State of Adam, with torch's names."""

    step: Array  # shape=(), dtype=int32
    exp_avg: PyTree  # like the parameters
    exp_avg_sq: PyTree  # like the parameters
    max_exp_avg_sq: PyTree | None  # like the parameters; None if not amsgrad


def scale_by_adam(
    betas: Betas, eps: Scalar, amsgrad: bool = False
) -> optax.GradientTransformation:
    """The ratio of the bias-corrected running means."""
    beta1, beta2 = betas

    def init_fn(params: PyTree) -> ScaleByAdamState:
        zeros = zeros_like(params)
        return ScaleByAdamState(zero_step(), zeros, zeros, zeros if amsgrad else None)

    def update_fn(
        updates: PyTree,
        state: ScaleByAdamState,
        params: PyTree = None,
    ) -> tuple[PyTree, ScaleByAdamState]:
        del params
        step = advanced(state.step)
        exp_avg = optax.tree.update_moment(updates, state.exp_avg, beta1, 1)
        exp_avg_sq = optax.tree.update_moment(updates, state.exp_avg_sq, beta2, 2)
        largest = None
        if amsgrad:
            largest = jax.tree.map(jnp.maximum, state.max_exp_avg_sq, exp_avg_sq)
        correction1 = bias_correction(beta1, step)
        correction2 = jnp.sqrt(bias_correction(beta2, step))
        updates = jax.tree.map(
            lambda m, v: (
                m / like(correction1, m) / (jnp.sqrt(v) / like(correction2, v) + eps)
            ),
            exp_avg,
            largest if amsgrad else exp_avg_sq,
        )
        return updates, ScaleByAdamState(step, exp_avg, exp_avg_sq, largest)

    return transformation(init_fn, update_fn)


def _adam(
    function: str,
    lr: ScalarOrSchedule,
    betas: Betas,
    eps: Scalar,
    weight_decay: Scalar,
    amsgrad: bool,
    *,
    maximize: bool,
    decoupled: bool,
) -> optax.GradientTransformation:
    check_not_negative(function, lr=lr, eps=eps, weight_decay=weight_decay)
    check_betas(function, betas)
    if not all(map(is_array, betas)) and not all(isinstance(b, float) for b in betas):
        raise ValueError(
            f"{function}: expected betas to be two floats or two arrays, "
            f"got {betas} instead."
        )
    return assemble(
        scale_by_adam(betas, eps, amsgrad),
        lr,
        weight_decay=weight_decay,
        decoupled=decoupled,
        maximize=maximize,
    )
