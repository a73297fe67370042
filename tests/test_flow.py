"""Gradients that vanish or explode through layers and through time."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import explain
from jaxgrad.inspection import gradient_flow
from jaxgrad.inspection.faults.flow import flows_of, search

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
    (0.5, 12, ["vanishing"]),
    (2.0, 12, ["exploding"]),
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


def line_of(f, text):
    lines, first = inspect.getsourcelines(f)
    return next(first + i for i, line in enumerate(lines) if text in line)


@pytest.mark.parametrize(
    ("scale", "text"), [(1.0, "jax.nn.sigmoid(z)"), (0.01, "z = h @ w")]
)
def test_the_line_that_changes_the_gradient_most_is_named(scale, text):
    keys = jax.random.split(jax.random.key(1), 8)
    weights = [scale * jax.random.normal(k, (16, 16)) / 4 for k in keys]

    def loss(weights, x):
        h = x
        for w in weights:
            z = h @ w
            h = jax.nn.sigmoid(z)
        return h.sum()

    (found,) = search(explain(loss)(weights, jnp.ones(16)))
    assert found.source and found.source.line == line_of(loss, text)


def test_layers_of_different_operations_are_one_flow():
    weights = [0.03 * jax.random.normal(jax.random.key(i), (16, 16)) for i in range(5)]

    def loss(w, x):
        h = jnp.tanh(x @ w[0])
        h = jax.nn.sigmoid(jnp.dot(h, w[1]))
        h = jnp.sin(jnp.einsum("i,ij->j", h, w[2]))
        h = jnp.arctan(jnp.matmul(h, w[3]))
        h = jax.nn.gelu(jnp.tensordot(h, w[4], 1))
        return h.sum()

    (found,) = search(explain(loss)(weights, jnp.ones(16)))
    assert (found.kind, found.count) == ("vanishing", 5)


def test_a_line_with_two_products_is_one_layer():
    weights = [jax.random.normal(jax.random.key(i), (4, 4)) * 0.15 for i in range(8)]
    average = jnp.ones((5, 5)) / 5

    def loss(weights, x):
        for w in weights:
            x = jnp.tanh(average @ x @ w)
        return x.sum()

    (flow,) = gradient_flow(explain(loss)(weights, jnp.ones((5, 4))))
    assert len(flow.steps) == 8


def test_in_nested_loops_the_line_is_that_of_the_inner_loop():
    def loss(x):
        def inner(h, _):
            return 0.3 * jnp.tanh(h), None

        def outer(h, _):
            return jax.lax.scan(inner, h, None, length=4)[0], None

        return jax.lax.scan(outer, x, None, length=5)[0].sum()

    (found,) = search(explain(loss)(X))
    assert found.kind == "vanishing"
    assert found.source and found.source.line == line_of(loss, "0.3 * jnp.tanh(h)")


def test_gradients_that_enter_at_each_iteration_are_not_a_growth():
    def discounted(w, growth, rewards):
        def step(carry, reward):
            state, weight = carry
            state = growth * state + 0.1 * jnp.tanh(w + reward)
            return (state, 0.9 * weight), weight * state

        start = jnp.float32(1), jnp.float32(1)
        return jax.lax.scan(step, start, rewards)[1].sum()

    rewards = jnp.ones(200)
    assert search(explain(discounted)(0.5, 0.95, rewards)) == []
    found = search(explain(discounted)(0.5, 1.3, rewards))
    assert [f.kind for f in found] == ["exploding"]


def test_a_chaotic_state_explodes_although_its_gradient_goes_up_and_down():
    def loss(x):
        def step(x, _):
            x = 3.99 * x * (1 - x)
            return x, None

        return jax.lax.scan(step, x, None, length=60)[0]

    report = explain(loss)(0.3)
    (flow,) = gradient_flow(report)
    assert (np.diff(flow.gradients) > 0).any()
    assert [f.kind for f in search(report)] == ["exploding"]


def test_what_underflows_is_left_out_and_counted():
    (flow,) = gradient_flow(explain(in_a_scan(1e-4, 20))(X))
    assert (flow.first, len(flow.gradients), flow.repetitions) == (10, 10, 20)
    (found,) = search(explain(in_a_scan(1e-4, 20))(X))
    assert found.summary.endswith(
        "factor of 0.0001 each; 10 iterations before have none"
    )


def test_the_state_is_followed_not_the_gradient_that_updates_it():
    def loss(rate):
        w = jnp.array([1.0, 10.0])
        for _ in range(12):
            slope = jnp.array([1.0, 10.0]) * w
            w = w - rate * slope
        return jnp.sum(w**2)

    (flow,) = gradient_flow(explain(loss)(0.4))
    assert {step.name for step in flow.steps} == {"w"}
    (found,) = search(explain(loss)(0.4))
    assert found.source and found.source.line == line_of(loss, "w - rate * slope")


def test_a_growth_that_is_steady_is_a_fault_and_one_that_is_small_is_not():
    for form in (in_a_scan, in_a_python_loop):
        for factor, kinds in ((1.6, ["exploding"]), (0.6, ["vanishing"]), (1.2, [])):
            found = search(explain(form(factor, 24))(X))
            assert [f.kind for f in found] == kinds


def newton(y, start):
    x = start
    for _ in range(9):
        x = x - (x**2 - y) / (2 * x)
    return x


def fixed_point(weights, u):
    def step(z, _):
        return jnp.tanh(weights @ z + u), None

    return jax.lax.scan(step, jnp.zeros(3), None, length=30)[0].sum()


WEIGHTS = 0.4 * jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("f", "arguments"), [(newton, (2.0, 50.0)), (fixed_point, (WEIGHTS, X))]
)
def test_an_iteration_that_converges_is_a_remark(f, arguments):
    flows = flows_of(explain(f, argnums=(0, 1))(*arguments))
    assert flows.findings == ()
    assert len(flows.remarks) == 1 and "converges" in flows.remarks[0]


def scaling(cost, potential):
    def step(g, _):
        f = -jax.nn.logsumexp(g[None] - cost, 1)
        g = -0.5 * jax.nn.logsumexp(f[:, None] - cost, 0)
        return g, None

    return jnp.sum(jax.lax.scan(step, potential, None, length=40)[0] ** 2)


def test_a_new_axis_is_no_part_of_a_sequence():
    cost = jnp.abs(jnp.arange(3.0)[:, None] - jnp.arange(3.0)) ** 2
    flows = flows_of(explain(scaling, argnums=(0, 1))(cost, X))
    assert flows.findings == () and "converges" in flows.remarks[0]


def epidemic(rate):
    def step(state, _):
        susceptible, infected = state
        new = rate * susceptible * infected
        return (susceptible - new, infected + new - 0.1 * infected), infected

    _, infected = jax.lax.scan(step, (0.999, 0.001), None, length=250)
    return jnp.mean(infected)


def test_a_part_of_a_carry_that_matters_late_does_not_explode():
    assert flows_of(explain(epidemic)(0.27)).findings == ()


def recurrent(weights, xs):
    h = jax.lax.scan(lambda h, x: (jnp.tanh(weights @ h + x), None), X, xs)[0]
    return h.sum()


def tied_layers(weights, x):
    for _ in range(20):
        x = jax.nn.sigmoid(weights @ x)
    return x.sum()


@pytest.mark.parametrize(("f", "x"), [(recurrent, jnp.ones((30, 3))), (tied_layers, X)])
def test_a_network_whose_state_settles_still_vanishes(f, x):
    flows = flows_of(explain(f)(WEIGHTS, x))
    assert [f.kind for f in flows.findings] == ["vanishing"]
