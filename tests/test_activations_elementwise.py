"""Activations of one variable: limits, extremes, options, errors."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import activations
from jaxgrad.activations import CATALOGUE
from tests.tolerances import DTYPES, assert_close

KEY = jax.random.key(0)
INF, NAN = math.inf, math.nan


def function(name):
    options = CATALOGUE[name].options
    return lambda x: getattr(activations, name)(x, **options)


def gelu_tanh(x):
    return activations.gelu(x, approximate="tanh")


# Where PyTorch's own float64 is NaN: value and gradient at -inf and inf.
LIMITS = {
    activations.hardswish: ([0, INF], [0, 1]),
    activations.softsign: ([-1, 1], [0, 0]),
    activations.silu: ([0, INF], [0, 1]),
    activations.mish: ([0, INF], [0, 1]),
    activations.gelu: ([0, INF], [0, 1]),
    gelu_tanh: ([0, INF], [0, 1]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", LIMITS, ids=lambda f: f.__name__)
def test_limits_at_infinity(f, dtype, x64):
    x = jnp.array([-INF, INF], dtype)
    values, slopes = LIMITS[f]
    assert f(x).tolist() == values
    assert jax.vmap(jax.grad(f))(x).tolist() == slopes
    assert jnp.isnan(f(jnp.array(NAN, dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", [*map(function, CATALOGUE), gelu_tanh])
def test_the_derivative_is_finite_at_finite_numbers(f, dtype, x64):
    info = jnp.finfo(dtype)
    sizes = [
        0.0,
        float(info.tiny),
        1.0,
        88.8,
        709.0,
        1e4,
        float(info.max) / 2,
    ]  # selu grows by 1.05
    x = jnp.array([*sizes, *(-s for s in sizes)]).astype(dtype)
    assert jnp.isfinite(f(x)).all()
    assert jnp.isfinite(jax.vmap(jax.grad(f))(x)).all()
    assert jnp.isfinite(jax.jvp(f, (x,), (jnp.ones_like(x),))[1]).all()
    assert not jnp.isnan(jax.vmap(jax.grad(jax.grad(f)))(x)).any()


@pytest.mark.parametrize("name", CATALOGUE)
def test_forward_over_reverse_over_forward(name, x64):
    """Four ways to the diagonal Hessian of a sum."""
    f, modes = function(name), (jax.jacfwd, jax.jacrev)

    def total(x):
        return jnp.sum(f(x))

    @jax.jit
    def hessians(x):
        diagonal = jnp.diag(jax.vmap(jax.grad(jax.grad(f)))(x))
        return diagonal, [outer(inner(total))(x) for outer in modes for inner in modes]

    expected, four = hessians(jnp.array([-2.0, -0.25, 0.75, 2.5]))
    for hessian in four:
        assert_close(hessian, expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_sixteen_bit_floats_are_rounded_once(name, dtype, x64):
    """The error is at most half a unit in the last place, up to float32's rounding."""
    x = jnp.linspace(-6, 6, 241).astype(dtype)
    exact = np.asarray(function(name)(x.astype(jnp.float64)))
    error = np.abs(np.asarray(function(name)(x), np.float64) - exact)
    half = jnp.finfo(dtype).eps / 2 * np.abs(exact) + float(jnp.finfo(dtype).tiny)
    assert (error <= half * (1 + 1e-2) + 1e-6).all()


def test_small_derivatives_keep_their_digits():
    """(e^x - 1) + 1 would be 0 at -20, where PyTorch and jaxgrad have a gradient."""
    for f in (activations.elu, activations.softplus, activations.celu):
        np.testing.assert_allclose(jax.grad(f)(-20.0), math.exp(-20), rtol=1e-5)


def test_rrelu_draws_a_slope_for_each_element():
    x = jnp.array([-1.0, 2.0] * 500)
    f = jax.jit(lambda x: activations.rrelu(x, 0.25, 0.75, key=KEY))
    slopes = -f(x)[::2]
    assert 0.25 <= slopes.min() < 0.26
    assert 0.74 < slopes.max() <= 0.75
    assert (f(x)[1::2] == 2).all()
    gradient = jax.grad(lambda x: f(x).sum())(x)
    assert_close(gradient[::2], slopes, "float32")
    other = activations.rrelu(x, 0.25, 0.75, key=jax.random.key(1))
    assert (other[::2] != f(x)[::2]).any()
    assert_close(activations.rrelu(-1.0), -11 / 48, "float32")


def test_options_may_be_traced_and_differentiated():
    slope = jax.grad(activations.leaky_relu, argnums=1)(-2.0, 0.5)
    assert slope == -2
    depth = jax.grad(activations.elu, argnums=1)(-1.0, 1.0)
    np.testing.assert_allclose(depth, math.expm1(-1), rtol=1e-6)


def test_prelu_sums_the_gradient_of_its_weight():
    x, weight = jnp.array([[-1.0, 2.0], [-4.0, -8.0]]), jnp.array([0.5, 0.25])
    gradient = jax.grad(lambda w: activations.prelu(x, w).sum())(weight)
    assert gradient.tolist() == [-5.0, -8.0]


UNKNOWN: Any = ["1"]


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: activations.hardtanh(x, 2.0, 1.0), ValueError, "min_val <= max_val"),
        (lambda x: activations.softshrink(x, -1.0), ValueError, "lambd in"),
        (lambda x: activations.celu(x, 0.0), ValueError, "alpha to be nonzero"),
        (lambda x: activations.elu(x, UNKNOWN), TypeError, "alpha to be a number"),
        (lambda x: activations.hardtanh(x, UNKNOWN), TypeError, "min_val to be a num"),
        (lambda x: activations.rrelu(x, UNKNOWN), TypeError, "lower to be a number"),
        (
            lambda x: activations.softplus(x, 1, UNKNOWN),
            TypeError,
            "threshold to be a num",
        ),
        (lambda x: activations.rrelu(x, 0.5, 0.25), ValueError, "lower in"),
        (lambda x: activations.rrelu(x, 0.5, INF), ValueError, "upper in"),
        (
            lambda x: activations.gelu(x, "erf"),  # pyright: ignore[reportArgumentType]
            ValueError,
            "approximate to be one of",
        ),
        (lambda x: activations.glu(x), ValueError, "x with an even length of axis 1"),
        (lambda x: activations.glu(x[0, 0]), ValueError, "x with an even length"),
        (lambda x: activations.glu(x, 2), ValueError, r"axis in \[-2, 1\]"),
        (
            lambda x: activations.prelu(x, jnp.ones(2)),
            ValueError,
            r"weight of shape \(3,\) \(one entry per channel of x\)",
        ),
        (
            lambda x: activations.prelu(x, jnp.ones((1, 3))),
            ValueError,
            "weight with at most 1 axis",
        ),
        (
            lambda x: activations.prelu(x, jnp.ones(3, jnp.float16)),
            TypeError,
            "weight of the dtype float32 of x",
        ),
        (lambda x: activations.silu(1), TypeError, "x of a floating dtype, got int32"),
        (lambda x: activations.mish(1j), TypeError, ".*got complex64"),
        (
            lambda x: activations.tanh("1"),  # pyright: ignore[reportArgumentType]
            TypeError,
            "x to be an array or a number",
        ),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=f"expected {message}"):
        call(jnp.zeros((2, 3)))
