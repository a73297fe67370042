"""PyTorch's initialisers, as functions of a key.

`kaiming_uniform(a=0.1)` makes an initialiser, `init(key, shape, dtype)`, in the form
of `jax.nn.initializers`: it serves `jax.random` code and Flax's `kernel_init` alike.
Names, defaults and distributions are those of `torch.nn.init`, the random numbers
are JAX's. Where an initialiser tells inputs from outputs, the axes are torch's,
`(out, in, *kernel)`, by default; `in_axis=-2, out_axis=-1` serves Flax's kernels,
`(*kernel, in, out)`.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import check_int, check_range
from jaxgrad._types import Array, DTypeLike, PRNGKey

Initializer = Callable[..., Array]


def linear(
    key: PRNGKey, in_features: int, out_features: int, dtype: DTypeLike | None = None
) -> tuple[
    Float[Array, "{out_features} {in_features}"], Float[Array, "{out_features}"]
]:
    r"""Weight and bias of a linear layer as `torch.nn.Linear` starts them.

    Both are drawn from $U(-1/\sqrt n, 1/\sqrt n)$ with $n$ = `in_features`.

    Args:
        key: A key of `jax.random`.
        in_features: Number of inputs.
        out_features: Number of outputs.
        dtype: Floating dtype of both; the default dtype if None.

    Returns:
        Weight of shape `(out_features, in_features)` and bias of shape
        `(out_features,)`, to be used as `x @ weight.T + bias`.

    Raises:
        TypeError: If a size is no int or `dtype` is not floating.
        ValueError: If a size is negative.

    Examples:
        >>> weight, bias = linear(jax.random.key(0), 784, 100)
        >>> weight.shape, bias.shape
        ((100, 784), (100,))

    Torch: `torch.nn.Linear(in_features, out_features)`.
    """
    check_int("linear", "in_features", in_features, least=0)
    check_int("linear", "out_features", out_features, least=0)
    weight_key, bias_key = jax.random.split(key)
    return (
        linear_weight()(weight_key, (out_features, in_features), dtype),
        linear_bias(in_features)(bias_key, (out_features,), dtype),
    )


def linear_weight(*, in_axis: int = 1, out_axis: int = 0) -> Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    draw = jax.nn.initializers.variance_scaling(
        1 / 3, "fan_in", "uniform", in_axis=in_axis, out_axis=out_axis
    )
    return _initializer("linear_weight", draw)


def linear_bias(fan_in: int) -> Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    check_int("linear_bias", "fan_in", fan_in, least=0)
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return uniform(-bound, bound)


def uniform(a: float = 0.0, b: float = 1.0) -> Initializer:
    """U(a, b)."""
    check_range("uniform", "b", b, least=a)
    return _initializer(
        "uniform",
        lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, a, b),
    )


def _initializer(function: str, draw: Initializer) -> Initializer:
    def init(
        key: PRNGKey, shape: Sequence[int], dtype: DTypeLike | None = None
    ) -> Array:
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)
        if 0 in shape:
            return jnp.zeros(shape, dtype)
        return draw(key, tuple(shape), wide).astype(dtype)

    return init
