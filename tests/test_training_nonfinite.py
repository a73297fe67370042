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
from jaxgrad.losses import cross_entropy
from jaxgrad.training import _cause, _fit
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
    _, fault = stopped(advance(LOGITS, progress=counting(5), blame=False))
    shown = ", ".join(map(str, images_of(1, 1)[:8]))
    assert str(fault) == (
        "training: expected finite numbers, got a loss of nan instead, in step 1 of "
        f"epoch 1 (counted from 0; batch of images {shown}, ...)"
    )
    _, fault = stopped(advance(GRADIENT, progress=counting(3), blame=False))
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


def blamed(
    network: Any = apply, loss: Any = LOSS, optimizer: Any = SGD, **options: Any
):
    """The fault of a run of one epoch."""
    first = started(options.pop("params", PARAMS), optimizer)
    data = options.pop("dataset", DATASET)
    fixed: dict[str, Any] = {"epochs": 1, "batch_size": BATCH}
    run = training.advance(network, loss, optimizer, first, data, **(fixed | options))
    return stopped(run)[1]


def wrong_label():
    labels = TRAIN.labels.copy()
    labels[7] = 3  # the loss of a label out of range is NaN
    return replace(DATASET, train=TRAIN._replace(labels=labels), num_classes=4)


def black_image():
    images = TRAIN.images.copy()
    images[11] = 0
    return replace(DATASET, train=TRAIN._replace(images=images))


def by_norm(params, images):
    flat = images.reshape(len(images), -1)
    norms = jnp.sqrt(jnp.sum(flat**2, 1, keepdims=True))
    return apply(params, flat / norms)


def log_of_zero(logits, labels):
    probabilities = jax.nn.softmax(1e4 * logits)
    return -jnp.log(probabilities[jnp.arange(len(labels)), labels])


def root_of_zero(logits, labels):
    own = logits[jnp.arange(len(labels)), labels]
    return jnp.sqrt(jnp.square(own - own))


def in_two_lines(logits, labels):
    return cross_entropy(logits, labels, reduction="none")


def by_zero(updates, state, params=None):
    del params
    return jax.tree.map(
        lambda g: g / jnp.where(state > 1, 0.0, -10.0), updates
    ), state + 1


BY_ZERO = optax.GradientTransformation(lambda params: jnp.zeros(()), by_zero)
NAN = {"fc1": PARAMS["fc1"], "fc2": {k: v * jnp.nan for k, v in PARAMS["fc2"].items()}}


@pytest.mark.parametrize(
    ("options", "phase", "line", "examples"),
    [
        (
            {"network": by_norm, "dataset": black_image()},
            "forward",
            "flat / norms",
            [11],
        ),
        ({"loss": log_of_zero}, "forward", "-jnp.log(probabilities", None),
        ({"loss": root_of_zero}, "backward", "jnp.sqrt(jnp.square", []),
        (
            {"loss": in_two_lines, "dataset": wrong_label()},
            "constant",
            "entropy(log",
            [7],
        ),
        ({"dataset": wrong_label()}, "constant", "losses = loss(logits, labels)", [7]),
        ({"optimizer": optax.sgd(1e30)}, "forward", 'last["kernel"] +', "all"),
        ({"optimizer": BY_ZERO}, "forward", "g / jnp.where(state > 1", []),
        ({"params": NAN}, "input", "params['fc2']['kernel']", "all"),
    ],
    ids=["image", "log", "gradient", "label", "library", "rate", "optimizer", "start"],
)
def test_the_fault_names_its_line_and_the_images_at_fault(
    options, phase, line, examples
):
    fault = blamed(**options)
    assert fault.blame is not None and fault.blame.phase == phase
    assert line in str(fault)
    assert fault.blame.source is None or line in fault.blame.source.text
    if examples == "all":
        examples = fault.indices.tolist()
    if examples is not None:
        assert fault.examples.tolist() == examples
        of_one = "The loss of 1 of these 16 images is not finite: "
        assert (of_one in str(fault)) == (len(examples) == 1)


def test_a_rate_that_is_too_large_is_told_from_a_wrong_derivative():
    fault = blamed(optimizer=optax.sgd(1e30))
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(fault.state.params))
    assert largest > 1e28
    text = str(fault)
    assert f"Before the step, the largest parameter was {largest:.3g}." in text
    assert "the result leaves the range of float32" in text


def test_a_mesh_blames_the_same_line():
    alone, spread = blamed(loss=log_of_zero), blamed(loss=log_of_zero, mesh=ONE)
    assert str(alone) == str(spread)


def test_what_is_known_is_said_where_no_operation_is_to_blame(monkeypatch):
    monkeypatch.setattr(_cause, "find_nonfinite", lambda *_, **__: lambda *_: None)
    fault = blamed(loss=log_of_zero)
    assert fault.blame is None and "only the compiled program gives this" in str(fault)

    def fail(*_, **__):
        raise RuntimeError("no room")

    monkeypatch.setattr(_cause, "find_nonfinite", fail)
    fault = blamed(loss=log_of_zero)
    assert "The search for the operation failed: RuntimeError: no room" in str(fault)


def test_the_search_can_be_turned_off(monkeypatch):
    monkeypatch.setattr(_fit, "cause_of", None)
    fault = blamed(loss=log_of_zero, blame=False)
    assert fault.blame is None and not len(fault.examples)


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
