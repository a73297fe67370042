"""Initializers whose spread depends on the number of inputs or outputs.

All are `jax.nn.initializers.variance_scaling` with the squared gain as its scale.
"""

import math
from functools import partial
from typing import Literal

import jax
from jaxtyping import Float

from jaxgrad._checks import check_choice, check_int, check_range, wrong_value
from jaxgrad._types import Array, DTypeLike, PRNGKey
from jaxgrad.initializers._filled import uniform
from jaxgrad.initializers._initializer import Initializer, check_kernel, initializer

FanMode = Literal["fan_in", "fan_out"]

_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""The gain that torch recommends for a layer before a nonlinearity.

    Args:
        nonlinearity: "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
            "conv_transpose2d", "conv_transpose3d" and "sigmoid": 1. "tanh": 5/3.
            "relu": $\sqrt 2$. "leaky_relu": $\sqrt{2 / (1 + a^2)}$. "selu": 3/4.
        param: The slope $a$ of "leaky_relu", 0.01 by default. The others ignore it.

    Returns: A Python float.
    Raises: ValueError if `nonlinearity` is unknown or the slope is not a number.
    Torch: `torch.nn.init.calculate_gain`.

    Examples:
        >>> calculate_gain("leaky_relu", 1.0)
        1.0
    """
    return _gain("calculate_gain", nonlinearity, param)


def linear(
    key: PRNGKey, in_features: int, out_features: int, dtype: DTypeLike | None = None
) -> tuple[Float[Array, "out_features in_features"], Float[Array, "out_features"]]:
    r"""Initial weight and bias of a linear layer, as in `torch.nn.Linear`.

    Both are drawn from $U(-1/\sqrt n, 1/\sqrt n)$ with $n$ = `in_features`.

    Args:
        key: A PRNG key.
        in_features: Number of inputs.
        out_features: Number of outputs.
        dtype: Floating dtype of both; by default JAX's default, usually float32.

    Returns: The weight, shape `(out_features, in_features)`, and the bias, shape
        `(out_features,)`, for `x @ weight.T + bias`.
    Raises: TypeError if a size is not an int or `dtype` is not floating; ValueError if
        a size is negative.
    Torch: `torch.nn.Linear(in_features, out_features)`.

    Examples:
        >>> weight, bias = linear(jax.random.key(0), 784, 100)
        >>> weight.shape, bias.shape
        ((100, 784), (100,))
    """
    in_features = check_int("linear", "in_features", in_features, least=0)
    out_features = check_int("linear", "out_features", out_features, least=0)
    weight_key, bias_key = jax.random.split(key)
    return (
        linear_weight()(weight_key, (out_features, in_features), dtype),
        linear_bias(in_features)(bias_key, (out_features,), dtype),
    )


def linear_weight(*, in_axis: int = 1, out_axis: int = 0) -> Initializer:
    r"""The initial weight of torch's linear and convolution layers.

    $$ U(-1/\sqrt{n}, 1/\sqrt{n}), \quad n = \text{fan in} $$

    Args:
        in_axis: The axis of the inputs.
        out_axis: The axis of the outputs.

    Returns: An initializer of shapes with at least two axes.
    Torch: `kaiming_uniform_(weight, a=math.sqrt(5))` in `torch.nn.Linear` and `ConvNd`.

    Examples:
        >>> flax = linear_weight(in_axis=-2, out_axis=-1)
        >>> kernel = flax(jax.random.key(0), (5, 5, 4, 8))  # fan in 5 * 5 * 4
        >>> abs(kernel).max().item()
        0.09990
    """
    gain = _gain("linear_weight", "leaky_relu", math.sqrt(5))
    return _variance_scaling(
        "linear_weight", gain, "fan_in", "uniform", in_axis, out_axis
    )


def linear_bias(fan_in: int) -> Initializer:
    r"""The initial bias of torch's linear and convolution layers.

    Args:
        fan_in: The $n$ of `linear_weight`: the number of inputs times the kernel's
            size, which a bias's shape does not show.

    Returns: An initializer drawing from $U(-1/\sqrt n, 1/\sqrt n)$; zeros if $n = 0$.
    Raises: ValueError if `fan_in` is negative.

    Examples:
        >>> linear_bias(100)(jax.random.key(0), (3,)).tolist()
        [0.08953, 0.09572, -0.03354]
    """
    fan_in = check_int("linear_bias", "fan_in", fan_in, least=0)
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return uniform(-bound, bound)


def xavier_uniform(
    gain: float = 1.0, *, in_axis: int = 1, out_axis: int = 0
) -> Initializer:
    r"""Glorot's uniform initializer.

    $$ U(-b, b), \quad b = g \sqrt{6 / (\text{fan in} + \text{fan out})} $$

    Args:
        gain: The factor $g$; see `calculate_gain`.
        in_axis: The axis of the inputs.
        out_axis: The axis of the outputs.

    Returns: An initializer of shapes with at least two axes.
    Raises: ValueError if `gain` is negative or, on the call, if the shape has fewer
        axes.
    Torch: `torch.nn.init.xavier_uniform_`.
    References: Glorot and Bengio, 2010.
    """
    return _variance_scaling(
        "xavier_uniform", gain, "fan_avg", "uniform", in_axis, out_axis
    )


def xavier_normal(
    gain: float = 1.0, *, in_axis: int = 1, out_axis: int = 0
) -> Initializer:
    r"""Glorot's normal initializer.

    $$ N(0, s^2), \quad s = g \sqrt{2 / (\text{fan in} + \text{fan out})} $$

    Args: as in `xavier_uniform`.
    Returns: An initializer of shapes with at least two axes. (Like torch's and unlike
        Flax's `glorot_normal`, it is not truncated.)
    Raises: ValueError as in `xavier_uniform`.
    Torch: `torch.nn.init.xavier_normal_`.
    References: Glorot and Bengio, 2010.
    """
    return _variance_scaling(
        "xavier_normal", gain, "fan_avg", "normal", in_axis, out_axis
    )


def kaiming_uniform(
    a: float = 0.0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    in_axis: int = 1,
    out_axis: int = 0,
) -> Initializer:
    r"""He's uniform initializer.

    $$ U(-b, b), \quad b = g \sqrt{3 / \text{fan}} $$

    Args:
        a: The slope of the leaky rectifier after this layer; only "leaky_relu" uses
            it.
        mode: "fan_in" keeps the variance in the forward pass, "fan_out" in the
            backward pass.
        nonlinearity: Determines the gain $g$; see `calculate_gain`.
        in_axis: The axis of the inputs.
        out_axis: The axis of the outputs.

    Returns: An initializer of shapes with at least two axes.
    Raises: ValueError if `mode` or `nonlinearity` is unknown or `a` is not a number; on
        the call, if the shape has fewer than two axes.
    Torch: `torch.nn.init.kaiming_uniform_`.
    References: He et al., 2015.

    Examples:
        >>> flax_like = kaiming_uniform(nonlinearity="relu", in_axis=-2, out_axis=-1)
        >>> abs(flax_like(jax.random.key(0), (600, 100))).max() <= 0.1
        Array(True, dtype=bool)
    """
    check_choice("kaiming_uniform", "mode", mode, ("fan_in", "fan_out"))
    gain = _gain("kaiming_uniform", nonlinearity, a, "a")
    return _variance_scaling(
        "kaiming_uniform", gain, mode, "uniform", in_axis, out_axis
    )


def kaiming_normal(
    a: float = 0.0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    in_axis: int = 1,
    out_axis: int = 0,
) -> Initializer:
    r"""He's normal initializer.

    $$ N(0, s^2), \quad s = g / \sqrt{\text{fan}} $$

    Args: as in `kaiming_uniform`.
    Returns: An initializer of shapes with at least two axes. (Like torch's and unlike
        Flax's `he_normal`, it is not truncated.)
    Raises: ValueError as in `kaiming_uniform`.
    Torch: `torch.nn.init.kaiming_normal_`.
    References: He et al., 2015.
    """
    check_choice("kaiming_normal", "mode", mode, ("fan_in", "fan_out"))
    gain = _gain("kaiming_normal", nonlinearity, a, "a")
    return _variance_scaling("kaiming_normal", gain, mode, "normal", in_axis, out_axis)


def _variance_scaling(
    function: str,
    gain: float,
    mode: Literal["fan_in", "fan_out", "fan_avg"],
    distribution: Literal["uniform", "normal"],
    in_axis: int,
    out_axis: int,
) -> Initializer:
    """Standard deviation gain / sqrt(fan); fan_avg is half the sum of both fans."""
    check_range(function, "gain", gain, least=0.0)
    draw = jax.nn.initializers.variance_scaling(
        gain**2, mode, distribution, in_axis=in_axis, out_axis=out_axis
    )
    check = partial(check_kernel, function, in_axis=in_axis, out_axis=out_axis)
    return initializer(function, draw, check)


def _gain(
    function: str, nonlinearity: str, slope: float | None, argument: str = "param"
) -> float:
    if nonlinearity == "leaky_relu":
        slope = 0.01 if slope is None else slope
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise wrong_value(function, f"{argument} to be a number", repr(slope))
        return math.sqrt(2 / (1 + slope**2))
    check_choice(function, "nonlinearity", nonlinearity, (*_GAINS, "leaky_relu"))
    return _GAINS[nonlinearity]
