"""NumPy's scalars act like Python's numbers, wherever an argument takes a number."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import optimizers, training
from jaxgrad.activations import softmax
from jaxgrad.descent import descend
from tests.cases import CASES, in_jaxgrad
from tests.schedule_cases import LR
from tests.tiny_run import BATCH, DATASET, LOSS, PARAMS, apply

AS_NUMPY = {bool: np.bool_, int: np.int64, float: np.float64}


def as_numpy(options):
    return {
        name: AS_NUMPY[type(option)](option) if type(option) in AS_NUMPY else option
        for name, option in options.items()
    }


def one_case_per_function():
    """The case with the most scalar options."""
    chosen = {}
    for case in CASES:
        count = sum(type(option) in AS_NUMPY for option in case.options.values())
        if count > chosen.get(case.function, (0, None))[0] and "float32" in case.dtypes:
            chosen[case.function] = count, case
    return [case for _, case in chosen.values()]


@pytest.mark.parametrize("case", one_case_per_function(), ids=lambda case: case.id)
def test_options_of_activations_and_losses(case, x64):
    """With x64, JAX would widen float32 arrays to a float64 scalar's dtype."""
    arrays = {
        name: jnp.asarray(array, "float32") for name, array in case.arrays.items()
    }
    other = dataclasses.replace(case, options=as_numpy(case.options))
    expected, actual = in_jaxgrad(case)(**arrays), in_jaxgrad(other)(**arrays)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("step_lr", {"step_size": 3, "gamma": 0.5}),
        ("constant_lr", {"factor": 0.5, "total_iters": 2}),
        ("one_cycle_lr", {"total_steps": 10, "pct_start": 0.4}),
        ("cyclic_lr", {"max_lr": 0.5, "step_size_up": 2, "step_size_down": 3}),
        ("cosine_annealing_warm_restarts", {"T_0": 2, "T_mult": 2}),
        ("swa_lr", {"swa_lr": 0.1, "anneal_epochs": 3}),
    ],
)
def test_options_of_schedules(name, options):
    make = getattr(optimizers, name)
    for step in (0, 1, 5):
        expected = make(LR, **options)(step)
        np.testing.assert_array_equal(make(LR, **as_numpy(options))(step), expected)


@pytest.mark.parametrize("as_float", [np.float32, np.float64, jnp.asarray])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adam", {"betas": (0.5, 0.75)}),
        ("rprop", {"etas": (0.5, 1.5), "step_sizes": (0.25, 2.0)}),
        ("adafactor", {"eps": (0.125, 0.5)}),
        ("muon", {"ns_coefficients": (3.5, -4.75, 2.0)}),
    ],
)
def test_options_of_optimizers(name, options, as_float, x64):
    """With x64, JAX would widen float32 parameters to a float64 scalar's dtype."""
    make, point = getattr(optimizers, name), jnp.array([[1.0, -2.0]], jnp.float32)
    found = []
    for convert in (float, as_float):
        given = {k: tuple(map(convert, pair)) for k, pair in options.items()}
        optimizer = make(convert(0.5), **given)
        updates, _ = optimizer.update(point, optimizer.init(point), point)
        assert updates.dtype == jnp.float32
        found.append(updates)
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.message
@pytest.mark.parametrize("axis", [True, np.True_, 1.0, "0", None, np.array([0])])
def test_what_is_not_an_int_is_refused(axis):
    with pytest.raises(TypeError, match="axis to be an int, got"):
        softmax(jnp.ones(3), axis)


def test_an_array_of_one_int_is_an_int():
    assert softmax(jnp.ones(2), jnp.array(0)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("as_int", [np.uint8, np.int64, np.asarray, jnp.asarray])
def test_counts_of_training_and_descent(as_int):
    """Small unsigned integers do not overflow, and arrays are hashed nowhere."""
    numbers: Any = {"epochs": as_int(1), "batch_size": as_int(BATCH)}
    optimizer = optimizers.sgd(0.1)
    state = training.init(jax.random.key(0), PARAMS, optimizer)
    run = training.fit(apply, LOSS, optimizer, state, DATASET, **numbers)
    assert len(list(run)) == 1
    path = descend(optimizer, lambda x: x**2, jnp.float32(1), as_int(2))
    assert path.values.shape == (2,)
