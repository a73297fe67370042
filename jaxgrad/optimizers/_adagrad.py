"""Adagrad: steps that shrink as squared gradients accumulate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    as_float,
    cast_like,
    check_not_negative,
    next_step,
    torch_chain,
    transformation,
    zero_step,
)


def adagrad(
    lr: ScalarOrSchedule = 1e-2,
    lr_decay: Scalar = 0.0,
    weight_decay: Scalar = 0.0,
    initial_accumulator_value: Scalar = 0.0,
    eps: Scalar = 1e-10,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""Adagrad, equal to PyTorch's.

    $$ s_t = s_{t-1} + g_t^2, \quad
       \theta_t = \theta_{t-1} - \frac{\gamma}{1 + (t - 1) \eta}
                  \frac{g_t}{\sqrt{s_t} + \epsilon} $$

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        lr_decay: $\eta \ge 0$, the decay of the rate per step.
        weight_decay: The factor $\lambda \ge 0$ of the L2 term: $g + \lambda \theta$.
        initial_accumulator_value: $s_0 \ge 0$.
        eps: $\epsilon \ge 0$, outside the root.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params` if there is weight decay.
    Raises: ValueError if a hyperparameter is negative.
    Torch: `torch.optim.Adagrad`. `optax.adagrad` starts at 0.1, has eps = 1e-7 inside
        the root and no decay of the rate.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), adagrad(lr=1.0)
        >>> optimizer.update(2 * params, optimizer.init(params))[0].round(4)
        Array([1., 1.], dtype=float32)
    """
    check_not_negative(
        "adagrad",
        lr=lr,
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
    )
    core = scale_by_adagrad(lr_decay, initial_accumulator_value, eps)
    return torch_chain(core, lr, weight_decay=weight_decay, maximize=maximize)


class ScaleByAdagradState(NamedTuple):
    """State of Adagrad; `sum` is torch's name."""

    step: Array  # shape=(), dtype=int32
    sum: PyTree  # like the parameters


def scale_by_adagrad(
    lr_decay: Scalar, initial_accumulator_value: Scalar, eps: Scalar
) -> optax.GradientTransformation:
    """Divide by the root of the sum of squares and by the decay of the rate."""

    def init_fn(params: PyTree) -> ScaleByAdagradState:
        total = jax.tree.map(
            lambda p: jnp.full_like(p, initial_accumulator_value), params
        )
        return ScaleByAdagradState(zero_step(), total)

    def update_fn(updates: PyTree, state: ScaleByAdagradState, params: PyTree = None):
        del params
        total = jax.tree.map(lambda s, g: s + g * g, state.sum, updates)
        slower = 1.0 + as_float(state.step) * lr_decay
        updates = jax.tree.map(
            lambda g, s: g / (jnp.sqrt(s) + eps) / cast_like(slower, g), updates, total
        )
        return updates, ScaleByAdagradState(next_step(state.step), total)

    return transformation(init_fn, update_fn)
