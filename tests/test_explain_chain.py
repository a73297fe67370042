"""The chain rule: what the edges send adds up to each gradient, and the formulas."""

import re
from collections import defaultdict
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jaxgrad import explain
from jaxgrad.inspection.run.chain import summed
from tests.test_explain_programs import OPERATIONS, Recipe, program_of


def received(report):
    """The contributions by what receives them."""
    parts = defaultdict(list)
    for part in report.chain_rule.contributions:
        parts[part.kind, part.index, part.position].append(part)
    return parts


def gradients_of(report):
    for argument in report.arguments:
        if argument.gradient is not None:
            yield ("argument", argument.index, 0), argument.gradient
    for step in report.steps:
        for position, (_, gradient) in enumerate(step.results):
            if gradient is not None:
                yield ("step", step.index, position), gradient


def adds_up(report):
    """Assert that the parts of every gradient add up to it; returns the parts."""
    assert report.chain_rule.why == ""
    parts = received(report)
    for key, gradient in gradients_of(report):
        given = parts.pop(key, [])
        total = summed(given) if given else jnp.zeros_like(gradient)
        assert total is not None and total.shape == gradient.shape, key
        scale = 1 + float(jnp.abs(gradient).max(initial=0.0))
        np.testing.assert_allclose(total, gradient, 1e-6, 1e-6 * scale, err_msg=key)
    assert not parts  # Nothing is sent to what has no gradient.
    return report.chain_rule.contributions


def backprop(w1, b1, w2, b2, x):
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    return y  # noqa: RET504 - the report shows the name


def test_the_seed_s_example_step_by_step():
    report = explain(backprop, argnums=(0, 1, 2, 3))(2.0, -10.0, 4.0, 7.0, 3.0)
    sent = [
        (part.by, part.kind, part.index, float(part.value), part.formula)
        for part in adds_up(report)
    ]
    assert sent == [
        ((), "step", 3, 1.0, ""),
        ((0,), "argument", 0, 12.0, "x"),
        ((1,), "step", 0, 4.0, "1"),
        ((1,), "argument", 1, 4.0, "1"),
        ((2,), "argument", 2, -4.0, "h1"),
        ((2,), "step", 1, 4.0, "w2"),
        ((3,), "step", 2, 1.0, "1"),
        ((3,), "argument", 3, 1.0, "1"),
    ]
    slopes = [part.slope for part in report.chain_rule.contributions[1:]]
    assert [float(s) for s in slopes] == [3.0, 1.0, 1.0, -4.0, 4.0, 1.0, 1.0]


def fan_out(a, b):
    h = jnp.tanh(a)
    return (h * h + jnp.exp(h) * b + h.sum()).sum()


def broadcasting(a, b):
    return ((a[:, None] * b + a).T / (2.0 + b[0]) - 3.0 * a.mean()).sum()


def fibonacci(a, b):
    """Carries that change places, a first carry, an array to go through."""

    def body(carry, row):
        u, v = carry
        return (v, jnp.sin(u + v) * row), (u, row)

    (u, v), (us, _) = jax.lax.scan(body, (a, a * 2.0), b)
    return (u * v + us).sum()


def rotated(a, b):
    """Carries that only change places, with one that no pass changes."""

    def body(carry, row):
        u, v, w, _ = carry
        return (v, w, u, row * a[0]), u * row

    start, twice = (a, 2 * a, jnp.sin(a), b[0]), jnp.concatenate([b, 2 * b])
    carry, rows = jax.lax.scan(body, start, twice, reverse=True)
    return sum(x.sum() * k for k, x in enumerate((*carry, rows), 1))


def short(a, b):
    """A loop of fewer passes than a carry needs to come around."""
    shift = lambda carry, row: ((row, *carry[:-1]), carry[-1])  # noqa: E731
    carry, rows = jax.lax.scan(shift, (a, a * a, a + 1.0, jnp.exp(a)), b)
    return sum((x * k).sum() for k, x in enumerate((*carry, rows), 1))


def nested_loops(a, b):
    def outer(carry, row):
        def inner(state, x):
            return jnp.cos(state * x) + a, state[0]

        state, firsts = jax.lax.scan(inner, carry * row, jnp.stack([row, carry, a]))
        return state, firsts

    last, firsts = jax.lax.scan(outer, a, b)
    return last.sum() + firsts.sum()


def branches_in_a_loop(a, b):
    def body(carry, row):
        new = jax.lax.cond(
            row.sum() > 0, lambda c, r: c * r + a, lambda c, r: c, carry, row
        )
        return new, new * row

    last, rows = jax.lax.scan(body, a, b)
    return last.sum() + (rows * b).sum()


def no_pass(a, b):
    last, rows = jax.lax.scan(lambda c, r: (c * r, c), a, b[:0])
    return last.sum() + rows.sum()


def unused(a, b):
    return (a * 0.0).sum() + jax.lax.stop_gradient(b).sum()


def several_results(a, b):
    low, high = jnp.split(jnp.concatenate([a, b[0]]), 2)
    (q, r), c = jnp.linalg.qr(b @ b.T + 3 * jnp.eye(3)), low @ b
    return (q * r).sum() + (c * high).sum() + low.sum()


KINDS = [
    *(fan_out, broadcasting, fibonacci, rotated, short, nested_loops),
    *(branches_in_a_loop, no_pass, unused, several_results),
]


@pytest.mark.parametrize("f", KINDS)
def test_the_parts_add_up_in_every_kind_of_program(f):
    a, b = (
        jnp.array([0.3, -0.7, 1.1]),
        jnp.array([[0.5, -1, 2], [1, 1, -3], [-2, 0, 1]]),
    )
    adds_up(explain(f, argnums=(0, 1))(a, b))


PROGRAMS = [
    Recipe(tuple(range(len(OPERATIONS)))[i::4], READS, i)
    for i in range(4)
    for READS in [((0, 1), (2, 1), (2, 3), (4, 0), (5, 4), (3, 6), (7, 2))]
]


@pytest.mark.parametrize("recipe", PROGRAMS, ids=lambda recipe: str(recipe.seed))
def test_the_parts_add_up_in_generated_programs(recipe):
    program, _, x, w = program_of(recipe)
    adds_up(explain(program, argnums=(0, 1))(x, w))


def test_every_operation_is_in_a_generated_program():
    assert {i for r in PROGRAMS for i in r.operations} == set(range(len(OPERATIONS)))


FORMULAS = {
    "b": lambda a, b: a * b,
    "1": lambda a, b: a + b,
    "1 / b": lambda a, b: a / b,
    "2": lambda a, b: 2.0 * a,
    "3 a^2": lambda a, b: a**3,
    "2 a": lambda a, b: a**2,
    "cos(a)": lambda a, b: jnp.sin(a),
    "-sin(a)": lambda a, b: jnp.cos(a),
    "exp(a)": lambda a, b: jnp.exp(a),
    "1 / a": lambda a, b: jnp.log(a),
    "1 - tanh(a)^2": lambda a, b: jnp.tanh(a),
    "1 / (2 sqrt(a))": lambda a, b: jnp.sqrt(a),
    "sigmoid(a) (1 - sigmoid(a))": lambda a, b: jax.nn.sigmoid(a),
    "sign(a)": lambda a, b: jnp.abs(a),
}
NAMES = {
    "tanh": jnp.tanh,
    "cos": jnp.cos,
    "sin": jnp.sin,
    "exp": jnp.exp,
    "sqrt": jnp.sqrt,
    "sign": jnp.sign,
    "sigmoid": jax.nn.sigmoid,
}


def python_of(formula):
    """A formula as an expression of Python: `2 a` is a product."""
    spaced = formula.replace("^", "**").replace(") (", ") * (")
    return re.sub(r"(?<=[\d)]) (?=[a-z])", " * ", spaced)


def test_the_formulas_are_the_derivatives_in_numbers():
    a, b = jnp.array([0.7, 1.3]), jnp.array([2.0, -3.0])

    def every(a, b):
        return jnp.stack([f(a, b) for f in FORMULAS.values()]).sum()

    parts = [p for p in adds_up(explain(every)(a, b)) if p.kind == "argument"]
    assert [part.formula for part in parts] == [*FORMULAS]
    for part in parts:
        assert part.form == "elements"
        found = eval(python_of(part.formula), {"a": a, "b": b, **NAMES})
        expected = jnp.broadcast_to(jnp.asarray(found, a.dtype), a.shape)
        np.testing.assert_allclose(part.slope, expected, 1e-5, err_msg=part.formula)


def test_a_matrix_product_says_how_it_sends_the_cotangent():
    a, b = jnp.ones((2, 3)), jnp.ones((3, 4))
    formulas = {}
    for x, y in ((a, b), (a, b[:, 0]), (a[0], b), (a[0], b[:, 0])):
        report = explain(lambda x, y: (x @ y).sum(), argnums=(0, 1))(x, y)
        parts = [p for p in adds_up(report) if p.kind == "argument"]
        formulas[x.ndim, y.ndim] = [p.formula for p in parts]
    assert formulas[2, 2] == ["cotangent @ y.T", "x.T @ cotangent"]
    assert formulas[1, 1] == ["y", "x"]
    assert formulas[2, 1] == ["outer(cotangent, y)", "x.T @ cotangent"]
    assert formulas[1, 2] == ["y @ cotangent", "outer(x, cotangent)"]


def test_a_small_step_has_its_jacobian_and_a_large_one_none():
    def softmax(x):
        p = jax.nn.softmax(x)
        return (p * p).sum()

    for count, form in ((3, "jacobian"), (50, "")):
        x = jnp.linspace(0, 1, count)
        parts = adds_up(explain(softmax)(x))
        (part,) = (p for p in parts if p.kind == "argument")
        assert part.form == form
        if form:
            np.testing.assert_allclose(
                part.slope, jax.jacobian(jax.nn.softmax)(x), 1e-5
            )


def prints(x):
    jax.debug.print("{}", x)
    return x * 2.0


def test_a_function_with_effects_is_not_run_again(capfd):
    report = explain(prints)(1.0)
    jax.effects_barrier()
    assert report.chain_rule.contributions == () and "prints" in report.chain_rule.why
    jax.effects_barrier()
    assert capfd.readouterr().out.count("1.0") == 1


def square(a):
    return (a * a).sum()


def test_arguments_that_have_changed_are_noticed():
    a = np.ones(3, np.float32)
    report = explain(square)(a)
    a[0] = 5
    assert "has changed" in report.chain_rule.why
    x = jnp.ones(3)
    report = explain(square)(x)
    x.delete()
    assert "deleted" in report.chain_rule.why


def test_what_enters_a_shard_map_is_said_to_be_unknown(tmp_path):
    mesh, spec = jax.sharding.Mesh(np.array(jax.devices()[:1]), "d"), P("d")

    @partial(jax.shard_map, mesh=mesh, in_specs=(P(), spec), out_specs=P())
    def inside(w, x):
        h = jnp.tanh(w * x)
        return jax.lax.psum((h * h).sum(), "d")

    report = explain(lambda w, x: inside(2.0 * w, x))(1.0, jnp.arange(4.0))
    assert report.chain_rule.why == ""
    parts, known = received(report), []
    for key, gradient in gradients_of(report):
        total = summed(parts[key])
        if total is not None:
            known.append(key)
            np.testing.assert_allclose(total, gradient, 1e-6)
    assert ("step", report["h"].index, 0) in known and len(known) < len(parts)
    report.save(tmp_path / "a.html")
    assert "cannot be told apart" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_summaries_are_kept_where_the_report_keeps_summaries():
    report = explain(fan_out, keep="summary")(jnp.ones(3), jnp.ones(3))
    values = [part.value for part in report.chain_rule.contributions]
    assert values and not any(isinstance(value, jax.Array) for value in values)


def test_op_by_op_the_parts_add_up_as_well():
    with jax.disable_jit():
        report = explain(fan_out, argnums=(0, 1))(jnp.ones(3), jnp.arange(3.0))
        adds_up(report)
