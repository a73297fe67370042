"""Averages of parameters: arithmetic, dtypes and compilation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import optimizers
from jaxgrad.optimizers import averaged_model, update_parameters

PATH = (
    {"w": [1.0, 2.0], "b": -1.0},
    {"w": [3.0, 2.0], "b": 1.0},
    {"w": [8.0, -1.0], "b": 3.0},
)


def averaged(avg_fn=None, dtype="float32"):
    path = [jax.tree.map(lambda x: jnp.asarray(x, dtype), p) for p in map(arrays, PATH)]
    state = averaged_model(jax.tree.map(jnp.zeros_like, path[0]))
    update: Any = jax.jit(
        lambda state, params: update_parameters(state, params, avg_fn)
    )
    for params in path:
        state = update(state, params)
    assert update._cache_size() == 1
    return state


def arrays(params):
    return jax.tree.map(np.asarray, params, is_leaf=lambda x: isinstance(x, list))


def test_equal_weights():
    state = averaged()
    assert state.n_averaged == 3
    assert state.module["w"].tolist() == [(1 + 3 + 8) / 3, (2 + 2 - 1) / 3]
    assert state.module["b"].item() == (-1 + 1 + 3) / 3


def test_exponential_weights_start_at_the_first_parameters(x64):
    state = averaged(optimizers.get_ema_avg_fn(0.75), "float64")
    expected = 0.75 * (0.75 * 1 + 0.25 * 3) + 0.25 * 8
    np.testing.assert_allclose(state.module["w"][0], expected, rtol=1e-15)


def test_the_function_gets_the_number_of_averaged_parameters():
    state = averaged(lambda old, new, count: count.astype(old.dtype) + 0 * new)
    assert state.module["b"] == 2.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64"])
def test_dtypes_are_kept_and_half_precision_is_averaged_in_float32(dtype):
    module = averaged(dtype=dtype).module
    assert {leaf.dtype for leaf in jax.tree.leaves(module)} == {jnp.dtype(dtype)}
    exact = averaged().module["w"]
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(module["w"].astype(complex), exact, rtol=eps)


def test_integers_are_copied():
    state = averaged_model({"seen": jnp.array(0), "mean": jnp.array(0.0)})
    for seen in (10, 25):
        new = {"seen": jnp.array(seen), "mean": jnp.array(float(seen))}
        state = update_parameters(state, new)
    assert state.module == {"seen": 25, "mean": 17.5}


@pytest.mark.message
def test_errors():
    with pytest.raises(ValueError, match=r"get_ema_avg_fn: expected decay in \[0.0, 1"):
        optimizers.get_ema_avg_fn(1.5)
    with pytest.raises(ValueError, match="swa_lr: expected anneal_epochs >= 0, got -1"):
        optimizers.swa_lr(0.1, 0.1, -1)
    with pytest.raises(ValueError, match="swa_lr: expected anneal_strategy to be one"):
        optimizers.swa_lr(0.1, 0.1, anneal_strategy="exp")
