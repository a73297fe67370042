"""Training stops at the first loss or parameter that is NaN or infinite."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import training
from tests.tiny_run import BATCH, DATASET, LOSS, PARAMS, TRAIN, N, apply

SGD = optax.sgd(0.1, momentum=0.9)
STEPS = training.count_batches(N, BATCH).steps
ONE = training.data_mesh()


def started(params: Any = PARAMS, optimizer: Any = SGD):
    return training.Progress(training.init(jax.random.key(0), params, optimizer))


def advance(network: Any = apply, optimizer: Any = SGD, progress=None, **options: Any):
    run = partial(training.advance, network, LOSS, optimizer, dataset=DATASET)
    fixed: dict[str, Any] = {"epochs": 3, "batch_size": BATCH}
    return run(progress or started(optimizer=optimizer), **(fixed | options))


def stopped(run):
    """The steps that a run reaches before it stops, and why it stops."""
    reached = []
    with pytest.raises(training.NonFinite) as fault:
        reached.extend(int(progress.state.step) for progress in run)
    return reached, fault.value


def images_of(epoch, step):
    """The training images of a batch, from the losses of an epoch that shows them."""
    split = TRAIN._replace(labels=np.arange(N, dtype=np.int32))
    state = started().state._replace(epoch=jnp.int32(epoch))
    shown = training.train_epoch(apply, _label, SGD, state, split, batch_size=1)[1]
    return np.asarray(shown).astype(int)[step * BATCH :][:BATCH]


def _label(logits, labels):
    return labels.astype("float32") + 0 * logits.sum(-1)


# Two networks that count their steps and spoil one: the logits, or their derivative.


def evaluate(params, count, images):
    return apply(params, images)


def spoil_logits(params, count, images, key):
    logits = apply(params, images)
    return jnp.where(count == 0, jnp.float32(np.nan), logits), count + 1


@jax.custom_jvp
def spoil(x, now):
    return x


@spoil.defjvp
def _(primals, tangents):
    x, now = primals
    return x, jnp.where(now, jnp.float32(np.nan), 1) * tangents[0]


def spoil_gradient(params, count, images, key):
    return spoil(apply(params, images), count == 0), count + 1


LOGITS = training.Model(spoil_logits, evaluate)
GRADIENT = training.Model(spoil_gradient, evaluate)


def counting(step, optimizer: Any = SGD):
    """The start of a run whose step with this number is spoilt."""
    state = training.init(jax.random.key(0), PARAMS, optimizer, jnp.int32(-step))
    return training.Progress(state)


def after(network, step):
    """The state before the spoilt step, reached one step at a time."""
    run = advance(network, progress=counting(step), save_every=1)
    return next(p.state for p in run if p.state.step == step)


def assert_same_state(actual, expected):
    for found, wanted in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
        if jnp.issubdtype(found.dtype, jax.dtypes.prng_key):
            found, wanted = map(jax.random.key_data, (found, wanted))
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("save_every", [None, 1, 3])
@pytest.mark.parametrize("step", [0, 2, STEPS - 1, STEPS + 1])
@pytest.mark.parametrize("network", [LOGITS, GRADIENT], ids=["loss", "gradient"])
def test_stops_at_the_step_with_the_state_before_it(network, step, save_every):
    run = advance(network, progress=counting(step), save_every=save_every)
    reached, fault = stopped(run)
    assert (fault.epoch, fault.step) == divmod(step, STEPS)
    assert int(fault.state.step) == step
    assert np.isnan(fault.loss) == (network is LOGITS)
    np.testing.assert_array_equal(fault.indices, images_of(fault.epoch, fault.step))
    if step:
        assert_same_state(fault.state, after(network, step))
    size = save_every or STEPS
    ends = [e + s for e in (0, STEPS) for s in (*range(size, STEPS, size), STEPS)]
    assert reached == [end for end in ends if end <= step]


@pytest.mark.message
def test_the_message_names_epoch_step_images_and_what_is_spoilt():
    _, fault = stopped(advance(LOGITS, progress=counting(5)))
    shown = ", ".join(map(str, images_of(1, 1)[:8]))
    assert str(fault) == (
        "training: expected finite numbers, got a loss of nan instead, in step 1 of "
        f"epoch 1 (counted from 0; batch of images {shown}, ...)"
    )
    _, fault = stopped(advance(GRADIENT, progress=counting(3)))
    assert "and, after the update, params['fc1']['bias'], params['fc1']" in str(fault)


def test_fit_stops_too_unless_that_is_turned_off():
    fit = partial(training.fit, apply, LOSS, optimizer=optax.sgd(1e38))
    fit = partial(fit, dataset=DATASET, epochs=2, batch_size=BATCH)
    with pytest.raises(FloatingPointError, match="training: expected finite numbers"):
        next(fit(state=started().state))
    *_, (_, epoch) = fit(state=started().state, stop_at_nonfinite=False)
    assert np.isnan(epoch.train_loss)


def test_a_mesh_stops_at_the_same_step():
    _, alone = stopped(advance(LOGITS, progress=counting(2)))
    _, spread = stopped(advance(LOGITS, progress=counting(2), mesh=ONE))
    assert (spread.epoch, spread.step) == (alone.epoch, alone.step) == (0, 2)
    np.testing.assert_array_equal(spread.indices, alone.indices)
    assert_same_state(spread.state, alone.state)


def test_a_wrong_label_is_found_by_the_images_of_its_batch():
    labels = TRAIN.labels.copy()
    labels[7] = 3  # the loss of a label out of range is NaN
    dataset = replace(DATASET, train=TRAIN._replace(labels=labels), num_classes=4)
    run = training.advance(
        apply, LOSS, SGD, started(), dataset, epochs=1, batch_size=BATCH
    )
    _, fault = stopped(run)
    assert 7 in fault.indices


def test_parameters_that_are_infinite_from_the_start_can_be_trained():
    params = PARAMS | {"mask": jnp.array([0.0, -jnp.inf])}

    def masked(params, images):
        return apply({k: v for k, v in params.items() if k != "mask"}, images)

    first = started(params)
    *_, last = advance(masked, progress=first)
    assert int(last.state.epoch) == 3
    spoilt = first.state._replace(
        params=params | {"fc2": jax.tree.map(lambda x: 0 * x + jnp.nan, PARAMS["fc2"])}
    )
    _, fault = stopped(advance(masked, progress=training.Progress(spoilt)))
    assert (fault.epoch, fault.step) == (0, 0)


def test_a_step_that_the_optimizer_skips_need_not_stop_the_run():
    optimizer = optax.apply_if_finite(optax.sgd(0.1), max_consecutive_errors=5)
    with jax.numpy_dtype_promotion("standard"):  # Optax itself needs it
        progress = counting(2, optimizer)
        *_, last = advance(LOGITS, optimizer, progress, stop_at_nonfinite=False)
        _, fault = stopped(advance(LOGITS, optimizer, progress))
    assert np.isfinite(last.state.params["fc1"]["bias"]).all()
    assert (fault.epoch, fault.step) == (0, 2)


@pytest.mark.message
def test_a_run_of_more_steps_than_the_counter_holds_is_refused():
    state = started().state._replace(step=jnp.int32(2**31 - 1 - 2 * STEPS))
    assert advance(progress=training.Progress(state), epochs=2)
    message = "advance: expected at most 2,147,483,647 steps in all, got 2,147,483,651"
    with pytest.raises(ValueError, match=message):
        advance(progress=training.Progress(state), epochs=3)
