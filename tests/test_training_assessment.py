"""Class by class and image by image: what follows from a network's logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import training
from jaxgrad.datasets import Split
from jaxgrad.training import assessment
from tests.tiny_run import apply, mlp

LABELS = np.array([0, 0, 1, 1, 2, 2, 2], np.int32)
# The largest logit of each row is its prediction: 0 1 1 1 2 0 1.
LOGITS = np.array(
    [
        [3.0, 0.0, 0.0],
        [0.0, 2.0, 0.0],
        [0.0, 5.0, 1.0],
        [0.0, 1.0, 0.5],
        [0.0, 0.0, 1.0],
        [4.0, 0.0, -4.0],
        [0.0, 3.0, 0.0],
    ],
    np.float32,
)
IMAGES = np.arange(7 * 4, dtype=np.uint8).reshape(7, 2, 2)


def test_predictions_are_the_softmax_of_the_logits():
    predictions = assessment.predictions(LOGITS, LABELS)
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    assert predictions.prediction.tolist() == [0, 1, 1, 1, 2, 0, 1]
    np.testing.assert_allclose(predictions.probability, shares.max(1), rtol=1e-6)
    of_label = shares[np.arange(7), LABELS]
    np.testing.assert_allclose(predictions.label_probability, of_label, rtol=1e-6)
    np.testing.assert_allclose(predictions.loss, -np.log(of_label), rtol=1e-5)


def test_the_confusion_matrix_counts_every_image_once():
    predictions = assessment.predictions(LOGITS, LABELS)
    matrix = assessment.confusion_matrix(predictions.label, predictions.prediction, 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_class_scores_divide_by_rows_and_columns():
    matrix = [[1, 1, 0, 0], [0, 2, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    scores = assessment.class_scores(np.array(matrix))
    assert scores.images.tolist() == [2, 2, 3, 0]
    assert scores.predictions.tolist() == [2, 4, 1, 0]
    assert scores.correct.tolist() == [1, 2, 1, 0]
    np.testing.assert_array_equal(scores.recall, [1 / 2, 1, 1 / 3, np.nan])
    np.testing.assert_array_equal(scores.precision, [1 / 2, 1 / 2, 1, np.nan])


def test_mistakes_come_with_the_largest_loss_first():
    predictions = assessment.predictions(LOGITS, LABELS)
    found = assessment.mistakes(predictions, IMAGES)
    assert found.indices.tolist() == [5, 6, 1]  # losses 8.0, 3.1, 2.2
    np.testing.assert_array_equal(found.images, IMAGES[[5, 6, 1]])
    assert found.predictions.label.tolist() == [2, 2, 0]
    assert found.predictions.prediction.tolist() == [0, 1, 1]
    assert assessment.mistakes(predictions, IMAGES, 2).indices.tolist() == [5, 6]
    assert assessment.mistakes(predictions, IMAGES, 0).images.shape == (0, 2, 2)


def test_a_nan_loss_is_the_worst_mistake():
    logits = LOGITS.copy()
    logits[6] = np.nan
    predictions = assessment.predictions(logits, LABELS)
    assert assessment.mistakes(predictions, IMAGES).indices[0] == 6


def test_a_perfect_network_has_no_mistakes():
    predictions = assessment.predictions(LOGITS, LOGITS.argmax(1).astype(np.int32))
    assert assessment.mistakes(predictions, IMAGES).indices.shape == (0,)


@pytest.mark.message
def test_labels_out_of_range_are_refused():
    wrong = np.array([0, 3])
    with pytest.raises(ValueError, match=r"expected labels in \[0, 2\], got 3"):
        assessment.confusion_matrix(wrong, np.array([0, 1]), 3)
    with pytest.raises(ValueError, match=r"predictions in \[0, 2\], got 3"):
        assessment.confusion_matrix(np.array([0, 1]), wrong, 3)
    with pytest.raises(ValueError):
        assessment.predictions(LOGITS[:2], wrong)
    with pytest.raises(ValueError, match="expected most >= 0, got -1"):
        predictions = assessment.predictions(LOGITS, LABELS)
        assessment.mistakes(predictions, IMAGES, -1)


@pytest.fixture
def network():
    return apply, mlp(jax.random.key(0), (4, 8, 3))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_predict_scales_and_batches_without_changing_the_result(network, batch_size):
    apply, params = network
    logits = assessment.predict(apply, params, IMAGES, white=32, batch_size=batch_size)
    expected = apply(params, jnp.asarray(IMAGES, jnp.float32) / 32)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_predict_computes_in_the_dtype_of_the_parameters(network, x64):
    del x64
    apply, params = network
    doubles = jax.tree.map(np.float64, params)
    assert assessment.predict(apply, doubles, IMAGES).dtype == np.float64


def test_predict_keeps_a_models_state_and_evaluates(network):
    apply, params = network

    def train(*_):
        raise AssertionError("the network is not training")

    def evaluate(params, shift, images):
        return apply(params, images) + shift

    network = training.Model(train, evaluate)
    logits = assessment.predict(network, params, IMAGES, model_state=jnp.float32(5))
    plain = assessment.predict(apply, params, IMAGES)
    np.testing.assert_allclose(logits, plain + 5, rtol=1e-6)


def test_assess_agrees_with_evaluate(network):
    apply, params = network
    found = assessment.assess(apply, params, Split(IMAGES, LABELS), white=28, worst=2)

    def loss(logits, labels):
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)[
            :, 0
        ]

    evaluation = training.evaluate(apply, loss, params, Split(IMAGES, LABELS), white=28)
    assert found.accuracy == pytest.approx(float(evaluation.accuracy))
    assert found.confusion.shape == (3, 3)
    assert found.confusion.sum() == len(LABELS)
    assert found.confusion.trace() == int(evaluation.correct)
    assert found.classes.images.tolist() == [2, 2, 3]
    assert len(found.mistakes.indices) <= 2


def test_learning_curves_are_columns_of_the_epochs():
    epochs = [training.Epoch(i, 2.0 - i, None, 1.5 - i, i / 4, 0.1) for i in range(3)]
    epochs[1] = epochs[1]._replace(train_loss_after=0.5)
    curves = assessment.learning_curves(epochs)
    assert curves.epoch.tolist() == [0, 1, 2]
    assert curves.train_loss.tolist() == [2.0, 1.0, 0.0]
    np.testing.assert_array_equal(curves.train_loss_after, [np.nan, 0.5, np.nan])
    assert curves.test_loss.tolist() == [1.5, 0.5, -0.5]
    assert curves.test_accuracy.tolist() == [0, 0.25, 0.5]
