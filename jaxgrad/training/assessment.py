"""How well a trained network does: class by class, and image by image.

The accuracy alone hides which classes are confused, and how wrong the network is. This
module computes both from its logits and the labels, in NumPy on the host.

    result = assess(apply, params, dataset.test, white=dataset.white)
    result.confusion[4, 9]        # how many 4s were predicted to be 9s
    result.classes.recall         # accuracy per class
    result.mistakes.indices[0]    # the image with the largest loss
"""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxgrad._checks import check_entries, check_int
from jaxgrad._display import brief, fields_html, short_repr, table
from jaxgrad._types import Array, ArrayLike, PyTree
from jaxgrad.datasets import Split
from jaxgrad.losses import cross_entropy
from jaxgrad.training._epoch import scaled
from jaxgrad.training._state import Epoch, Network, as_model


class Predictions(NamedTuple):
    """The prediction for each of n images."""

    label: np.ndarray  # (n,), int
    prediction: np.ndarray  # (n,), int: the class of the largest logit
    probability: np.ndarray  # (n,): of the prediction
    label_probability: np.ndarray  # (n,): of the label
    loss: np.ndarray  # (n,): minus the logarithm of the label's probability

    __repr__ = short_repr
    _repr_html_ = fields_html


class ClassScores(NamedTuple):
    """Counts and shares per class; the share of an empty class is NaN."""

    images: np.ndarray  # (classes,), int: images with this label
    predictions: np.ndarray  # (classes,), int: images predicted to be of this class
    correct: np.ndarray  # (classes,), int: images that are both
    recall: np.ndarray  # (classes,): correct / images, the accuracy of the class
    precision: np.ndarray  # (classes,): correct / predictions

    __repr__ = short_repr

    def _repr_html_(self) -> str:
        return scores_html("By class", self)


class Mistakes(NamedTuple):
    """The k misclassified images with the largest losses, largest first."""

    indices: np.ndarray  # (k,), int: positions in the split
    images: np.ndarray  # (k, height, width), uint8
    predictions: Predictions  # of these k images

    __repr__ = short_repr
    _repr_html_ = fields_html


class Assessment(NamedTuple):
    """How well a network does on a split."""

    accuracy: float  # in [0, 1]
    confusion: np.ndarray  # (classes, classes), int: rows are labels
    classes: ClassScores
    mistakes: Mistakes

    __repr__ = short_repr

    def _repr_html_(self) -> str:
        return scores_html(f"accuracy {self.accuracy:.2%}", self.classes)


class LearningCurves(NamedTuple):
    """The measurements of all epochs, one column per quantity."""

    epoch: np.ndarray  # (epochs,), int, counted from 0
    train_loss: np.ndarray  # (epochs,)
    train_loss_after: np.ndarray  # (epochs,): NaN where it was not measured
    test_loss: np.ndarray  # (epochs,)
    test_accuracy: np.ndarray  # (epochs,), in [0, 1]

    __repr__ = short_repr

    def _repr_html_(self) -> str:
        rows = zip(*(map(brief, column) for column in self), strict=True)
        return table("The measurements of each epoch", self._fields, rows)


def scores_html(title: str, scores: ClassScores) -> str:
    """A row for each class."""
    shares = ([f"{each:.2%}" for each in column] for column in scores[3:])
    rows = zip(range(len(scores.images)), *scores[:3], *shares, strict=True)
    return table(title, ("class", *scores._fields), rows)


def assess(
    apply: Network,
    params: PyTree,
    split: Split,
    *,
    model_state: PyTree = (),
    white: int = 255,
    worst: int = 20,
) -> Assessment:
    """Assess a network on a split, class by class.

    Args:
        apply: The network, `(params, images) -> logits`, or a `training.Model`.
        params: The parameters; they are not donated.
        split: Images and labels.
        model_state: The state of a `Model` that has one.
        white: The pixel value that means 1.0.
        worst: How many mistakes to return at most, at least 0.

    Raises:
        ValueError: If a label is outside [0, classes), or images and labels differ in
            number.
    """
    logits = predict(apply, params, split.images, model_state=model_state, white=white)
    predicted = predictions(logits, split.labels)
    confusion = confusion_matrix(predicted.label, predicted.prediction, logits.shape[1])
    return Assessment(
        accuracy=float((predicted.label == predicted.prediction).mean()),
        confusion=confusion,
        classes=class_scores(confusion),
        mistakes=mistakes(predicted, split.images, worst),
    )


def predict(
    apply: Network,
    params: PyTree,
    images: Shaped[ArrayLike, "n height width"],
    *,
    model_state: PyTree = (),
    white: int = 255,
    batch_size: int = 1000,
) -> Float[np.ndarray, "n classes"]:
    """The logits of one or more images as they are stored: bytes, not scaled.

    The arguments are those of `assess`. `batch_size` is the number of images to hold in
    memory at a time; it does not affect the result.

    Torch: `net.eval()` and the loop under `torch.no_grad()`.
    """
    batch_size = check_int("predict", "batch_size", batch_size, least=1)
    pixels = np.asarray(images)
    batches = np.split(pixels, range(batch_size, len(pixels), batch_size))
    logits = partial(_logits, apply, params, model_state, white=white)
    return np.concatenate([np.asarray(logits(batch)) for batch in batches])


def predictions(
    logits: Float[ArrayLike, "n classes"], labels: Int[ArrayLike, "n"]
) -> Predictions:
    """The most probable class of each image, and its probability.

    Raises:
        ValueError: If a label is outside [0, classes).

    Examples:
        >>> result = predictions(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([0, 1]))
        >>> result.prediction.tolist(), result.probability.round(2).tolist()
        ([0, 0], [0.88, 0.5])
    """
    logits, labels = jnp.asarray(logits), np.asarray(labels)
    losses = cross_entropy(logits, jnp.asarray(labels), reduction="none")
    shares = np.asarray(jax.nn.softmax(logits))
    rows, chosen = np.arange(len(labels)), np.asarray(logits).argmax(axis=1)
    of_chosen, of_labels = shares[rows, chosen], shares[rows, labels]
    return Predictions(labels, chosen, of_chosen, of_labels, np.asarray(losses))


def confusion_matrix(
    labels: Int[ArrayLike, "n"], predictions: Int[ArrayLike, "n"], num_classes: int
) -> Int[np.ndarray, "label prediction"]:
    """How many images of each class were predicted to be of each class.

    Rows are labels and columns predictions, as in scikit-learn.

    Raises:
        ValueError: If an entry is outside [0, num_classes).

    Examples:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
        array([[1, 1],
               [0, 1]])
    """
    num_classes = check_int("confusion_matrix", "num_classes", num_classes, least=1)
    rows, columns = np.asarray(labels), np.asarray(predictions)
    check_entries("confusion_matrix", "labels", rows, 0, num_classes - 1)
    check_entries("confusion_matrix", "predictions", columns, 0, num_classes - 1)
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (rows, columns), 1)
    return matrix


def class_scores(confusion: Int[ArrayLike, "label prediction"]) -> ClassScores:
    """Recall and precision of each class, from the result of `confusion_matrix`.

    Examples:
        >>> class_scores(np.array([[3, 1], [0, 4]])).recall
        array([0.75, 1. ])
    """
    matrix = np.asarray(confusion)
    correct, images, predictions = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    recall, precision = _share(correct, images), _share(correct, predictions)
    return ClassScores(images, predictions, correct, recall, precision)


def mistakes(
    predictions: Predictions,
    images: Shaped[ArrayLike, "n height width"],
    most: int = 20,
) -> Mistakes:
    """The misclassified images, largest loss first, at most `most` (>= 0) of them."""
    most = check_int("mistakes", "most", most, least=0)
    wrong = np.flatnonzero(predictions.prediction != predictions.label)
    # Stable, so that of equal losses the first image comes first; NaN is the largest.
    losses = np.nan_to_num(predictions.loss[wrong], nan=np.inf)
    indices = wrong[np.argsort(-losses, kind="stable")[:most]]
    chosen = Predictions(*(column[indices] for column in predictions))
    return Mistakes(indices, np.asarray(images)[indices], chosen)


def learning_curves(epochs: Iterable[Epoch]) -> LearningCurves:
    """The measurements of `training.fit` as columns, ready to plot."""
    # As floats, an absent `train_loss_after` is NaN.
    epoch, *measured = np.array([epoch[:5] for epoch in epochs], np.float64).T
    return LearningCurves(epoch.astype(int), *measured)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


@partial(jax.jit, static_argnames=("apply", "white"))
def _logits(
    apply: Network, params: PyTree, model_state: PyTree, images: Array, *, white: int
) -> Array:
    return as_model(apply).evaluate(params, model_state, scaled(images, white, params))
