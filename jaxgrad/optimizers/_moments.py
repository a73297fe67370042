"""Shared by adam, adamax, nadam and radam: two betas and two running means."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax.numpy as jnp
import optax

from jaxgrad._checks import wrong_value
from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    as_float,
    check_not_negative,
    check_pair,
    known_number,
    log,
    next_step,
    scheduled,
    torch_chain,
)

Betas: TypeAlias = tuple[ScalarOrSchedule, Scalar]


def moment_chain(
    function: str,
    make_core: Callable[[Any], optax.GradientTransformation],
    lr: ScalarOrSchedule,
    betas: Betas,
    weight_decay: Scalar,
    maximize: bool,
    decoupled: bool = False,
    **not_negative: Scalar,
) -> optax.GradientTransformation:
    """Check the hyperparameters, and build torch's chain around the core of `betas`."""
    check_not_negative(function, lr=lr, weight_decay=weight_decay, **not_negative)
    check_betas(function, betas)
    core = scheduled(make_core, betas)
    return torch_chain(
        core, lr, weight_decay=weight_decay, decoupled=decoupled, maximize=maximize
    )


def next_moments(
    updates: PyTree, state: Any, betas: tuple[Scalar, Scalar]
) -> tuple[Array, PyTree, PyTree]:
    """The `step`, `exp_avg` and `exp_avg_sq` of `state` after one more gradient."""
    return (
        next_step(state.step),
        optax.tree.update_moment(updates, state.exp_avg, betas[0], 1),
        optax.tree.update_moment(updates, state.exp_avg_sq, betas[1], 2),
    )


def bias_correction(decay: Scalar, step: Array) -> Array:
    """1 - decay**step without the cancellation that costs float32 three digits."""
    return -jnp.expm1(as_float(step) * log(decay))


def check_betas(function: str, betas: Betas) -> None:
    """ValueError unless both betas lie in [0, 1)."""
    check_pair(function, "betas", betas)
    for index, beta in enumerate(betas):
        known = known_number(function, f"betas[{index}]", beta)
        if known is not None and not 0.0 <= known < 1.0:
            raise wrong_value(function, f"betas[{index}] in [0, 1)", known)
