"""Gradient norms, update ratios and dead units, measured during training."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import plots, training
from jaxgrad.losses import cross_entropy
from jaxgrad.training import checkpoints
from tests.tiny_run import BATCH, DATASET, LOSS, PARAMS, TRAIN, WHITE, N, apply

MOMENTUM = optax.sgd(0.1, momentum=0.9)
STEPS = training.count_batches(N, BATCH).steps
EVERY = 3


def start(params: Any = PARAMS):
    return training.Progress(training.init(jax.random.key(0), params, MOMENTUM))


def advance(progress=None, **options: Any):
    run = partial(training.advance, apply, LOSS, MOMENTUM, progress or start(), DATASET)
    fixed: dict[str, Any] = {"epochs": 3, "batch_size": BATCH}
    return run(**(fixed | options))


def last(*progress, **options: Any):
    *_, reached = advance(*progress, **options)
    return reached


def history(progress):
    """Everything that a run has measured, as one row for each watched step."""
    parts = [*(epoch.watched for epoch in progress.completed), progress.watched]
    found = [part for part in parts if part is not None]
    steps = np.concatenate([part.steps for part in found])
    columns = [jax.tree.leaves(part._replace(steps=())) for part in found]
    return steps, np.concatenate(columns, axis=1).T


@pytest.fixture(scope="module")
def whole():
    return last(watch=EVERY)


def test_every_third_step_of_the_run_is_measured_across_its_epochs(whole):
    steps, rows = history(whole)
    assert steps.tolist() == [*range(0, 3 * STEPS, EVERY)]
    assert rows.shape == (len(steps), 5 * (4 + 2))  # metrics of parameters and layers
    assert np.isfinite(rows).all() and (rows[:, 0] != 0).all()
    assert [*whole.completed[0].watched.layers] == ["params['fc1']", "params['fc2']"]
    assert last(epochs=1).completed[0].watched is None


def test_measuring_does_not_change_a_bit_of_the_training(whole):
    plain = last()
    assert training.sha256(plain.state.params) == training.sha256(whole.state.params)


def loss(params, images, labels):
    return cross_entropy(apply(params, images), labels)


def test_a_measured_step_is_that_of_the_monitor_and_of_numpy():
    """With one batch an epoch, so that the order does not matter."""
    images = jnp.asarray(TRAIN.images / np.float32(WHITE))
    watch, labels = training.monitor(loss, MOMENTUM), jnp.asarray(TRAIN.labels)
    run = advance(epochs=3, batch_size=N, watch=1)
    state = next(run).state
    alone = watch(state.params, state.opt_state, images, labels)
    gradients = jax.grad(loss)(state.params, images, labels)
    updates: Any = MOMENTUM.update(gradients, state.opt_state, state.params)[0]
    norms = [
        np.sqrt(sum(np.sum(np.square(x)) for x in tree["fc1"].values()))
        for tree in (gradients, updates, state.params)
    ]
    found = alone.layers["params['fc1']"]
    np.testing.assert_allclose(found.gradient_norm, norms[0], rtol=1e-5)
    np.testing.assert_allclose(found.update_ratio, norms[1] / norms[2], rtol=1e-5)
    _, rows = history(next(run))
    np.testing.assert_allclose(rows[1], jax.tree.leaves(alone), rtol=1e-4)


@pytest.mark.parametrize("options", [{"save_every": 1}, {"mesh": training.data_mesh()}])
def test_chunks_and_a_mesh_measure_the_same(whole, options):
    for found, expected in zip(
        history(last(watch=EVERY, **options)), history(whole), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kept", [1, 6])
def test_a_resumed_run_keeps_what_was_measured(whole, kept, tmp_path):
    """After a step of the first epoch, and after two of the second."""
    run = advance(watch=EVERY, save_every=1)
    saved = next(p for p in run if int(p.state.step) == kept)
    checkpoints.save(tmp_path, saved, {})
    restored = checkpoints.restore(tmp_path, start(), {})
    assert restored is not None
    for progress in (restored.progress, saved):
        end = last(progress, watch=EVERY)
        for found, expected in zip(history(end), history(whole), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert [e.epoch for e in end.completed if e.watched is not None] == [0, 1, 2]


def test_a_run_can_be_watched_from_the_middle_on(tmp_path):
    half = last(epochs=1)
    checkpoints.save(tmp_path, last(half, epochs=2, watch=EVERY), {})
    restored = checkpoints.restore(tmp_path, start(), {})
    assert restored is not None
    first, second = restored.progress.completed
    assert first.watched is None and second.watched is not None
    assert second.watched.steps.tolist() == [6]


def of_gradients(kernel):
    given = {"a": {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(2)}}
    params = jax.tree.map(lambda x: 0 * x + 2, given)
    return jax.jit(training.gradient_metrics)(params, given, given)


def test_dead_elements_rows_and_columns():
    kernel = np.zeros((3, 2, 4), np.float32)  # such as a convolution of width 3
    kernel[1, 0, 2] = kernel[2, 0, 0] = 5
    found = of_gradients(kernel).parameters["params['a']['kernel']"]
    assert found.dead == pytest.approx(22 / 24)
    assert (found.dead_rows, found.dead_columns) == (1 / 2, 2 / 4)
    layer = of_gradients(kernel).layers["params['a']"]
    assert layer.dead == pytest.approx(24 / 26)
    assert layer.dead_columns == pytest.approx(4 / 6)  # both of the bias are


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_norms_whose_squares_leave_the_range(size):
    kernel = np.full((3, 4), size, np.float32)
    found = of_gradients(kernel).layers["params['a']"]
    np.testing.assert_allclose(found.gradient_norm, np.sqrt(12) * size, rtol=1e-6)
    assert (found.dead, found.dead_rows) == (pytest.approx(2 / 14), 1 / 4)


def test_nan_shows_and_mixed_and_complex_dtypes_are_measured():
    given = {"z": jnp.array([3 + 4j]), "h": jnp.array([[np.nan, 1]], jnp.bfloat16)}
    found = training.gradient_metrics(given, given, given).parameters
    assert found["params['z']"].gradient_norm == 5
    assert found["params['z']"].update_ratio == 1
    assert np.isnan(found["params['h']"].gradient_norm)


def test_weights_that_are_zero_have_an_infinite_ratio_unless_they_rest():
    zero, one = {"w": jnp.zeros(2)}, {"w": jnp.ones(2)}
    for update, ratio in ((one, np.inf), (zero, 0)):
        found = training.gradient_metrics(zero, one, update).parameters["params['w']"]
        assert found.update_ratio == ratio


def test_the_monitor_compiles_once_and_takes_a_loss_with_further_results():
    traces = []

    def with_aux(params, images, *, labels):
        traces.append(1)
        return loss(params, images, labels), images

    watch = training.monitor(with_aux, MOMENTUM, has_aux=True)
    state = start().state
    images = jnp.asarray(TRAIN.images / np.float32(WHITE))
    for labels in (jnp.asarray(TRAIN.labels), jnp.zeros(N, jnp.int32)):
        found = watch(state.params, state.opt_state, images, labels=labels)
    assert len(traces) == 1
    assert found.layers["params['fc2']"].gradient_norm > 0


def test_a_run_that_stops_shows_what_it_measured():
    run = training.fit(
        apply,
        LOSS,
        optax.sgd(1e30),
        training.init(jax.random.key(0), PARAMS, optax.sgd(1e30)),
        DATASET,
        epochs=1,
        batch_size=BATCH,
        watch=1,
        blame=False,
    )
    with pytest.raises(training.NonFinite) as fault:
        list(run)
    watched = fault.value.watched
    assert watched is not None and watched.steps.tolist() == [*range(STEPS)]
    assert watched.layers["params['fc2']"].update_ratio[0] > 1e25


def test_the_figure_draws_each_layer_or_parameter(whole):
    figure = plots.watched(whole.completed)
    norms, ratios, dead = figure.axes
    assert norms.get_yscale() == ratios.get_yscale() == "log"
    steps, values = dead.lines[1].get_data()
    np.testing.assert_array_equal(steps, [0, 3, 6, 9])
    layers = [epoch.watched.layers["params['fc2']"] for epoch in whole.completed]
    np.testing.assert_array_equal(values, np.concatenate([x.dead for x in layers]))
    assert len(plots.watched(whole.completed, of="parameters").axes[0].lines) == 4


@pytest.mark.message
def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="fit: expected watch >= 1, got 0"):
        training.fit(apply, LOSS, MOMENTUM, start().state, DATASET, epochs=1, watch=0)
    message = "gradient_metrics: expected params, gradients and updates of one struct"
    with pytest.raises(ValueError, match=message):
        training.gradient_metrics({"a": 1.0}, {"a": 1.0}, {"b": 1.0})
    with pytest.raises(ValueError, match=r"watched: expected epochs of fit\(watch"):
        plots.watched([])
