"""What is blamed beyond the line: phase, iteration, elements, operands, hint."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgrad
from jaxgrad import NonFiniteError, checked_value_and_grad, explain
from jaxgrad.inspection import InspectionWarning

inf, nan = jnp.inf, jnp.nan


def find_nonfinite(f, has_aux=False, argnums=None) -> Any:
    """jaxgrad's; the tests that read a blame fail at None by themselves."""
    return jaxgrad.find_nonfinite(f, has_aux, argnums)


def test_the_double_where_is_advised():
    def loss(x):
        root = jnp.sqrt(x)
        return jnp.where(x > 0, root, 0.0).sum()

    blame = find_nonfinite(loss)(jnp.array([1.0, 0.0, 4.0, 0.0]))
    assert (blame.phase, blame.primitive, blame.count) == ("backward", "sqrt", 2)
    assert blame.step.name == "root" and blame.argument is None
    np.testing.assert_array_equal(blame.operands["x"], [0.0, 0.0])
    np.testing.assert_array_equal(blame.operands["cotangent"], [0.0, 0.0])
    assert "where(ok, f(where(ok, x, 1)), 0)" in blame.hint
    fixed = lambda x: loss(jnp.where(x > 0, x, 1.0))  # noqa: E731
    assert find_nonfinite(fixed)(jnp.array([1.0, 0.0])) is None


HINTS = {
    "log domain": (lambda x: jnp.exp(x).sum(), [200.0]),
    "norm at 0": (lambda x: jnp.linalg.norm(x), [0.0, 0.0]),
    "std at 0": (lambda x: jnp.std(x), [1.0, 1.0]),
    "zero denominator": (lambda x: (1 / x).sum(), [0.0]),
    "0 / 0": (lambda x: (x / x).sum(), [0.0]),
    "clip its argument": (lambda x: jnp.arccos(x).sum(), [2.0]),
    "This argument was already non-finite": (lambda x: x.sum(), [nan]),
    "leaves the range of float32": (lambda x: (x * x).sum(), [1e30]),
    "fully masked": (
        lambda x: jax.nn.logsumexp(jnp.where(x > 0, x, -jnp.inf)),
        [0.0, 0.0],
    ),
    "use a large finite number instead": (lambda x: (x * -jnp.inf).sum(), [1.0]),
    "The function contains a NaN constant": (lambda x: (x * jnp.nan).sum(), [1.0]),
    "infinite derivative": (lambda x: jnp.sqrt(x).sum(), [0.0]),
    # A pole is only spoken of where the operand is there.
    "on its way back through sqrt": (
        lambda x: (jnp.sqrt(x) * 1e30).sum(),
        [1e-30],
    ),
    "on its way back through multiply": (
        lambda x: jnp.tanh(x * 1e30).sum() * 1e38,
        [1e-30],
    ),
    "a division by 0: replace a zero": (lambda x: (1 / x).sum(), [0.0]),
    "the result leaves the range": (lambda x: (x / 1e-20).sum(), [1e30]),
    "xlogy": (lambda x: (x * jnp.log(x)).sum(), [0.0]),
    "A factor of 0 makes the cotangent 0": (
        lambda x: (0 * jnp.sqrt(x)).sum(),
        [0.0],
    ),
    "not positive definite": (lambda x: jnp.linalg.cholesky(-jnp.diag(x)).sum(), [1.0]),
    "the matrix is singular": (
        lambda x: jnp.linalg.inv(jnp.outer(x, x)).sum(),
        [1.0, 1.0],
    ),
    "eigenvalues that coincide": (
        lambda x: jnp.linalg.eigh(jnp.diag(x))[1][0, 1],
        [1.0, 1.0],
    ),
    "an index is out of bounds": (lambda x: jnp.take(x, jnp.array([3])).sum(), [1.0]),
    "the mean of an empty array is NaN": (lambda x: x[:0].mean() + x[0], [1.0]),
    "A segment is empty": (
        lambda x: jax.ops.segment_max(x, jnp.array([0]), 2).sum(),
        [1.0],
    ),
    "gammaln is infinite at 0": (
        lambda x: jax.scipy.special.gammaln(x).sum(),
        [0.0],
    ),
}


@pytest.mark.parametrize("hint", HINTS)
def test_the_hint_fits_the_cause(hint):
    f, x = HINTS[hint]
    blame = find_nonfinite(f)(jnp.array(x))
    assert hint in blame.hint, str(blame)


def test_float16_is_named():
    blame = find_nonfinite(lambda x: (x * x).sum())(jnp.float16(300))
    assert "float16 ends at 65504" in blame.hint
    narrow = find_nonfinite(lambda x: jnp.sqrt(x).sum() * 6e4)(jnp.float16(1e-6))
    assert narrow is None or "float16" in narrow.hint


def test_float16_on_the_way_back_is_named():
    def loss(x):
        return (x.astype(jnp.float16).astype(jnp.float32) * 1e8).sum()

    blame = find_nonfinite(loss)(jnp.ones(2))
    assert (blame.phase, blame.step.operation) == ("backward", "astype")
    assert "through astype (float16 ends at 65504)" in blame.hint


def test_complex_numbers_are_shown_whole():
    def loss(x):
        z = jax.lax.complex(x, x - 1)
        grown = jnp.exp(z)
        return jnp.abs(grown).sum()

    blame = find_nonfinite(loss)(jnp.full(1, 300.0))
    assert "z = 300+299j" in str(blame) and "exp leaves" in blame.hint
    root = find_nonfinite(lambda x: jnp.abs(jnp.sqrt(jax.lax.complex(x, x))).sum())
    assert "complex = 0+0j" in str(root(jnp.zeros(1)))


def test_random_keys_do_not_stand_in_the_way():
    def loss(concentration, key):
        draws = jax.random.gamma(key, concentration)
        return draws.sum()

    blame = find_nonfinite(loss)(jnp.array([-1.0, 2.0]), jax.random.key(0))
    assert (blame.step.name, list(blame.operands)) == ("draws", ["concentration"])


def test_a_blame_without_a_source_has_no_empty_line():
    scope: dict[str, Any] = {"jnp": jnp}
    exec("def loss(x):\n  return jnp.log(x).sum()", scope)
    lines = str(find_nonfinite(scope["loss"])(jnp.zeros(1))).splitlines()
    assert lines[1] == "  <string>:2 in loss" and all(map(str.strip, lines))


def test_a_bad_argument_is_named_by_its_path():
    def loss(params, x):
        return (params["w"] * x).sum()

    blame = find_nonfinite(loss)({"w": jnp.array([1.0, nan, inf])}, jnp.ones(3))
    assert (blame.phase, blame.argument) == ("input", "params['w']")
    assert (blame.step, blame.count, blame.iteration) == (None, 2, None)


def test_an_infinite_constant_is_named_with_its_reader():
    table = jnp.array([0.0, inf, 0.0])

    def loss(x):
        shifted = x + table
        return shifted.sum()

    blame = find_nonfinite(loss)(jnp.ones(3))
    assert (blame.phase, blame.step.name, blame.count) == ("constant", "shifted", 1)
    np.testing.assert_array_equal(blame.operands["table"], [inf])


def test_the_iteration_is_told_also_in_nested_loops_and_in_while():
    def scanned(xs):
        def outer(total, row):
            def inner(part, x):
                one = 1 / x
                return part + one, None

            part, _ = jax.lax.scan(inner, jnp.float32(0), row)
            return total + part, None

        return jax.lax.scan(outer, jnp.float32(0), xs)[0]

    xs = jnp.ones((3, 4)).at[2, 1].set(0.0)
    assert find_nonfinite(scanned)(xs).iteration == (2, 1)

    def looped(x):
        def body(state):
            i, v = state
            grown = v * v
            return i + 1, grown

        return jax.lax.while_loop(lambda s: s[0] < 6, body, (0, x))[1]

    blame = find_nonfinite(looped)(jnp.float32(1e10))
    assert blame.iteration == 1 and blame.source.text == "grown = v * v"

    def averaged(x):
        return jax.lax.fori_loop(0, 4, lambda i, total: (total + i) * x / 0.0, x)

    # Every pass divides by 0; the first one is to blame.
    assert find_nonfinite(averaged)(jnp.float32(0)).iteration == 0
    reverse = find_nonfinite(lambda x: jax.lax.cumsum(1 / x).sum())
    assert reverse(jnp.array([1.0, 0.0])).iteration is None


def test_a_long_loop_is_walked_in_reasonable_time():
    def loss(xs):
        def body(total, x):
            root = jnp.sqrt(x)
            return jnp.tanh(total + root), None

        return jax.lax.scan(body, jnp.float32(0), xs)[0]

    xs = jnp.ones(120).at[83].set(-1.0)
    blame = find_nonfinite(loss)(xs)
    assert (blame.iteration, blame.step.name) == (83, "root")
    assert find_nonfinite(loss)(jnp.ones(120)) is None


NOT_TO_BLAME = {
    "log where": (lambda x: jnp.where(x > 0, jnp.log(x), 0.0).sum(), [-1.0, 1.0]),
    "softmax mask": (
        lambda x: jax.nn.softmax(jnp.where(x > 0, x, -jnp.inf))[0],
        [1.0, -1.0, 2.0],
    ),
    "dropped result": (lambda x: (jnp.log(x - 9), x.sum())[1], [1.0]),
    "stopped": (lambda x: x.sum() + jnp.sqrt(jax.lax.stop_gradient(x)).sum(), [0.0]),
    "max of -inf": (lambda x: jnp.max(x, initial=-jnp.inf) + x.sum(), [1.0]),
    "sign of inf": (
        lambda x: (jnp.sign(1 / jax.lax.stop_gradient(x)) * x).sum(),
        [0.0],
    ),
    "slice": (lambda x: jnp.concatenate([x, jnp.log(x - 5)])[:1].sum(), [1.0]),
}


@pytest.mark.parametrize("name", NOT_TO_BLAME)
def test_what_reaches_no_result_is_no_fault(name):
    f, x = NOT_TO_BLAME[name]
    assert find_nonfinite(f)(jnp.array(x)) is None


def test_the_blamed_elements_are_those_that_reach_the_result():
    def loss(x):
        logs = jnp.log(x)
        roots = jnp.sqrt(x - 1)
        both = jnp.concatenate([logs, roots])
        return both[3:].sum()

    blame = find_nonfinite(loss)(jnp.array([0.0, 0.5, 2.0]))
    assert (blame.step.name, blame.count) == ("roots", 2)


def test_an_overflow_in_adding_cotangents_blames_the_accumulation():
    def loss(x):
        h = x * 1.0
        return (h * 3e38).sum() + (h * 3e38).sum()

    blame = find_nonfinite(loss)(jnp.array([1e-9]))
    assert (blame.phase, blame.step.name) == ("backward", "h")
    assert "their sum is not" in blame.hint
    assert set(blame.operands) == {"cotangent 0", "cotangent 1"}


def test_a_gradient_taken_inside_counts_as_forward():
    def loss(x):
        slope = jax.grad(lambda v: jnp.sqrt(v).sum())(x)
        return slope.sum()

    blame = find_nonfinite(loss)(jnp.zeros(1))
    assert blame.phase == "forward"
    assert blame.source.text.startswith("slope = jax.grad")
    assert "infinite derivative" in blame.hint


def test_an_infinity_that_becomes_nan_later_says_where():
    def loss(x):
        logs = jnp.log(x)
        product = x * logs
        return product.sum()

    blame = find_nonfinite(loss)(jnp.array([0.0, 1.0]))
    assert blame.step.name == "logs" and blame.became.name == "product"
    assert "became NaN in product" in str(blame)


def test_stacking_the_rows_of_a_loop_makes_no_nan():
    def loss(xs):
        def body(c, x):
            c = c * x
            return c, c

        _, cs = jax.lax.scan(body, jnp.float32(1), xs)
        return cs.sum()

    blame = find_nonfinite(loss)(jnp.array([1e30, 1e30, 0.0]))
    assert (blame.step.name, blame.iteration, blame.became) == ("c", 1, None)


def test_functions_of_any_result_run_forward_only():
    blame = find_nonfinite(lambda x: {"a": jnp.sqrt(x), "n": 3})(jnp.array([-1.0, 0.0]))
    assert (blame.phase, blame.count) == ("forward", 1)
    # The derivative at 0 is infinite, but a vector has no gradient.
    assert find_nonfinite(jnp.sqrt)(jnp.zeros(2)) is None
    aux = find_nonfinite(lambda x: (x.sum(), jnp.log(x)), has_aux=True)
    assert aux(jnp.zeros(1)).phase == "forward"
    assert (
        find_nonfinite(lambda x: (jnp.sqrt(x).sum(), x), has_aux=True)(
            jnp.zeros(1)
        ).phase
        == "backward"
    )


def test_every_floating_argument_is_differentiated():
    def loss(w, x):
        return (w * jnp.sqrt(x)).sum()

    assert find_nonfinite(loss)(jnp.ones(2), jnp.zeros(2)).phase == "backward"
    report: Any = explain(loss, argnums=1)(jnp.ones(2), jnp.zeros(2))
    assert report.nonfinite.step.operation == "sqrt"
    assert report.nonfinite is report.nonfinite


def test_a_derivative_that_nobody_asks_for_is_no_fault():
    def loss(x, w, target):
        roots = jnp.sqrt(x)
        likely = w * roots
        return (jax.scipy.special.xlogy(target, target) - likely / w).sum()

    x, w, target = jnp.zeros(2), jnp.ones(2), jnp.array([0.0, 1.0])
    assert explain(loss, argnums=1)(x, w, target).nonfinite is None
    assert find_nonfinite(loss, argnums=[1])(x, w, target) is None
    assert find_nonfinite(loss, argnums=-3)(x, w, target).step.name == "roots"
    # Of the two that fail, the one that is asked for is blamed.
    with pytest.raises(NonFiniteError) as caught:
        checked_value_and_grad(loss, argnums=1)(x, jnp.zeros(2), target)
    blame: Any = caught.value.blame
    assert "likely / w" in blame.source.text


@pytest.mark.message
def test_bad_calls_are_refused():
    total = lambda x: x.sum()  # noqa: E731
    for check in (jaxgrad.find_nonfinite, explain, checked_value_and_grad):
        with pytest.raises(TypeError, match="expected f to be a function, got int"):
            check(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="find_nonfinite: expected argnums within"):
        find_nonfinite(total, argnums=1)(jnp.ones(2))
    for argnums in ("x", 0.0, True, [None]):
        with pytest.raises(TypeError, match="expected argnums to be an int or a seq"):
            explain(total, argnums=argnums)(jnp.ones(2))  # pyright: ignore[reportArgumentType]
    for transform in (jax.jit, jax.vmap, jax.grad):
        for check in (jaxgrad.find_nonfinite, explain):
            with pytest.raises(TypeError, match="expected to be called from Python"):
                transform(check(total))(jnp.ones(2))


def test_python_that_reads_values_gets_a_blame_of_the_whole():
    def loss(x):
        return jnp.sqrt(x) if x < 1 else x

    blame = find_nonfinite(loss)(0.0)
    assert blame.phase == "backward" and "needs a concrete value" in blame.hint
    assert find_nonfinite(loss)(2.0) is None
    assert (
        find_nonfinite(lambda x, lr: x.sum() * (1 if lr > 0 else 2))(
            jnp.array([nan]), 0.1
        ).argument
        == "x"
    )


def test_a_custom_rule_is_blamed_by_its_own_line_where_jax_keeps_it():
    @jax.custom_jvp
    def op(x):
        return x * 2

    @op.defjvp
    def rule(primals, tangents):
        slope = 2 * primals[0] / primals[0]
        return op(primals[0]), slope * tangents[0]

    def loss(x):
        y = op(x)
        return y.sum()

    for f in (loss, jax.jit(jax.grad(loss))):
        blame = find_nonfinite(f)(jnp.zeros(1))
        assert blame.source.text.startswith("slope = 2"), str(blame)


def test_donated_arguments_are_refused():
    step = jax.jit(lambda x: x + 1, donate_argnums=0)
    x = jnp.ones(3)
    assert find_nonfinite(step)(x) is None  # it runs what is given, without donating
    assert not x.is_deleted()
    x.delete()
    with pytest.raises(RuntimeError, match="buffer of x was donated or deleted"):
        find_nonfinite(step)(x)


def test_a_compiled_check_gives_what_value_and_grad_gives():
    def loss(w, x):
        return jnp.sum(jnp.sin(w["a"] * x)), {"x": x}

    w, x = {"a": jnp.ones(3)}, jnp.arange(3.0)
    expected = jax.jit(jax.value_and_grad(loss, has_aux=True))(w, x)
    checked = checked_value_and_grad(loss, has_aux=True)
    jax.tree.map(np.testing.assert_array_equal, checked(w, x), expected)
    with jax.debug_nans(True), pytest.raises(NonFiniteError) as caught:
        checked(w, jnp.array([0.0, inf, 1.0]))
    assert caught.value.blame and caught.value.blame.argument == "x"
    assert isinstance(caught.value, FloatingPointError)


def test_flags_and_counts_can_be_told_from_arrays():
    def loss(w, x, train=False, layers=1):
        for _ in range(layers):
            w = jnp.log(w * x) if train else w
        return w.sum()

    checked = checked_value_and_grad(loss, static_argnames=("train", "layers"))
    w, x = jnp.full(2, 20.0), jnp.ones(2)
    for call in (((w, x, True), {"layers": 2}), ((w, x), {"train": True})):
        expected = jax.value_and_grad(loss)(*call[0], **call[1])
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-6),
            checked(*call[0], **call[1]),
            expected,
        )
    with pytest.raises(NonFiniteError, match="w made 2 non-finite"):
        checked(jnp.zeros(2), x, True)


@pytest.mark.message
def test_the_error_says_all_or_why_it_cannot():
    loss = lambda w: jnp.log(w).sum()  # noqa: E731
    with pytest.raises(NonFiniteError, match=r"(?s)log made 1 .*test_nonfinite.py:"):
        checked_value_and_grad(loss)(jnp.array([0.0, 1.0]))
    with pytest.raises(NonFiniteError, match="arguments were donated") as caught:
        checked_value_and_grad(loss, donate_argnums=0)(jnp.array([0.0, 1.0]))
    assert caught.value.blame is None
    with pytest.raises(TypeError, match="expected to be called from Python"):
        jax.jit(checked_value_and_grad(loss))(jnp.ones(2))


def test_the_gradient_alone_can_fail():
    with pytest.raises(NonFiniteError) as caught:
        checked_value_and_grad(lambda w: jnp.sqrt(w).sum())(jnp.zeros(2))
    assert caught.value.blame and caught.value.blame.phase == "backward"


def test_the_blame_s_step_is_the_report_s():
    def loss(x):
        a = x * 2
        b = jax.lax.cond(a.sum() > 0, jnp.sin, lambda v: jnp.cos(v) * 2, a)
        c = jnp.log(b - b)
        return c.sum()

    report = explain(loss)(jnp.ones(3))
    blame: Any = report.nonfinite
    assert blame.step.name == "c" and blame.step.index == report["c"].index
    np.testing.assert_array_equal(blame.step.value, report["c"].value)


def test_public_names():
    assert jaxgrad.find_nonfinite is jaxgrad.inspection.find_nonfinite
    assert jaxgrad.checked_value_and_grad is checked_value_and_grad


def library_function(text):
    """A function of a library, defined by its source."""
    scope: dict[str, Any] = {"jax": jax, "jnp": jnp}
    exec(compile(text, f"{Path(optax.__file__).parent}/numerics.py", "exec"), scope)
    return scope["f"]


def test_an_operand_that_a_library_broadcasts_from_a_number_is_shown():
    library = library_function(
        "def f(x):\n  return jax.lax.div(x, jax.lax.broadcast(0.0, x.shape))"
    )

    def loss(x):
        quotient = library(x)
        return quotient.sum()

    blame = find_nonfinite(loss)(jnp.ones(2))
    assert (blame.step.name, blame.phase) == ("quotient", "forward")
    assert {k: v.tolist() for k, v in blame.operands.items()} == {
        "x": [1, 1],
        "0.0": [0, 0],
    }


def test_values_inside_a_library_are_operands_by_number():
    library = library_function("def f(x):\n  return (x - 1) / (x + x - 2)")

    def loss(x):
        quotient = library(x)
        return quotient.sum()

    blame = find_nonfinite(loss)(jnp.ones(2))
    assert list(blame.operands) == ["operand 0 of div", "operand 1 of div"]


def test_an_operand_read_twice_is_shown_once():
    blame = find_nonfinite(lambda x: (x / x).sum())(jnp.zeros(1))
    assert list(blame.operands) == ["x"]


def test_a_rule_that_raises_does_not_lose_the_line():
    @jax.custom_jvp
    def solve(a, b):
        return jnp.linalg.solve(a, b)

    @solve.defjvp
    def _(primals, tangents):
        raise RuntimeError("the linear solver returned non-finite values")

    def ridge(a, b):
        w = solve(a.T @ a, b)
        return jnp.mean(w**2)

    blame = find_nonfinite(ridge)(jnp.ones((2, 2)), jnp.ones(2))
    assert blame.source.text == "return jnp.linalg.solve(a, b)"
    assert (blame.step.name, blame.phase) == ("w", "forward")
    values = blame.operands["singular values of matmul"]
    np.testing.assert_allclose(values, [4, 0], atol=1e-6)


def test_a_part_of_the_description_that_fails_is_left_out_with_a_warning(monkeypatch):
    def fail(*_):
        raise AssertionError("no hint")

    monkeypatch.setattr("jaxgrad.inspection.faults.nonfinite.blame.advise", fail)
    with pytest.warns(InspectionWarning, match="no hint.*is left out"):
        blame = find_nonfinite(lambda x: jnp.log(x).sum())(jnp.zeros(1))
    assert (blame.phase, blame.step.operation, blame.hint) == ("forward", "log", "")


def test_values_that_are_cut_end_with_an_ellipsis():
    find = find_nonfinite(lambda x: jnp.sum(jnp.sqrt(x)))
    assert "x = 0, 0, 0, 0, 0, 0, 0, 0, ...\n" in str(find(jnp.zeros(100)))
    assert "x = 0, 0, 0, 0, 0, 0, 0, 0\n" in str(find(jnp.zeros(8)))


def test_only_the_cotangents_that_matter_are_shown():
    def split(m):
        u, s, vh = jnp.linalg.svd(m, full_matrices=False)
        return jnp.sum((u[:, :2] * s[:2]) @ vh[:2] * jnp.arange(4.0))

    blame = find_nonfinite(split)(jnp.kron(jnp.eye(2), jnp.ones((2, 2))))
    cotangents = [name for name in blame.operands if name.startswith("cotangent")]
    # The singular values have a derivative, so their cotangent does not matter.
    assert cotangents == ["cotangent of u", "cotangent of vh"]
    assert blame.operands["singular values of m"][:2].tolist() == [2, 2]


def test_a_function_that_changes_arrays_in_place_is_blamed_by_its_numbers():
    def f(x):
        reference = jax.new_ref(x)
        reference[...] = jnp.log(reference[...])
        return reference[...].sum()

    x = jnp.zeros(2)
    blame = find_nonfinite(f)(x)
    assert blame.phase == "forward" and "changes arrays in place" in blame.hint
    blame = explain(f)(x).nonfinite
    assert blame is not None and blame.step is not None
    assert (blame.phase, blame.step.operation) == ("forward", "log")
    assert find_nonfinite(f)(x + 1) is None
