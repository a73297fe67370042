"""Clipping: torch's 1e-6, every norm, NaN and infinity."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad.optimizers import clip_grad_norm, clip_grad_value, get_total_norm

GRADIENTS = {"w": jnp.array([[3.0, 0.0], [0.0, -4.0]]), "b": jnp.array([12.0])}


def clipped(clip, gradients) -> Any:
    return clip.update(gradients, clip.init(gradients))[0]


@pytest.mark.parametrize(
    ("norm_type", "norm"),
    [
        (2.0, 13.0),
        (1.0, 19.0),
        (math.inf, 12.0),
        (3.0, (27 + 64 + 1728) ** (1 / 3)),
        (-math.inf, 0.0),
        (0.0, 2.0),  # two arrays with an entry that is not 0: torch's norm of norms
    ],
)
def test_norm_and_factor(norm_type, norm):
    total = get_total_norm(GRADIENTS, norm_type)
    np.testing.assert_allclose(total, norm, rtol=1e-6)
    factor = min(1.0, 2.0 / (norm + 1e-6))
    for name, after in clipped(clip_grad_norm(2.0, norm_type), GRADIENTS).items():
        np.testing.assert_allclose(after, factor * GRADIENTS[name], rtol=1e-6)


def test_small_gradients_do_not_change():
    after = clipped(clip_grad_norm(13.1), GRADIENTS)
    np.testing.assert_array_equal(after["w"], GRADIENTS["w"])


def test_at_the_limit_torch_shrinks_by_a_millionth(x64):
    after = clipped(clip_grad_norm(5.0), jnp.array([3.0, 4.0]))
    np.testing.assert_allclose(after, np.array([3.0, 4.0]) * 5 / (5 + 1e-6), rtol=1e-15)


def test_a_nan_norm_gives_nan_and_an_infinite_one_zeros():
    after = clipped(clip_grad_norm(1.0), {"a": jnp.array([jnp.nan]), "b": jnp.ones(2)})
    assert np.isnan(after["b"]).all()
    after = clipped(clip_grad_norm(1.0), {"a": jnp.array([jnp.inf]), "b": jnp.ones(2)})
    assert np.isnan(after["a"]).all()
    np.testing.assert_array_equal(after["b"], [0.0, 0.0])


@pytest.mark.parametrize("norm_type", [2.0, math.inf, -math.inf])
def test_a_nan_among_many_entries_is_not_lost(norm_type):
    many = jnp.ones(1000).at[7].set(jnp.nan)
    assert np.isnan(get_total_norm([many, jnp.ones(2)], norm_type))


@pytest.mark.message
def test_error_if_nonfinite_raises_for_a_concrete_norm():
    clip = clip_grad_norm(1.0, error_if_nonfinite=True)
    with pytest.raises(ValueError, match=r"^clip_grad_norm: .* finite norm, got inf"):
        clipped(clip, jnp.array([jnp.inf]))


def test_error_if_nonfinite_gives_nan_under_jit():
    clip = clip_grad_norm(1.0, error_if_nonfinite=True)
    after = jax.jit(lambda g: clipped(clip, g))(jnp.array([jnp.inf, 1.0]))
    assert np.isnan(after).all()
    np.testing.assert_allclose(clipped(clip, jnp.array([3.0, 4.0])), [0.6, 0.8], 1e-6)


def test_empty_trees_and_arrays():
    assert float(get_total_norm({})) == 0.0
    assert float(get_total_norm([jnp.zeros((0, 2))], math.inf)) == 0.0
    assert clipped(clip_grad_norm(1.0), {"none": None}) == {"none": None}


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    gradients = jnp.full(4096, 16.0, dtype)  # the sum of squares overflows float16
    assert float(get_total_norm(gradients)) == 1024.0
    after = clipped(clip_grad_norm(512.0), gradients)
    assert after.dtype == dtype
    np.testing.assert_allclose(np.asarray(after, np.float32), 8.0, rtol=1e-2)


def test_clip_by_value():
    after = clipped(clip_grad_value(2.0), jnp.array([-3.0, 1.0, jnp.inf, jnp.nan]))
    np.testing.assert_array_equal(after, [-2.0, 1.0, 2.0, jnp.nan])


def test_integers_are_refused():
    with pytest.raises(TypeError, match="get_total_norm"):
        get_total_norm(jnp.array([1, 2]))
