"""find_zero: the reason, the step, the line; no findings in healthy programs."""

import inspect
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad
from jaxgrad.inspection.faults import zero
from jaxgrad.inspection.faults.describe import Describer
from jaxgrad.inspection.program.call import bind, trace_at_best
from jaxgrad.inspection.program.program import take_apart
from jaxgrad.inspection.run.replay import replay
from tests.cases_zero import CASES, HEALTHY
from tests.healthy_models import MODELS

HERE = Path(__file__)


def find_zero(f: Any, argnums: Any = 0, has_aux: bool = False) -> Any:
    return jaxgrad.find_zero(f, argnums, has_aux)


def remarks(f, *args) -> Any:
    call = bind("find_zero", f, args, {}, 0)
    program = take_apart(call, trace_at_best(call))
    run = replay(program)
    return zero.search(run, Describer(program.drafts, run.tape)).remarks


def vmapped(f):
    return lambda x: jnp.sum(jax.vmap(f)(jnp.stack([x, x])))


def scanned(f):
    def loss(x):
        start = jnp.zeros((), x.dtype)
        add = lambda total, _: (total + f(x), None)  # noqa: E731
        return jax.lax.scan(add, start, length=3)[0]

    return loss


def under_a_gradient(f):
    return lambda x: jax.grad(lambda scale: scale * f(x))(jnp.ones((), x.dtype))


FORMS = {
    "eager": lambda f: f,
    "jit": jax.jit,
    "vmap": vmapped,
    "scan": scanned,
    "grad of grad": under_a_gradient,
}
# In turn each case takes one of the forms; CI runs a quarter of the others too.
QUICK = [(name, list(FORMS)[i % len(FORMS)]) for i, name in enumerate(CASES)]
OTHERS = [(name, form) for name in CASES for form in FORMS if (name, form) not in QUICK]
SLOW = [
    pair if i % 4 == 0 else pytest.param(*pair, marks=pytest.mark.by_hand)
    for i, pair in enumerate(OTHERS)
]


def guilty_lines(f):
    lines, first = inspect.getsourcelines(f)
    return [first + i for i, line in enumerate(lines) if "# GUILTY" in line]


def check(name, form):
    case = CASES[name]
    found = find_zero(FORMS[form](case.f))(case.x)
    assert [blame.reason for blame in found] == [case.reason]
    (blame,) = found
    assert blame.kind == "zero" and blame.count == np.size(case.x)
    assert blame.argument == "x" and blame.hint and str(blame)
    if guilty_lines(case.f):
        assert [blame.source.line] == guilty_lines(case.f)


@pytest.mark.parametrize(("name", "form"), QUICK)
def test_the_reason_and_the_line(name, form):
    check(name, form)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), SLOW)
def test_the_reason_and_the_line_in_every_form(name, form):
    check(name, form)


def test_every_reason_has_three_cases():
    reasons = [case.reason for case in CASES.values()]
    assert len(reasons) >= 40
    assert all(reasons.count(reason) >= 3 for reason in reasons)


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_found_in_a_healthy_program(name):
    f, args = HEALTHY[name]
    assert find_zero(f)(*args) == ()


STATIONARY = ("square_at_zero", "cosine_at_zero", "huber_fit", "certain_and_right")


@pytest.mark.parametrize("name", STATIONARY)
def test_a_stationary_point_is_remarked(name):
    f, args = HEALTHY[name]
    (remark,) = remarks(f, *args)
    assert remark.reason == "stationary" and "stationary point" in remark.hint


def layer(params, x):
    hidden = jax.nn.relu(x @ params["w"] + params["b"])
    return jnp.mean((hidden @ params["out"] - 1) ** 2)


def params_and_data():
    w = jax.random.normal(jax.random.key(0), (3, 4))
    b = jnp.array([0.0, -100.0, 0.0, -200.0])
    params = {"w": w, "b": b, "out": jnp.ones((4, 1))}
    return params, jax.random.normal(jax.random.key(1), (16, 3))


def test_dead_units_are_named_with_their_numbers():
    params, x = params_and_data()
    b, w = find_zero(layer)(params, x)
    assert (b.argument, b.reason, b.count) == ("params['b']", "dead", 2)
    assert "params['b'][[1, 3]] (2 of 4 elements)" in b.summary
    assert (w.argument, w.reason, w.count) == ("params['w']", "dead", 6)
    assert "params['w'][:, [1, 3]] (6 of 12 elements)" in w.summary
    assert w.step.name == "hidden" and w.source.text.startswith("hidden = ")
    assert (w.operands["add"] < -90).all() and w.operands["cotangent"].any()


def test_units_that_are_only_off_in_this_batch_are_remarked():
    params, x = params_and_data()
    params["b"] = jnp.array([0.0, -4.0, 0.0, 0.0])
    params["w"] = params["w"].at[:, 1].multiply(0.1)
    assert find_zero(layer)(params, x) == ()
    assert {r.argument for r in remarks(layer, params, x)} == {
        "params['b']",
        "params['w']",
    }


def test_a_saturated_unit_is_found():
    def loss(b):
        return jnp.sum(jax.nn.sigmoid(jnp.ones((5, 3)) + b) ** 2)

    (blame,) = find_zero(loss)(jnp.array([0.0, 300.0, 0.0]))
    assert (blame.reason, blame.count) == ("saturated", 1)
    assert "b[1] (1 of 3 elements)" in blame.summary


def test_the_zero_factor_is_shown():
    def loss(a, b):
        low = jnp.ones((2, 3)) @ a
        delta = low @ b
        return jnp.mean((delta - 1) ** 2)

    blames = find_zero(loss)(jnp.ones((3, 2)), jnp.zeros((2, 4)))
    (blame,) = blames
    assert (blame.argument, blame.step.name) == ("a", "delta")
    np.testing.assert_array_equal(blame.operands["b"], np.zeros(8))
    assert "normal in the first step" in blame.hint


def test_the_iteration_is_named():
    def loss(x):
        def body(carry, gain):
            carry = jnp.tanh(carry * gain)
            return carry, None

        return jax.lax.scan(body, x, jnp.array([0.5, 1.0, 90.0, 1.0]))[0]

    (blame,) = find_zero(loss)(jnp.float32(1.2))
    assert (blame.reason, blame.iteration) == ("saturated", 2)
    assert blame.operands["multiply"] > 9


def test_each_argument_has_its_own_reason_and_the_most_serious_is_first():
    def loss(params):
        dead = jax.nn.relu(params["dead"] - 10)
        fixed = jax.lax.stop_gradient(params["fixed"])
        return jnp.sum(dead + fixed + params["fine"])

    names = ("fine", "fixed", "unused", "dead")
    found = find_zero(loss)({name: jnp.ones(2) for name in names})
    assert [(b.argument, b.reason) for b in found] == [
        ("params['dead']", "dead"),
        ("params['fixed']", "stopped"),
        ("params['unused']", "unconnected"),
    ]


def low_rank(first, last):
    def loss(params, x):
        return jnp.sum((x @ params["a"]) @ params["b"] + x @ jnp.ones((2, 3)))

    return loss, {"a": first * jnp.ones((2, 1)), "b": last * jnp.ones((1, 3))}


def test_a_factor_of_zero_that_is_trained_itself_is_normal():
    x = jnp.array([[1.0, 0.5]])
    loss, params = low_rank(first=0.5, last=0.0)
    assert find_zero(loss)(params, x) == ()
    (remark,) = remarks(loss, params, x)
    assert (remark.argument, remark.reason) == ("params['a']", "multiplied")
    loss, params = low_rank(first=0.0, last=0.0)
    found = [(b.argument, b.reason) for b in find_zero(loss)(params, x)]
    assert found == [("params['a']", "multiplied"), ("params['b']", "multiplied")]


def test_the_last_use_of_what_is_not_connected_is_named():
    def loss(params):
        scale = jnp.exp(params["scale"])
        return jnp.sum(params["mean"] ** 2), scale

    params = {"mean": jnp.ones(2), "scale": jnp.ones(2)}
    (blame,) = find_zero(loss, has_aux=True)(params)
    assert (blame.reason, blame.source.text) == (
        "unconnected",
        'scale = jnp.exp(params["scale"])',
    )
    assert "last used in scale" in blame.summary


def test_a_derivative_that_leaves_the_range_is_an_underflow():
    x = jnp.float32(1e22)
    if jax.grad(jnp.arcsinh)(x):
        pytest.skip("this version of JAX keeps the derivative in range")
    (blame,) = find_zero(jnp.arcsinh)(x)
    assert blame.reason == "underflow"


def test_a_phase_at_a_symmetric_point_is_stationary():
    def loss(phase):
        return jnp.abs(jnp.sum(jnp.exp(jax.lax.complex(jnp.zeros(3), phase)))) ** 2

    assert find_zero(loss)(jnp.zeros(3)) == ()
    assert [b.reason for b in remarks(loss, jnp.zeros(3))] == ["stationary"]


def test_argnums_and_aux_choose_as_in_value_and_grad():
    def loss(x, y):
        return jnp.sum(x * 0 + y), {"n": 3}

    assert find_zero(loss, argnums=1, has_aux=True)(1.0, 2.0) == ()
    (blame,) = find_zero(loss, argnums=(0, 1), has_aux=True)(1.0, 2.0)
    assert blame.argument == "x"


def test_a_hint_names_what_to_write_instead():
    hints = {
        "argmax": "straight-through",
        "hidden_layer": "leaky_relu, elu or gelu. A hinge loss",
        "sigmoid_above": "sigmoid_binary_cross_entropy",
        "clipped": "may also be meant to end the gradient",
        "float16_factors": "float32",
        "stopped_directly": "Remove stop_gradient",
        "rule_of_a_vjp": "check_gradients",
    }
    for name, words in hints.items():
        (blame,) = find_zero(CASES[name].f)(CASES[name].x)
        assert words in blame.hint, name


def test_a_function_that_changes_arrays_in_place_is_one_step():
    def loss(x, y):
        total = jax.new_ref(jnp.zeros(2))
        total[...] = y + 0.0 * x
        return jnp.sum(total[...])

    (blame,) = find_zero(loss, argnums=(0, 1))(jnp.ones(2), jnp.ones(2))
    assert (blame.argument, blame.kind, blame.count) == ("x", "zero", 2)
    assert "changes arrays in place" in blame.hint
    assert blame.source is not None and Path(blame.source.file) == HERE


@pytest.mark.message
def test_what_is_not_one_floating_scalar_is_refused():
    with pytest.raises(TypeError, match="find_zero: expected f to return one floating"):
        find_zero(lambda x: x)(jnp.ones(2))
    with pytest.raises(TypeError, match="find_zero: expected f to be a function"):
        find_zero(jnp.ones(2))
    with pytest.raises(TypeError, match="called from Python"):
        jax.jit(find_zero(jnp.sum))(jnp.ones(2))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_found_while_a_healthy_network_trains(name):
    params, loss = MODELS[name](jax.random.key(0))
    gradient = jax.jit(jax.value_and_grad(loss))
    values = []
    for step in range(101):
        key = jax.random.key(step)
        value, grads = gradient(params, key)
        values.append(float(value))
        if step % 50 == 0:
            assert jaxgrad.diagnose(loss)(params, key).findings == ()
        update = lambda p, g: p - 0.05 * g / (1e-8 + jnp.linalg.norm(g))  # noqa: E731
        params = jax.tree.map(update, params, grads)
    assert np.mean(values[-5:]) < np.mean(values[:5])


def test_an_array_that_is_larger_is_a_branch_and_a_number_a_bound():
    def larger(x, y):
        return jnp.sum(jnp.maximum(x, y))

    (of_array,) = jaxgrad.find_zero(larger)(jnp.ones(2), jnp.full(2, 3.0))
    (of_scalar,) = jaxgrad.find_zero(larger)(jnp.ones(2), jnp.float32(3.0))
    (of_number,) = jaxgrad.find_zero(larger)(jnp.ones(2), 3.0)
    assert (of_array.reason, of_scalar.reason) == ("branch", "branch")
    assert of_number.reason == "saturated"


def test_what_a_mapped_cond_does_not_take_is_a_branch_not_a_stop_gradient():
    def loss(w, x):
        def f(x):
            return jax.lax.cond(x > 10, lambda x: w * x, lambda x: x, x)

        return jnp.sum(jax.vmap(f)(x))

    (blame,) = jaxgrad.find_zero(loss)(2.0, jnp.ones(3))
    assert blame.reason == "branch"
    assert blame.hint.startswith("It is used only in a branch that was not taken")


def test_what_a_softmax_stops_inside_is_not_the_cause():
    def hard(logits):
        soft = jax.nn.softmax(logits)
        return jnp.sum(jax.nn.one_hot(jnp.argmax(soft), 3) * jnp.arange(3.0))

    def distilled(logits):
        target = jax.nn.softmax(logits)
        target = jax.lax.stop_gradient(target)
        return jnp.sum(target * jnp.arange(3.0))

    logits = jnp.array([0.1, 0.5, 0.2])
    (of_hard,), (of_distilled,) = (find_zero(f)(logits) for f in (hard, distilled))
    assert (of_hard.reason, of_hard.step.operation) == ("integer", "argmax")
    assert of_distilled.reason == "stopped"
    assert of_distilled.step.operation == "stop_gradient"


def test_a_comparison_inside_a_step_is_not_the_step():
    def slope(w):
        return jnp.sum(jax.grad(lambda w: jnp.sum(jax.nn.relu(w)))(w))

    (blame,) = jaxgrad.find_zero(slope)(jnp.ones(2))
    assert blame.hint.startswith("A comparison (>) in relu is piecewise constant")
    (blame,) = jaxgrad.find_zero(lambda w: jnp.mean((w > 0).astype(w.dtype)))(
        jnp.ones(2)
    )
    assert blame.hint.startswith("Greater is piecewise constant")


def test_a_relu_made_of_an_absolute_value_is_dead_and_a_median_is_not():
    relu = find_zero(lambda x: jnp.sum((x + jnp.abs(x)) / 2))
    (blame,) = relu(jnp.array([-1.0, -2.0]))
    assert blame.reason == "dead"
    median = find_zero(lambda m, x: jnp.sum(jnp.abs(x - m)))
    assert median(0.5, jnp.array([-3.0, 4.0])) == ()


def test_the_users_own_step_comes_before_that_of_a_derivative():
    def loss(w, x):
        slope = jax.grad(lambda v: jnp.sum(jax.nn.relu(v * w)))(x)
        return jnp.sum(jnp.sign(slope))

    (blame,) = find_zero(loss)(jnp.ones(3) / 2, jnp.ones(3))
    assert blame.step and blame.step.operation == "sign"
