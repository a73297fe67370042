"""Training: one step, one epoch, the evaluation, and the loop over epochs."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import training
from jaxgrad.datasets import Split
from jaxgrad.losses import cross_entropy
from tests.tiny_run import (
    BATCH,
    DATASET,
    LOSS,
    PARAMS,
    TEST,
    TRAIN,
    WHITE,
    N,
    apply,
    mlp,
)
from tests.tolerances import assert_close

SGD = optax.sgd(0.1)
MOMENTUM = optax.sgd(0.1, momentum=0.9)
STEP = jax.jit(partial(training.train_step, apply, LOSS, SGD))
STEPS = partial(training.train_epoch, apply, LOSS, batch_size=BATCH, white=WHITE)


def start(optimizer=SGD, key=0):
    return training.init(jax.random.key(key), PARAMS, optimizer)


def scaled(split, part: Any = slice(None)):
    images = split.images[part] / np.float32(WHITE)
    return jnp.asarray(images), jnp.asarray(split.labels[part])


@jax.jit
def mean_loss(params, images, labels):
    return cross_entropy(apply(params, images), jnp.asarray(labels))


def assert_trees_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def assert_trees_close(actual, expected):
    jax.tree.map(partial(assert_close, dtype="float32"), actual, expected)


@pytest.fixture
def compiled(caplog):
    """The names of the programs that a test compiles, in order."""
    with jax.log_compiles():
        yield lambda: [
            record.getMessage().split()[1]
            for record in caplog.records
            if record.getMessage().startswith("Compiling")
        ]


# One step


def test_a_step_descends_the_gradient_of_the_mean_loss():
    images, labels = scaled(TRAIN)
    state, loss = STEP(start(), images, labels)
    value, gradients = jax.value_and_grad(mean_loss)(PARAMS, images, labels)
    assert_close(loss, value, "float32")
    assert_trees_close(
        state.params, jax.tree.map(lambda p, g: p - 0.1 * g, PARAMS, gradients)
    )
    assert (int(state.epoch), int(state.step)) == (0, 1)


def test_a_masked_example_does_not_affect_a_step():
    images, labels = scaled(TRAIN, slice(0, 5))
    mask = jnp.array([True, True, True, False, False])
    masked, loss = STEP(start(), images, labels, mask)
    alone, expected = STEP(start(), images[:3], labels[:3])
    assert_close(loss, expected, "float32")
    assert_trees_close(masked.params, alone.params)


@pytest.mark.message
def test_a_step_refuses_a_reduced_loss():
    images, labels = scaled(TRAIN)
    with pytest.raises(ValueError, match=r"one for each example.*got shape \(\)"):
        training.train_step(apply, cross_entropy, SGD, start(), images, labels)


# One epoch


@pytest.mark.parametrize("batch_size", [1, 16, N + 14])
def test_an_epoch_is_its_steps_and_the_last_batch_is_exact(batch_size):
    order = np.random.default_rng(3).permutation(N)
    state, losses = STEPS(SGD, start(), TRAIN, batch_size=batch_size, order=order)
    expected = start()
    values = []
    for first in range(0, N, batch_size):
        part = scaled(TRAIN, order[first : first + batch_size])
        expected, value = STEP(expected, *part)
        values.append(value)
    assert_close(losses, np.array(values), "float32", factor=5)
    assert_trees_close(state.params, expected.params)
    assert int(state.epoch) == 1
    assert int(state.step) == len(values) == training.count_batches(N, batch_size).steps


def label_as_loss(logits, labels):
    return labels.astype("float32") + 0 * logits.sum(-1)


def order_of(state):
    """The order of the examples in an epoch: batches of one, labels as losses."""
    split = Split(TRAIN.images, np.arange(N, dtype=np.int32))
    _, losses = training.train_epoch(
        apply, label_as_loss, SGD, state, split, batch_size=1
    )
    return np.asarray(losses).astype(int).tolist()


def test_an_epoch_uses_every_example_once_in_its_own_order():
    first = order_of(start())
    assert sorted(first) == list(range(N))
    assert first == order_of(start())
    other_key, other_epoch = start(key=1), start()._replace(epoch=jnp.int32(1))
    orders = [first, order_of(other_key), order_of(other_epoch), list(range(N))]
    assert len({tuple(order) for order in orders}) == 4


def test_an_order_may_omit_and_repeat_examples():
    order = np.array([4, 4, 7])
    _, losses = STEPS(SGD, start(), TRAIN, order=order)
    assert_close(losses, [mean_loss(PARAMS, *scaled(TRAIN, order))], "float32")


def test_the_second_epoch_compiles_nothing(compiled):
    # New functions, which no earlier test has compiled.
    loss = partial(cross_entropy, reduction="none")
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = start(optimizer)
    run = training.fit(apply, loss, optimizer, state, DATASET, epochs=3)
    next(run)
    assert compiled().count("jit(train_steps)") == 1
    assert compiled().count("jit(evaluate_batches)") == 1
    before = len(compiled())
    next(run)
    next(run)
    assert compiled()[before:] == []


def test_an_epoch_donates_only_its_state():
    state = start()
    after, _ = STEPS(SGD, state, TRAIN)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((after, PARAMS)))


def test_a_label_out_of_range_gives_nan():
    labels = TRAIN.labels.copy()
    labels[7] = 3
    state, losses = STEPS(SGD, start(), Split(TRAIN.images, labels))
    assert np.isnan(np.asarray(losses)).any()
    assert np.isnan(np.asarray(state.params["fc2"]["bias"])).all()


def test_in_double_precision(x64):
    params = mlp(jax.random.key(1), dtype="float64")
    state = training.init(jax.random.key(0), params, SGD)
    state, losses = training.train_epoch(apply, LOSS, SGD, state, TRAIN, white=WHITE)
    assert losses.dtype == "float64"
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float64"}
    images = TRAIN.images / WHITE
    assert_close(losses[0], cross_entropy(apply(params, images), TRAIN.labels))


def test_half_precision_sums_a_batch_in_single():
    n = 999  # bfloat16 cannot represent it
    split = Split(np.ones((n, 2, 1), np.uint8), np.zeros(n, np.int32))
    params = mlp(jax.random.key(1), (2, 3), "bfloat16")
    state = training.init(jax.random.key(0), params, SGD)
    _, losses = training.train_epoch(apply, LOSS, SGD, state, split, batch_size=n)
    one = cross_entropy(
        apply(params, jnp.full((1, 2), 1 / 255, "bfloat16")), jnp.zeros(1, "int32")
    )
    assert losses.dtype == "float32"
    assert_close(losses[0], one, "float32")


# The evaluation


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_evaluation_is_the_mean_over_all_examples(batch_size):
    result = training.evaluate(
        apply, LOSS, PARAMS, TEST, batch_size=batch_size, white=WHITE
    )
    images, labels = scaled(TEST)
    right = np.asarray(apply(PARAMS, images)).argmax(1) == labels
    assert_close(result.loss, mean_loss(PARAMS, images, labels), "float32")
    assert int(result.correct) == right.sum()
    assert_close(result.accuracy, right.mean(), "float32")
    assert 0 < right.sum() < len(labels)  # otherwise the test would show nothing


def test_evaluation_works_under_vmap_over_networks():
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), PARAMS)
    evaluate = partial(training.evaluate, apply, LOSS, split=TEST, white=WHITE)
    result = jax.vmap(lambda params: evaluate(params))(several)
    assert_close(result.loss[0], evaluate(PARAMS).loss, "float32")


# The loop


def fitted(
    optimizer=SGD,
    *,
    network: Any = apply,
    params: Any = PARAMS,
    key=0,
    state=None,
    epochs=3,
    **options: Any,
):
    """The state after the last epoch, and the measurements of each epoch."""
    first = state or training.init(jax.random.key(key), params, optimizer)
    fit = partial(training.fit, network, LOSS, optimizer, first, DATASET)
    *_, last = run = list(fit(epochs=epochs, batch_size=BATCH, **options))
    return last[0], [epoch for _, epoch in run]


def test_fit_measures_each_epoch():
    epochs = []
    run = training.fit(
        apply,
        LOSS,
        SGD,
        start(),
        DATASET,
        epochs=2,
        batch_size=BATCH,
        evaluate_training=True,
    )
    for state, epoch in run:
        evaluate = partial(training.evaluate, apply, LOSS, state.params, white=WHITE)
        assert_close(epoch.train_loss_after, evaluate(TRAIN).loss)
        assert_close(epoch.test_loss, evaluate(TEST).loss)
        assert epoch.test_accuracy == int(evaluate(TEST).correct) / 23
        assert epoch.seconds > 0
        assert int(state.epoch) == epoch.epoch + 1
        epochs.append(epoch)
    assert [epoch.epoch for epoch in epochs] == [0, 1]
    # As in the notebook, the last batch of 2 counts as much as a full one.
    _, losses = STEPS(SGD, start(), TRAIN)
    assert len(losses) == 4
    assert_close(epochs[0].train_loss, np.asarray(losses, np.float64).mean(), "float32")


def test_fit_does_not_evaluate_the_training_set_by_default():
    assert fitted(epochs=1)[1][0].train_loss_after is None


def test_fit_learns():
    _, epochs = fitted(optax.sgd(0.5), epochs=15)
    assert epochs[-1].test_accuracy == 1.0
    assert epochs[-1].train_loss < 0.1 < epochs[0].train_loss


def test_a_run_is_a_function_of_its_first_state():
    state, epochs = fitted()
    again, _ = fitted()
    other, _ = fitted(key=1)
    assert training.sha256(state.params) == training.sha256(again.params)
    assert training.sha256(state.params) != training.sha256(other.params)
    assert len(epochs) == 3


def test_an_interrupted_run_continues_to_the_same_end():
    whole, expected = fitted(MOMENTUM, epochs=4)
    half, first = fitted(MOMENTUM, epochs=2)
    end, rest = fitted(MOMENTUM, epochs=4, state=half)
    assert training.sha256(end.params) == training.sha256(whole.params)
    untimed = [epoch._replace(seconds=0.0) for epoch in (*first, *rest)]
    assert untimed == [epoch._replace(seconds=0.0) for epoch in expected]


def test_fit_does_not_donate_its_state_or_extend_a_finished_run():
    state = start()
    next(training.fit(apply, LOSS, SGD, state, DATASET, epochs=1))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    done = state._replace(epoch=jnp.int32(3))
    assert list(training.fit(apply, LOSS, SGD, done, DATASET, epochs=3)) == []


def test_parameters_can_be_changed_between_epochs():
    state, _ = fitted(epochs=1)
    doubled = state._replace(params=jax.tree.map(lambda p: 2 * p, state.params))
    assert_trees_equal(doubled.params, jax.tree.map(lambda p: p + p, state.params))
    _, losses = STEPS(SGD, doubled, TRAIN)
    assert np.isfinite(np.asarray(losses)).all()


OPTIMIZERS = {
    "a chain, weight decay, a schedule": optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(0.1, 9))
    ),
    # Its state holds the parameters: the same array twice must not be donated.
    "schedule-free": optax.contrib.schedule_free_sgd(0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optax_optimizer_trains(name):
    # Optax itself needs the standard promotion: it multiplies floats by step counts.
    with jax.numpy_dtype_promotion("standard"):
        state, epochs = fitted(OPTIMIZERS[name], epochs=3)
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert int(state.step) == 12


# Your own networks


def test_a_plain_function_of_two_arguments_trains():
    def softmax_regression(params, images):
        weights, bias = params
        return images.reshape(len(images), -1) @ weights + bias

    state, epochs = fitted(
        optax.sgd(0.5),
        epochs=10,
        network=softmax_regression,
        params=(np.zeros((12, 3)), 0.0),
    )
    assert epochs[-1].test_accuracy == 1.0
    assert type(state.params) is tuple


def dropout(key, x, rate=0.5):
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def test_dropout_uses_the_key_in_training_only():
    keys = []

    def noisy(params, state, images, key):
        data = jax.random.key_data(key)
        jax.debug.callback(lambda data: keys.append(data.tobytes()), data)
        return apply(params, dropout(key, images)), state

    net = training.Model(noisy, lambda params, state, images: apply(params, images))
    state, epochs = fitted(epochs=2, network=net)
    jax.effects_barrier()
    assert len(set(keys)) == len(keys) == 8  # four steps in each of two epochs
    plain, _ = fitted(epochs=2)
    assert training.sha256(state.params) != training.sha256(plain.params)
    expected = training.evaluate(apply, LOSS, state.params, TEST, white=WHITE)
    assert_close(epochs[-1].test_loss, expected.loss)
    again, _ = fitted(epochs=2, network=net)
    assert training.sha256(state.params) == training.sha256(again.params)


def test_a_model_state_is_passed_on():
    """A small batch normalisation: evaluation uses the running mean."""

    def train(params, mean, images, key):
        del key
        batch_mean = images.mean(0)
        moved = 0.9 * mean + 0.1 * batch_mean
        return apply(params, images - batch_mean), moved

    def predict(params, mean, images):
        return apply(params, images - mean)

    net = training.Model(train, predict)
    state = training.init(jax.random.key(0), PARAMS, SGD, jnp.zeros((4, 3)))
    order = np.arange(N)
    options: dict[str, Any] = {"batch_size": N, "white": WHITE}
    for _ in range(2):
        state, _ = training.train_epoch(
            net, LOSS, SGD, state, TRAIN, order=order, **options
        )
    mean = scaled(TRAIN)[0].mean(0)
    assert_close(state.model_state, (1 - 0.9**2) * mean, "float32")
    result = training.evaluate(
        net, LOSS, state.params, TEST, model_state=state.model_state, white=WHITE
    )
    images, labels = scaled(TEST)
    expected = mean_loss(state.params, images - state.model_state, labels)
    assert_close(result.loss, expected, "float32")


# Faults


@pytest.mark.message
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size >= 1, got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size to be an int, got float"),
        ({"white": 0}, ValueError, "white >= 1, got 0"),
        ({"order": np.array([0, N])}, ValueError, r"order in \[0, 49\], got 50"),
        ({"order": np.array([-1, 0])}, ValueError, r"order in \[0, 49\], got -1"),
        ({"order": np.zeros((2, 2), int)}, ValueError, r"got shape \(2, 2\)"),
        ({"order": np.zeros(0, int)}, ValueError, r"got shape \(0,\)"),
        ({"order": np.zeros(3)}, TypeError, "order of an integer dtype"),
    ],
)
def test_train_epoch_refuses(options, error, message):
    with pytest.raises(error, match=f"train_epoch: expected .*{message}"):
        STEPS(SGD, start(), TRAIN, **options)


@pytest.mark.message
@pytest.mark.parametrize("kept", [(50, 49), (0, 0)])
def test_a_split_needs_one_label_per_image(kept):
    images, labels = kept
    split = Split(TRAIN.images[:images], TRAIN.labels[:labels])
    counts = f"got {images} images and {labels} labels"
    with pytest.raises(ValueError, match=f"train_epoch: expected .*{counts}"):
        STEPS(SGD, start(), split)
    with pytest.raises(ValueError, match=f"evaluate: expected .*{counts}"):
        training.evaluate(apply, LOSS, PARAMS, split)


@pytest.mark.message
def test_fit_checks_its_options_at_once():
    run = partial(training.fit, apply, LOSS, SGD, start(), DATASET)
    with pytest.raises(ValueError, match="fit: expected epochs >= 1, got 0"):
        run(epochs=0)
    with pytest.raises(ValueError, match="fit: expected batch_size >= 1, got 0"):
        run(epochs=1, batch_size=0)
