"""ReduceLROnPlateau: torch's rate after every metric, and Optax's conventions."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad.optimizers import adamw, reduce_lr_on_plateau, sgd
from tests.plateau_cases import CASES, LR

GOLDEN = {
    entry["case"]: entry["rates"]
    for entry in json.loads(
        (Path(__file__).parent / "golden" / "plateaus.json").read_text("utf-8")
    )["entries"]
}
REGENERATE = "run `python -m tests.golden.generate_optimizers` if the cases changed"


def rates_after(case):
    """The rate after each metric, and how often `update` was traced."""
    plateau, traces = reduce_lr_on_plateau(LR, **case.options), []

    @jax.jit
    def update(state, metric):
        traces.append(metric)
        return plateau.update((), state, value=metric)[1]

    state, rates = plateau.init(()), []
    for metric in case.metrics:
        state = update(state, metric)
        rates.append(state.lr)
    return np.asarray(rates), len(traces)


def test_the_golden_file_has_the_same_cases():
    assert list(GOLDEN) == list(map(str, CASES)), REGENERATE


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_rate_equals_torchs(case, x64):
    rates, traces = rates_after(case)
    np.testing.assert_allclose(rates, GOLDEN[str(case)], rtol=1e-14)
    assert traces == 1


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_rate_equals_torchs_in_float32(case):
    np.testing.assert_allclose(rates_after(case)[0], GOLDEN[str(case)], rtol=1e-5)


def test_the_metrics_of_the_cases_reduce_the_rate():
    reduced = [min(rates) < LR for rates in GOLDEN.values()]
    assert sum(reduced) > len(reduced) / 2


def test_an_update_is_made_with_the_rate_before_its_metric():
    plateau = reduce_lr_on_plateau(0.5, patience=0, factor=0.5)
    optimizer: Any = optax.chain(sgd(1.0), plateau)
    params = jnp.array([8.0])
    state = optimizer.init(params)
    seen = []
    for metric in (1.0, 2.0, 3.0, 0.5):
        updates, state = optimizer.update(2 * params, state, params, value=metric)
        seen.append(updates.item())
    assert seen == [-8.0, -8.0, -4.0, -2.0]
    assert optax.tree.get(state, "lr") == 0.125


def test_without_a_metric_the_rate_stays():
    plateau: Any = reduce_lr_on_plateau(0.5, patience=0)
    state = plateau.init(None)
    updates, same = plateau.update({"w": jnp.ones(2)}, state)
    assert same is state
    assert updates["w"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_updates_keep_their_dtype(dtype):
    plateau: Any = reduce_lr_on_plateau(0.1)
    state = plateau.init(None)
    updates, state = plateau.update(jnp.ones(2, dtype), state, value=jnp.float16(1))
    assert updates.dtype == dtype
    assert updates[0] == jnp.asarray(0.1, dtype)
    assert state.lr.dtype == state.best.dtype == "float32"


def test_a_rate_after_adamw_also_scales_its_decay(x64):
    params, gradient = jnp.array([2.0, -3.0]), jnp.array([0.5, 0.25])
    both: Any = optax.chain(adamw(1.0), reduce_lr_on_plateau(0.1))
    updates, _ = both.update(gradient, both.init(params), params, value=1.0)
    alone: Any = adamw(0.1)
    expected, _ = alone.update(gradient, alone.init(params), params)
    np.testing.assert_allclose(updates, expected, rtol=1e-14)


@pytest.mark.message
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"factor": 1.0}, ValueError, "factor < 1, got 1.0"),
        ({"mode": "least"}, ValueError, "mode to be one of 'min', 'max', got 'least'"),
        ({"threshold_mode": "x"}, ValueError, "threshold_mode to be one of 'rel', 'ab"),
        ({"patience": 1.5}, TypeError, "patience to be an int, got float"),
        ({"cooldown": None}, TypeError, "cooldown to be an int, got NoneType"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=f"^reduce_lr_on_plateau: expected {message}"):
        reduce_lr_on_plateau(LR, **options)
