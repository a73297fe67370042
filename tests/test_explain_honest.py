"""explain never shows a number that `jax.value_and_grad` would not give."""

import functools
import gc
import itertools
import random
import sys
import types
import warnings
import weakref
from functools import partial

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import io_callback

from jaxgrad import explain, find_nonfinite
from jaxgrad.inspection import InspectionWarning

# --- What JAX refuses to differentiate, explain refuses with JAX's error. ---------


def doubled_until_past(x):
    return lax.while_loop(lambda y: y < 2.2, lambda y: y + x, x)


def while_with_a_traced_end(x):
    y = doubled_until_past(x)
    return y + x**2


@jax.jit
def fori_with_a_traced_end(x):
    end = jnp.int32(x * 3)
    return lax.fori_loop(0, end, lambda i, y: y * x, x)


def while_in_jit(x):
    return jax.jit(doubled_until_past)(x) * x


def while_in_scan(x):
    total, _ = lax.scan(lambda c, _: (doubled_until_past(c) * 0.1, None), x, None, 3)
    return total


def while_in_cond(x):
    return lax.cond(x > 0, doubled_until_past, jnp.sin, x)


def while_in_remat(x):
    return jax.checkpoint(lambda x: doubled_until_past(x) * 2)(x)


def while_in_vmap(x):
    return jax.vmap(doubled_until_past)(jnp.stack([x, 2 * x])).sum()


def callback_without_a_rule(x):
    shape = jax.ShapeDtypeStruct((), x.dtype)
    return jax.pure_callback(np.sin, shape, x) * x


def callback_whose_result_is_cut_off(x):
    shape = jax.ShapeDtypeStruct((), x.dtype)
    return lax.stop_gradient(jax.pure_callback(np.sin, shape, x)) * x


def io_callback_without_a_rule(x):
    shape = jax.ShapeDtypeStruct((), x.dtype)
    return io_callback(np.sin, shape, x) * x


@jax.custom_vjp
def squared(x):
    return x**2


squared.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))


def forward_mode_of_a_custom_vjp(x):
    return jax.jvp(squared, (x,), (jnp.ones_like(x),))[1]


def integer_result(x):
    return jnp.int32(x)


REFUSED = [
    while_with_a_traced_end,
    fori_with_a_traced_end,
    while_in_jit,
    while_in_scan,
    while_in_cond,
    while_in_remat,
    while_in_vmap,
    callback_without_a_rule,
    callback_whose_result_is_cut_off,
    io_callback_without_a_rule,
    forward_mode_of_a_custom_vjp,
    integer_result,
]


@pytest.mark.parametrize("f", REFUSED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("keep", ["arrays", "summary"])
def test_what_jax_refuses_explain_refuses(f, keep):
    x = jnp.float32(0.9)
    with pytest.raises(Exception) as theirs:
        jax.value_and_grad(f)(x)
    with pytest.raises(type(theirs.value)) as ours:
        explain(f, keep=keep)(x)
    if f is not integer_result:  # explain says this in its own words
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    "f, line",
    [
        (while_with_a_traced_end, "lax.while_loop(lambda y: y < 2.2"),
        (while_in_scan, "lax.while_loop(lambda y: y < 2.2"),
        (callback_without_a_rule, "return jax.pure_callback(np.sin"),
    ],
)
def test_a_refusal_names_the_line_of_the_user(f, line):
    with pytest.raises(ValueError) as ours:
        explain(f)(jnp.float32(0.9))
    notes = "\n".join(ours.value.__notes__)
    assert "explain: at " in notes and line in notes and __file__ in notes


def while_that_is_cut_off(x):
    return lax.stop_gradient(doubled_until_past(x)) * x


def while_that_is_rounded(x):
    return jnp.floor(doubled_until_past(x)) * x


def while_that_nothing_reads(x):
    doubled_until_past(x)
    return x**2


def while_with_a_constant_carry(x):
    steps = lax.while_loop(
        lambda c: c[0] < c[1], lambda c: (c[0] + 1.0, c[1]), (0.0, x)
    )
    return steps[0] * x


def while_over_integers(x):
    n = lax.while_loop(lambda n: n < jnp.int32(x * 10), lambda n: n + 2, 0)
    return x * n


ADMITTED = [
    while_that_is_cut_off,
    while_that_is_rounded,
    while_that_nothing_reads,
    while_with_a_constant_carry,
    while_over_integers,
]


@pytest.mark.parametrize("f", ADMITTED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("keep", ["arrays", "summary"])
def test_what_jax_admits_explain_admits(f, keep):
    x = jnp.float32(0.9)
    value, gradient = jax.value_and_grad(f)(x)
    report = explain(f, keep=keep)(x)
    np.testing.assert_allclose(report.value, value, rtol=1e-6)
    np.testing.assert_allclose(report.gradients, gradient, rtol=1e-6)
    assert report.note == ""


def fori_with_an_end_that_python_knows(x):
    return lax.fori_loop(0, jnp.int32(x * 3), lambda i, y: y * x, x)


def test_what_jax_differentiates_only_op_by_op_is_one_step():
    x = jnp.float32(0.9)
    report = explain(fori_with_an_end_that_python_knows)(x)
    gradient = jax.grad(fori_with_an_end_that_python_knows)(x)
    np.testing.assert_array_equal(report.gradients, gradient)
    assert "only op by op (Reverse-mode" in report.note
    assert "lax.fori_loop(0, jnp.int32" in report[0].source.text
    assert find_nonfinite(fori_with_an_end_that_python_knows, argnums=0)(x) is None


def test_find_nonfinite_refuses_only_a_gradient_that_was_asked_for():
    x = jnp.float32(0.9)
    with pytest.raises(ValueError, match="Reverse-mode"):
        find_nonfinite(while_with_a_traced_end, argnums=0)(x)
    assert find_nonfinite(while_with_a_traced_end)(x) is None
    blame = find_nonfinite(lambda x: doubled_until_past(x) + jnp.log(x - x))(x)
    assert blame is not None and blame.phase == "forward"


# --- A second call sees everything that has changed since the first. ---------------

GLOBAL = 1.0
MODULE = types.ModuleType("settings")
NESTED = [[1.0]]


class Holder:
    """Holds a number on the object and on the class."""

    shared = 1.0

    def __init__(self, number=1.0):
        self.number = number

    def own(self):
        return self.number

    @classmethod
    def common(cls):
        return cls.shared

    def __call__(self):
        return self.number


def readers():
    """Pairs of a function that reads a number and one that changes it."""
    holder, cell, table = Holder(), [1.0], {"k": np.ones(3)}
    default = {"k": 1.0}

    def set_global(to):
        global GLOBAL
        GLOBAL = to

    def read_nested_global():
        return (lambda: (lambda: GLOBAL)())()

    def set_cell(to):
        cell[0] = to

    def set_table(to):
        table["k"][:] = to

    def read_default(store=default):
        return store["k"]

    return {
        "a global": (lambda: GLOBAL, set_global),
        "a global of a nested function": (read_nested_global, set_global),
        "an attribute": (lambda: holder.number, partial(setattr, holder, "number")),
        "a bound method": (holder.own, partial(setattr, holder, "number")),
        "a callable object": (holder, partial(setattr, holder, "number")),
        "the class": (lambda: Holder.shared, partial(setattr, Holder, "shared")),
        "a class method": (Holder.common, partial(setattr, Holder, "shared")),
        "a closure": (lambda: cell[0], set_cell),
        "a closure in a partial": (partial(lambda c: c[0], cell), set_cell),
        "a partial of a method": (partial(Holder.own, holder), holder.__dict__.update),
        "an array changed in place": (lambda: float(table["k"][1]), set_table),
        "a module": (lambda: MODULE.k, partial(setattr, MODULE, "k")),
        "a nested list": (
            lambda: NESTED[0][0],
            lambda to: NESTED[0].__setitem__(0, to),
        ),
        "a default argument": (read_default, lambda to: default.update(k=to)),
    }


def in_a_jvp_rule(read):
    @jax.custom_jvp
    def f(x):
        return jnp.sum(x**2)

    f.defjvp(lambda p, t: (jnp.sum(p[0] ** 2), read() * jnp.sum(p[0] * t[0])))
    return f


def in_a_vjp_rule(read):
    @jax.custom_vjp
    def f(x):
        return jnp.sum(x**2)

    f.defvjp(lambda x: (jnp.sum(x**2), x), lambda x, g: (read() * g * x,))
    return f


def in_the_forward_of_a_vjp_rule(read):
    @jax.custom_vjp
    def f(x):
        return jnp.sum(x**2)

    f.defvjp(lambda x: (read() * jnp.sum(x**2), read() * x), lambda x, g: (g * x,))
    return f


def in_the_function(read):
    return lambda x: jnp.sum(jnp.sin(x) * read())


def in_a_loop(read):
    return lambda x: lax.scan(lambda c, r: (c + read() * r**2, None), 0.0, x)[0]


def in_a_rule_in_a_loop(read):
    rule = in_a_jvp_rule(read)
    return lambda x: lax.scan(lambda c, r: (c + rule(r[None]), None), 0.0, x)[0]


def in_a_branch(read):
    return lambda x: lax.cond(x[0] > 0, lambda x: read() * x.sum(), jnp.sum, x)


def in_a_checkpoint(read):
    return jax.checkpoint(lambda x: jnp.sum(x**3) * read())


PLACES = [
    in_a_jvp_rule,
    in_a_vjp_rule,
    in_the_forward_of_a_vjp_rule,
    in_the_function,
    in_a_loop,
    in_a_rule_in_a_loop,
    in_a_branch,
    in_a_checkpoint,
]


def check_second_call(name, place, seed):
    rng = random.Random(seed)
    read, change = readers()[name]
    if name == "a partial of a method":
        update, change = change, lambda to: update(number=to)
    change(rng.uniform(0.5, 2.0))
    inner = place(read)
    scale = rng.uniform(0.5, 2.0)
    f = (lambda x: inner(x) * scale) if rng.random() < 0.5 else inner
    explained = explain(f, keep=rng.choice(["arrays", "summary"]))
    x = jnp.array([rng.uniform(0.1, 1.0) for _ in range(3)])
    for _ in range(2):
        value, gradient = jax.value_and_grad(f)(x)
        report = explained(x)
        np.testing.assert_allclose(report.value, value, rtol=1e-5)
        np.testing.assert_allclose(report.gradients, gradient, rtol=1e-5)
        change(rng.uniform(3.0, 5.0))


CASES = list(itertools.product(readers(), PLACES))


@pytest.mark.parametrize("name", readers())
def test_a_second_call_sees_what_a_rule_reads(name):
    check_second_call(name, in_a_jvp_rule, seed=0)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_second_call_sees_a_change_in_every_place(place):
    check_second_call("an attribute", place, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", [0, 1, *(pytest.param(i, marks=pytest.mark.by_hand) for i in range(2, 8))]
)
def test_the_second_answer_of_200_generated_programs(part):
    programs = [(*CASES[i % len(CASES)], i) for i in range(200)]
    assert len(programs[part::8]) == 25
    for name, place, seed in programs[part::8]:
        check_second_call(name, place, seed)


def rule(k, primals, tangents):
    return jnp.sum(primals[0] ** 2), k * jnp.sum(tangents[0])


class Rule:
    """A rule with state."""

    def __init__(self, k):
        self.k = k

    def jvp(self, primals, tangents):
        return rule(self.k, primals, tangents)

    __call__ = jvp


@pytest.mark.parametrize(
    "make",
    [
        lambda k: partial(rule, k),
        lambda k: lambda p, t: rule(k, p, t),
        lambda k: Rule(k).jvp,
        Rule,
        lambda k: jax.jit(lambda p, t: rule(k, p, t)),
        lambda k: functools.wraps(rule)(lambda p, t: rule(k, p, t)),
        lambda k: partial(rule, np.full((), k)),
    ],
    ids=["partial", "closure", "method", "object", "jit", "wraps", "array"],
)
def test_two_functions_never_share_a_program(make):
    for k in (2.0, 5.0):
        f = jax.custom_jvp(lambda x: jnp.sum(x**2))
        f.defjvp(make(k))
        x = jnp.array([1.0, 2.0])
        np.testing.assert_array_equal(explain(f)(x).gradients, jax.grad(f)(x))


def reads_x(w, x, y):
    return jnp.sum(w * x)


def reads_y(w, x, y):
    return jnp.sum(w * y)


@pytest.mark.parametrize("keep", ["arrays", "summary"])
def test_an_argument_that_nothing_reads_keeps_programs_apart(keep):
    args = jnp.ones(2), jnp.array([1.0, 2.0]), jnp.array([30.0, 40.0])
    for f in (reads_x, reads_y, reads_x):
        report = explain(f, keep=keep)(*args)
        np.testing.assert_array_equal(report.gradients, jax.grad(f)(*args))
        assert report.value == f(*args)


def test_a_key_that_changes_between_calls_chooses_another_argument():
    batch = {"x": jnp.ones(2), "y": jnp.zeros(2)}
    for key in ("x", "y", "x"):

        def f(w, batch, key=key):
            return jnp.sum(jnp.tanh(w * batch[key]))

        got = explain(f)(jnp.ones(2), batch).gradients
        np.testing.assert_allclose(got, jax.grad(f)(jnp.ones(2), batch))


@pytest.mark.parametrize("callback", [np.sin, np.cos])
def test_callbacks_are_never_confused(callback):
    def f(x):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        seen = jax.pure_callback(callback, shape, lax.stop_gradient(jnp.ones(2)))
        return jnp.sum(seen * x)

    np.testing.assert_allclose(
        explain(f)(jnp.ones(2)).gradients, callback(1.0) * np.ones(2), rtol=1e-6
    )


def test_what_a_rule_closes_over_is_freed():
    class Table(np.ndarray):
        pass

    table = np.ones(2**19).view(Table)  # 4 MiB
    gone = weakref.ref(table)
    f = jax.custom_jvp(lambda x: jnp.sum(x**2))
    f.defjvp(lambda p, t: (jnp.sum(p[0] ** 2), jnp.sum(t[0]) * jnp.asarray(table)[0]))
    explain(f)(jnp.ones(3))
    del table, f
    jax.clear_caches()
    gc.collect()
    assert gone() is None


# --- Names never decide what a step is. --------------------------------------------


def vjp_model(w, x):
    return jnp.tanh(x @ w)


def jvp_step(h):
    return h * 2


def transpose_weights(w):
    return w.T


def grad_f(h):
    return h + 1


def linearize(g):
    return g.sum()


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint])
def test_a_function_may_have_any_name(wrap):
    def loss(w, x):
        with jax.named_scope("transpose(jvp(model))"):
            t = wrap(transpose_weights)(w)
            h = wrap(vjp_model)(t, x)
        y = wrap(jvp_step)(h)
        g = wrap(grad_f)(y)
        return wrap(linearize)(g)

    report = explain(loss)(jnp.ones((2, 3)), jnp.ones((1, 3)))
    assert [report[n].operation for n in "thyg"] == [
        "transpose",
        "tanh",
        "multiply",
        "add",
    ]
    assert not any("(backward)" in step.operation for step in report.steps)


def test_the_backward_pass_of_a_gradient_taken_inside_is_named_so():
    def vjp_loss(w):
        h = jnp.sin(w)
        return (h**2).sum()

    def loss(w):
        g = jax.grad(vjp_loss)(w)
        return (g**2).sum()

    report = explain(loss)(jnp.ones(3))
    assert report["h"].operation == "sin"
    assert report["g"].operation.endswith("(backward)")


# --- A defect of jaxgrad is never dressed as the user's. ---------------------------


def broken(*_, **__):
    raise RuntimeError("a defect")


@pytest.mark.parametrize("part", ["build_steps", "take_apart", "value_and_cotangents"])
def test_a_defect_of_jaxgrad_warns_and_the_numbers_stay_right(monkeypatch, part):
    module = sys.modules["jaxgrad.inspection.explain"]  # the function has its name too
    monkeypatch.setattr(module, part, broken)
    with pytest.warns(InspectionWarning, match=r"bug in jaxgrad.*as one step"):
        report = explain(lambda x: (x**2).sum())(jnp.arange(3.0))
    np.testing.assert_array_equal(report.gradients, [0.0, 2.0, 4.0])
    assert "RuntimeError: a defect" in report.note and len(report) == 1


def test_a_defect_in_find_nonfinite_warns_and_the_answer_stays_right(monkeypatch):
    monkeypatch.setattr("jaxgrad.inspection.faults.nonfinite.find.replay", broken)
    with pytest.warns(InspectionWarning, match="bug in jaxgrad"):
        blame = find_nonfinite(lambda x: jnp.log(x).sum())(jnp.zeros(3))
    assert blame is not None and blame.count == 1


def test_an_error_of_the_user_is_raised_without_a_warning():
    def fails(x):
        raise KeyError("mine")

    def fails_in_a_rule(x):
        return in_a_jvp_rule(fails)(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for f in (fails, fails_in_a_rule):
            with pytest.raises((KeyError, TypeError)):
                explain(f)(jnp.ones(3))


def test_a_defect_in_the_search_leaves_the_report_s_own_numbers(monkeypatch):
    monkeypatch.setattr("jaxgrad.inspection.faults.nonfinite.find.replay", broken)
    with pytest.warns(InspectionWarning, match="bug in jaxgrad"):
        report = explain(lambda x: jnp.log(x).sum())(jnp.zeros(3))
    blame = report.nonfinite
    assert blame is not None and blame.step is report[0]
    assert (blame.phase, blame.count) == ("forward", 3)


def test_what_is_not_a_number_in_aux_is_not_looked_at():
    def f(x):
        return jnp.log(x).sum(), {"f": print, "name": "loss", "n": 3, "none": None}

    report = explain(f, has_aux=True)(jnp.zeros(2))
    assert report.value[1]["f"] is print
    assert report.nonfinite is not None


def test_a_constant_nan_in_aux_is_not_looked_at():
    report = explain(lambda x: (x**2, float("nan")), has_aux=True)(2.0)
    assert report.nonfinite is None


def test_a_gradient_by_a_number_that_python_reads_is_looked_at():
    def f(x, w):
        return x if x > 5 else jnp.sqrt(x) + (w**2).sum()

    report = explain(f, (0, 1))(0.0, jnp.ones(2))
    found = report.nonfinite
    assert np.isinf(report.gradients[0])
    assert found is not None and found.phase == "backward"
    for argnums in (None, 0, (0, 1)):
        blame = find_nonfinite(f, argnums=argnums)(0.0, jnp.ones(2))
        assert blame is not None and blame.phase == "backward"


def test_a_loop_of_no_iterations_does_not_move_the_blame():
    def f(x, ts):
        def body(c, t):
            d = c * t
            return d, d

        c, _ = lax.scan(body, x, ts)
        e = c - x
        g = jnp.sqrt(e)
        return g + 1.0

    report = explain(f)(2.0, jnp.zeros(0))
    assert report.nonfinite is not None and report.nonfinite.step is report["g"]
    blame = find_nonfinite(f)(2.0, jnp.zeros(0))
    assert blame is not None and blame.step is not None
    assert (blame.step.name, blame.step.index) == ("g", report["g"].index)


def test_argnums_must_be_distinct_as_in_jax():
    with pytest.raises(TypeError, match="distinct"):
        explain(lambda p, q: p * q, (0, 0))(2.0, 3.0)
