"""Programs from public bug reports: the line, the cause, and a remedy that works."""

import re
import warnings

import jax
import pytest

from docs import generate_field
from tests.field import CASES
from tests.field.judge import is_wrong, judge

PAGE = generate_field.PAGE.read_text(encoding="utf-8")


def parameter(case, names=""):
    """A case; where jaxgrad's answer is known to fall short, a failure is expected."""
    falls_short = pytest.mark.xfail(strict=True, reason=case.shortcoming)
    marks = [falls_short] if case.shortcoming else []
    marks += [getattr(pytest.mark, name) for name in names.split()]
    return pytest.param(case, id=case.name, marks=marks)


def skip_what_jax_mended(case):
    if case.gone:
        pytest.skip("this version of JAX no longer has the fault")


PARAMETERS = [parameter(case) for case in CASES]
SIXTHS = ["", "slow", *["slow by_hand"] * 4]  # a third of the cases runs in CI


@pytest.mark.parametrize(
    "case", [parameter(case, SIXTHS[i % 6]) for i, case in enumerate(CASES)]
)
def test_the_line_the_cause_and_the_remedy(case):
    skip_what_jax_mended(case)
    verdict = judge(case)
    assert verdict.right, verdict.text


@pytest.mark.slow
@pytest.mark.parametrize("case", PARAMETERS[1::9])
def test_the_same_under_jit(case):
    skip_what_jax_mended(case)
    verdict = judge(case, jax.jit)
    assert verdict.right, verdict.text


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_program_shows_the_fault_and_its_twin_does_not(case):
    skip_what_jax_mended(case)
    assert is_wrong(case)


def test_every_case_has_a_source_and_a_row():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    for case in CASES:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", case.source)
        assert any(row.startswith(f"| {case.name} | {case.source} |") for row in rows)
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.slow
@pytest.mark.by_hand
def test_the_page_is_current():
    if f"with JAX {jax.__version__};" not in PAGE:
        pytest.skip("the page is written with another version of JAX")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The page reports a hint that fails.
        assert generate_field.main(["--check"]) == 0
