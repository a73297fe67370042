"""Gradients that vanish or explode through layers and through time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import explain
from jaxgrad.inspection import gradient_flow
from jaxgrad.inspection.faults.flow import search

X = jnp.array([0.3, -0.4, 0.1])


def in_a_scan(factor, times, reverse=False):
    def f(x):
        def body(h, _):
            h = factor * h
            return h, None

        h, _ = jax.lax.scan(body, x, None, length=times, reverse=reverse)
        return h.sum()

    return f


def in_a_reversed_scan(factor, times):
    return in_a_scan(factor, times, reverse=True)


def in_a_fori_loop(factor, times):
    def f(x):
        return jax.lax.fori_loop(
            0, times, lambda _, h: jnp.sin(h) * factor, 0 * x
        ).sum()

    return f


def in_a_python_loop(factor, times):
    def f(x):
        for _ in range(times):
            x = factor * x
        return x.sum()

    return f


def in_checkpointed_layers(factor, times):
    def f(x):
        for _ in range(times):
            x = jax.checkpoint(lambda x: x * factor)(x)
        return x.sum()

    return f


FORMS = [
    in_a_scan,
    in_a_reversed_scan,
    in_a_fori_loop,
    in_a_python_loop,
    in_checkpointed_layers,
]
# The factor, how often it is applied, and what that is.
FACTORS = [
    (0.25, 12, ["vanishing"]),
    (4.0, 12, ["exploding"]),
    (0.9, 12, []),
    (1.25, 8, []),
]


@pytest.mark.parametrize(("factor", "times", "kinds"), FACTORS)
@pytest.mark.parametrize("form", FORMS)
def test_the_factor_of_a_repetition_is_measured(form, factor, times, kinds):
    report = explain(form(factor, times))(X)
    flows = gradient_flow(report)
    assert flows
    for flow in flows:
        assert len(flow.gradients) == times
        np.testing.assert_allclose(flow.factor, factor, rtol=1e-5)
    found = search(report)
    assert sorted({finding.kind for finding in found}) == kinds
    for finding in found:
        assert f"by a factor of {factor:g} each" in finding.summary
        assert finding.source and finding.source.text


def test_the_values_of_a_flow_are_in_the_order_of_execution():
    (flow,) = gradient_flow(explain(in_a_reversed_scan(0.5, 4))(X))
    norm = float(jnp.linalg.norm(X))
    np.testing.assert_allclose(flow.values, norm * 0.5 ** np.arange(1, 5), rtol=1e-6)
    np.testing.assert_allclose(flow.gradients, np.sqrt(3) * 0.5 ** np.arange(3, -1, -1))


def test_the_slow_decay_of_a_gated_cell_is_not_a_fault():
    keys = jax.random.split(jax.random.key(0), 4)
    w, u = (jax.random.uniform(k, (32, 8), minval=-0.35, maxval=0.35) for k in keys[:2])
    xs = jax.random.uniform(keys[2], (28, 8))

    def loss(w, u, xs):
        def cell(carry, x):
            h, c = carry
            i, f, g, o = jnp.split(w @ x + u @ h, 4)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), None

        (h, _), _ = jax.lax.scan(cell, (jnp.zeros(8), jnp.zeros(8)), xs)
        return jnp.sum(h**2)

    report = explain(loss, argnums=(0, 1))(w, u, xs)
    assert {flow.along for flow in gradient_flow(report)} == {"time"}
    assert search(report) == []


@pytest.mark.parametrize("residual", [True, False])
def test_sigmoid_layers_vanish_and_residual_ones_do_not(residual):
    keys = jax.random.split(jax.random.key(1), 10)
    weights = [jax.random.normal(k, (16, 16)) / 4 for k in keys]

    def loss(weights, x):
        for w in weights:
            y = jax.nn.sigmoid(w @ x)
            x = x + y if residual else y
        return x.sum()

    found = search(explain(loss)(weights, jnp.ones(16)))
    assert [f.kind for f in found] == ([] if residual else ["vanishing"])


def test_one_step_that_scales_down_is_not_a_flow():
    def loss(x):
        h = 1e-9 * x
        for _ in range(5):
            h = h + 1.0
        return h.sum()

    assert search(explain(loss)(X)) == []


def test_without_the_arrays_a_loop_has_no_flow():
    report = explain(in_a_scan(0.25, 12), keep="summary")(X)
    assert gradient_flow(report) == ()
