"""Paths and races: against a Python loop, and the table of a race."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import optimizers
from jaxgrad.descent import SURFACES, Surface, descend, race

SPHERE = SURFACES["sphere"]


@pytest.mark.parametrize("surface", SURFACES.values(), ids=lambda s: s.name)
def test_every_listed_minimum_is_a_minimum(surface, x64):
    heights = [float(surface.function(jnp.asarray(m))) for m in surface.minimum]
    np.testing.assert_allclose(heights, heights[0], atol=1e-12)
    for minimum in surface.minimum:
        gradient = jax.jit(jax.grad(surface.function))(jnp.asarray(minimum))
        np.testing.assert_allclose(gradient, 0.0, atol=1e-6)
        curvature = jax.jit(jax.hessian(surface.function))(jnp.asarray(minimum))
        assert (np.linalg.eigvalsh(curvature) > 0).all()


@pytest.mark.parametrize("surface", SURFACES.values(), ids=lambda s: s.name)
def test_no_point_inside_the_bounds_is_lower(surface, x64):
    (left, bottom), (right, top) = surface.bounds
    x, y = np.meshgrid(np.linspace(left, right, 401), np.linspace(bottom, top, 401))
    heights = surface.function(jnp.stack([jnp.asarray(x), jnp.asarray(y)], -1))
    lowest = surface.function(jnp.asarray(surface.minimum[0]))
    assert heights.shape == (401, 401)
    assert float(jnp.min(heights)) >= float(lowest) - 1e-12


def test_path_equals_a_python_loop():
    optimizer = optimizers.adam(0.1)
    f = SURFACES["rosenbrock"].function
    point = jnp.array([-1.0, 1.0])
    path = descend(optimizer, f, point, 20)
    state = optimizer.init(point)
    for step in range(20):
        value, gradient = jax.value_and_grad(f)(point)
        np.testing.assert_allclose(path.values[step], value, rtol=1e-5)
        updates, state = optimizer.update(gradient, state, point)
        point = point + jnp.asarray(updates)
        np.testing.assert_allclose(path.points[step], point, rtol=1e-5)


def test_path_takes_any_shape_and_no_steps():
    path = descend(optax.sgd(0.1), lambda x: jnp.sum(x**2), jnp.ones((2, 3)), 0)
    assert path.points.shape == (0, 2, 3)
    assert path.values.shape == (0,)
    path = descend(optimizers.adam(0.1), lambda x: x**2, 3.0, 4)
    assert path.points.shape == path.values.shape == (4,)


def test_path_maps_over_starts_and_learning_rates():
    def last(lr, start):
        return descend(optimizers.sgd(lr), SPHERE.function, start, 5).points[-1]

    lrs, starts = jnp.array([0.1, 0.25]), jnp.array([[1.0, 2.0], [3.0, 4.0]])
    mapped = jax.vmap(last)(lrs, starts)
    expected = starts * (1 - 2 * lrs[:, None]) ** 5
    np.testing.assert_allclose(mapped, expected, rtol=1e-6)


def test_path_is_compiled_once():
    traces = []

    def f(x):
        traces.append(None)
        return x**2

    optimizer = optimizers.sgd(0.1)
    for start in (1.0, 2.0, 3.0):
        descend(optimizer, f, start, 3)
    once = len(traces)
    descend(optimizer, f, 4.0, 3)
    assert len(traces) == once


@pytest.fixture(scope="module")
def of_two():
    """SGD on x^2 + y^2, where every step multiplies the point by 1 - 2 lr."""
    return race(
        {"sgd": optimizers.sgd, "still": lambda lr: optimizers.sgd(0.0 * lr)},
        SPHERE,
        starts=jnp.array([[3.0, 4.0], [0.3, 0.4]]),
        lrs=jnp.array([0.25, 0.5, 1.0, 2.0]),
        num_steps=20,
        keep_paths=True,
    )


def test_race_counts_the_steps_until_it_stays(of_two):
    # 5 / 2**9 <= 0.01 < 5 / 2**8, and 0.5 / 2**6 <= 0.01 < 0.5 / 2**5
    assert of_two.steps[0].tolist() == [[9, 6], [1, 1], [-1, -1], [-1, -1]]
    assert (of_two.steps[1] == -1).all()


def test_race_measures_distance_and_divergence(of_two):
    np.testing.assert_allclose(of_two.distance[0, 0], [5 / 2**20, 0.5 / 2**20], 1e-5)
    np.testing.assert_allclose(of_two.distance[0, 2], [5.0, 0.5], rtol=1e-6)
    assert of_two.diverged[0].tolist() == [[False] * 2] * 3 + [[True] * 2]
    assert not of_two.diverged[1].any()


def test_race_keeps_paths_on_request(of_two):
    assert of_two.paths.shape == (2, 4, 2, 20, 2)
    np.testing.assert_allclose(of_two.paths[0, 1], 0.0, atol=1e-6)
    alone = descend(optimizers.sgd(0.25), SPHERE.function, jnp.array([3.0, 4.0]), 20)
    np.testing.assert_allclose(of_two.paths[0, 0, 0], alone.points, rtol=1e-6)


def test_race_prints_as_a_table(of_two):
    sgd, still = of_two.standings
    assert (sgd.optimizer, sgd.best_lr, sgd.arrived, sgd.steps) == (
        "sgd",
        0.5,
        1.0,
        1.0,
    )
    assert (sgd.distance, sgd.sensitivity, sgd.diverged) == (0.0, 0.5, 0.25)
    assert (still.arrived, still.steps, still.sensitivity) == (0.0, float("inf"), 1.0)
    lines = str(of_two).splitlines()
    assert lines[0].startswith("sphere: 4 learning rates x 2 starts x 20 steps")
    assert lines[1].split()[:3] == ["optimizer", "best", "lr"]
    assert lines[2].split() == "sgd 0.5 100% 1 0.00e+00 50% 25%".split()


def test_a_long_name_and_one_of_kanji_keep_the_columns_in_line():
    given: Any = (jnp.ones((1, 2)), jnp.array([0.1]), 3)
    names = ("momentum_of_nesterov", "学習", "a\x1bb")
    run = race(dict.fromkeys(names, optax.sgd), SURFACES["sphere"], *given)
    lines = [line.replace("学習", "four") for line in str(run).split("\n")[1:]]
    assert len(lines) == 4 and len({*map(len, lines)}) == 1
    assert all(line.index("0.1") == lines[0].index("best lr") + 4 for line in lines[1:])


def test_race_handles_nan_and_inf():
    result = race(
        {"sgd": optimizers.sgd},
        SURFACES["rosenbrock"],
        starts=jnp.array([[-1.5, 2.0]]),
        lrs=jnp.array([100.0]),
        num_steps=50,
    )
    assert result.diverged.all()
    assert not np.isfinite(result.distance).any()
    assert result.standings[0].distance == float("inf")


def test_distance_is_to_the_nearest_minimum():
    result = race(
        {"sgd": optimizers.sgd},
        SURFACES["himmelblau"],
        starts=jnp.asarray(SURFACES["himmelblau"].minimum),
        lrs=jnp.array([1e-3]),
        num_steps=3,
    )
    assert (result.steps == 1).all()
    np.testing.assert_allclose(result.distance, 0.0, atol=1e-5)


def test_memory_of_a_race_is_independent_of_its_steps():
    from jaxgrad.descent import _race

    def temporary(num_steps, keep_paths):
        arguments = jnp.ones((8, 2)), jnp.full(8, 0.1), 1e-2
        static = (optimizers.adam,), SPHERE, num_steps, keep_paths
        memory: Any = _race.lower(*static, *arguments).compile().memory_analysis()
        return memory.temp_size_in_bytes + memory.output_size_in_bytes

    assert temporary(10_000, False) == temporary(100, False)
    assert temporary(10_000, True) > 10_000 * 8 * 8 * 2 * 4


def test_race_is_compiled_once():
    traces = []

    def factory(lr):
        traces.append(None)
        return optimizers.sgd(lr)

    for lr in (0.1, 0.2):
        race({"sgd": factory}, SPHERE, jnp.ones((1, 2)), jnp.array([lr]), 3)
    assert len(traces) == 1


def test_race_on_a_new_surface_in_float64(x64):
    plane = Surface(
        "line", lambda p: jnp.sum(jnp.abs(p), -1), ((0.0, 0.0),), SPHERE.bounds
    )
    result = race(
        {"adam": optimizers.adam}, plane, jnp.ones((1, 2)), jnp.array([0.1]), 100
    )
    assert result.distance.dtype == np.float64
    assert result.distance.item() < 0.2


@pytest.mark.message
@pytest.mark.parametrize(
    ("change", "fault", "message"),
    [
        ({"optimizers": {}}, ValueError, "race: expected at least one optimizer"),
        ({"starts": jnp.ones(2)}, ValueError, r"starts of shape \(n, 2\)"),
        ({"starts": jnp.ones((4, 3))}, ValueError, r"starts of shape \(n, 2\)"),
        ({"lrs": jnp.ones((2, 2))}, ValueError, "race: expected lrs of shape"),
        ({"lrs": jnp.arange(3)}, TypeError, "race: expected lrs of a floating dtype"),
        ({"num_steps": 0}, ValueError, "race: expected num_steps >= 1"),
        ({"num_steps": 1.0}, TypeError, "race: expected num_steps to be an int"),
    ],
)
def test_race_errors(change, fault, message):
    arguments = {
        "optimizers": {"sgd": optimizers.sgd},
        "surface": SPHERE,
        "starts": jnp.ones((1, 2)),
        "lrs": jnp.ones(1),
        "num_steps": 2,
    }
    with pytest.raises(fault, match=message):
        race(**(arguments | change))


@pytest.mark.message
def test_descend_errors():
    with pytest.raises(TypeError, match="descend: expected start of a floating dtype"):
        descend(optax.sgd(0.1), lambda x: x**2, 1, 3)
    with pytest.raises(ValueError, match="descend: expected num_steps >= 0"):
        descend(optax.sgd(0.1), lambda x: x**2, 1.0, -1)
