"""Complex parameters, which torch and jaxgrad treat as pairs of real numbers."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import optimizers
from tests.optimizer_cases import CASES, TORCH_NAMES, Case

REAL_ONLY = ("adafactor", "muon")
START = np.array([[1 + 1j, -2j, 0.5], [3, -1 + 2j, 1j]])
GRADIENTS = np.array([[1j, -2 + 1j, 3j], [-1 - 1j, 2 - 1j, 0]]) * np.ones((5, 1, 1))
GRADIENTS[1::2] *= -0.5


def descended(case: Case, start: Any, gradients: Any) -> Any:
    """The parameters after each step."""
    optimizer: Any = getattr(optimizers, case.optimizer)(**case.options)

    def step(carry, gradient):
        params, state = carry
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    return jax.lax.scan(step, (start, optimizer.init(start)), gradients)[1]


def pairs(z: Any) -> Any:
    return jnp.stack([z.real, z.imag], -1)


# XLA's older emitters, with which the tests compile, round complex products otherwise.
ROUNDED_ALIKE: dict[str, int | bool] = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):
    ROUNDED_ALIKE["xla_cpu_use_fusion_emitters"] = True


@pytest.mark.parametrize("name", sorted(set(TORCH_NAMES) - set(REAL_ONLY)))
def test_a_complex_parameter_is_a_pair_of_reals(name):
    """With the defaults, and with the most options of the table."""
    cases = [case for case in CASES if case.optimizer == name]
    start, gradients = (
        jnp.asarray(START, "complex64"),
        jnp.asarray(GRADIENTS, "complex64"),
    )

    @partial(jax.jit, compiler_options=ROUNDED_ALIKE)
    def both(start, gradients):
        return [
            (
                descended(case, start, gradients),
                descended(case, pairs(start), pairs(gradients)),
            )
            for case in (cases[0], max(cases, key=lambda case: len(case.options)))
        ]

    for points, real in both(start, gradients):
        assert points.dtype == "complex64"
        # JAX 0.12's XLA contracts a product and a sum in one of them: a rounding error.
        rtol = 2e-7 if jax.__version_info__ >= (0, 12) else 0
        np.testing.assert_allclose(pairs(points), real, rtol=rtol)


def test_complex128_and_real_leaves_side_by_side(x64):
    optimizer: Any = optimizers.adamw(lr=0.1)
    params = {"z": jnp.array([1 + 1j]), "x": jnp.array([2.0], jnp.float16)}
    gradients = {"z": jnp.array([0.5j]), "x": jnp.array([1.0], jnp.float16)}
    update = jax.jit(
        lambda: optimizer.update(gradients, optimizer.init(params), params)
    )
    updates, _ = update()
    assert {k: u.dtype.name for k, u in updates.items()} == {
        "z": "complex128",
        "x": "float16",
    }
    np.testing.assert_allclose(updates["z"], [-1e-3 - 0.101j], rtol=1e-6)


def test_the_conjugate_of_jaxs_gradient_descends():
    def distance(z):
        return jnp.abs(z - (3 - 4j)) ** 2

    optimizer: Any = optimizers.sgd(lr=0.5)
    z = jnp.asarray(1 + 1j)
    updates, _ = optimizer.update(jnp.conj(jax.grad(distance)(z)), optimizer.init(z))
    np.testing.assert_allclose(z + updates, 3 - 4j, rtol=1e-6)


@pytest.mark.message
@pytest.mark.parametrize("name", REAL_ONLY)
def test_optimizers_that_refuse_complex_parameters_in_torch(name):
    optimizer = getattr(optimizers, name)()
    with pytest.raises(TypeError, match=f"^{name}: expected real parameters, got comp"):
        optimizer.init({"w": jnp.ones((2, 2), complex)})


def test_the_norm_of_complex_gradients_is_that_of_their_absolute_values():
    gradients = [jnp.array([3 + 4j, 0]), jnp.array(12.0)]
    assert optimizers.get_total_norm(gradients).item() == 13.0
    assert optimizers.get_total_norm(gradients, 1.0).item() == 17.0
    clip: Any = optimizers.clip_grad_norm(1.3)
    clipped, _ = clip.update(gradients, clip.init(None))
    np.testing.assert_allclose(clipped[0], [0.3 + 0.4j, 0], rtol=1e-6)
