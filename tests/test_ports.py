"""JAX ports of PyTorch programs: where they differ, in both sources, and why."""

import functools
import re
import tempfile
from pathlib import Path

import pytest

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
