"""The initializers against closed forms, and against torch under `parity`."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import initializers
from jaxgrad.initializers import (
    calculate_gain,
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    linear,
    linear_bias,
    linear_weight,
    normal,
    ones,
    orthogonal,
    sparse,
    trunc_normal,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from tests.tolerances import DTYPES, assert_close

KEY = jax.random.key(0)
FLAX = {"in_axis": -2, "out_axis": -1}


class Uniform(NamedTuple):
    low: float
    high: float

    def cdf(self, x):
        return (x - self.low) / (self.high - self.low)

    def moments(self):
        return (self.low + self.high) / 2, (self.high - self.low) / math.sqrt(12)


class Normal(NamedTuple):
    std: float
    mean: float = 0.0

    def cdf(self, x):
        erfc = np.vectorize(math.erfc)
        return erfc((self.mean - x) / (self.std * math.sqrt(2))) / 2

    def moments(self):
        return self.mean, self.std


class Truncated(NamedTuple):
    mean: float
    std: float
    a: float
    b: float

    def cdf(self, x):
        """The cdf given [a, b], from the nearer tail, which keeps its digits."""
        if self.a > self.mean:
            return 1 - Truncated(-self.mean, self.std, -self.b, -self.a).cdf(-x)
        whole = Normal(self.std, self.mean)
        low, high = whole.cdf(np.array([self.a, self.b]))
        return (whole.cdf(x) - low) / (high - low)

    def moments(self):
        """The moment as a sum over 20000 thin slices."""
        reach = 9 * self.std
        ends = max(self.a, self.mean - reach), min(self.b, self.mean + reach)
        edges = np.linspace(*ends, 20001)
        weights, middles = np.diff(self.cdf(edges)), (edges[1:] + edges[:-1]) / 2
        mean = weights @ middles
        return mean, math.sqrt(weights @ (middles - mean) ** 2)


def assert_distributed(values, expected):
    """Kolmogorov-Smirnov and moments; a correct sampler fails for 1 key in 1000."""
    values = np.sort(np.ravel(np.asarray(values, np.float64)))
    n = len(values)
    exact = expected.cdf(values)
    steps = np.arange(n + 1) / n
    distance = max(abs(exact - steps[:-1]).max(), abs(exact - steps[1:]).max())
    assert distance < math.sqrt(math.log(2000) / (2 * n))
    mean, std = expected.moments()
    assert abs(values.mean() - mean) < 4 * std / math.sqrt(n)
    # A standard deviation's own error grows with the fourth moment.
    fourth = ((values - mean) ** 4).mean() / std**4
    assert abs(values.std() / std - 1) < 4 * math.sqrt((fourth - 1) / (4 * n))


# Shape (out, in, *kernel) in torch's layout; here fan in is 40 * 15, fan out 20 * 15.
SHAPE = (20, 40, 3, 5)
FAN_IN, FAN_OUT = 600, 300
SCALED = {
    "linear_weight": (linear_weight, {}, Uniform(-(600**-0.5), 600**-0.5)),
    "xavier_uniform": (
        xavier_uniform,
        {},
        Uniform(-((6 / 900) ** 0.5), (6 / 900) ** 0.5),
    ),
    "xavier_uniform gain": (
        xavier_uniform,
        {"gain": 5 / 3},
        Uniform(-5 / 3 * (6 / 900) ** 0.5, 5 / 3 * (6 / 900) ** 0.5),
    ),
    "xavier_normal": (xavier_normal, {}, Normal((2 / 900) ** 0.5)),
    "xavier_normal gain": (
        xavier_normal,
        {"gain": 2.0},
        Normal(2 * (2 / 900) ** 0.5),
    ),
    "kaiming_uniform": (kaiming_uniform, {}, Uniform(-(0.01**0.5), 0.01**0.5)),
    "kaiming_uniform slope": (
        kaiming_uniform,
        {"a": 1.0, "mode": "fan_out"},
        Uniform(-0.1, 0.1),
    ),
    "kaiming_normal": (kaiming_normal, {}, Normal((2 / 600) ** 0.5)),
    "kaiming_normal tanh": (
        kaiming_normal,
        {"mode": "fan_out", "nonlinearity": "tanh"},
        Normal(5 / 3 * 300**-0.5),
    ),
}
FILLED = {
    "uniform": (uniform(), Uniform(0, 1)),
    "uniform a b": (uniform(-3.0, 1.5), Uniform(-3, 1.5)),
    "normal": (normal(), Normal(1)),
    "normal mean std": (normal(2.0, 0.1), Normal(0.1, 2)),
    "linear_bias": (linear_bias(25), Uniform(-0.2, 0.2)),
    "trunc_normal": (trunc_normal(), Truncated(0, 1, -2, 2)),
    "trunc_normal std": (
        trunc_normal(std=0.02, a=-0.01, b=0.03),
        Truncated(0, 0.02, -0.01, 0.03),
    ),
    "trunc_normal right tail": (trunc_normal(a=6.0, b=8.0), Truncated(0, 1, 6, 8)),
    "trunc_normal left tail": (
        trunc_normal(1.0, 0.5, -4.0, -2.0),
        Truncated(1, 0.5, -4, -2),
    ),
    "trunc_normal no bounds": (trunc_normal(a=-math.inf, b=math.inf), Normal(1)),
    "trunc_normal half": (
        trunc_normal(a=0.0, b=math.inf),
        Truncated(0, 1, 0, math.inf),
    ),
}
ANY_SHAPE = {
    **{name: case[0] for name, case in FILLED.items()},
    "constant": constant(0.3),
    "ones": ones,
    "zeros": zeros,
}
EVERY = {
    **ANY_SHAPE,
    **{name: factory(**options) for name, (factory, options, _) in SCALED.items()},
    "eye": eye,
    "dirac": dirac(),
    "orthogonal": orthogonal(),
    "sparse": sparse(0.5),
}


def small_shape(name):
    return {"eye": (4, 6), "sparse": (4, 6)}.get(name, (4, 6, 3))


@pytest.mark.parametrize("name", FILLED)
def test_distribution(name):
    init, expected = FILLED[name]
    values = init(KEY, (20000,))
    assert bool(jnp.isfinite(values).all())
    assert_distributed(values, expected)


def test_trunc_normal_is_finite_where_the_uniform_number_is_zero(monkeypatch):
    """This happens once in 8 million draws; its quantile would be -inf."""
    monkeypatch.setattr(
        jax.random, "uniform", lambda key, shape, dtype: jnp.zeros(shape, dtype)
    )
    unbounded = trunc_normal(a=-math.inf, b=math.inf)
    assert -6 < unbounded(KEY, ()) < -5


@pytest.mark.parametrize("name", SCALED)
def test_distribution_by_fans(name):
    factory, options, expected = SCALED[name]
    assert_distributed(factory(**options)(KEY, SHAPE), expected)
    flax_shape = (3, 5, 40, 20)
    assert_distributed(factory(**options, **FLAX)(KEY, flax_shape), expected)


@pytest.mark.parametrize("name", [n for n, case in SCALED.items() if "uniform" in n])
def test_uniform_start_fills_its_interval(name):
    factory, options, expected = SCALED[name]
    values = np.asarray(factory(**options)(KEY, SHAPE), np.float64)
    # 12000 values: all inside (up to rounding), the extremes in the outer thousandth.
    assert -1e-6 < expected.cdf(values.min()) < 1e-3
    assert 1 - 1e-3 < expected.cdf(values.max()) < 1 + 1e-6


@pytest.mark.parametrize(
    "name", ["uniform a b", "normal", "trunc_normal", "linear_bias"]
)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_drawn_in_float32_and_rounded(name, dtype):
    init, _ = FILLED[name]
    values = init(KEY, (20000,), dtype)
    assert values.dtype == dtype
    # The mean of jax.random.uniform(dtype=bfloat16) is off by 2**-8, its maximum low.
    exact = np.asarray(init(KEY, (20000,)), np.float64)
    np.testing.assert_array_equal(values, jnp.asarray(exact, dtype))
    error = np.asarray(values, np.float64) - exact
    assert abs(error.mean()) < 5 * error.std() / math.sqrt(len(error))


def test_float16_keeps_the_spread_of_a_huge_fan():
    values = linear_weight()(KEY, (4, 10**6), "float16")
    assert_close(jnp.abs(values).max(), 1e-3, "float16")
    assert_close(jnp.std(values.astype(jnp.float32)), 1e-3 / math.sqrt(3), "float16")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_and_shape(name, dtype, x64):
    shape = small_shape(name)
    result = jax.eval_shape(lambda: EVERY[name](KEY, shape, dtype))
    assert (result.shape, result.dtype, result.weak_type) == (shape, dtype, False)
    assert jax.eval_shape(lambda: EVERY[name](KEY, shape)).dtype == jnp.float64


# One of each kind of draw, as compiling costs more than everything else here.
DRAWS = ["trunc_normal", "kaiming_normal", "orthogonal", "sparse"]


@pytest.mark.parametrize("name", DRAWS)
def test_jit_and_vmap_over_keys(name):
    init, shape = EVERY[name], small_shape(name)
    keys = jax.random.split(KEY, 3)
    each = jnp.stack([init(key, shape) for key in keys])
    together = jax.jit(jax.vmap(lambda key: init(key, shape)))(keys)
    assert_close(together, each, "float32")


@pytest.mark.parametrize("name", EVERY)
def test_the_key_determines_the_result(name):
    init, shape = EVERY[name], small_shape(name)
    same = init(KEY, shape), init(KEY, shape)
    np.testing.assert_array_equal(*same)
    random = name not in {"constant", "ones", "zeros", "eye", "dirac"}
    assert bool((init(jax.random.key(1), shape) != same[0]).any()) == random


@pytest.mark.parametrize("name", EVERY)
def test_empty_shape(name):
    shape = (0, *small_shape(name)[1:])
    assert EVERY[name](KEY, shape).shape == shape


def test_constant_initializers():
    np.testing.assert_array_equal(constant(0.25)(KEY, (2, 3)), np.full((2, 3), 0.25))
    np.testing.assert_array_equal(ones(KEY, (3,)), [1, 1, 1])
    np.testing.assert_array_equal(zeros(KEY, ()), 0)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_eye(shape):
    np.testing.assert_array_equal(eye(KEY, shape), np.eye(*shape))


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (3, 2, 2)])
def test_orthogonal(shape, x64):
    weight = orthogonal(2.5)(KEY, shape).reshape(shape[0], -1)
    assert_orthonormal(weight / 2.5)


def test_orthogonal_in_flax_layout(x64):
    kernel = orthogonal(**FLAX)(KEY, (2, 2, 4, 3))
    assert_orthonormal(kernel.reshape(-1, 3))
    first = orthogonal(in_axis=1, out_axis=2)(KEY, (4, 3, 5))
    assert_orthonormal(jnp.moveaxis(first, 2, 0).reshape(5, -1))


def test_orthogonal_is_uniform():
    """Entries of a Haar matrix have mean 0 and mean square 1 / n, any sign."""
    keys = jax.random.split(KEY, 4000)
    matrices = jax.vmap(lambda key: orthogonal()(key, (3, 3)))(keys)
    bound = 4 / math.sqrt(3 * 4000)
    np.testing.assert_allclose(matrices.mean(0), np.zeros((3, 3)), atol=bound)
    np.testing.assert_allclose(
        (matrices**2).mean(0), np.full((3, 3), 1 / 3), atol=bound
    )
    share = (jnp.linalg.det(matrices) > 0).mean()
    np.testing.assert_allclose(share, 0.5, atol=4 * 0.5 / math.sqrt(4000))


def assert_orthonormal(matrix):
    rows, columns = matrix.shape
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    assert_close(gram, np.eye(min(rows, columns)))


@pytest.mark.parametrize(
    ("kernel", "groups", "flax"),
    [((3,), 3, False), ((3, 5), 1, True)],
)
def test_dirac_convolution_is_the_identity(kernel, groups, flax):
    channels, axes = 6, "DHW"[-len(kernel) :]
    if flax:
        shape, layout = (*kernel, channels // groups, channels), f"{axes}IO"
        weight = dirac(groups, **FLAX)(KEY, shape)
    else:
        shape, layout = (channels, channels // groups, *kernel), f"OI{axes}"
        weight = dirac(groups)(KEY, shape)
    x = jax.random.normal(KEY, (2, channels, *(7 for _ in kernel)))
    y = jax.lax.conv_general_dilated(
        x,
        weight,
        window_strides=[1] * len(kernel),
        padding="SAME",
        dimension_numbers=(f"NC{axes}", layout, f"NC{axes}"),
        feature_group_count=groups,
        precision="highest",
    )
    np.testing.assert_array_equal(y, x)


def test_dirac_passes_on_the_channels_that_exist():
    weight = np.asarray(dirac(groups=2)(KEY, (6, 2, 4)))
    expected = np.zeros((6, 2, 4))
    for output, channel in [(0, 0), (1, 1), (3, 0), (4, 1)]:
        expected[output, channel, 2] = 1
    np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("sparsity", "zeros_per_column"), [(0.0, 0), (0.05, 1), (0.5, 5), (1.0, 10)]
)
def test_sparse_zeros_per_column(sparsity, zeros_per_column):
    weight = sparse(sparsity)(KEY, (10, 4000))
    np.testing.assert_array_equal((weight == 0).sum(0), [zeros_per_column] * 4000)


def test_sparse_in_flax_layout():
    kernel = sparse(0.31, **FLAX)(KEY, (6, 4))
    np.testing.assert_array_equal((kernel == 0).sum(1), [2] * 6)


def test_sparse_values_and_positions():
    weight = np.asarray(sparse(0.5, std=3.0)(KEY, (10, 4000)))
    assert_distributed(weight[weight != 0], Normal(3))
    # Every row is hit in half of the columns, and two rows together in 5/10 * 4/9.
    hit = (weight == 0).astype(float)
    together = hit @ hit.T / 4000
    expected = np.where(np.eye(10) == 1, 5 / 10, 5 / 10 * 4 / 9)
    np.testing.assert_allclose(together, expected, atol=4 * 0.5 / math.sqrt(4000))


def test_linear():
    weight, bias = linear(KEY, 16, 5000)
    assert weight.shape == (5000, 16)
    assert bias.shape == (5000,)
    assert_distributed(weight, Uniform(-1 / 4, 1 / 4))
    assert_distributed(bias, Uniform(-1 / 4, 1 / 4))
    correlation = jnp.corrcoef(weight[:, 0], bias)[0, 1]
    assert abs(correlation) < 4 / math.sqrt(5000)


def test_linear_without_inputs_has_no_bias():
    weight, bias = linear(KEY, 0, 3)
    assert weight.shape == (3, 0)
    np.testing.assert_array_equal(bias, [0, 0, 0])


def test_linear_keeps_the_dtype():
    weight, bias = linear(KEY, 3, 2, jnp.bfloat16)
    assert weight.dtype == bias.dtype == jnp.bfloat16


def test_flax_linen_layers():
    import flax.linen as nn

    init = linear_weight(in_axis=-2, out_axis=-1)
    dense = nn.Dense(20, kernel_init=init, bias_init=linear_bias(100))
    params = dense.init(KEY, jnp.ones((1, 100)))["params"]
    assert_distributed(params["kernel"], Uniform(-0.1, 0.1))
    assert 0.05 < np.abs(np.asarray(params["bias"])).max() < 0.1

    init = kaiming_uniform(in_axis=-2, out_axis=-1)
    conv = nn.Conv(8, (5, 5), kernel_init=init, bias_init=zeros)
    kernel = conv.init(KEY, jnp.ones((1, 8, 8, 4)))["params"]["kernel"]
    assert_distributed(kernel, Uniform(-(0.06**0.5), 0.06**0.5))


def test_flax_nnx_layer():
    from flax import nnx

    layer = nnx.Linear(
        100,
        20,
        kernel_init=xavier_uniform(**FLAX),
        bias_init=linear_bias(100),
        rngs=nnx.Rngs(0),
    )
    assert_distributed(layer.kernel[...], Uniform(-(0.05**0.5), 0.05**0.5))


GAINS = {
    **dict.fromkeys(["linear", "conv1d", "conv2d", "conv3d", "sigmoid"], 1.0),
    **{f"conv_transpose{n}d": 1.0 for n in (1, 2, 3)},
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "selu": 3 / 4,
}


@pytest.mark.parametrize("nonlinearity", GAINS)
def test_calculate_gain(nonlinearity):
    assert calculate_gain(nonlinearity) == GAINS[nonlinearity]


def test_calculate_gain_of_a_slope():
    assert calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert calculate_gain("relu", 0.2) == math.sqrt(2)


BAD = {
    "fewer than two axes": (
        lambda: kaiming_uniform()(KEY, (3,)),
        r"kaiming_uniform: expected shape with at least 2 axes .*, got \(3,\)",
    ),
    "no axis": (lambda: xavier_normal()(KEY, ()), "xavier_normal: expected shape"),
    "orthogonal vector": (
        lambda: orthogonal()(KEY, (3,)),
        "orthogonal: expected shape",
    ),
    "linear vector": (lambda: linear_weight()(KEY, (3,)), "linear_weight: .* shape"),
    "mode": (
        lambda: kaiming_normal(mode="fan_avg"),  # pyright: ignore
        "kaiming_normal: expected mode to be one of 'fan_in', 'fan_out', got 'fan_avg'",
    ),
    "nonlinearity": (
        lambda: kaiming_uniform(nonlinearity="gelu"),
        "kaiming_uniform: expected nonlinearity to be one of .*, got 'gelu' instead",
    ),
    "gain's nonlinearity": (
        lambda: calculate_gain("gelu"),
        "calculate_gain: expected nonlinearity",
    ),
    "slope": (
        lambda: calculate_gain("leaky_relu", True),
        "calculate_gain: expected param to be a number, got True",
    ),
    "kaiming's slope": (
        lambda: kaiming_uniform(a="0.1"),  # pyright: ignore
        "kaiming_uniform: expected a to be a number, got '0.1'",
    ),
    "negative gain": (
        lambda: xavier_uniform(-1.0),
        "xavier_uniform: expected gain >= 0",
    ),
    "uniform's bounds": (
        lambda: uniform(2.0, 1.0),
        "uniform: expected b >= 2.0, got 1.0",
    ),
    "not a number": (
        lambda: uniform(0.0, math.nan),
        "uniform: expected b >= 0.0, got nan",
    ),
    "negative std": (
        lambda: normal(0.0, -1.0),
        "normal: expected std >= 0.0, got -1.0",
    ),
    "truncated std": (lambda: trunc_normal(std=0.0), "trunc_normal: expected std > 0"),
    "truncated bounds": (
        lambda: trunc_normal(a=2.0, b=1.0),
        "trunc_normal: expected b",
    ),
    "far from the mean": (
        lambda: trunc_normal(mean=50.0)(KEY, (3,)),
        r"trunc_normal: expected mean closer to \[a, b\] = \[-2.0, 2.0\] in float32, "
        "got mean 50.0 and std 1.0",
    ),
    "eye's axes": (lambda: eye(KEY, (3,)), "eye: expected shape with 2 axes, got"),
    "sparse axes": (
        lambda: sparse(0.1)(KEY, (3, 3, 3)),
        "sparse: .* shape with 2 axes",
    ),
    "sparsity": (
        lambda: sparse(1.5),
        r"sparse: expected sparsity in \[0.0, 1.0\], got 1.5",
    ),
    "sparse std": (lambda: sparse(0.5, -1.0), "sparse: expected std >= 0.0"),
    "dirac's axes": (
        lambda: dirac()(KEY, (3, 3)),
        r"dirac: expected shape with 3 or 4 or 5 axes, got \(3, 3\)",
    ),
    "groups": (
        lambda: dirac(4)(KEY, (6, 2, 3)),
        "dirac: expected groups to divide the 6 outputs",
    ),
    "no groups": (lambda: dirac(0), "dirac: expected groups >= 1, got 0"),
    "same axes": (
        lambda: xavier_uniform(in_axis=-1, out_axis=1)(KEY, (3, 4)),
        "xavier_uniform: expected in_axis and out_axis to differ",
    ),
    "axis": (
        lambda: xavier_uniform(in_axis=2)(KEY, (3, 4)),
        r"xavier_uniform: expected in_axis in \[-2, 1\], got 2",
    ),
    "negative size": (lambda: linear(KEY, -1, 3), "linear: expected in_features >= 0"),
    "negative fan": (lambda: linear_bias(-1), "linear_bias: expected fan_in >= 0"),
}


@pytest.mark.message
@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_was_expected(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", EVERY)
def test_integer_dtype_is_refused(name):
    with pytest.raises(TypeError, match="expected dtype to be floating, got int32"):
        EVERY[name](KEY, small_shape(name), jnp.int32)


# Live against torch.


@pytest.mark.parity
def test_names_and_defaults_equal_torchs():
    import inspect

    import torch

    for name in dir(torch.nn.init):
        if not name.endswith("_") or name.startswith("_"):
            continue
        ours = getattr(initializers, name[:-1])
        theirs = inspect.signature(getattr(torch.nn.init, name)).parameters
        options = {
            key: p.default
            for key, p in theirs.items()
            if key not in {"tensor", "generator"}
        }
        if not options:
            assert list(inspect.signature(ours).parameters) == ["key", "shape", "dtype"]
            continue
        mine = {
            key: p.default
            for key, p in inspect.signature(ours).parameters.items()
            if p.kind is not p.KEYWORD_ONLY
        }
        assert mine == options, name


@pytest.mark.parity
@pytest.mark.parametrize("nonlinearity", GAINS)
def test_gain_equals_torchs(nonlinearity):
    import torch

    for param in (None, 0.0, 0.3, -2.0):
        assert calculate_gain(nonlinearity, param) == torch.nn.init.calculate_gain(
            nonlinearity,
            param,  # pyright: ignore
        )


@pytest.mark.parity
@pytest.mark.parametrize(
    ("shape", "groups"), [((6, 2, 3), 3), ((4, 6, 4, 2), 1), ((6, 1, 2, 3, 5), 2)]
)
def test_dirac_equals_torchs(shape, groups):
    import torch

    expected = torch.nn.init.dirac_(torch.empty(shape), groups)
    np.testing.assert_array_equal(dirac(groups)(KEY, shape), expected.numpy())


TORCH = {
    **{
        name: (factory, options, SHAPE)
        for name, (factory, options, _) in SCALED.items()
    },
    "uniform": (uniform, {"a": -3.0, "b": 1.5}, (20000,)),
    "normal": (normal, {"mean": 2.0, "std": 0.1}, (20000,)),
    "trunc_normal": (trunc_normal, {"mean": 0.5, "a": -1.0, "b": 1.5}, (20000,)),
    "trunc_normal tail": (trunc_normal, {"mean": -2.0, "std": 0.7}, (20000,)),
    "sparse": (sparse, {"sparsity": 0.33}, (10, 4000)),
    "orthogonal": (orthogonal, {"gain": 2.0}, (30, 400)),
}
del TORCH["linear_weight"]


@pytest.mark.parity
@pytest.mark.parametrize("name", TORCH)
def test_distribution_equals_torchs(name):
    """Kolmogorov-Smirnov on two samples of at least 12000."""
    import torch

    factory, options, shape = TORCH[name]
    fill = getattr(torch.nn.init, f"{factory.__name__}_")
    generator = torch.Generator().manual_seed(0)
    theirs = torch.empty(shape)
    fill(theirs, **options, generator=generator)
    ours = np.ravel(np.asarray(factory(**options)(KEY, shape), np.float64))
    assert_same_distribution(ours, theirs.double().numpy().ravel())


@pytest.mark.parity
def test_linear_equals_torchs():
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = torch.nn.Linear(30, 400)
    for ours, theirs in zip(linear(KEY, 30, 400), layer.parameters(), strict=True):
        assert ours.shape == tuple(theirs.shape)
        assert_same_distribution(np.ravel(ours), theirs.detach().numpy().ravel())


def assert_same_distribution(ours, theirs):
    grid = np.sort(np.concatenate([ours, theirs]))
    steps = [np.searchsorted(np.sort(s), grid, side="right") for s in (ours, theirs)]
    distance = np.abs(steps[0] / len(ours) - steps[1] / len(theirs)).max()
    assert distance < math.sqrt(math.log(2000) / len(ours))
