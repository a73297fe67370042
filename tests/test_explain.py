"""What a report says: values, gradients, names, lines, operands."""

# The names of variables are what is tested, also of those returned at once.
# ruff: noqa: RET504

import functools
import gc
import inspect
import linecache
from typing import Any

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad
from jaxgrad import explain
from jaxgrad.inspection import Summary
from jaxgrad.inspection.report.summary import BLOCK, summarize


def backprop(w1, b1, w2, b2, x):
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    return y


SEED = (2.0, -10.0, 4.0, 7.0, 3.0)


def line_of(function, text):
    """The number of the one line of a function that holds `text`."""
    lines = linecache.getlines(function.__code__.co_filename)
    start = function.__code__.co_firstlineno
    return next(i for i in range(start, len(lines) + 1) if text in lines[i - 1])


def names(report):
    return [step.name for step in report.steps]


def test_the_first_example_gives_the_notebook_s_numbers():
    report = explain(backprop, argnums=(0, 1, 2, 3))(*SEED)
    assert report.value == -9.0
    assert [float(g) for g in report.gradients] == [12.0, 4.0, -4.0, 1.0]
    assert names(report) == ["multiply", "h1", "multiply", "y"]
    h1 = report["h1"]
    assert (h1.value, h1.gradient, h1.operation, h1.dtype) == (-4, 4, "add", "float32")
    assert h1.source.line == line_of(backprop, "h1 = w1")
    assert h1.source.text == "h1 = w1 * x + b1"
    assert h1.source.function == "backprop"
    assert [(o.kind, o.label) for o in h1.inputs] == [
        ("step", "multiply"),
        ("argument", "b1"),
    ]
    assert [o.label for o in report[0].inputs] == ["w1", "x"]
    assert report.result == 3
    assert len(report) == 4


def test_gradients_have_the_structure_of_value_and_grad():
    def loss(params, x, *, scale):
        return scale * jnp.sum(jnp.tanh(x @ params["w"]) + params["b"][0])

    params = {"w": jnp.ones((3, 2)), "b": (jnp.ones(2), jnp.zeros(2))}
    x = jnp.arange(6.0).reshape(2, 3)
    for argnums in (0, 1, (1, 0), (0,), -1):
        value, gradients = jax.value_and_grad(loss, argnums)(params, x, scale=2.0)
        report = explain(loss, argnums)(params, x, scale=2.0)
        assert jax.tree.structure(report.gradients) == jax.tree.structure(gradients)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-6),
            report.gradients,
            gradients,
        )
        np.testing.assert_allclose(report.value, value, rtol=1e-6)
    labels = {o.label for step in report.steps for o in step.inputs}
    assert {"params['w']", "params['b'][0]", "x", "scale"} <= labels


def test_aux_comes_back_as_it_is():
    def loss(w):
        h = jnp.sin(w)
        return h.sum(), {"h": h, "note": "text", "count": 3}

    value, gradient = jax.value_and_grad(loss, has_aux=True)(jnp.ones(2))
    report = explain(loss, has_aux=True)(jnp.ones(2))
    assert report.value[1]["note"] == "text" and report.value[1]["count"] == 3
    np.testing.assert_array_equal(report.value[1]["h"], value[1]["h"])
    np.testing.assert_array_equal(report.gradients, gradient)


def named(x):
    a, b = jnp.split(x, 2)
    a += 1.0
    c = d = a * b
    if (e := jnp.cos(c)) is None:
        return e
    pair = (jnp.sin(e), jnp.tanh(e))
    f, g = jnp.exp(pair[0]), pair[1]
    h: jax.Array = (f * g).astype(x.dtype)
    total = sum(jnp.sum(part) for part in [h, d])
    return total


def test_variables_give_the_names():
    report = explain(named)(jnp.arange(4.0))
    assert {"a, b", "a", "c", "e", "f", "h", "total"} <= set(names(report))
    np.testing.assert_array_equal(report["b"].value, [2.0, 3.0])
    assert report["a"].operation == "add"
    assert report["a, b"].outputs == ("a", "b")
    np.testing.assert_array_equal(report["b"].gradient, report["a, b"].gradient[1])
    # Inside the display of the tuple nothing is assigned.
    assert [s.name for s in report.steps if s.operation in ("sin", "tanh")] == [
        "sin",
        "tanh",
    ]
    with pytest.raises(KeyError, match="expected the name of a step"):
        report["nothing"]


def layer(p, x):
    z = x @ p["w"] + p["b"]
    out = jax.nn.relu(z)
    return out


def deep(params, x):
    h = x
    for p in params:
        h = layer(p, h)
    # fmt: off
    return (
        h
        .sum()
    )
    # fmt: on


def test_who_reads_one_of_several_results_tells_its_name():
    def cell(x, state):
        gate = jnp.tanh(x * state)
        return gate * x, jnp.sin(gate)

    def loss(x, state):
        out, state = cell(x, state)
        scores = jnp.exp(out)
        moved = state + 1
        first, second = cell(scores, moved)
        return (first * second).sum()  # one line reads both: nobody can tell

    report = explain(loss)(jnp.ones(3), jnp.full(3, 0.5))
    gate = np.tanh(np.full(3, 0.5))
    np.testing.assert_allclose(report["out"].value, gate, rtol=1e-6)
    np.testing.assert_allclose(report["state"].value, np.sin(gate), rtol=1e-6)
    assert not {"first", "second"} & {step.name for step in report.steps}


def test_a_loop_over_layers_is_a_step_per_line_and_pass():
    params = [{"w": jnp.ones((2, 2)), "b": jnp.zeros(2)} for _ in range(3)]
    report = explain(deep)(params, jnp.ones((1, 2)))
    assert names(report) == ["matmul", "z", "h"] * 3 + ["sum"]
    assert report.steps[2].aliases == ("out",)
    assert report["out"] is report.steps[8] is report["h"]
    assert report.steps[5].source.line == line_of(layer, "out = jax.nn.relu")
    assert report.steps[9].source.text == ".sum()"
    assert [o.label for o in report.steps[3].inputs] == ["h", "params[1]['w']"]


def test_a_step_s_gradient_is_total():
    def loss(x):
        h = jnp.sin(x)
        return (h * h).sum() + (h**3).sum() + jnp.sum(h[:1])

    x = jnp.array([0.3, 0.7])
    h = jnp.sin(x)
    expected = 2 * h + 3 * h**2 + jnp.array([1.0, 0.0])
    np.testing.assert_allclose(explain(loss)(x)["h"].gradient, expected, rtol=1e-6)


def test_integers_booleans_and_constants_say_that_they_have_no_gradient():
    def loss(x):
        best = jnp.argmax(x)
        big = x > 0
        ticks = jnp.arange(3.0)
        still = jax.lax.stop_gradient(x)
        floored = jnp.floor(x)
        kept = jnp.where(big, x, ticks) + still + floored
        return kept[best]

    report = explain(loss)(jnp.array([0.1, 0.2, 0.3]))
    why = {name: report[name].why for name in ("best", "big", "ticks")}
    assert why == {
        "best": "int32: no gradient",
        "big": "bool: no gradient",
        "ticks": "not differentiated",
    }
    for name in ("still", "floored"):
        assert report[name].gradient is None
        assert report[name].why == "cuts the gradient"
    assert report["kept"].why == "" and report["kept"].gradient is not None


@jax.jit
def jitted(x):
    inner = jnp.sin(x)
    return inner * 2


def test_the_user_s_jitted_function_is_entered_and_a_library_s_is_not():
    def loss(x):
        y = jitted(x)
        z = jax.nn.log_softmax(y)
        return jnp.linalg.norm(z) + jnp.var(z)

    x = jnp.arange(3.0)
    report = explain(loss)(x)
    assert names(report) == ["inner", "y", "z", "norm", "var", "add"]
    assert report["inner"].source.line == line_of(inspect.unwrap(jitted), "inner = ")
    assert any("log_softmax" in function for function in report["z"].source.via)
    whole = explain(jax.jit(loss))(x)
    assert names(whole) == names(report)


def test_relu_keeps_its_rule_at_zero():
    def loss(x):
        h = jax.nn.relu(x)
        return h.sum()

    report = explain(loss)(jnp.zeros(2))
    np.testing.assert_array_equal(report.gradients, [0.0, 0.0])
    assert report["h"].operation == "relu"


def scanned(w, xs):
    def body(carry, x):
        h = jnp.tanh(carry * w + x)
        return h, h.sum()

    last, sums = jax.lax.scan(body, jnp.zeros(2), xs)
    return last.sum() + sums.sum()


def test_a_scan_is_entered_with_an_iteration_axis():
    w, xs = jnp.array([0.5, 1.5]), jnp.arange(6.0).reshape(3, 2) * 0.1
    report = explain(scanned, argnums=(0, 1))(w, xs)

    def unrolled(w, xs, added):
        carry, sums = jnp.zeros(2), 0.0
        for x, more in zip(xs, added, strict=True):
            carry = jnp.tanh(carry * w + x) + more
            sums += carry.sum()
        return carry.sum() + sums

    expected = jax.grad(unrolled, argnums=(0, 1, 2))(w, xs, jnp.zeros((3, 2)))
    h = report["h"]
    assert (h.shape, h.loop, h.value.shape) == ((3, 2), (3,), (3, 2))
    np.testing.assert_allclose(h.gradient, expected[2], rtol=1e-6)
    np.testing.assert_allclose(report.gradients[0], expected[0], rtol=1e-6)
    assert report["last"].shape == (2,) and report["sums"].shape == (3,)
    multiply = next(step for step in report.steps if step.operation == "multiply")
    assert [(o.label, o.previous) for o in multiply.inputs][:2] == [
        ("zeros", False),
        ("h", True),
    ]


def test_nested_scans_have_two_axes():
    def loss(x):
        def outer(c, _):
            def inner(d, _):
                e = jnp.sin(d)
                return e, None

            c, _ = jax.lax.scan(inner, c, length=2)
            return c, None

        return jax.lax.scan(outer, x, length=3)[0].sum()

    report = explain(loss)(jnp.ones(4))
    assert report["e"].shape == (3, 2, 4) and report["e"].loop == (3, 2)


def test_only_the_taken_branch_is_explained():
    def loss(x):
        def positive(v):
            up = jnp.exp(v)
            return up

        def negative(v):
            down = v * 3
            return down

        y = jax.lax.cond(x.sum() > 0, positive, negative, x)
        return y.sum()

    report = explain(loss)(jnp.ones(2))
    assert "up" in names(report) and "down" not in names(report)
    assert report["up"].part == "branch 2 of 2"
    other = explain(loss)(-jnp.ones(2))
    assert "down" in names(other) and "up" not in names(other)
    np.testing.assert_array_equal(other.gradients, [3.0, 3.0])
    assert other["y"].inputs[-1].label == "down"


def test_a_branch_inside_a_loop_shows_the_iterations_that_took_it():
    def loss(xs):
        def body(total, x):
            def rise(v):
                risen = 2 * v
                return risen

            step = jax.lax.cond(x > 0, rise, lambda v: -v, x)
            return total + step, None

        return jax.lax.scan(body, jnp.float32(0), xs)[0]

    report = explain(loss)(jnp.array([1.0, -1.0, 2.0]))
    risen = report["risen"]
    assert risen.taken is not None and list(risen.taken) == [True, False, True]
    assert risen.summaries[0][0] == Summary(2, 2.0, 3.0, 4.0, np.sqrt(20.0), 0, 0)
    short = explain(loss, keep="summary")(jnp.array([1.0, -1.0, 2.0]))["risen"].value
    assert (short.size, short.maximum) == (2, 4.0)


def test_while_is_one_forward_step():
    def loss(x):
        limit = jax.lax.stop_gradient(x)
        grown = jax.lax.while_loop(lambda v: v.sum() < 9, lambda v: 2 * v, limit)
        return (grown * x).sum()

    report = explain(loss)(jnp.ones(2))
    assert report["grown"].why == "forward only"
    np.testing.assert_array_equal(report["grown"].value, [8.0, 8.0])


def test_checkpoint_vmap_and_an_inner_gradient():
    def loss(w, xs):
        def energy(x):
            e = jnp.sin(w * x)
            return jnp.sum(e)

        force = jax.vmap(jax.grad(energy))(xs)
        again = jax.checkpoint(lambda f: jnp.cos(f) * f)(force)
        return again.sum()

    w, xs = jnp.array([1.0, 2.0]), jnp.ones((3, 2))
    report = explain(loss)(w, xs)
    expected = jax.grad(loss)(w, xs)
    np.testing.assert_allclose(report.gradients, expected, rtol=1e-5)
    assert {"e", "force", "again"} <= set(names(report))
    assert report["e"].shape == (3, 2)
    assert report["force"].operation.endswith("(backward)")
    np.testing.assert_allclose(report["force"].value, w * jnp.cos(w * xs), rtol=1e-6)


def test_named_scopes_are_kept():
    def loss(x):
        with jax.named_scope("outer"), jax.named_scope("inner"):
            y = jnp.sin(x)
        return jnp.sum(jax.vmap(jnp.cos)(y))

    report = explain(loss)(jnp.ones(2))
    assert report["y"].scope == "outer/inner"
    assert report.steps[-1].scope == ""


def test_summaries_are_those_of_the_arrays():
    arrays = explain(scanned, argnums=(0, 1))(jnp.ones(2), jnp.ones((3, 2)))
    short = explain(scanned, argnums=(0, 1), keep="summary")(
        jnp.ones(2), jnp.ones((3, 2))
    )
    assert names(arrays) == names(short)
    for whole, part in zip(arrays.steps, short.steps, strict=True):
        for pair, other in zip(whole.summaries, part.summaries, strict=True):
            for full, brief in zip(pair, other, strict=True):
                assert (full is None) == (brief is None)
                if full is not None:
                    np.testing.assert_allclose(
                        list(vars(full).values()),
                        list(vars(brief).values()),
                        rtol=1e-5,
                        atol=1e-6,
                    )


@pytest.mark.parametrize("size", [6, 1, 0, 7])
def test_a_summary_of_six_numbers_is_no_array_of_six(size):
    def loss(x):
        y = jnp.sin(x) * 1e25
        return jnp.sum(y)

    summary = explain(loss, keep="summary")(jnp.ones(size))["y"]
    assert isinstance(summary.value, Summary) and isinstance(summary.gradient, Summary)
    assert summary.value.size == size
    np.testing.assert_allclose(
        summary.value.norm, 1e25 * np.sin(1.0) * np.sqrt(size), rtol=1e-6
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_summary_of_many_numbers_misses_none(bad):
    x = np.ones(2**24 + 5, np.float32)
    x[[7, -1]] = bad
    value = summarize(x)
    assert value.nonfinite == 2 * (not np.isfinite(bad))
    assert value.zeros == 2 * (bad == 0)
    expected = {"minimum": np.min, "maximum": np.max}
    for name, extreme in expected.items():
        np.testing.assert_equal(getattr(value, name), extreme([1.0, bad]))
    np.testing.assert_allclose(value.mean, x.mean(dtype=np.float64), rtol=1e-15)


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_blocks_of_an_array_are_summarized_together(scale):
    x = scale * np.arange(1.0, 3 * BLOCK)
    summary = summarize(x)
    assert (summary.minimum, summary.maximum) == (x[0], x[-1])
    np.testing.assert_allclose(summary.mean, x.mean(), rtol=1e-14)
    np.testing.assert_allclose(
        summary.norm, scale * np.linalg.norm(x / scale), rtol=1e-14
    )


def test_depth_opens_the_library():
    def loss(x):
        y = jax.nn.log_softmax(x)
        return y[0]

    x = jnp.arange(3.0)
    user, library, primitive = (
        explain(loss, depth=depth)(x) for depth in ("user", "library", "primitive")
    )
    assert len(user) < len(library) < len(primitive)
    assert "shifted" in names(library)
    assert all(
        step.source.text == "y = jax.nn.log_softmax(x)" for step in library.steps[:4]
    )
    for report in (library, primitive):
        np.testing.assert_allclose(report.gradients, user.gradients, rtol=1e-6)


compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, duration_secs, **_: (
        compiled.append(event) if "backend_compile" in event else None
    )
)


def test_the_second_call_compiles_nothing():
    def loss(w, x):
        h = jax.nn.relu(w * x)
        return (h**2).sum()

    arguments = jnp.full(5, 0.5), jnp.arange(5.0)
    first = explain(loss)(*arguments)
    count = len(compiled)
    second = explain(loss)(*arguments)  # a new wrapper: the program is kept by content
    assert len(compiled) == count
    np.testing.assert_array_equal(first.gradients, second.gradients)
    explain(loss)(jnp.full(6, 0.5), jnp.arange(6.0))
    assert len(compiled) > count


def test_another_line_that_computes_the_same_is_another_step():
    first = True

    def loss(x):
        if first:
            y = jnp.sin(x)
        else:
            y = jnp.sin(x)
        return jnp.sum(y)

    explained = explain(loss)
    before = [explained(jnp.ones(3))["y"] for _ in range(2)]
    first = False
    count = len(compiled)
    after = [explained(jnp.ones(3))["y"] for _ in range(2)]
    assert len(compiled) == count
    lines = [step.source.line for step in (*before, *after)]
    assert lines == [lines[0], lines[0], lines[0] + 2, lines[0] + 2]


def test_what_a_function_closes_over_is_never_out_of_date():
    scale = jnp.float32(2.0)
    slope = 1.0

    @jax.custom_jvp
    def op(x):
        return x

    @op.defjvp
    def rule(p, t):
        return p[0], slope * t[0]

    def loss(x):
        return (op(x) * scale).sum()

    explained = explain(loss)
    for explainer in (explained, explained, explain(loss)):
        assert explainer(jnp.ones(2)).gradients[0] == 2.0
    scale = jnp.float32(3.0)  # what was started ahead is thrown away
    for explainer in (explained, explained, explain(loss)):
        assert explainer(jnp.ones(2)).gradients[0] == 3.0
    slope = 10.0
    for explainer in (explained, explained, explain(loss)):
        assert explainer(jnp.ones(2)).gradients[0] == 30.0


def test_a_change_of_python_s_is_seen_by_the_same_explainer():
    switch = {"on": True}

    def loss(x, factor):
        h = jnp.sin(x) if switch["on"] else jnp.cos(x)
        return (h * factor).sum()

    explained = explain(loss)
    x = jnp.array([0.3, 0.7])
    for factor in (1, 2.0, np.float32(3.0), jnp.float32(2.0)):
        for switch["on"] in (True, True, False, False):
            report = explained(x, factor)
            value, gradients = jax.value_and_grad(loss)(x, factor)
            np.testing.assert_allclose(report.value, value, rtol=1e-6)
            np.testing.assert_allclose(report.gradients, gradients, rtol=1e-6)
            assert report["h"].operation == ("sin" if switch["on"] else "cos")


def test_big_constants_are_named_and_not_kept():
    data = jnp.ones((400, 400))
    table = np.full((3,), 2.0, np.float32)

    def loss(w):
        return (w * data).sum() + (w * table).sum()

    report = explain(loss)(jnp.float32(1.0))
    labels = {o.label for step in report.steps for o in step.inputs}
    assert {"data", "table"} <= labels
    holders = [r for r in gc.get_referrers(data) if isinstance(r, dict | list | tuple)]
    assert not any("_kept" in str(type(r)) for r in holders)


def test_python_that_reads_values_still_gets_an_explanation():
    def reads_flag(x, threshold, layers):
        for _ in range(layers):
            x = jnp.sin(x)
        return x.sum() if threshold > 0.5 else -x.sum()

    report = explain(reads_flag)(jnp.ones(2), 0.7, 2)
    assert report.note == "" and names(report) == ["x", "x", "sum"]

    def reads_data(x, mask):
        return (x * 2).sum() if mask.sum() > 1 else x.sum()

    report = explain(reads_data)(jnp.ones(2), np.ones(2))
    assert report.note == "" and report.gradients[0] == 2.0

    def reads_itself(x):
        if x[0] > 0:
            return (x * 3).sum()
        return x.sum()

    report = explain(reads_itself)(jnp.ones(2))
    assert "needs a concrete value" in report.note and len(report) == 1
    assert report.steps[0].source.text == "if x[0] > 0:"
    np.testing.assert_array_equal(report.gradients, [3.0, 3.0])


def test_callbacks_and_prints_do_not_stand_in_the_way(capfd):
    def loss(x):
        jax.debug.print("x is {}", x[0])
        y = jax.pure_callback(
            np.sin, jax.ShapeDtypeStruct((2,), jnp.float32), jax.lax.stop_gradient(x)
        )
        return (x * y).sum()

    report = explain(loss)(jnp.ones(2))
    assert report["y"].why == "forward only"
    np.testing.assert_allclose(report.gradients, np.sin(np.ones(2)), rtol=1e-6)
    jax.effects_barrier()
    assert capfd.readouterr().out.startswith("x is 1.0")


def test_random_keys_pass_through():
    def loss(w, key):
        noise = jax.random.normal(key, w.shape)
        return (w * noise).sum()

    report = explain(loss)(jnp.ones(3), jax.random.key(0))
    np.testing.assert_array_equal(report["noise"].value, report.gradients)
    assert "key<fry>" in str(report) and "<" in report._repr_html_()


def test_code_without_a_source_file():
    scope: dict[str, Any] = {"jnp": jnp}
    exec(  # as in Python's own prompt
        "def f(x):\n    h = jnp.sin(x)\n    return (h * x).sum()", scope
    )
    report = explain(scope["f"])(jnp.ones(2))
    assert [step.operation for step in report.steps] == ["sin", "mul", "reduce_sum"]
    assert report.steps[0].source.line == 2 and report.steps[0].source.text == ""


def test_wrapped_partial_lambda_and_bound_functions():
    class Model:
        def __init__(self, scale):
            self.scale = scale

        def loss(self, x):
            self.h = jnp.sin(x)
            return (self.h * self.scale).sum()

        __call__ = loss

    def logged(f):
        @functools.wraps(f)
        def wrapper(*args):
            return f(*args)

        return wrapper

    x = jnp.ones(2)
    model = Model(2.0)
    for f in (
        model.loss,
        model,
        logged(model.loss),
        functools.partial(Model.loss, model),
        lambda x: model.loss(x),
    ):
        report = explain(f)(x)
        assert names(report) == ["self.h", "multiply", "sum"]
        assert report.steps[0].inputs[0].label.startswith(("x", "args"))


def test_a_library_function_can_be_explained_itself():
    import optax

    report = explain(lambda z: optax.softmax_cross_entropy(z, jnp.eye(3)[0]))(
        jnp.arange(3.0)
    )
    assert len(report) >= 1
    inside = explain(optax.safe_norm)(jnp.arange(3.0), 1e-3)
    assert len(inside) > 1
    assert "optax" in inside.steps[0].source.file


@pytest.mark.message
def test_bad_calls_are_refused():
    with pytest.raises(TypeError, match="explain: expected x of a floating dtype"):
        explain(lambda x: x.sum())(jnp.arange(3))
    with pytest.raises(TypeError, match="expected f to return one floating scalar"):
        explain(lambda x: x)(jnp.ones(3))
    with pytest.raises(TypeError, match=r"a pair .* got float32\[\] instead"):
        explain(lambda x: x.sum(), has_aux=True)(jnp.ones(3))
    with pytest.raises(TypeError, match="with has_aux=True the second may be anything"):
        explain(lambda x: (x.sum(), x))(jnp.ones(3))
    with pytest.raises(KeyError, match=r"got 'x' instead. .* see arguments\[0\]"):
        explain(lambda x: x.sum())(jnp.ones(3))["x"]
    with pytest.raises(ValueError, match="explain: expected argnums within"):
        explain(lambda x: x.sum(), argnums=1)(jnp.ones(3))
    with pytest.raises(ValueError, match="explain: expected depth"):
        explain(lambda x: x.sum(), depth="deep")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="explain: expected keep"):
        explain(lambda x: x.sum(), keep="all")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ZeroDivisionError):
        explain(lambda x: x.sum() / (1 // 0))(jnp.ones(3))


def test_the_configuration_and_debug_modes_are_left_alone():
    with jax.debug_nans(True):
        report = explain(lambda x: jnp.log(x).sum())(jnp.zeros(1))
        with pytest.raises(FloatingPointError):  # still on
            _ = jnp.log(jnp.zeros(1)) * 0
    assert np.isinf(report.value)
    with jax.enable_x64(True):
        assert explain(backprop)(*map(np.float64, SEED)).value.dtype == np.float64


def test_it_is_a_public_name():
    assert jaxgrad.explain is explain
