"""Muon: orthogonalize the momentum matrix."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgrad._checks import check_choice, wrong_value
from jaxgrad._types import Array, ArrayLike, PyTree, Scalar, ScalarOrSchedule
from jaxgrad.optimizers._common import (
    cast_like,
    check_not_negative,
    known_number,
    real_only,
    torch_chain,
    transformation,
)


def muon(
    lr: ScalarOrSchedule = 1e-3,
    weight_decay: Scalar = 0.1,
    momentum: Scalar = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[Scalar, Scalar, Scalar] = (3.4445, -4.775, 2.0315),
    eps: Scalar = 1e-7,
    ns_steps: Scalar = 5,
    adjust_lr_fn: str | None = None,
) -> optax.GradientTransformation:
    r"""Muon, equal to PyTorch's to bfloat16 precision.

    $$ B_t = \mu B_{t-1} + (1 - \mu) G_t, \quad
       \theta_t = (1 - \gamma \lambda) \theta_{t-1}
       - \gamma \sqrt{\max(1, \text{rows} / \text{columns})} \,
         \text{NS}(\mu B_t + (1 - \mu) G_t) $$

    where NS brings the singular values near 1 with Newton-Schulz steps
    $X \leftarrow a X + (b A + c A^2) X$ with $A = X X^\top$, in bfloat16.

    Args:
        lr: The learning rate $\gamma \ge 0$: a number or an Optax schedule.
        weight_decay: $\lambda \ge 0$, decoupled from the gradient.
        momentum: $\mu \ge 0$.
        nesterov: Whether to use Nesterov momentum; otherwise NS takes $B_t$.
        ns_coefficients: $(a, b, c)$.
        eps: The smallest norm to divide by.
        ns_steps: The number of Newton-Schulz steps, below 100.
        adjust_lr_fn: The factor of $\gamma$: "original" or None for the one above,
            "match_rms_adamw" for $0.2 \sqrt{\max(\text{rows}, \text{columns})}$.

    Returns: An `optax.GradientTransformation` for matrices only; needs `params` if
        there is weight decay. Use `optax.partition` to give other parameters another
        optimizer.
    Raises: ValueError if `lr`, `momentum` or `weight_decay` is negative, `ns_steps` is
        100 or more, `ns_coefficients` are not three numbers, `adjust_lr_fn` is unknown
        or, on `init`, if a parameter is not a matrix; TypeError if it is complex.
    Torch: `torch.optim.Muon`. `optax.contrib.muon` iterates in the dtype of the
        parameters, does not decay and updates vectors with AdamW.

    Examples:
        >>> optimizer = muon(lr=1.0, weight_decay=0.0)
        >>> params = jnp.diag(jnp.array([3.0, 1.0]))
        >>> updates, state = optimizer.update(params, optimizer.init(params))
        >>> jnp.abs(jnp.diag(updates) + 1.0) < 0.4
        Array([ True,  True], dtype=bool)
    """
    check_not_negative("muon", lr=lr, momentum=momentum, weight_decay=weight_decay)
    if adjust_lr_fn is not None:
        check_choice("muon", "adjust_lr_fn", adjust_lr_fn, tuple(_RATIOS))
    if len(ns_coefficients) != 3:
        count = len(ns_coefficients)
        raise wrong_value("muon", "ns_coefficients to be three numbers", count)
    steps = known_number("muon", "ns_steps", ns_steps)
    if steps is not None and steps >= 100:
        raise wrong_value("muon", "ns_steps < 100", ns_steps)
    core = _orthogonal_momentum(
        momentum,
        nesterov,
        lambda x: newton_schulz(x, ns_coefficients, ns_steps, eps),
        _RATIOS[adjust_lr_fn or "original"],
    )
    chain = torch_chain(core, lr, weight_decay=weight_decay, decoupled=True)
    return real_only("muon", chain)


_RATIOS = {
    "original": lambda rows, columns: math.sqrt(max(1, rows / max(columns, 1))),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


class MuonState(NamedTuple):
    """State of Muon, with torch's name."""

    momentum_buffer: PyTree  # like the parameters


def _orthogonal_momentum(
    momentum, nesterov, orthogonalized, ratio
) -> optax.GradientTransformation:
    def init_fn(params: PyTree) -> MuonState:
        for p in jax.tree.leaves(params):
            if p.ndim != 2:
                raise wrong_value("muon", "matrices only", f"shape {p.shape}")
        return MuonState(optax.tree.zeros_like(params))

    def update_fn(updates: PyTree, state: MuonState, params: PyTree = None):
        del params
        buffer = optax.tree.update_moment(updates, state.momentum_buffer, momentum, 1)
        ahead = optax.tree.update_moment(updates, buffer, momentum, 1)
        updates = jax.tree.map(
            lambda x: ratio(*x.shape) * orthogonalized(x).astype(x.dtype),
            ahead if nesterov else buffer,
        )
        return updates, MuonState(buffer)

    return transformation(init_fn, update_fn)


def newton_schulz(
    x: Array, coefficients: tuple[Scalar, Scalar, Scalar], steps: Scalar, eps: Scalar
) -> Array:
    """`x` with singular values near 1, rounded to bfloat16 where torch rounds."""
    tall = x.shape[0] > x.shape[1]
    x = _rounded((x.T if tall else x).astype(jnp.float32))
    a, b, c = (cast_like(number, x) for number in coefficients)
    x = _rounded(x / _rounded(jnp.maximum(jnp.sqrt(jnp.sum(x * x)), cast_like(eps, x))))

    def step(_: ArrayLike, x: Array) -> Array:
        gram = _rounded(_product(x, x.T))
        polynomial = _rounded(b * gram + c * _product(gram, gram))
        return _rounded(a * x + _product(polynomial, x))

    x = jax.lax.fori_loop(0, steps, step, x)
    return x.T if tall else x


def _product(x: Array, y: Array) -> Array:
    """The product of matrices that hold bfloat16 values, summed in float32."""
    x, y = x.astype(jnp.bfloat16), y.astype(jnp.bfloat16)
    return jnp.matmul(x, y, preferred_element_type=jnp.float32)


def _rounded(x: Array) -> Array:
    # The compiler would remove a cast to bfloat16 and back.
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)
