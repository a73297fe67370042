"""The cost of looking inside does not grow faster than the program.

Where possible the tests count operations, not seconds: `benchmarks.scale` times them.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import checked_value_and_grad, explain, find_nonfinite
from jaxgrad.inspection.checked import _all_finite
from jaxgrad.inspection.run import cache, recorder, stretches

PASSES = 300
NUMBERS = jnp.arange(float(PASSES))


def carried(w):
    def step(h, x):
        h = jnp.tanh(w * h)
        return h + 0 * jnp.log(jnp.abs(x - 78)), h

    h, _ = jax.lax.scan(step, w, NUMBERS)
    return h.sum()


def stacked_in_reverse(w):
    def step(h, x):
        return jnp.sin(h), jnp.where(x == 20, w / (x - 20), w)

    _, ys = jax.lax.scan(step, w, NUMBERS, reverse=True)
    return ys.sum()


def counted(w):
    def step(i, h):
        return h * jnp.sqrt(jnp.where(i == 151, -1.0, 1.0))

    return jax.lax.fori_loop(0, PASSES, step, w).sum()


def unknown_length(w):
    def step(state):
        i, h = state
        return i + 1, jnp.where(i == 60, jnp.sqrt(-h), jnp.cos(h))

    return jax.lax.while_loop(lambda s: s[0] < 200, step, (0, w))[1].sum()


def nested(w):
    def step(h, x):
        return h * w + 0 * jnp.log(jnp.abs(x - 150)), None

    rows = NUMBERS.reshape(3, 100)
    return jax.lax.scan(lambda h, xs: jax.lax.scan(step, h, xs), w, rows)[0].sum()


def backward(w):
    def step(h, x):
        return jnp.cos(w * h) + jnp.sqrt(jnp.abs(x - 99) * w), None

    return jax.lax.scan(step, w, NUMBERS)[0].sum()


def backward_through_stacked(w):
    def step(h, x):
        return jnp.sin(h * w), jnp.sqrt(jnp.abs(x - 99) * w)

    h, ys = jax.lax.scan(step, w, NUMBERS, reverse=True)
    return ys.sum() + h.sum()


def in_a_branch(w):
    def bad(h):
        return jnp.sqrt(h * 0)

    def step(h, x):
        return jax.lax.cond(x == 133, bad, jnp.sin, h), None

    return jax.lax.scan(step, w, NUMBERS)[0].sum()


def harmless_infinity(w):
    def step(state, x):
        most, h = state
        late = jnp.where(x == 151, jnp.log(-h * h), 0.0)
        return (jnp.maximum(most, h), jnp.sin(h) + late), None

    return jax.lax.scan(step, (-jnp.inf + 0 * w, w), NUMBERS)[0][1].sum()


LOOPS = {
    carried: ("forward", "log", 78),
    stacked_in_reverse: ("forward", "div", 20),
    counted: ("forward", "sqrt", 151),
    unknown_length: ("forward", "sqrt", 60),
    nested: ("forward", "log", (1, 50)),
    backward: ("backward", "sqrt", 99),
    backward_through_stacked: ("backward", "sqrt", 99),
    in_a_branch: ("backward", "sqrt", 133),
    harmless_infinity: ("forward", "log", 151),
}


def blame_of(loss, w):
    blame = find_nonfinite(loss, argnums=0)(w)
    assert blame is not None
    return blame


def facts(blame):
    step = blame.step
    numbers = str(step.value), str(step.gradient)
    became = blame.became and blame.became.name
    return str(blame), step.index, step.name, numbers, became


SLOW = backward, backward_through_stacked


@pytest.mark.parametrize(
    "loss",
    [pytest.param(f, marks=[pytest.mark.slow] * (f in SLOW)) for f in LOOPS],
    ids=lambda f: f.__name__,
)
def test_a_long_loop_is_searched_as_if_pass_by_pass(loss, monkeypatch):
    w = jnp.full(2, 0.5)
    quick = blame_of(loss, w)
    assert (quick.phase, quick.primitive, quick.iteration) == LOOPS[loss]
    monkeypatch.setattr(stretches, "BASE", 10**6)
    monkeypatch.setattr(recorder, "BASE", 10**6)
    assert facts(blame_of(loss, w)) == facts(quick)


@pytest.mark.parametrize("loss", [carried, backward], ids=lambda f: f.__name__)
def test_few_of_many_passes_are_recorded(loss, monkeypatch):
    recorded = []
    record = recorder._Recorder._record

    def counted_record(self, *args):
        recorded.append(args[1])
        return record(self, *args)

    monkeypatch.setattr(recorder._Recorder, "_record", counted_record)
    assert blame_of(loss, jnp.full(2, 0.5)).iteration in (78, 99)
    assert len(recorded) < 2 * PASSES  # one by one it is 5 to 7 for each pass


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 255, 256, 257, 4097, 10_000])
@pytest.mark.parametrize("step", [1, -1])
def test_stretches_cover_every_pass_once_and_are_few(length, step):
    passes = range(length)[::step]
    parts = stretches.stretches_of(passes)
    assert [i for part in parts for i in part] == list(passes)
    assert len(parts) <= 48
    assert len({len(part) for part in parts}) <= 4
    assert all(len(part) < max(length, 2) for part in parts)


def test_equal_results_are_compiled_once():
    def run(x):
        y = jnp.sin(x)
        return {"a": y, "b": [y, x], "c": y}, y + 1

    x = jnp.ones(3)
    call = cache.compiled(run, (x,))
    jax.tree.map(np.testing.assert_array_equal, call(x), jax.jit(run)(x))
    results = call(x)
    assert results[0]["a"] is results[0]["c"]
    assert results[0]["a"] is not results[0]["b"][1]


def test_every_parameter_array_is_checked():
    shapes = [(3,), (), (0,), (65, 64), (2, 2), (2, 0)]
    params = [jnp.ones(shapes[i % 6], jnp.float32) for i in range(40)]
    params += [jnp.ones(3, jnp.float16), jnp.ones(2, jnp.bfloat16)]

    def loss(params):
        return sum(jnp.sum(jnp.sqrt(p).astype(jnp.float32)) for p in params)

    checked = checked_value_and_grad(loss)
    checked(params)
    for i in (0, 3, 33, 40, 41):
        zero = [*params[:i], jnp.zeros_like(params[i]), *params[i + 1 :]]
        if params[i].size:
            with pytest.raises(FloatingPointError, match="sqrt"):
                checked(zero)


def test_the_check_reads_many_arrays_with_few_reductions():
    leaves = [jnp.ones((4, 4))] * 640
    text = jax.jit(_all_finite).lower(leaves).as_text()
    assert 0 < text.count("stablehlo.reduce") <= 640 / 16


def finite_scan(w):
    def step(h, x):
        return jnp.sin(w * h) + x, None

    return jax.lax.scan(step, w, jnp.ones(100_000))[0]


@pytest.mark.slow
def test_printing_a_long_loop_is_immediate():
    report = explain(finite_scan)(0.5)
    begin = time.process_time()
    assert "sin" in str(report)
    assert time.process_time() - begin < 0.5


@pytest.mark.slow
def test_the_blame_in_a_long_loop_takes_seconds():
    def loss(w):
        return finite_scan(w) + jax.lax.fori_loop(
            0, 100_000, lambda i, h: jnp.sin(w * h) + 0 * jnp.log(2.5 - i), w
        )

    begin = time.process_time()
    assert blame_of(loss, 0.5).iteration == 3
    assert time.process_time() - begin < 30  # 3 s on an idle machine; it was 250 s
