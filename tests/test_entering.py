"""Rules that run the user's function, and loops that run backward, are entered."""

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.ode import odeint

import jaxgrad


def found(f, *arguments):
    blame = jaxgrad.find_nonfinite(f)(*arguments)
    assert blame is not None and blame.source is not None
    return blame.phase, blame.source.text


def test_the_right_hand_side_of_an_ode_is_named_in_both_directions():
    def sensitive(y, t, rate):
        root = jnp.sqrt(y)
        return -rate * root * y

    def outside(y, t, rate):
        log = jnp.log(y - rate)
        return -log * y

    def solve(rhs, y):
        times = jnp.array([0.0, 1e-3])
        return lambda rate: jnp.sum(odeint(rhs, jnp.array(y), times, rate))

    assert found(solve(sensitive, [0.0, 1.0]), 0.5) == (
        "backward",
        "root = jnp.sqrt(y)",
    )
    assert found(solve(outside, [0.5, 1.0]), 2.0) == (
        "forward",
        "log = jnp.log(y - rate)",
    )


@pytest.mark.xfail(
    jax.__version_info__ >= (0, 12),
    reason="with JAX 0.12 the line of the call is named, not that of the equation",
    strict=True,
)
def test_the_equation_of_custom_root_is_named():
    def root(a):
        def equation(x):
            offset = jnp.sqrt(a - 2.0)
            return x * x - a + 0 * offset

        def newton(f, x):
            return jax.lax.fori_loop(0, 20, lambda _, x: x - f(x) / (2 * x), x)

        return jax.lax.custom_root(equation, 1.0, newton, lambda f, y: y / f(1.0))

    assert found(root, 2.0) == ("backward", "offset = jnp.sqrt(a - 2.0)")
    assert found(root, 1.0) == ("forward", "offset = jnp.sqrt(a - 2.0)")


def test_the_solver_of_custom_linear_solve_is_named():
    def linear(b, d):
        def solve(_, b):
            return b / d

        x = jax.lax.custom_linear_solve(lambda x: d * x, b, solve, symmetric=True)
        return jnp.sum(x)

    expected = ("forward", "return b / d")
    assert found(linear, jnp.ones(2), jnp.array([1.0, 0.0])) == expected


def test_the_body_of_a_function_with_a_custom_derivative_is_named():
    @jax.custom_vjp
    def logarithm(x):
        doubled = 2 * x
        return jnp.log(doubled)

    logarithm.defvjp(lambda x: (logarithm(x), x), lambda x, g: (g / x,))

    def loss(x):
        carry = jax.lax.scan(lambda s, _: (logarithm(s), None), x, length=6)[0]
        return jnp.sum(carry)

    assert found(loss, jnp.array([1.5, 4.0])) == ("forward", "return jnp.log(doubled)")


H = 1e-12 * jnp.ones(2)


def by_scan(u):
    def step(h, _):
        return u @ h, None

    return jax.lax.scan(step, H, length=60)[0]


def by_fori_loop(u):
    return jax.lax.fori_loop(0, 60, lambda i, h: u @ h, H)


def by_reversed_scan(u):
    def step(h, _):
        return u @ h, None

    return jax.lax.scan(jax.checkpoint(step), H, length=60, reverse=True)[0]


def nested(u):
    def inner(h, _):
        return u @ h, None

    def outer(h, _):
        return jax.lax.scan(inner, h, length=6)[0], None

    return jax.lax.scan(outer, H, length=10)[0]


@pytest.mark.parametrize("rollout", [by_scan, by_fori_loop, by_reversed_scan, nested])
def test_a_gradient_inside_names_the_same_iteration_as_one_outside(rollout):
    # The forward pass stays below 1e17; the cotangent of h leaves float32.
    def loss(u):
        return 1e12 * jnp.sum(rollout(u))

    def update(u):
        value, gradient = jax.value_and_grad(loss)(u)
        return u - 0.1 * gradient, value

    u = 3 * jnp.eye(2)
    outside = jaxgrad.find_nonfinite(loss)(u)
    inside = jaxgrad.find_nonfinite(update)(u)
    assert outside is not None and inside is not None and inside.step is not None
    assert outside.phase == "backward"
    assert inside.step.operation == "matmul (backward)"
    assert inside.iteration == outside.iteration
    expected = {by_reversed_scan: 55, nested: (0, 4)}.get(rollout, 4)
    assert inside.iteration == expected


@jax.custom_jvp
def quantize(x):
    """Its derivative is a constant zero, which JAX does not see as a tangent."""
    return jnp.round(x)


quantize.defjvp(lambda x, t: (quantize(*x), jnp.zeros_like(*t)))


@jax.custom_vjp
def product(x, y):
    return x * y


def product_back(saved, g):
    x, y, differentiated = saved
    return g * y * (2.0 if differentiated else 1.0), g * x


product.defvjp(
    lambda x, y: (x.value * y.value, (x.value, y.value, y.perturbed)),
    product_back,
    symbolic_zeros=True,
)


def doubled(times):
    """2 ** times, by a loop that has no reverse derivative."""
    start = jnp.float32(0), jnp.float32(1)
    return jax.lax.while_loop(
        lambda c: c[0] < times, lambda c: (c[0] + 1, c[1] * 2), start
    )[1]


@pytest.mark.parametrize("use", [doubled, lambda k: product(3.0, k), jnp.sin])
def test_what_a_rule_makes_constant_is_not_differentiated(use):
    def f(x):
        k = quantize(x)
        return x * use(k)

    x = jnp.float32(3.2)
    report = jaxgrad.explain(f)(x)
    assert report.gradients == jax.grad(f)(x)
    assert report["k"].why == "cuts the gradient"
    assert len(report) > 2


def test_a_rule_asks_which_operands_are_differentiated():
    def f(x):
        return product(x, quantize(x))

    x = jnp.float32(3.2)
    assert jaxgrad.explain(f)(x).gradients == jax.grad(f)(x) == 3.0
