"""Generated programs: value, gradients and every step's gradient against jax.grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad

SIZE = 3
PROGRAMS = 56


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


def program_of(seed):
    """A function of two matrices, and of additions to each of its intermediates."""
    random = np.random.default_rng(seed)
    count = int(random.integers(4, 8))
    chosen = [int(random.integers(len(OPERATIONS))) for _ in range(count)]
    chosen[0] = seed % len(OPERATIONS)
    pairs = [random.integers(0, i + 2, 2) for i in range(count)]

    def program(x, w, added=None):
        values = [x, w]
        for i, (number, (first, second)) in enumerate(zip(chosen, pairs, strict=True)):
            result = OPERATIONS[number](values[first], values[second])
            if added is not None:
                result = result + added[i]
            values.append(result)
        return jnp.sum(jnp.stack(values[2:]) * 0.7)

    x, w = (jnp.asarray(random.normal(size=(SIZE, SIZE)), jnp.float32) for _ in "xw")
    return program, count, x, w


def reference(program, count, x, w):
    """Value and gradients of the arguments and of each intermediate."""
    zeros = [jnp.full((SIZE, SIZE), -0.0, jnp.float32)] * count
    return jax.value_and_grad(program, argnums=(0, 1, 2))(x, w, zeros)


def results(report):
    """The steps that are the program's intermediates, in their order."""
    return [step for step in report.steps if "result" in (step.name, *step.aliases)]


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_a_generated_program_is_explained_as_jax_differentiates_it(seed):
    program, count, x, w = program_of(seed)
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
                assert step.why == "constant: no gradient"
            else:
                np.testing.assert_allclose(step.gradient, gradient, 1e-4, 1e-5)


def test_the_reference_is_the_derivative_of_the_bare_program():
    program, count, x, w = program_of(0)
    with jax.disable_jit():
        value, (dx, dw, _) = reference(program, count, x, w)
        bare = jax.value_and_grad(program, argnums=(0, 1))(x, w)
    np.testing.assert_array_equal(bare[0], value)
    np.testing.assert_array_equal(bare[1][0], dx)
    np.testing.assert_array_equal(bare[1][1], dw)
