"""Adafactor: second moments of a matrix from its row and column means."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._types import Array, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    as_float,
    cast_like,
    check_known_range,
    check_not_negative,
    check_pair,
    check_params,
    float_dtype,
    lr_at,
    next_step,
    real_only,
    torch_chain,
    transformation,
    zero_step,
)


def adafactor(
    lr: ScalarOrSchedule = 1e-2,
    beta2_decay: Scalar = -0.8,
    eps: tuple[Scalar | None, Scalar] = (None, 1e-3),
    d: Scalar = 1.0,
    weight_decay: Scalar = 0.0,
    *,
    maximize: bool = False,
) -> optax.GradientTransformation:
    r"""Adafactor, equal to PyTorch's.

    $$ \hat\beta_t = 1 - t^{\tau}, \quad
       U_t = \frac{G_t}{\sqrt{\max(\hat V_t, \epsilon_1^2)}}, \quad
       \theta_t = (1 - \gamma \lambda) \theta_{t-1}
       - \frac{\max(\epsilon_2, \text{rms}(\theta_{t-1})) \min(\gamma, 1 / \sqrt t)}
              {\max(1, \text{rms}(U_t) / d)} U_t $$

    where $\hat V_t$ is the running mean of $G_t^2$. For arrays of two or more axes it
    is estimated from the row and column means of the last two; otherwise every entry
    has its own.

    Args:
        lr: The largest learning rate $\gamma \ge 0$: a number or an Optax schedule.
        beta2_decay: $\tau \le 0$.
        eps: $(\epsilon_1, \epsilon_2)$, both $\ge 0$; None is the machine
            epsilon of the parameters' dtype.
        d: The clipping threshold $d \ge 1$.
        weight_decay: $\lambda \ge 0$, decoupled from the gradient.
        maximize: Whether to maximize, by flipping the gradient's sign first.

    Returns: An `optax.GradientTransformation`; needs `params`.
    Raises: ValueError if `beta2_decay` is positive, `d` is below 1 or another
        hyperparameter is negative or, on the update, if `params` is None; TypeError,
        on `init`, if a parameter is complex.
    Torch: `torch.optim.Adafactor`. `optax.adafactor` factors only matrices of 128 x 128
        and more, does not bound the rate by $1 / \sqrt t$, and decays without the
        learning rate.

    Examples:
        >>> params, optimizer = jnp.array([-75.0, -10.0]), adafactor(lr=0.5)
        >>> optimizer.update(2 * params, optimizer.init(params), params)[0]
        Array([26.7512, 26.7512], dtype=float32)
    """
    check_pair("adafactor", "eps", eps)
    eps1, eps2 = eps
    check_not_negative("adafactor", lr=lr, eps2=eps2, weight_decay=weight_decay)
    if eps1 is not None:
        check_not_negative("adafactor", eps1=eps1)
    check_known_range("adafactor", "beta2_decay", beta2_decay, most=0)
    check_known_range("adafactor", "d", d, least=1)

    def with_eps1(eps1: PyTree) -> optax.GradientTransformation:
        core = _factored(lr, beta2_decay, eps1, eps2, d, weight_decay)
        return torch_chain(core, None, maximize=maximize)

    def update_fn(updates: PyTree, state: PyTree, params: PyTree = None):
        # Before the chain widens half precision, as the default depends on the dtype.
        return with_eps1(_eps1(updates, eps1)).update(updates, state, params)

    init_fn = with_eps1(None).init
    return real_only("adafactor", transformation(init_fn, update_fn))


class FactoredMoment(NamedTuple):
    """Second moment of an array of two or more axes, with torch's names."""

    row_var: Array  # like the parameter, but shape[-1] = 1
    col_var: Array  # like the parameter, but shape[-2] = 1


class FactoredState(NamedTuple):
    step: Array  # shape=(), dtype=int32
    variance: PyTree  # per parameter: a FactoredMoment, or an array like it


def _factored(
    lr: ScalarOrSchedule,
    beta2_decay: Scalar,
    eps1: PyTree,
    eps2: Scalar,
    d: Scalar,
    weight_decay: Scalar,
) -> optax.GradientTransformation:
    def init_fn(params: PyTree) -> FactoredState:
        return FactoredState(zero_step(), jax.tree.map(_zero_moment, params))

    def update_fn(updates: PyTree, state: FactoredState, params: PyTree = None):
        check_params("adafactor", params)
        rate = jnp.asarray(lr_at(lr, state.step), float_dtype())
        step = next_step(state.step)
        t = as_float(step)
        weight = t**beta2_decay
        relative_step = jnp.minimum(rate, 1 / jnp.sqrt(t))
        variance = jax.tree.map(
            lambda g, v: _next_moment(v, g, cast_like(weight, g)),
            updates,
            state.variance,
        )

        def update(
            g: Array, v: Array | FactoredMoment, p: Array, eps1: Scalar
        ) -> Array:
            unit = g * jax.lax.rsqrt(jnp.maximum(_estimate(v, eps1), eps1 * eps1))
            size = _at_least(eps2, _rms(p)) * cast_like(relative_step, p)
            clipped = unit / _at_least(1, _rms(unit) / d)
            return -size * clipped - cast_like(rate * weight_decay, p) * p

        updates = jax.tree.map(update, updates, variance, params, eps1)
        return updates, FactoredState(step, variance)

    return transformation(init_fn, update_fn)


def _eps1(updates: PyTree, eps1: Scalar | None) -> PyTree:
    """`eps1` for each leaf, by default the epsilon of its dtype."""
    if eps1 is not None:
        return jax.tree.map(lambda g: eps1, updates)
    return jax.tree.map(lambda g: float(jnp.finfo(jnp.result_type(g)).eps), updates)


def _zero_moment(p: Array) -> Array | FactoredMoment:
    if p.ndim < 2:
        return jnp.zeros_like(p)
    return FactoredMoment(
        jnp.zeros((*p.shape[:-1], 1), p.dtype),
        jnp.zeros((*p.shape[:-2], 1, p.shape[-1]), p.dtype),
    )


def _next_moment(
    moment: Array | FactoredMoment, g: Array, weight: Array
) -> Array | FactoredMoment:
    """The running mean of the squares after `g`, which has the given weight."""
    square = g * g
    if isinstance(moment, FactoredMoment):
        square = FactoredMoment(_mean(square, axis=-1), _mean(square, axis=-2))
    return jax.tree.map(
        lambda old, new: (1 - weight) * old + weight * new, moment, square
    )


def _estimate(moment: Array | FactoredMoment, eps1: Scalar) -> Array:
    """The second moment of every entry."""
    if isinstance(moment, FactoredMoment):
        row, col = moment
        return row * col / jnp.maximum(_mean(row, axis=-2), eps1)
    return moment


def _mean(x: Array, axis: int) -> Array:
    return jnp.sum(x, axis, keepdims=True) / max(x.shape[axis], 1)


def _at_least(least: Scalar, x: Array) -> Array:
    """max(least, x); `least` if x is NaN, like Python's max."""
    return jnp.where(x > least, x, least)


def _rms(x: Array) -> Array:
    return jnp.sqrt(jnp.sum(x * x) / max(x.size, 1))
