"""The schedules: torch's golden learning rate at every step."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import optimizers
from tests.schedule_cases import SCHEDULES

GOLDEN = {
    entry["case"]: entry["rates"]
    for entry in json.loads(
        (Path(__file__).parent / "golden" / "schedules.json").read_text("utf-8")
    )["entries"]
}
REGENERATE = "run `python -m tests.golden.generate_optimizers` if the cases changed"


def test_the_golden_file_has_the_same_cases():
    assert list(GOLDEN) == [case.name for case in SCHEDULES], REGENERATE


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: case.name)
def test_every_rate_equals_torchs(case, x64):
    steps = jnp.arange(case.steps, dtype=jnp.int32)
    rates = jax.jit(jax.vmap(case.schedule))(steps)
    assert rates.dtype == jnp.float64
    np.testing.assert_allclose(
        rates, GOLDEN[case.name], rtol=1e-12, atol=1e-15, err_msg=REGENERATE
    )


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: case.name)
def test_rate_of_a_python_number_in_float32(case):
    for step in (0, 1, case.steps - 1):
        np.testing.assert_allclose(
            case.schedule(step), GOLDEN[case.name][step], rtol=2e-6, atol=1e-7
        )


def test_float32_keeps_its_digits_over_a_long_training():
    rate = optimizers.exponential_lr(1.0, 0.9999)(50_000)
    np.testing.assert_allclose(rate, 0.9999**50_000, rtol=2e-6)
    rate = optimizers.cosine_annealing_lr(1.0, 1000)(1_000_500)
    np.testing.assert_allclose(rate, 0.5, rtol=1e-6)


def test_restarts_reach_the_end_of_the_step_counter():
    schedule = optimizers.cosine_annealing_warm_restarts(1.0, 1, 2)
    assert np.isfinite(schedule(2**31 - 1))
    np.testing.assert_allclose(schedule(2**30 - 1), 1.0)


def test_one_cycle_keeps_its_last_rate():
    schedule = optimizers.one_cycle_lr(1.0, 10, anneal_strategy="linear")
    last, after, later = (np.asarray(schedule(count)) for count in (9, 10, 1000))
    assert last == after == later > 0


@pytest.mark.message
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.step_lr(1.0, 0), "step_lr: expected step_size >= 1"),
        (lambda: optimizers.constant_lr(1.0, 1.1), r"constant_lr: expected factor in"),
        (
            lambda: optimizers.linear_lr(1.0, 0.0),
            "expected start_factor in",
        ),
        (
            lambda: optimizers.linear_lr(1.0, 0.5, 2.0),
            "expected end_factor in",
        ),
        (lambda: optimizers.cosine_annealing_lr(1.0, 0), "expected T_max >= 1"),
        (
            lambda: optimizers.cosine_annealing_warm_restarts(1.0, 3, 0),
            "expected T_mult >= 1",
        ),
        (lambda: optimizers.one_cycle_lr(1.0), "expected total_steps, or epochs and"),
        (lambda: optimizers.one_cycle_lr(1.0, 0), "expected total_steps >= 1"),
        (
            lambda: optimizers.one_cycle_lr(1.0, 9, pct_start=1.5),
            "expected pct_start in",
        ),
        (
            lambda: optimizers.one_cycle_lr(1.0, 10, pct_start=0.1),
            "expected pct_start that leaves steps for the rise",
        ),
        (
            lambda: optimizers.one_cycle_lr(1.0, 9, anneal_strategy="exp"),
            "expected anneal_strategy to be one of",
        ),
        (
            lambda: optimizers.one_cycle_momentum(9, pct_start=-1.0),
            "one_cycle_momentum: expected pct_start in",
        ),
        (
            lambda: optimizers.cyclic_momentum(0),
            "cyclic_momentum: expected step_size_up >= 1",
        ),
        (
            lambda: optimizers.chained_lr([]),
            "chained_lr: expected at least one schedule, got none",
        ),
        (
            lambda: optimizers.cyclic_lr(0.1, 1.0, mode="sine"),
            "expected mode to be one of",
        ),
        (
            lambda: optimizers.sequential_lr([lambda count: count], [3]),
            "expected one fewer milestone than schedules, got 1 for 1",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_cycle_may_end_at_the_top():
    """PyTorch refuses only the step after it, as the way down has no length."""
    schedule = optimizers.one_cycle_lr(1.0, 5, pct_start=1.0, anneal_strategy="linear")
    np.testing.assert_allclose(schedule(jnp.arange(5)), [0.04, 0.28, 0.52, 0.76, 1.0])
