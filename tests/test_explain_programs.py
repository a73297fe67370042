"""Generated programs: value, gradients and every step's gradient against jax.grad."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxgrad

SIZE = 3


@jax.custom_jvp
def bent(x):
    return jnp.maximum(x, 0.0)


bent.defjvp(lambda p, t: (bent(*p), 0.25 * t[0] * jnp.cos(p[0])))


@jax.custom_vjp
def damped(x):
    return jnp.sin(x)


damped.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (0.5 * g * jnp.cos(x),))


@jax.jit
def nested(a, b):
    inner = jnp.tanh(a) * b
    return inner + a


def scanned(a, b):
    def body(carry, row):
        carry = jnp.tanh(carry + row)
        return carry, carry * 0.5

    carry, rows = jax.lax.scan(body, a[0], b)
    return rows + carry


def looped(a, b):
    return jax.lax.fori_loop(0, 3, lambda i, v: jnp.sin(v) + 0.1 * b, a)


def branched(a, b):
    return jax.lax.cond(a.sum() > b.sum(), lambda u, v: u * v, lambda u, v: u - v, a, b)


def switched(a, b):
    index = jnp.clip(jnp.int32(a[0, 0] * 2), 0, 2)
    branches = [jnp.sin, lambda v: v * 2.0, bent]
    return jax.lax.switch(index, branches, a) + b


OPERATIONS = [
    lambda a, b: a + b,
    lambda a, b: a - 0.5 * b,
    lambda a, b: a * b,
    lambda a, b: a / (2.0 + b * b),
    lambda a, b: jnp.tanh(a) * jnp.cos(b),
    lambda a, b: jnp.where(a > b, a, 0.5 * b),
    lambda a, b: a @ b * 0.3,
    lambda a, b: a - a.mean(axis=0, keepdims=True),
    lambda a, b: a.sum() * 0.1 + b,
    lambda a, b: jnp.max(a, axis=1, keepdims=True) * b,
    lambda a, b: a[::-1] + b.T,
    lambda a, b: a.at[1].add(b[0]),
    lambda a, b: a[jnp.array([2, 0, 2])] * b,
    lambda a, b: jax.nn.softmax(a) + b,
    lambda a, b: jax.nn.relu(a) - jax.nn.gelu(b),
    lambda a, b: jnp.concatenate([a[:1], b[1:]]),
    lambda a, b: jax.vmap(lambda u, v: jnp.dot(u, v) * u)(a, b),
    lambda a, b: jax.checkpoint(lambda u: jnp.sin(u) * b)(a),
    lambda a, b: jax.grad(lambda u: jnp.sum(jnp.sin(u) * b))(a),
    lambda a, b: jax.lax.stop_gradient(a) * b,
    lambda a, b: jnp.sort(a, axis=1) + b,
    lambda a, b: bent(a) + b,
    lambda a, b: damped(a) * b,
    lambda a, b: nested(a, b),
    lambda a, b: scanned(a, b),
    lambda a, b: looped(a, b),
    lambda a, b: branched(a, b),
    lambda a, b: switched(a, b),
]


class Recipe(NamedTuple):
    """The operations of a program, what each of them reads, and the key of the data."""

    operations: tuple[int, ...]
    reads: tuple[tuple[int, int], ...]
    seed: int


@st.composite
def recipes(draw):
    operation = st.integers(0, len(OPERATIONS) - 1)
    chosen = draw(st.lists(operation, min_size=3, max_size=7))
    known = [st.integers(0, i + 1) for i in range(len(chosen))]
    reads = tuple(draw(st.tuples(values, values)) for values in known)
    return Recipe(tuple(chosen), reads, draw(st.integers(0, 999)))


def program_of(recipe):
    """A function of two matrices, and of additions to each of its intermediates."""
    random = np.random.default_rng(recipe.seed)

    def program(x, w, added=None):
        values = [x, w]
        steps = zip(recipe.operations, recipe.reads, strict=True)
        for i, (number, (first, second)) in enumerate(steps):
            result = OPERATIONS[number](values[first], values[second])
            if added is not None:
                result = result + added[i]
            values.append(result)
        return jnp.sum(jnp.stack(values[2:]) * 0.7)

    x, w = (jnp.asarray(random.normal(size=(SIZE, SIZE)), jnp.float32) for _ in "xw")
    return program, len(recipe.operations), x, w


def reference(program, count, x, w):
    """Value and gradients of the arguments and of each intermediate."""
    zeros = [jnp.full((SIZE, SIZE), -0.0, jnp.float32)] * count
    return jax.value_and_grad(program, argnums=(0, 1, 2))(x, w, zeros)


def results(report):
    """The steps that are the program's intermediates, in their order."""
    return [step for step in report.steps if "result" in (step.name, *step.aliases)]


def agrees(recipe):
    """Assert that the program is explained as JAX differentiates it."""
    program, count, x, w = program_of(recipe)
    explained = jaxgrad.explain(program, argnums=(0, 1))
    with jax.disable_jit():
        value, (*gradients, of_steps) = reference(program, count, x, w)
        by_hand = explained(x, w)
    compiled = explained(x, w)

    # Adding -0.0 changes no bit, so the reference is also that of the program alone.
    np.testing.assert_array_equal(by_hand.value, value)
    np.testing.assert_allclose(compiled.value, value, rtol=2e-5, atol=1e-5)
    for i, gradient in enumerate(gradients):
        np.testing.assert_array_equal(by_hand.gradients[i], gradient)
        np.testing.assert_allclose(compiled.gradients[i], gradient, 1e-4, 1e-5)
    for report in (by_hand, compiled):
        assert report.note == ""
        found = results(report)
        assert len(found) == count
        for step, gradient in zip(found, of_steps, strict=True):
            if step.gradient is None:  # behind stop_gradient nothing depends on x or w
                assert step.why in ("cuts the gradient", "not differentiated")
            else:
                np.testing.assert_allclose(step.gradient, gradient, 1e-4, 1e-5)


# The same programs in every run; a failing one is made as small as possible.
generated = partial(
    settings,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@generated(max_examples=15)
@given(recipes())
def test_generated_programs_are_explained_as_jax_differentiates_them(recipe):
    agrees(recipe)


@pytest.mark.slow
@generated(max_examples=50)
@given(recipes())
def test_many_generated_programs(recipe):
    agrees(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("operation", range(len(OPERATIONS)))
def test_every_operation(operation):
    agrees(Recipe((operation,) * 3, ((0, 1), (2, 1), (3, 2)), operation))


def test_the_reference_is_the_derivative_of_the_bare_program():
    program, count, x, w = program_of(Recipe((0, 4, 24), ((0, 1), (2, 1), (3, 2)), 0))
    with jax.disable_jit():
        value, (dx, dw, _) = reference(program, count, x, w)
        bare = jax.value_and_grad(program, argnums=(0, 1))(x, w)
    np.testing.assert_array_equal(bare[0], value)
    np.testing.assert_array_equal(bare[1][0], dx)
    np.testing.assert_array_equal(bare[1][1], dw)
