"""Under JAX's contexts all four entry points work, or raise a clear error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad
from jaxgrad.inspection import NonFiniteError

CONTEXTS = {
    "transfer_guard": lambda: jax.transfer_guard("disallow"),
    "transfer_guard_explicit": lambda: jax.transfer_guard("disallow_explicit"),
    "debug_nans": lambda: jax.debug_nans(True),
    "debug_infs": lambda: jax.debug_infs(True),
    "disable_jit": lambda: jax.disable_jit(),
    "checking_leaks": lambda: jax.checking_leaks(),
    "enable_x64": lambda: jax.enable_x64(True),
    "default_device": lambda: jax.default_device(jax.devices()[-1]),
    "matmul_precision": lambda: jax.default_matmul_precision("float32"),
    "rank_promotion": lambda: jax.numpy_rank_promotion("raise"),
}
TABLE = np.array([1.0, 2.0], np.float32)


def logarithm(w):
    return jnp.sum(jnp.log(w) * TABLE)


def in_context(name, entry, f, values):
    """What an entry point returns in a context, for an array that was made in it."""
    array = values.astype(np.float64 if name == "enable_x64" else np.float32)
    if name == "enable_x64":
        with CONTEXTS[name]():
            array = jnp.asarray(array)
    array = jnp.asarray(array) if name != "enable_x64" else array
    with CONTEXTS[name]():
        result = entry(f)(array)
        text = str(result)
    return result, text


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_entry_point_works_inside_a_context(name):
    if name == "enable_x64":

        def f(w):
            return jnp.sum(jnp.log(w))
    else:
        f = logarithm
    bad, good = np.array([0.0, 1.0]), np.array([0.5, 1.5])
    report, text = in_context(name, jaxgrad.explain, f, bad)
    assert report.nonfinite is not None and report.nonfinite.step is not None
    assert report.nonfinite.step.operation == "log"
    assert "blamed" in text
    blame, _ = in_context(name, jaxgrad.find_nonfinite, f, bad)
    assert blame is not None and blame.step is not None
    assert blame.step.operation == "log"
    with pytest.raises(NonFiniteError, match="log made 1 non-finite element"):
        in_context(name, jaxgrad.checked_value_and_grad, f, bad)
    check, _ = in_context(name, jaxgrad.check_gradients, f, bad)
    assert not check.ok
    (value, gradient), _ = in_context(name, jaxgrad.checked_value_and_grad, f, good)
    report, _ = in_context(name, jaxgrad.explain, f, good)
    np.testing.assert_allclose(report.value, value, 1e-6)
    np.testing.assert_allclose(report.gradients, gradient, 1e-6)
    assert in_context(name, jaxgrad.check_gradients, f, good)[0].ok


@pytest.mark.parametrize(
    "entry",
    [
        jaxgrad.explain,
        jaxgrad.find_nonfinite,
        jaxgrad.checked_value_and_grad,
        jaxgrad.check_gradients,
    ],
)
def test_concrete_arguments_inside_a_trace_are_refused(entry):
    def outer(y):
        entry(lambda x: jnp.sum(jnp.sin(x)))(jnp.ones(2))
        return y

    with pytest.raises(TypeError, match="expected to be called from Python"):
        jax.jit(outer)(1.0)


def test_the_users_own_transfers_are_still_guarded():
    step = jaxgrad.checked_value_and_grad(lambda w, x: jnp.sum(w * x))
    w = jnp.ones(2)
    with jax.transfer_guard("disallow"), pytest.raises(Exception, match="transfer"):
        step(w, np.ones(2, np.float32))


def test_checked_value_and_grad_under_a_gradient_raises_without_a_blame():
    checked = jaxgrad.checked_value_and_grad(lambda w: jnp.sum(jnp.log(w)))
    assert jax.grad(lambda w: checked(w)[0])(jnp.ones(2)).tolist() == [1, 1]
    with pytest.raises(NonFiniteError, match=r"called under jax\.grad") as caught:
        jax.grad(lambda w: checked(w)[0])(jnp.zeros(2))
    assert caught.value.blame is None


def test_the_blame_of_a_report_is_that_of_its_own_call():
    x = np.array([0.0, 1.0], np.float32)
    report = jaxgrad.explain(lambda x: jnp.sum(jnp.log(x)))(x)
    x[:] = 1  # NumPy's arrays may change afterwards
    assert report.nonfinite is not None
    assert report.nonfinite.operands["x"].tolist() == [0.0]
