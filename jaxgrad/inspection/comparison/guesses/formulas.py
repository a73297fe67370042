"""Functions of one array by name: activations, and what is mistaken for them."""

from collections.abc import Callable, Iterator

import jax
import numpy as np

Array = np.ndarray
ROOT = np.sqrt(2 / np.pi)


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def erf(x: Array) -> Array:
    """The error function in double precision."""
    with jax.enable_x64(True):
        return np.asarray(jax.scipy.special.erf(np.asarray(x, np.float64)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "the identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "exact gelu": lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2))),
    "tanh-form gelu": lambda x: 0.5 * x * (1 + np.tanh(ROOT * (x + 0.044715 * x**3))),
    "sigmoid-form gelu": lambda x: x * _sigmoid(1.702 * x),
    "silu": lambda x: x * _sigmoid(x),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "sigmoid(x + 1), a bias of the forget gate": lambda x: _sigmoid(x + 1),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: (
        1.0507009873554805
        * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))
    ),
    "softplus": _softplus,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "relu6": lambda x: np.clip(x, 0, 6),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hardsigmoid with slope 0.2": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "log_sigmoid": lambda x: -_softplus(-x),
    "squared relu": lambda x: np.square(np.maximum(x, 0)),
    "exp": np.exp,
    "exp(x / 2)": lambda x: np.exp(x / 2),
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
}


def names(x: Array, y: Array, same: Callable[[Array, Array], bool]) -> Iterator[str]:
    """The names of the functions that make `y` of `x`."""
    with np.errstate(all="ignore"):
        for name, function in ACTIVATIONS.items():
            if same(function(x), y):
                yield name
        if slope := _slope(x, y, same):
            yield slope


def _slope(x: Array, y: Array, same: Callable[[Array, Array], bool]) -> str:
    """A leaky relu or an elu with a factor, by solving for it."""
    if x.shape != y.shape or not (x < 0).any():
        return ""
    below = x < 0
    for name, unit in (("leaky_relu with slope", x), ("elu with alpha", np.expm1(x))):
        factor = float(np.median(y[below] / unit[below]))
        if 0 < abs(factor) < 10 and same(np.where(below, factor * unit, x), y):
            return f"{name} {factor:.4g}"
    return ""
