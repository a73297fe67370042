"""Correct derivatives pass, wrong ones fail, kinks are reported."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad
from jaxgrad import assert_gradients, check_gradients


def worst_of(report) -> Any:
    """The entry that disagrees most."""
    assert report.worst is not None
    return report.worst


def scaled_rule(f, factor):
    """`f` with a derivative that is wrong by `factor` (an array or a number)."""

    @jax.custom_jvp
    def wrong(x):
        return f(x)

    @wrong.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), jax.jvp(f, (x,), (t * jnp.asarray(factor, x.dtype),))[1]

    return wrong


def sines(x):
    return jnp.sum(jnp.sin(x))


def test_a_correct_gradient_passes_in_float64():
    report = check_gradients(sines)(jnp.arange(5.0))
    assert report and report.ok and report.failures == 0
    assert (report.dtype, report.checked, report.kinks) == ("float64", 5, ())
    assert report.modes == ("reverse", "forward") and report.notes == ()
    assert abs(worst_of(report).analytic - worst_of(report).numeric) < 1e-9
    assert jnp.arange(1.0).dtype == np.float32  # the configuration has not changed


def test_twenty_thousand_numbers_pass_in_bounded_memory(monkeypatch):
    monkeypatch.setattr("jaxgrad.gradcheck._evaluate.BATCH_BYTES", 2**24)
    assert check_gradients(sines)(jnp.linspace(-3, 3, 20_000)).checked == 20_000


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_percent_wrong_fails_and_the_entry_is_named(dtype):
    factor = np.ones(6)
    factor[4] = 1.01

    def narrow(x):
        return sines(x).astype(dtype) if dtype == "float32" else sines(x)

    f = scaled_rule(narrow, factor)
    report = check_gradients(f)(jnp.arange(6.0) * 0.3)
    assert not report and report.failures == 1 and report.dtype == dtype
    worst = worst_of(report)
    assert (worst.path, worst.index, worst.order) == ("x", (4,), 1)
    np.testing.assert_allclose(worst.analytic, 1.01 * np.cos(1.2), rtol=1e-5)
    np.testing.assert_allclose(worst.numeric, np.cos(1.2), rtol=2e-3)
    assert "1 of 6 derivatives disagree (" in str(report) and "x[4]" in str(report)


def test_pytrees_and_arrays_are_compared_entry_by_entry():
    def f(params, x, mask):
        h = jnp.tanh(x @ params["w"] + params["b"][0])
        return {"h": jnp.where(mask, h, 0), "count": 3, "sum": h.sum()}

    params = {"w": jnp.ones((3, 2)) * 0.3, "b": [jnp.ones(2)]}
    report = check_gradients(f)(params, jnp.arange(6.0).reshape(2, 3) * 0.1, True)
    assert report.ok and report.checked == (6 + 2 + 6) * (4 + 1)

    factor = jnp.ones((2, 2)).at[1, 0].set(1.1)
    g = scaled_rule(lambda a: a * 2, factor)
    report = check_gradients(lambda p: {"out": [g(p["a"])]})({"a": jnp.ones((2, 2))})
    assert (worst_of(report).path, worst_of(report).index) == ("p['a']", (1, 0))
    assert worst_of(report).output == "['out'][0][1, 0]"


KINKS = {
    "relu at 0": (jax.nn.relu, [-1.0, 0.0, 2.0], [(1,)]),
    "abs at 0": (jnp.abs, [0.0, 3.0], [(0,)]),
    "max of equals": (jnp.max, [1.0, 1.0, 0.0], [(0,), (1,)]),
    "clip at its bound": (lambda x: jnp.clip(x, -1, 1), [1.0, 0.5], [(0,)]),
    "near the kink": (jax.nn.relu, [1e-7], []),
    "a jump": (jnp.floor, [1.0, 1.5], [(0,)]),
    "hinge in a sum": (lambda x: jnp.sum(jnp.maximum(0, 1 - x)), [1.0, 2.0], [(0,)]),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_reported_but_do_not_fail(name):
    f, x, expected = KINKS[name]
    report = check_gradients(f)(jnp.array(x))
    assert report.ok, str(report)
    assert [kink.index for kink in report.kinks] == expected
    for kink in report.kinks:
        low, high = sorted((kink.left, kink.right))
        assert low <= kink.analytic <= high
        assert "kink" in str(report)


def test_a_wrong_derivative_at_a_kink_is_still_wrong():
    @jax.custom_jvp
    def relu(x):
        return jnp.maximum(x, 0)

    relu.defjvp(lambda p, t: (relu(*p), jnp.where(p[0] < 0, 0.0, 1.5) * t[0]))
    report = check_gradients(relu)(jnp.array([0.0]))
    assert not report.ok and report.kinks == ()


def test_small_arguments_and_flat_points_pass_by_default():
    assert_gradients(lambda x: jnp.log(x).sum())(jnp.array([1e-5, 1e-2, 1.0, 1e3]))
    assert_gradients(lambda x: (x**3).sum())(jnp.array([0.0, 1e-6, 2.0]))
    assert_gradients(lambda x: 1e-8 * sines(x))(jnp.arange(3.0))
    assert_gradients(lambda x: 1e8 * sines(x))(jnp.arange(3.0))


@pytest.mark.slow
def test_a_wrong_factor_is_found_at_any_size():
    wrong = scaled_rule(lambda x: jnp.log(x).sum(), 1.01)
    for x in (1e-5, 1e-2, 1.0):
        assert not check_gradients(wrong)(jnp.array([x])).ok
    assert not check_gradients(scaled_rule(lambda x: 1e-8 * sines(x), 1.01))(
        jnp.arange(3.0)
    ).ok


def test_a_function_that_casts_down_is_checked_in_its_own_dtype():
    cast = check_gradients(lambda x: sines(x.astype(jnp.float16)))(
        jnp.ones(3, jnp.float16)
    )
    assert cast.ok and cast.dtype == "float16"
    assert "f returns float16" in cast.notes[0]
    inside = check_gradients(
        lambda x: sines(x.astype(jnp.float32).astype(x.dtype)) + x.sum()
    )(jnp.ones(3))
    assert inside.ok and "f computes in float32" in inside.notes[0]

    def carried(x):
        start = jnp.float32(0.0)
        return jax.lax.scan(lambda c, u: (c + jnp.sin(u), None), start, x)[0]

    report = check_gradients(carried)(jnp.ones(3, jnp.float32))
    assert report.ok and report.dtype == "float32" and report.notes
    half = check_gradients(scaled_rule(lambda x: x * x, 1.5))(jnp.ones(2, jnp.bfloat16))
    assert not half.ok


def test_the_mode_that_a_function_refuses_is_named():
    @jax.custom_vjp
    def op(x):
        return 2 * x

    op.defvjp(lambda x: (2 * x, None), lambda _, g: (2 * g,))
    report = check_gradients(op)(jnp.ones(2))
    assert report.ok and report.modes == ("reverse",)
    assert "no forward mode" in report.notes[0]

    def grown(x):
        return jax.lax.while_loop(lambda v: v.sum() < 9, lambda v: 2 * v, x)

    report = check_gradients(grown)(jnp.ones(2))
    assert report.ok and report.modes == ("forward",)


def test_modes_that_differ_are_found():
    # A rule with a non-linear tangent map, whose transpose belongs to another map.
    @jax.custom_jvp
    def op(x):
        return jnp.sin(x)

    @op.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return op(x), jax.custom_derivatives.linear_call(
            lambda r, t: t * r, lambda r, g: g * r * 1.1, jnp.cos(x), t
        )

    report = check_gradients(op)(jnp.array([0.3, 0.4]))
    assert not report.ok and worst_of(report).mode == "reverse"


def test_second_order_is_checked_on_request():
    @jax.custom_jvp
    def op(x):
        return jnp.sin(x)

    # Correct to first order; its second derivative is wrong.
    op.defjvp(
        lambda p, t: (
            op(*p),
            (jnp.cos(jax.lax.stop_gradient(p[0])) + 0 * p[0]) * t[0],
        )
    )
    f = lambda x: jnp.sum(op(x) * x[0])  # noqa: E731
    x = jnp.array([0.3, 0.8])
    assert check_gradients(f)(x).ok
    report = check_gradients(f, order=2)(x)
    assert not report.ok and worst_of(report).order == 2
    assert_gradients(lambda x: jnp.sum(jnp.sin(x) * x[0]), order=2)(x)


@pytest.mark.slow
def test_correct_second_derivatives_pass():
    assert_gradients(jnp.tanh, order=2)(jnp.array([0.3, 0.8]))
    assert_gradients(lambda a, b: (a @ b).sum() ** 2, order=2)(
        jnp.ones((2, 2)), jnp.arange(4.0).reshape(2, 2)
    )


def test_non_finite_derivatives_fail():
    report = check_gradients(lambda x: jnp.sqrt(x).sum())(jnp.array([0.0, 1.0]))
    assert not report.ok and report.failures == 1
    assert np.isinf(worst_of(report).analytic)
    # If f itself is not finite, the report says so, without a warning.
    for x in (0.0, -1.0):
        assert "f is not finite here" in str(check_gradients(jnp.log)(x))


def test_big_jacobians_go_through_forward_mode():
    n = 120
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(n, n)))
    report = check_gradients(lambda x: jnp.tanh(matrix.astype(x.dtype) @ x))(
        jnp.linspace(-1, 1, n)
    )
    assert report.ok and report.checked == n * n


def test_big_jacobians_by_forward_mode(monkeypatch):
    monkeypatch.setattr("jaxgrad.gradcheck._evaluate.BATCH_BYTES", 400)
    report = check_gradients(lambda x: jnp.sin(x) * x[0])(jnp.linspace(0, 1, 12))
    assert report.ok and report.modes == ("forward", "reverse")
    assert not check_gradients(scaled_rule(lambda x: jnp.sin(x) * x[0], 1.02))(
        jnp.linspace(0, 1, 12)
    ).ok


def test_functions_that_cannot_be_batched_are_called_one_by_one():
    def f(x):
        y = jax.pure_callback(
            lambda v: np.float64(2) * v, jax.ShapeDtypeStruct(x.shape, x.dtype), x
        )
        return jax.lax.stop_gradient(y).sum() * 0 + sines(x)

    assert check_gradients(sines)(jnp.ones(2)).ok
    with pytest.raises(Exception, match=r"pure_callback|Pure callbacks"):
        check_gradients(f)(jnp.ones(2))


def test_aux_is_ignored_and_tolerances_can_be_given():
    assert (
        check_gradients(lambda x: (x.sum(), x), has_aux=True)(jnp.ones(2)).checked == 2
    )
    wrong = scaled_rule(sines, 1.01)
    assert check_gradients(wrong, rtol=0.05)(jnp.ones(2)).ok
    assert check_gradients(wrong, atol=1.0)(jnp.ones(2)).ok
    assert not check_gradients(wrong, rtol=1e-3, atol=1e-6)(jnp.ones(2)).ok
    assert check_gradients(lambda x, y: x * y)(3.0, 4.0).checked == 2


CTC = jnp.asarray(np.random.default_rng(0).normal(size=(4, 1, 3)), jnp.float32)


def ctc(log_probs):
    return jaxgrad.losses.ctc_loss(
        log_probs, jnp.array([[1]]), jnp.array([4]), jnp.array([1]), reduction="sum"
    )


def test_ctc_loss_whose_gradient_is_torch_s_fails():
    # torch's rule assumes a log_softmax before it; alone it is not the derivative.
    assert not check_gradients(ctc)(jax.nn.log_softmax(CTC, axis=-1)).ok


@pytest.mark.slow
def test_ctc_loss_after_a_log_softmax_passes():
    assert check_gradients(lambda x: ctc(jax.nn.log_softmax(x, axis=-1)))(CTC).ok


@pytest.mark.message
def test_bad_calls_are_refused():
    with pytest.raises(TypeError, match="expected f to be a function, got int"):
        check_gradients(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="expected rtol to be a number, got str"):
        check_gradients(sines, rtol="1e-3")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"expected atol >= 0, got -1.0"):
        check_gradients(sines, atol=-1.0)
    with pytest.raises(TypeError, match="expected to be called from Python"):
        jax.jit(check_gradients(sines))(jnp.ones(1))
    with pytest.raises(ValueError, match="check_gradients: expected order 1 or 2"):
        check_gradients(sines, order=3)
    with pytest.raises(TypeError, match="expected an argument with floating elements"):
        check_gradients(lambda x: x)(3)
    with pytest.raises(TypeError, match="expected f to return real arrays"):
        check_gradients(lambda x: jax.lax.complex(x, x))(1.0)
    with pytest.raises(TypeError, match="expected f to return a floating array"):
        check_gradients(lambda x: 3)(1.0)
    with pytest.raises(AssertionError, match="1 of 1 derivative disagrees"):
        assert_gradients(scaled_rule(sines, 1.01))(jnp.ones(1))
    assert assert_gradients(sines)(jnp.ones(1)) is None
    assert jaxgrad.check_gradients is check_gradients


def test_a_gradient_that_is_right_in_float64_only_fails():
    def f(params):
        return jnp.sum(jnp.sqrt(params["x"] + 1) - jnp.sqrt(params["x"])) + params["b"]

    args = {"x": jnp.array([1e8, 2e8]), "b": jnp.float32(1)}
    report = check_gradients(f)(args)
    assert not report and report.failures == 0
    (found,) = report.inaccurate
    assert (found.path, found.dtype, found.own) == ("params['x']", "float32", 0.0)
    np.testing.assert_allclose([found.wide, found.error], [-2.5e-13, 1], rtol=1e-6)
    text = str(report)
    assert "agree (float64" in text and "but not in float32" in text
    assert "the float32 gradient is wrong: d f / d params['x'][0] is 0 in" in text
    with pytest.raises(AssertionError, match="the float32 gradient is wrong"):
        assert_gradients(f)(args)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_healthy_functions_pass_in_their_own_precision(dtype):
    def f(w, x):
        h = jax.nn.gelu(x @ w)
        return jnp.mean(jax.nn.logsumexp(h - jnp.mean(h, 0), -1) + jnp.sum(h**2))

    x = jnp.linspace(-2, 2, 12, dtype=dtype).reshape(4, 3)
    w = jnp.linspace(-1, 1, 15, dtype=dtype).reshape(3, 5)
    assert check_gradients(f)(w, x).inaccurate == ()
    assert check_gradients(jnp.sin)(jnp.asarray(3e4, dtype)).inaccurate == ()


def test_random_numbers_are_not_compared_between_precisions():
    """Their number of bits is another in float64, so the function is another."""

    def dropped(x, key):
        kept = jax.jit(lambda: jax.random.bernoulli(key, 0.5, x.shape))()
        return jnp.sum(jnp.where(kept, x**2, 0.0))

    with jax.numpy_dtype_promotion("standard"):
        report = check_gradients(dropped)(jnp.arange(1.0, 9.0), jax.random.key(0))
    assert report.ok, report
    assert "not compared in float32: f draws random numbers" in str(report)


@pytest.mark.parametrize(
    "f", [jnp.sum, lambda x: jnp.max(x) * 0, lambda x: x[0] / x[0]]
)
def test_an_infinite_element_raises_no_warning_of_numpy(f):
    assert not check_gradients(f)(jnp.array([jnp.inf, 1.0])).ok
