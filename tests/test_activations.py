"""Tests of single activations; test_cases.py tests the properties of all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import activations
from jaxgrad.activations import gumbel_softmax, log_softmax, relu, softmax, softmin
from tests.tolerances import DTYPES, assert_close

KEY = jax.random.key(0)


def test_relu_at_the_kink_in_forward_and_reverse_mode():
    x = jnp.array([-1.0, -0.0, 0.0, 1.0])
    _, tangent = jax.jvp(relu, (x,), (jnp.full_like(x, 3.0),))
    assert tangent.tolist() == [0.0, 0.0, 0.0, 3.0]
    assert jax.vmap(jax.grad(relu))(x).tolist() == [0.0, 0.0, 0.0, 1.0]
    assert jax.vmap(jax.hessian(relu))(x).tolist() == [0.0] * 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [softmax, log_softmax, softmin])
def test_the_gradient_is_finite_at_finite_logits(function, dtype, x64):
    large = float(jnp.finfo(dtype).max)
    for row in ([large, -large, 0.0], [large] * 3, [-large] * 3, [-large, 1.0, 2.0]):
        x = jnp.array(row, dtype)
        value, pull_back = jax.vjp(lambda x: function(x, 0), x)
        assert not jnp.isnan(value).any()
        assert jnp.isfinite(pull_back(jnp.ones_like(value))[0]).all()


def test_softmax_ignores_a_shift_and_sums_to_one():
    x = jnp.array([[0.5, -1.0, 2.0], [0.0, 0.25, 1.0]])
    shifted = softmax(x - jnp.array([[256.0], [-64.0]]), 1)
    assert_close(shifted, softmax(x, 1), "float32")
    assert_close(softmax(x, 1).sum(1), np.ones(2), "float32")


def test_log_softmax_is_finite_where_the_probability_underflows():
    x = jnp.array([0.0, 1000.0])
    assert softmax(x, 0).tolist() == [0.0, 1.0]
    assert log_softmax(x, 0).tolist() == [-1000.0, 0.0]


@pytest.mark.parametrize("function", [softmax, log_softmax, softmin])
def test_the_input_is_cast_to_dtype_first(function):
    half = jnp.array([0.0, 0.5, 1.0], jnp.float16)
    result = function(half, 0, dtype=jnp.float32)
    assert result.dtype == jnp.float32
    assert result.tolist() == function(half.astype(jnp.float32), 0).tolist()
    assert function(jnp.arange(3), 0, jnp.float32).dtype == jnp.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bit_floats_are_rounded_once(dtype, x64):
    x = jnp.asarray(4 * np.sin(np.arange(5000)), dtype)
    truth = softmax(x.astype("float64"), 0)
    assert (softmax(x, 0) == truth.astype(dtype)).mean() > 0.99


def test_hard_gumbel_samples_are_exactly_one_hot_with_the_soft_gradient():
    logits = jnp.array([[0.5, -1.0, 0.25, 2.0]] * 50)
    weights = jnp.array([1.0, -2.0, 0.5, 3.0])

    def score(logits, hard):
        sample = gumbel_softmax(logits, tau=0.5, hard=hard, key=KEY)
        return (sample * weights).sum(), sample

    (_, soft), soft_gradient = jax.value_and_grad(score, has_aux=True)(logits, False)
    (_, hard), hard_gradient = jax.value_and_grad(score, has_aux=True)(logits, True)
    assert hard.tolist() == jax.nn.one_hot(soft.argmax(1), 4).tolist()
    assert hard_gradient.tolist() == soft_gradient.tolist()
    assert jnp.abs(soft_gradient).max() > 0.1


def test_gumbel_samples_have_the_distribution_of_the_logits():
    logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
    samples = gumbel_softmax(jnp.tile(logits, (20000, 1)), hard=True, key=KEY)
    # Three standard deviations of a frequency among 20000: 0.011 at most.
    np.testing.assert_allclose(samples.mean(0), [0.5, 0.3, 0.2], atol=0.011)


def test_gumbel_temperature_axis_and_scalar():
    logits = jnp.zeros((3, 2))
    cold = gumbel_softmax(logits, tau=1e-3, axis=0, key=KEY)
    warm = gumbel_softmax(logits, tau=1e3, axis=0, key=KEY)
    assert_close(cold.max(0), np.ones(2), "float32")
    assert_close(warm, np.full((3, 2), 1 / 3), "float16", factor=10)
    assert gumbel_softmax(0.0, hard=True, key=KEY).item() == 1.0
    assert gumbel_softmax(logits.astype("float16"), key=KEY).dtype == jnp.float16


def test_gumbel_temperature_may_be_traced():
    annealed = jax.jit(lambda tau: gumbel_softmax(jnp.zeros(3), tau, key=KEY))
    expected = gumbel_softmax(jnp.zeros(3), 0.5, key=KEY)
    assert_close(annealed(0.5), expected, "float32")


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: relu(jnp.arange(3)), TypeError, "relu: expected x of a floating"),
        (lambda: relu(1j), TypeError, "floating dtype, got complex64 instead"),
        (
            lambda: relu("x"),  # pyright: ignore[reportArgumentType]
            TypeError,
            "relu: expected x to be an array or a number, got str instead",
        ),
        (
            lambda: softmax(jnp.zeros((2, 3)), 2),
            ValueError,
            r"softmax: expected axis in \[-2, 1\], got 2 instead",
        ),
        (lambda: softmax(0.0, 1), ValueError, r"expected axis in \[-1, 0\], got 1"),
        (
            lambda: log_softmax(jnp.arange(3), 0),
            TypeError,
            "log_softmax: expected x of a floating dtype, got int32 instead",
        ),
        (
            lambda: softmin(jnp.zeros(3), 0, dtype=jnp.int32),
            TypeError,
            "softmin: expected dtype to be floating, got int32 instead",
        ),
        (
            lambda: softmax(jnp.zeros(3), 0.0),  # pyright: ignore[reportArgumentType]
            TypeError,
            "softmax: expected axis to be an int, got float instead",
        ),
        (
            lambda: activations.softmax2d(jnp.zeros((2, 3))),
            ValueError,
            r"softmax2d: expected x with 3 or 4 axes, got shape \(2, 3\) instead",
        ),
        (
            lambda: gumbel_softmax(jnp.zeros(3), tau=0.0, key=KEY),
            ValueError,
            "gumbel_softmax: expected tau > 0, got 0.0 instead",
        ),
        (
            lambda: gumbel_softmax(jnp.zeros(3), axis=1, key=KEY),
            ValueError,
            r"gumbel_softmax: expected axis in \[-1, 0\], got 1 instead",
        ),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()
