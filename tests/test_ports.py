"""JAX ports of PyTorch programs: where they differ, in both sources, and why."""

import functools
import re
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad

torch = pytest.importorskip("torch")

from tests.ports import BUGS, REWRITES  # noqa: E402
from tests.ports.agreement import distances  # noqa: E402
from tests.ports.case import FOLDER, marked, ours, plant  # noqa: E402
from tests.ports.judge import comparison, judge  # noqa: E402
from tests.ports.numbers import PROGRAMS  # noqa: E402

pytestmark = pytest.mark.parity
DTYPES = ("float64", "float32")
SHARE = 0.75  # of the causes, at least, that are guessed


def parameters(changes, step, *marks):
    """Changes in dtypes: every `step`th, or all others if `step` is negative."""
    pairs = [(each, dtype) for dtype in DTYPES for each in changes]
    chosen = [
        pair for i, pair in enumerate(pairs) if (i % abs(step) == 0) == (step > 0)
    ]
    return pytest.mark.parametrize(
        ("change", "dtype"),
        [pytest.param(*p, marks=marks, id=f"{p[0].name}-{p[1]}") for p in chosen],
    )


@pytest.fixture(scope="session")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@functools.cache
def verdict_of(bug, dtype, folder):
    return judge(bug, plant(bug, folder), dtype)


def check_bug(bug, dtype, folder, tally, request):
    if dtype not in bug.dtypes:
        pytest.skip("the bug does not show in this dtype")
    verdict = verdict_of(bug, dtype, folder)
    if dtype in bug.missed:
        request.applymarker(pytest.mark.xfail(strict=True, reason=verdict.text))
    tally.begun[f"ports, cause guessed in {dtype}"] += 1
    tally.agreed[f"ports, cause guessed in {dtype}"] += verdict.cause
    with tally(f"ports, both lines in {dtype}"):
        assert verdict.right, verdict.text


@parameters(BUGS, 25)
def test_the_first_difference_is_named_with_both_lines(
    change, dtype, folder, tally, request
):
    check_bug(change, dtype, folder, tally, request)


@parameters(BUGS, -25, pytest.mark.by_hand, pytest.mark.slow)
def test_the_first_difference_of_every_bug(change, dtype, folder, tally, request):
    check_bug(change, dtype, folder, tally, request)


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_most_causes_are_guessed(dtype, folder):
    bugs = [bug for bug in BUGS if dtype in bug.dtypes]
    guessed = [verdict_of(bug, dtype, folder).cause for bug in bugs]
    assert sum(guessed) >= SHARE * len(bugs)


def check_quiet(found, tally, dtype):
    with tally(f"ports, no alarm in {dtype}"):
        assert found.first is None, str(found)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_correct_port_has_no_difference(program, tally):
    dtype = DTYPES[list(PROGRAMS).index(program) % 2]
    check_quiet(comparison(ours(program), program, dtype), tally, dtype)


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_nor_in_the_other_dtype(program, tally):
    dtype = DTYPES[1 - list(PROGRAMS).index(program) % 2]
    check_quiet(comparison(ours(program), program, dtype), tally, dtype)


@parameters(REWRITES, 1, pytest.mark.by_hand, pytest.mark.slow)
def test_other_correct_code_has_no_difference(change, dtype, folder, tally):
    found = comparison(plant(change, folder).module, change.program, dtype)
    check_quiet(found, tally, dtype)


@pytest.mark.parametrize("program", ["vae"])
def test_a_correct_port_in_bfloat16_has_no_difference(program, tally):
    check_quiet(comparison(ours(program), program, "bfloat16"), tally, "bfloat16")


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.parametrize("change", (*BUGS, *REWRITES), ids=lambda each: each.name)
def test_a_bug_is_one_and_a_rewrite_is_none(change, folder):
    planted = plant(change, folder)
    correct = distances(ours(change.program), change.program, "float64")
    assert max(correct) < 1e-12
    loss, gradients = distances(planted.module, change.program, "float64")
    kind = "value" if loss > 1e-9 else "gradient" if gradients > 1e-6 else "none"
    assert kind == getattr(change, "kind", "none")


def test_every_bug_has_a_source_and_both_lines():
    for change in (*BUGS, *REWRITES):
        theirs, port = (
            (FOLDER / side / f"{change.program}.py").read_text(encoding="utf-8")
            for side in ("theirs", "ours")
        )
        assert marked(theirs, change.line, "-"), change
        assert len(marked(port, change.line, "-!")) == 1, change
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", bug.source) for bug in BUGS)
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 40
    assert sum(bug.kind == "gradient" for bug in BUGS) >= 6


def found_in(theirs, ours, arguments):
    with jax.enable_x64(True):
        tensors = [torch.tensor(x) for x in arguments]
        arrays = [jnp.asarray(x) for x in arguments]
        original = jaxgrad.explain_torch(theirs)(*tensors)
        return jaxgrad.compare(original, jaxgrad.explain(ours)(*arrays)).first


@pytest.mark.parametrize("change", [None, "(h, c)", "x[::-1]"])
def test_a_fused_lstm_over_time_first_is_compared(change):
    draw = np.random.default_rng(3).normal
    network = torch.nn.LSTM(3, 2).double()
    weights = [0.5 * draw(size=w.shape) for w in network.parameters()]
    names = [name for name, _ in network.named_parameters()]

    def theirs(x, h, c, *w):
        state = dict(zip(names, w, strict=True))
        call = torch.func.functional_call
        return call(network, state, (x, (h[None], c[None])))[0].square().sum()

    def ours(x, h, c, inner, outer, b, d):
        def step(state, x):
            c, h = state
            gates = x @ inner.T + h @ outer.T + (b + d)
            i, f, g, o = jnp.split(gates, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (c, h), h

        start = (h, c) if change == "(h, c)" else (c, h)
        x = x[::-1] if change == "x[::-1]" else x
        return jnp.square(jax.lax.scan(step, start, x)[1]).sum()

    sizes = (5, 4, 3), (4, 2), (4, 2)
    first = found_in(theirs, ours, [*(draw(size=s) for s in sizes), *weights])
    assert (first is None) == (change is None)
    if first is not None:
        assert getattr(first.theirs, "operation", "") == "lstm"


@pytest.mark.parametrize("scale", [2.0, 8.0])
def test_multihead_attention_is_looked_into(scale):
    draw = np.random.default_rng(4).normal
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    weights = [0.5 * draw(size=w.shape) for w in layer.parameters()]
    names = [name for name, _ in layer.named_parameters()]

    def theirs(x, *w):
        state = dict(zip(names, w, strict=True))
        return torch.func.functional_call(layer, state, (x, x, x))[0].square().sum()

    def ours(x, w, b, outer, shift):
        parts = jnp.split(x @ w.T + b, 3, -1)
        q, k, v = (a.reshape(3, 5, 2, 4) for a in parts)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / scale
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
        return jnp.square(mixed.reshape(3, 5, 8) @ outer.T + shift).sum()

    first = found_in(theirs, ours, [draw(size=(3, 5, 8)), *weights])
    assert ("4 times" in str(first and first.guess)) == (scale == 8.0)
    assert (first is None) == (scale == 2.0)
