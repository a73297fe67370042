"""find_inaccurate: the line that loses the digits; silence on what is rearranged."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad
from jaxgrad.inspection.faults import inaccurate
from jaxgrad.inspection.faults.inaccurate.outputs import Outputs
from jaxgrad.inspection.program.call import bind, trace_at_best
from jaxgrad.inspection.program.failures import InspectionWarning
from jaxgrad.inspection.program.program import take_apart
from tests import cases_inaccurate
from tests.cases_inaccurate import BACKWARD, HAMMING
from tests.healthy_models import MODELS

LINES = Path(cases_inaccurate.__file__).read_text(encoding="utf-8").splitlines()
GUILTY = {i for i, line in enumerate(LINES, 1) if "# GUILTY" in line}


def find_inaccurate(f: Any, *args: Any) -> Any:
    return jaxgrad.find_inaccurate(f, tuple(range(len(args))))(*args)


def losses(f: Any, *args: Any) -> Any:
    call = bind("find_inaccurate", f, args, {}, tuple(range(len(args))))
    return inaccurate.in_call(call, has_aux=False)


def check_lines(f, found):
    """Every finding is in the case's own marked line."""
    assert found
    first, last = f.__code__.co_firstlineno, f.__code__.co_firstlineno + 20
    for blame in found:
        assert blame.kind == "inaccurate" and blame.reason and blame.hint and str(blame)
        assert blame.source.line in GUILTY
        assert blame.source.line in range(first, last) or f in RULES
    return found


RULES = {case.f for name, case in BACKWARD.items() if "rule" in name or "bfl" in name}


# The other cases are slow together; they differ in the formula only.
QUICK = (
    *("3.1", "vmapped", "rule_of_log1p"),
    *("overflow", "absorbed", "variance", "long sum", "one side", "hidden"),
)


def each_of(table):
    marks = pytest.mark.slow, pytest.mark.by_hand  # CI also has those of tests/field
    return [n if n in QUICK else pytest.param(n, marks=marks) for n in table]


@pytest.mark.parametrize("name", each_of(HAMMING))
def test_hammings_examples(name, tally):
    case = HAMMING[name]
    with tally("digits lost forward, at the right line"):
        value, *_ = check_lines(case.f, find_inaccurate(case.f, *case.args))
        assert value.argument is None and value.phase == "forward"


@pytest.mark.parametrize("name", each_of(BACKWARD))
def test_gradients_that_lose_digits(name, tally):
    case = BACKWARD[name]
    with tally("digits lost backward, at the right line"):
        found = check_lines(case.f, find_inaccurate(case.f, *case.args))
        assert all(b.argument and b.phase == "backward" for b in found)


@pytest.mark.parametrize("name", each_of([*HAMMING, *BACKWARD]))
def test_nothing_is_found_in_the_rearranged_form(name, tally):
    case = (HAMMING | BACKWARD)[name]
    with tally("rearranged forms without a finding"):
        assert case.twin and find_inaccurate(case.twin, *case.args) == ()


def test_there_are_as_many_examples_as_claimed():
    assert len(HAMMING) == 28 and len(BACKWARD) >= 20


def overflow(x, y):
    squares = x * x + y * y
    return x / jnp.sqrt(squares)


def underflow(x):
    squares = x * x
    return jnp.sqrt(squares + x * 0)


def masked_overflow(x):
    power = jnp.exp(x)
    return jnp.log(jnp.where(jnp.isfinite(power), power, 1.0))


def large_and_small(x):
    shifted = x + 1e8
    return shifted - 1e8


def log_of_one_plus(x):
    one = 1 + x
    return jnp.log(one)


def variance(x):
    return jnp.mean(x**2) - jnp.mean(x) ** 2


def product_in_16_bits(a, b):
    c = a.astype(jnp.bfloat16) @ b.astype(jnp.bfloat16)
    return jnp.sum(c.astype(jnp.float32) ** 2)


def one_side(x):
    sine = jnp.sin(x)
    return x - sine


def from_zero(x):
    def body(total, x):
        return total + jnp.sqrt(x + 1) - jnp.sqrt(x), None

    return jax.lax.scan(body, jnp.float32(0), x)[0]


def a_scalar_and_an_array(x):
    return jnp.mean(x + jax.nn.softplus(-2 * x) - jnp.log(2.0))


def hidden_overflow(x):
    squares = x * x
    return x / jnp.maximum(1e20, jnp.sqrt(squares)) * 1e20


def running_sum(x):
    add = lambda total, x: (total + x, None)  # noqa: E731
    return jax.lax.scan(add, jnp.zeros((), x.dtype), x)[0]


NEAR_1000 = 1000 + jnp.linspace(-1, 1, 50)
PRODUCT = jnp.linspace(0.1, 1, 64).reshape(8, 8)
REASONS = {
    "overflow": (overflow, (1e20, 1e20), "overflow", "hypot"),
    "underflow": (underflow, (1e-25,), "underflow", "hypot"),
    "masked": (masked_overflow, (100.0,), "overflow", "logarithms"),
    "absorbed": (large_and_small, (0.3,), "absorbed", "subtract the large number"),
    "log1p": (log_of_one_plus, (1e-10,), "absorbed", "log1p"),
    "variance": (variance, (NEAR_1000,), "variance", "two passes"),
    "bfloat16": (product_in_16_bits, (PRODUCT, PRODUCT), "matmul", "bfloat16"),
    "long sum": (running_sum, (jnp.full(50_000, 0.1),), "accumulated", "Sum pairwise"),
    "one side": (one_side, (1e-3,), "cancellation", "a series"),
    "from zero": (from_zero, (jnp.array([1e7, 3e7]),), "cancellation", "conjugate"),
    "a scalar": (a_scalar_and_an_array, (jnp.full(3, 1e-3),), "cancellation", "log1p"),
    "hidden": (hidden_overflow, (3e19,), "overflow", "hypot"),
    "stalled": (running_sum, (jnp.ones(3000, jnp.float16),), "absorbed", "small"),
}


@pytest.mark.parametrize("name", each_of(REASONS))
def test_the_reason_and_the_hint(name):
    f, args, reason, hint = REASONS[name]
    found = find_inaccurate(f, *args)
    assert found and {blame.reason for blame in found} == {reason}
    assert hint in found[0].hint
    assert found[0].source.function in (f.__name__, "<lambda>", "body")


REWRITINGS = {
    "3.1": "conjugate",
    "3.3": "half angles",
    "3.5": "arctan2",
    "3.3.6": "log1p",
    "3.4.6": "expm1",
    "3.7": "expm1",
    "3.4.1": "half angles",
    "p42, positive": "2c / ",
}


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.parametrize("name", REWRITINGS)
def test_the_hint_names_the_rewriting(name):
    value, *_ = find_inaccurate(HAMMING[name].f, *HAMMING[name].args)
    assert REWRITINGS[name] in value.hint


def test_the_numbers_are_shown():
    _, gradient = find_inaccurate(HAMMING["3.1"].f, 1e8)
    text = str(gradient)
    assert "The gradient of x is inaccurate (cancellation), because of " in text
    assert "0 in float32, -2.5e-13 in float64, a relative error of 1" in text
    result = gradient.operands["result of add_any, float32 and float64"]
    np.testing.assert_allclose(result, [0, -2.5e-13], rtol=1e-6)


def test_the_iteration_is_named():
    def loss(x):
        def body(total, x):
            after = jnp.sqrt(x + 1)
            return total + (after - jnp.sqrt(x)), None

        return jax.lax.scan(body, jnp.float32(0), x)[0]

    found = find_inaccurate(loss, jnp.array([1e8, 3e8, 4e8]))
    assert found[0].iteration in (0, 1, 2) and found[0].source.function == "body"


def test_a_loop_keeps_only_some_of_its_carries(monkeypatch):
    monkeypatch.setattr("jaxgrad.inspection.faults.inaccurate.twin.MOST_BYTES", 1000)

    def loss(x):
        def body(i, total):
            y = jnp.where(i == 37, 1e8, 1.0) * x[i]
            lost = jnp.sqrt(y + 1) - jnp.sqrt(y)
            return total + jnp.where(i == 37, lost, 0.0)

        return jax.lax.fori_loop(0, 60, body, 0.0)

    value, gradient = find_inaccurate(loss, jnp.ones(60))
    assert value.source.function == gradient.source.function == "body"
    assert value.iteration == gradient.iteration == 37


def test_the_addition_that_absorbs_is_named():
    def interest(rate):
        growth = 1.0 + rate / 3e6
        return growth**3e6

    def balance(x):
        def add(total, part):
            total = total + part
            return total, None

        total = jax.lax.scan(add, jnp.float32(3e7), x)[0]
        return (total - 3e7) / 60

    for f, x, line in (
        (interest, jnp.float32(0.05), "growth = 1.0 + rate / 3e6"),
        (balance, jnp.linspace(0.1, 0.9, 60), "total = total + part"),
    ):
        blame, *_ = find_inaccurate(f, x)
        assert (blame.reason, blame.source.text) == ("absorbed", line)


def test_sixteen_bits_that_round_the_parameters_as_well_are_a_remark():
    def loss(w, x, y):
        x, w, y = (array.astype(jnp.bfloat16) for array in (x, w, y))
        error = jax.nn.gelu(x * w) - y
        return jnp.mean(error.astype(jnp.float32) ** 2)

    x = jnp.linspace(0.5, 1.5, 16)
    y = jax.nn.gelu(1.23 * x) + jnp.array([0.1, -0.1] * 8)
    found = losses(loss, jnp.float32(1.2270548), x, y)  # the minimum
    assert found.findings == () and "ill-conditioned" in found.remarks[0]


def test_a_while_loop_under_vmap_runs_each_element_for_itself():
    def loss(x):
        def count(n):
            step = lambda s: (s[0] + 1, s[1] + jnp.float32(0.1))  # noqa: E731
            return jax.lax.while_loop(lambda s: s[0] < n, step, (0, jnp.float32(0)))[1]

        return jnp.sum(x * jax.vmap(count)(jnp.array([2, 5])))

    outputs = Outputs(take_apart(*traced(loss, jnp.ones(2))))
    assert outputs.inputs
    with jax.enable_x64(True):
        value, gradient = outputs.run()
        np.testing.assert_allclose(value.true, 0.7, rtol=1e-7)
        np.testing.assert_allclose(gradient.true, [0.2, 0.5], rtol=1e-7)
        assert 0 < abs(gradient.error).max() < 1e-7


def traced(f, *args):
    call = bind("find_inaccurate", f, args, {}, 0)
    return call, trace_at_best(call)


def wave(x):
    return jnp.sin(3 * x)


def test_what_is_ill_conditioned_is_remarked():
    assert losses(wave, 11000001.0).findings == ()
    assert "ill-conditioned in its inputs" in losses(wave, 11000001.0).remarks[0]


def test_the_two_runs_take_the_same_decisions():
    def loss(x):
        near = jnp.floor(x * 10) + (x > 0.3).astype(jnp.float32)
        near = near + jnp.argmax(x).astype(jnp.float32)
        order = jnp.argsort(x)
        return jnp.sum(jnp.where(x * 3 > 1, near, x) * x[order])

    x = jnp.array([0.1, 0.3, 1 / 3, 0.7, 0.1])
    assert find_inaccurate(loss, x) == ()


def test_random_numbers_are_the_same():
    def loss(w, key):
        noise = jax.random.normal(key, (200,))
        keep = jax.random.bernoulli(key, 0.5, (200,))
        wild = jnp.sin(noise * 65536)  # exact, and far more sensitive than rounding
        return jnp.mean(jnp.where(keep, w * wild, wild) ** 3)

    assert jaxgrad.find_inaccurate(loss)(1.5, jax.random.key(0)) == ()


def smallest(x):
    """The second result of the sort is dropped."""
    return jnp.sum(jax.lax.sort((x, -x), num_keys=1)[0][:2] ** 2)


def by_another(x):
    """The key of the sort is a constant, and is dropped."""
    return jnp.sum(jax.lax.sort((jnp.array([2.0, 0, 1]), x), num_keys=1)[1][:2] ** 2)


def largest(x):
    return jnp.sum(jax.lax.top_k(x[:, None], 2, axis=0)[0] ** 2)


def where_largest(x):
    return jnp.sum(x[jax.lax.top_k(x, 2)[1]] ** 2)


def nearly_largest(x):
    return jnp.sum(jax.lax.approx_max_k(x[:, None], 2, reduction_dimension=0)[0] ** 2)


def shuffled(x):
    return jnp.sum(jax.random.permutation(jax.random.key(0), x) ** 2 * jnp.arange(3.0))


def key_in_a_scan(x):
    def add_noise(carry, _):
        x, key = carry
        key, used = jax.random.split(key)
        return (x + 0.1 * jax.random.normal(used, x.shape), key), None

    key = jax.random.split(jax.random.key(0))[0]  # an array of keys, not a tracer
    return jnp.sum(jax.lax.scan(add_noise, (x, key), None, length=3)[0][0] ** 2)


def chosen_key(x):
    keys = jax.random.split(jax.random.key(0))
    key = jnp.where(x[0] > 0, keys[0], keys[1])
    return jnp.sum(x * jax.random.normal(key, x.shape))


ORDERING = smallest, by_another, largest, where_largest, nearly_largest, shuffled


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("f", [*ORDERING, key_in_a_scan, chosen_key])
def test_operations_that_order_or_hold_keys_are_run_in_both_precisions(f, precision):
    with jax.enable_x64(precision == "float64"):
        assert find_inaccurate(f, jnp.array([3.0, 1.0, 2.0], precision)) == ()


@pytest.mark.parametrize("f", [shuffled, key_in_a_scan, chosen_key, nearly_largest])
def test_they_are_run_again_to_find_the_line(f):
    def loses(x):
        return f(x) * 1e-30 + jnp.log(1.0 + x[0] * 1e-6)

    blame, *_ = find_inaccurate(loses, jnp.array([3.0, 1.0, 2.0]))
    assert blame.source and "jnp.log(1.0 + x[0]" in blame.source.text


def test_float64_is_compared_under_random_rounding(x64):
    (value, gradient) = find_inaccurate(HAMMING["3.1"].f, 1e13)
    assert value.reason == gradient.reason == "cancellation"
    assert "rounded at random" in value.summary
    assert HAMMING["3.1"].twin and find_inaccurate(HAMMING["3.1"].twin, 1e13) == ()
    assert find_inaccurate(lambda x: (x + 2.0) - 2.0, 1.0) == ()
    (value,) = find_inaccurate(log_of_one_plus, 1e-17)
    assert value.reason == "absorbed"


def confident(logits):
    return -jax.nn.log_softmax(logits)[0] + 1


def log_softmax_by_hand(logits):
    shifted = logits - jax.lax.stop_gradient(jnp.max(logits))
    return jnp.log(jnp.sum(jnp.exp(shifted))) - shifted[0]


@pytest.mark.parametrize("loss", [confident, log_softmax_by_hand])
def test_a_librarys_formula_is_remarked(loss):
    found = losses(loss, jnp.array([13.0, 0.0, 1.0]))
    assert found.findings == () and "inside a library's function" in found.remarks[0]


def test_a_small_constant_may_be_lost():
    def loss(x):
        p = 1 / (1 + jnp.exp(-x))
        return -jnp.log(p + 1e-9)

    assert find_inaccurate(loss, 30.0) == ()


def test_mixed_precision_has_the_errors_of_16_bits():
    def loss(params, x):
        w, b = (each.astype(jnp.bfloat16) for each in params)
        y = jax.nn.relu(x.astype(jnp.bfloat16) @ w + b)
        return jnp.mean(y.astype(jnp.float32) ** 2)

    w = jnp.linspace(-1, 1, 12).reshape(4, 3)
    assert find_inaccurate(loss, (w, w[0] / 7), w.T / 3) == ()


def test_what_is_not_looked_at_is_said():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec()

    def loss(x):
        inside = jax.shard_map(jnp.sin, mesh=mesh, in_specs=spec, out_specs=spec)
        return jnp.sum(inside(x))

    with pytest.warns(InspectionWarning, match="find_inaccurate: The digits inside of"):
        assert find_inaccurate(loss, jnp.ones(2)) == ()
    assert "shard_map" in str(jaxgrad.diagnose(loss)(jnp.ones(2)).skipped)


def test_a_gradient_of_zero_is_not_inaccurate():
    def loss(bias):
        x = jnp.linspace(-1, 1, 7) + bias
        x = (x - jnp.mean(x)) / jnp.sqrt(jnp.var(x) + 1e-5)
        return jnp.sum(x**3 + x)

    assert find_inaccurate(loss, 0.3) == ()


def test_diagnose_reports_it_after_the_others():
    diagnosis = jaxgrad.diagnose(HAMMING["3.7"].f)(1e-5)
    assert [f.kind for f in diagnosis.findings] == ["inaccurate"]
    assert "digits lost to rounding" in str(diagnosis)


def test_nothing_is_replayed_if_all_digits_are_right(monkeypatch):
    def replayed(*_):
        raise AssertionError

    monkeypatch.setattr("jaxgrad.inspection.faults.inaccurate.find.replay", replayed)
    assert find_inaccurate(jnp.tanh, 0.5) == ()


def test_argnums_and_aux_choose_as_in_value_and_grad():
    def loss(x, y):
        return (jnp.exp(x) - 1) * y, {"n": 3}

    value, gradient = jaxgrad.find_inaccurate(loss, argnums=1, has_aux=True)(1e-5, 2.0)
    assert (value.argument, gradient.argument) == (None, "y")


@pytest.mark.message
def test_wrong_calls_name_the_function():
    find = jaxgrad.find_inaccurate
    with pytest.raises(TypeError, match="find_inaccurate: expected f to return one"):
        find(lambda x: x)(jnp.ones(2))
    with pytest.raises(TypeError, match="find_inaccurate: expected f to be a function"):
        find(jnp.ones(2))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.by_hand  # in CI, test_zero.py diagnoses the same networks
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_found_while_a_healthy_network_trains(name):
    params, loss = MODELS[name](jax.random.key(0))
    gradient = jax.jit(jax.value_and_grad(loss))
    for step in range(101):
        key = jax.random.key(step)
        if step % 50 == 0:
            assert jaxgrad.find_inaccurate(loss)(params, key) == ()
        _, grads = gradient(params, key)
        update = lambda p, g: p - 0.05 * g / (1e-8 + jnp.linalg.norm(g))  # noqa: E731
        params = jax.tree.map(update, params, grads)


@pytest.mark.parametrize("f", [jnp.log, jnp.sqrt, lambda x: 1 / x])
def test_an_infinite_gradient_is_no_failure_of_the_search(f):
    assert not find_inaccurate(lambda x: jnp.sum(f(x)), jnp.array([1.0, 0.0]))
