"""Derivatives against closed forms: values, orders, dtypes, transformations, errors."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Polynomial, hermite
from scipy.special import expit, ndtr

import jaxgrad
from jaxgrad._numerics import central_difference, coarsest, default_step
from jaxgrad.differentiation import derivative, derivatives, numerical_derivative
from tests.tolerances import ATOL, DTYPES, RTOL, assert_close

MAX_ORDER = 4
POINTS = np.array([0.3, 0.7, 1.4, 2.5])


def power(p):
    """The n-th derivative of x**p: p (p - 1) ... (p - n + 1) x**(p - n)."""
    return lambda x, n: math.prod(p - k for k in range(n)) * x ** (p - n)


def through(start, slope):
    """The n-th derivative of a function y with y' = slope(y), as polynomials of y."""

    def closed_form(y, n):
        polynomial = start
        for _ in range(n):
            polynomial = polynomial.deriv() * slope
        return polynomial(y)

    return closed_form


IDENTITY = Polynomial([0, 1])
TANH = through(IDENTITY, Polynomial([1, 0, -1]))
SIGMOID = through(IDENTITY, Polynomial([0, 1, -1]))
QUARTIC = Polynomial([1.0, -12.0, -3.0, 2.0, 0.5])


def sigmoid(x, n):
    return SIGMOID(expit(x), n)


def gaussian(x, n):
    """exp(-x^2 / 2) / sqrt(2 pi), by Hermite polynomials."""
    series = hermite.hermval(x / math.sqrt(2), [0] * n + [1])
    scale = (-1 / math.sqrt(2)) ** n / math.sqrt(2 * math.pi)
    return scale * series * np.exp(-(x**2) / 2)


def normal_cdf(x, n):
    return ndtr(x) if n == 0 else gaussian(x, n - 1)


def times_x(g):
    """The n-th derivative of x g(x): x g^(n) + n g^(n - 1)."""
    return lambda x, n: x * g(x, n) + (n * g(x, n - 1) if n else 0)


# name: (function, closed form of its n-th derivative at x)
FUNCTIONS = {
    "constant": (lambda x: jnp.full_like(x, 3), lambda x, n: (3.0 * (n == 0)) + 0 * x),
    "identity": (lambda x: x, power(1)),
    "cube": (lambda x: x**3, power(3)),
    "reciprocal": (lambda x: 1 / x, power(-1)),
    "sqrt": (jnp.sqrt, power(0.5)),
    "x**2.5": (lambda x: x**2.5, power(2.5)),
    "polynomial": (
        partial(jnp.polyval, QUARTIC.coef[::-1]),
        lambda x, n: QUARTIC.deriv(n)(x) if n else QUARTIC(x),
    ),
    "exp": (jnp.exp, lambda x, n: np.exp(x)),
    "log": (jnp.log, lambda x, n: np.log(x) if n == 0 else power(-1)(x, n - 1)),
    "sin": (jnp.sin, lambda x, n: np.sin(x + n * np.pi / 2)),
    "x exp": (lambda x: x * jnp.exp(x), lambda x, n: (x + n) * np.exp(x)),
    "gauss": (lambda x: jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi), gaussian),
    "1/(1+x^2)": (
        lambda x: 1 / (1 + x**2),
        lambda x, n: (-1) ** n * math.factorial(n) * ((x - 1j) ** -(n + 1.0)).imag,
    ),
    "tanh": (jnp.tanh, lambda x, n: TANH(np.tanh(x), n)),
    # These three have a custom_jvp in JAX.
    "softplus": (
        jax.nn.softplus,
        lambda x, n: np.log1p(np.exp(x)) if n == 0 else sigmoid(x, n - 1),
    ),
    "silu": (jax.nn.silu, times_x(sigmoid)),
    "gelu": (partial(jax.nn.gelu, approximate=False), times_x(normal_cdf)),
}
CASES = [pytest.param(*case, id=name) for name, case in FUNCTIONS.items()]


def cubic(x):
    return x**3 + x**2 + x + 1


@pytest.mark.parametrize(("f", "closed_form"), CASES)
def test_every_order_equals_its_closed_form(x64, f, closed_form):
    tower = jax.jit(derivatives(f, MAX_ORDER))(POINTS)
    assert len(tower) == MAX_ORDER + 1
    for order, computed in enumerate(tower):
        expected = closed_form(POINTS, order)
        assert computed.dtype == jnp.float64
        assert_close(computed, expected, err_msg=f"order {order}")


@pytest.mark.parametrize(("f", "closed_form"), CASES)
def test_central_difference_equals_the_closed_form(x64, f, closed_form):
    numerical = numerical_derivative(f)(jnp.asarray(POINTS))
    np.testing.assert_allclose(numerical, closed_form(POINTS, 1), rtol=2e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    coefficients=st.lists(st.floats(-9, 9), min_size=6, max_size=6),
    x=st.floats(-3, 3),
)
def test_random_polynomials(coefficients, x):
    with jax.enable_x64(True):
        tower = polynomial_tower(np.array(coefficients), x)
    polynomial = Polynomial(coefficients)
    largest = 1 + np.abs(coefficients).sum() * 3.0**5 * math.factorial(5)
    for order, computed in enumerate(tower):
        expected = polynomial.deriv(order)(x) if order else polynomial(x)
        assert abs(float(computed) - expected) < 1e-13 * largest


@jax.jit
def polynomial_tower(coefficients, x):
    return derivatives(lambda t: jnp.polyval(coefficients[::-1], t), 3)(x)


def test_one_order_is_an_entry_of_the_tower(x64):
    tower = derivatives(cubic, 3)(2.0)
    assert [y.item() for y in tower] == [15.0, 17.0, 14.0, 6.0]
    for order, entry in enumerate(tower):
        assert derivative(cubic, order)(2.0) == entry
    assert derivative(cubic)(2.0) == tower[1]


def test_orders_beyond_the_degree_vanish():
    assert [y.item() for y in derivatives(cubic, 5)(2.0)[4:]] == [0.0, 0.0]


def test_a_high_order(x64):
    assert_close(jax.jit(derivative(lambda x: x * jnp.exp(x), 8))(1.0), 9 * math.e)


def test_f_is_called_once_for_any_number_of_orders():
    calls = []

    def counted(x):
        calls.append(x)
        return jnp.sin(x)

    derivatives(counted, 4)(1.0)
    assert len(calls) == 1


# --- dtypes ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept_with_its_precision(x64, dtype):
    x = jnp.array([0.5, 1.0, 2.0], dtype)
    exact = np.asarray(x, np.float64)
    for order, computed in enumerate(derivatives(cubic, 3)(x)):
        assert computed.dtype == jnp.dtype(dtype)
        expected = Polynomial([1, 1, 1, 1]).deriv(order) if order else cubic
        assert_close(computed, expected(exact), dtype)


@pytest.mark.parametrize(
    ("dtype", "digits"),
    [("float64", 1e-10), ("float32", 1e-4), ("float16", 2e-2), ("bfloat16", 7e-2)],
)
def test_numerical_digits_by_dtype(x64, dtype, digits):
    x = jnp.array([0.25, 1.0, 3.0], dtype)
    numerical = numerical_derivative(jnp.exp)(x)
    assert numerical.dtype == jnp.dtype(dtype)
    exact = np.exp(np.asarray(x, np.float64))
    error = np.abs(np.asarray(numerical, np.float64) / exact - 1).max()
    assert error < digits


def test_python_numbers_and_numpy_arrays_get_the_default_dtype():
    for x in (2.0, np.float64(2), np.float32(2), np.array(2.0)):
        for result in (derivative(jnp.sin)(x), numerical_derivative(jnp.sin, 0.125)(x)):
            assert result.dtype == jnp.float32
    with jax.enable_x64(True):
        for x in (2.0, np.float64(2), np.array(2.0)):
            assert derivative(jnp.sin)(x).dtype == jnp.float64
            assert numerical_derivative(jnp.sin)(x).dtype == jnp.float64
        assert derivative(jnp.sin)(np.float32(2)).dtype == jnp.float32


def test_a_result_of_another_dtype_keeps_it():
    x = jnp.float16(2)

    def wide(t):
        return t.astype(jnp.float32) ** 2

    assert derivative(wide)(x).dtype == jnp.float32
    assert derivative(wide)(x) == 4
    assert numerical_derivative(wide)(x).dtype == jnp.float32


def test_the_step_fits_the_coarsest_result():
    def narrow(x):
        return {"bfloat16": x.astype(jnp.bfloat16), "float32": x}

    slopes = numerical_derivative(narrow)(jnp.float32(2))
    assert slopes["bfloat16"].dtype == jnp.bfloat16
    assert_close(slopes["bfloat16"], 1.0, "bfloat16")
    assert_close(slopes["float32"], 1.0, "float32")
    # With the step of float32 the rounding of the result alone is 20 percent.
    step = default_step(jnp.float32(2))
    too_small = numerical_derivative(narrow, step)(jnp.float32(2))["bfloat16"]
    assert abs(float(too_small) - 1) > 0.1


def test_default_steps():
    eps = np.finfo(np.float32).eps
    steps = default_step(jnp.array([0.0, -1.0, 8.0], jnp.float32))
    np.testing.assert_allclose(steps, eps ** (1 / 3) * np.array([1, 1, 8]), rtol=1e-6)
    assert default_step(jnp.float16(1)).dtype == jnp.float16
    np.testing.assert_allclose(default_step(jnp.float32(2), 1e-3), 0.2, rtol=1e-6)
    assert coarsest((jnp.float32(1), jnp.complex64(1), jnp.bfloat16(1))) == 2.0**-7


def test_the_difference_is_divided_by_the_rounded_step():
    """In float16, 1024 + 0.75 rounds to 1025, so the distance is not 2 * 0.75."""
    x, step = jnp.float16(1024), jnp.float16(0.75)
    assert central_difference(lambda t: t, x, step) == 1


# --- kinds of f -----------------------------------------------------------------


def test_a_curve_and_a_pytree_keep_their_structure():
    def curve(t):
        return {"circle": jnp.stack([jnp.cos(t), jnp.sin(t)]), "rest": (t**2, [3 * t])}

    for d in (derivative(curve), numerical_derivative(curve)):
        slope = d(0.0)
        np.testing.assert_allclose(slope["circle"], [0, 1], atol=2e-5)
        square, [triple] = slope["rest"]
        np.testing.assert_allclose([square, triple], [0, 3], atol=2e-6)
    position, velocity, acceleration = derivatives(curve, 2)(0.0)
    np.testing.assert_allclose(acceleration["circle"], -position["circle"], atol=1e-7)
    assert jax.tree.structure(velocity) == jax.tree.structure(acceleration)


def test_a_complex_result_of_a_real_variable():
    def spiral(t):
        return jnp.exp((-1 + 2j) * t.astype(jnp.complex64))

    for order, computed in enumerate(derivatives(spiral, 2)(0.5)):
        exact = (-1 + 2j) ** order * np.exp((-1 + 2j) * 0.5)
        np.testing.assert_allclose(computed, exact, rtol=1e-6)
    numerical = numerical_derivative(spiral)(0.5)
    assert numerical.dtype == jnp.complex64
    np.testing.assert_allclose(numerical, (-1 + 2j) * np.exp(-0.5 + 1j), rtol=1e-3)


@pytest.mark.parametrize("constant", [3, 3.0, np.float32(3), np.float64(3)])
def test_a_number_is_a_constant(constant):
    value, slope, curvature = derivatives(lambda x: constant, 2)(2.0)
    assert (value.item(), slope.item(), curvature.item()) == (3.0, 0.0, 0.0)
    assert {value.dtype, slope.dtype, curvature.dtype} == {jnp.dtype("float32")}
    assert numerical_derivative(lambda x: constant)(2.0) == 0.0


def test_a_python_number_gets_the_shape_and_dtype_of_the_points():
    number: Any = 3.0
    tower = derivatives(lambda x: number, 1)(jnp.ones((2, 3), jnp.bfloat16))
    assert [(y.shape, y.dtype) for y in tower] == [((2, 3), jnp.bfloat16)] * 2


def test_numerical_derivative_of_a_plain_python_function():
    def black_box(x):
        return math.exp(x) if float(x) < 1 else float(np.log(x))

    assert abs(numerical_derivative(black_box)(0.0) - 1) < 1e-4
    assert abs(numerical_derivative(black_box)(2.0) - 0.5) < 1e-4


def test_an_empty_array_of_points():
    empty = jnp.zeros((0, 3))
    assert [y.shape for y in derivatives(cubic, 2)(empty)] == [(0, 3)] * 3
    assert numerical_derivative(cubic)(empty).shape == (0, 3)


def test_loops_and_branches():
    def power_of_eight(x):
        return jax.lax.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * c[1]), (0, x)
        )[1]

    assert derivatives(power_of_eight, 3)(1.0)[1:] == (8.0, 56.0, 336.0)
    scan = derivative(
        lambda x: jax.lax.scan(lambda c, _: (c * x, None), x, None, 3)[0], 2
    )
    assert scan(2.0) == 48.0
    branch = derivative(lambda x: jax.lax.cond(x > 0, jnp.square, jnp.negative, x))
    assert (branch(3.0), branch(-3.0)) == (6.0, -1.0)


def test_a_custom_rule_is_used():
    @jax.custom_jvp
    def straight_through(x):
        return jnp.round(x)

    straight_through.defjvp(lambda xs, ts: (straight_through(*xs), ts[0]))
    assert derivative(lambda x: straight_through(x) ** 2)(1.6) == 4.0


def test_mixed_elements_sum_the_rows_of_the_jacobian(x64):
    x = jnp.arange(3.0)
    rows = jax.jacfwd(jnp.cumsum)(x).sum(axis=1)
    assert_close(derivative(jnp.cumsum)(x), rows)


def test_forward_mode_refuses_a_custom_vjp():
    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))
    with pytest.raises(TypeError, match="custom_vjp"):
        derivative(square)(2.0)


# --- kinks and edges ------------------------------------------------------------


def test_at_a_kink_the_numerical_derivative_is_the_mean_of_both_slopes():
    assert numerical_derivative(jnp.abs)(0.0) == 0.0
    assert numerical_derivative(jax.nn.relu)(0.0) == 0.5
    assert derivative(jax.nn.relu)(0.0) == 0.0


def test_a_step_below_the_resolution_gives_nan():
    assert jnp.isnan(numerical_derivative(cubic, 1e-9)(2.0))
    assert jnp.isnan(jax.jit(lambda h: numerical_derivative(cubic, h)(2.0))(0.0))


def test_non_finite_points_give_nan():
    points = jnp.array([jnp.inf, -jnp.inf, jnp.nan])
    assert jnp.isnan(numerical_derivative(jnp.tanh)(points)).all()
    assert jnp.isnan(derivative(lambda x: x - x**2)(points[2]))


# --- transformations ------------------------------------------------------------


def test_under_jit_vmap_and_both(x64):
    points = jnp.asarray(POINTS)
    for f in (derivative(jnp.sin, 2), numerical_derivative(jnp.sin)):
        expected = f(points)
        for g in (jax.jit(f), jax.vmap(f), jax.jit(jax.vmap(f))):
            assert_close(g(points), expected)


def test_derivatives_of_derivatives(x64):
    x = 2.0
    second = derivative(cubic, 2)
    assert_close(jax.grad(second)(x), 6.0)
    assert_close(derivative(derivative(cubic), 2)(x), 6.0)
    assert_close(jax.hessian(derivative(cubic))(x), 6.0)
    assert_close(jax.jvp(second, (x,), (2.0,))[1], 12.0)
    assert_close(jax.jacfwd(jax.jacrev(jax.jit(derivative(cubic))))(x), 6.0)
    numerical = numerical_derivative(derivative(jnp.sin))
    np.testing.assert_allclose(numerical(1.0), -math.sin(1), rtol=1e-9)
    np.testing.assert_allclose(
        derivative(numerical_derivative(jnp.sin))(1.0), -math.sin(1), rtol=1e-9
    )


def test_the_jacobian_of_an_array_of_points_is_diagonal(x64):
    points = jnp.asarray(POINTS)
    jacobian = jax.jacrev(derivative(cubic))(points)
    assert_close(jacobian, np.diag(6 * POINTS + 2))


def test_nested_derivatives_do_not_mix_variables():
    """The d/dy inside sees x as a constant: d/dx [x d/dy (x + y)] = 1, not 2."""
    outer = derivative(lambda x: x * derivative(lambda y: x + y)(1.0))
    assert outer(1.0) == 1.0
    mixed = derivative(lambda x: derivative(lambda y: x**2 * y**3)(2.0))
    assert mixed(3.0) == 2 * 3 * 3 * 2**2


def test_the_gradient_of_a_variable_that_f_closes_over():
    assert jax.grad(lambda a: derivative(lambda x: a * x**2)(3.0))(2.0) == 6.0


def test_steps_may_be_an_array_or_traced(x64):
    steps = np.array([1e-1, 1e-2, 1e-3])
    errors = numerical_derivative(jnp.exp, steps)(jnp.zeros(3)) - 1
    traced = jax.jit(jax.vmap(lambda h: numerical_derivative(jnp.exp, h)(0.0)))(steps)
    assert_close(traced - 1, errors)
    np.testing.assert_allclose(errors, steps**2 / 6, rtol=1e-3)


def test_no_second_compilation():
    traces = []

    def counted(x):
        traces.append(x.shape)
        return jnp.sin(x)

    compiled = jax.jit(derivatives(counted, 2))
    for start in (0.0, 1.0, -3.0):
        compiled(start + jnp.arange(3.0))
    assert len(traces) == 1


# --- errors ---------------------------------------------------------------------

CALLS = {
    "derivative": derivative(cubic),
    "derivatives": derivatives(cubic, 1),
    "numerical_derivative": numerical_derivative(cubic),
}


@pytest.mark.message
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("x", "dtype"),
    [(2, "int32"), (np.arange(3), "int32"), (2j, "complex64"), (True, "bool")],
)
def test_only_floating_arguments(name, x, dtype):
    message = f"{name}: expected x of a floating dtype, got {dtype} instead."
    with pytest.raises(TypeError, match=f"^{message}$"):
        CALLS[name](x)


@pytest.mark.message
def test_a_list_is_refused():
    message = "^derivative: expected x to be an array or a number, got list instead.$"
    with pytest.raises(TypeError, match=message):
        derivative(cubic)([1.0, 2.0])


@pytest.mark.message
@pytest.mark.parametrize(("order", "kind"), [(True, "bool"), (1.0, "float")])
def test_an_order_must_be_an_int(order, kind):
    message = f"order to be an int, got {kind} instead.$"
    with pytest.raises(TypeError, match=f"^derivative: expected {message}"):
        derivative(cubic, order)
    with pytest.raises(TypeError, match=f"^derivatives: expected max_{message}"):
        derivatives(cubic, order)


@pytest.mark.message
def test_a_negative_order_is_refused():
    message = "^derivative: expected order >= 0, got -1 instead.$"
    with pytest.raises(ValueError, match=message):
        derivative(cubic, -1)
    message = "^derivatives: expected max_order >= 0, got -1 instead.$"
    with pytest.raises(ValueError, match=message):
        derivatives(cubic, -1)


@pytest.mark.message
@pytest.mark.parametrize("step", [0, 0.0, -1e-3, math.nan, math.inf])
def test_a_step_must_be_positive_and_finite(step):
    message = "^numerical_derivative: expected step > 0 and finite, got .* instead.$"
    with pytest.raises(ValueError, match=message):
        numerical_derivative(cubic, step)
    with pytest.raises(ValueError, match=message):
        numerical_derivative(cubic, np.array([1.0, step]))


@pytest.mark.message
@pytest.mark.parametrize(("step", "kind"), [("a", "str"), (True, "bool")])
def test_a_step_must_be_a_number(step, kind):
    message = f"expected step to be an array or a number, got {kind} instead.$"
    with pytest.raises(TypeError, match=message):
        numerical_derivative(cubic, step)


@pytest.mark.parametrize("f", [jnp.sum, lambda x: x[None], lambda x: (x, x[:1])])
def test_a_function_that_changes_shapes_is_refused(f):
    for d in (derivative(f), derivatives(f, 0), numerical_derivative(f)):
        with pytest.raises(ValueError, match=r"keep the shape .* use jax\.grad\."):
            d(jnp.arange(3.0))


@pytest.mark.message
@pytest.mark.parametrize(
    ("result", "message"),
    [
        (jnp.array(3), "f to return a floating or complex dtype, got int32"),
        (jnp.array(True), "f to return a floating or complex dtype, got bool"),
        (None, "f to return an array or a pytree of arrays, got None"),
        ((), r"f to return an array or a pytree of arrays, got \(\)"),
        ("text", "the result of f to be an array or a number, got str"),
    ],
)
@pytest.mark.parametrize("make", [derivative, numerical_derivative])
def test_results_without_a_derivative(make, result, message):
    expected = f"^{make.__name__}: expected {message} instead\\."
    with pytest.raises(TypeError, match=expected):
        make(lambda x: result)(2.0)


# --- the public names and torch -------------------------------------------------


def test_the_public_names():
    assert jaxgrad.derivative is derivative
    assert jaxgrad.derivatives is derivatives
    assert jaxgrad.differentiation.numerical_derivative is numerical_derivative


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["cube", "exp", "sin", "sqrt", "tanh", "log"])
def test_equals_torch_autograd_order_by_order(x64, name, dtype):
    import torch

    f = {"cube": lambda x: x**3}.get(name) or getattr(torch, name)
    point = torch.tensor(1.3, dtype=getattr(torch, dtype), requires_grad=True)
    y = f(point)
    for computed in derivatives(FUNCTIONS[name][0], 3)(jnp.array(1.3, dtype)):
        np.testing.assert_allclose(
            float(computed), y.item(), rtol=RTOL[dtype], atol=ATOL[dtype]
        )
        (y,) = torch.autograd.grad(y, point, create_graph=True)
