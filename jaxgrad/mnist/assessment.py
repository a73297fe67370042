"""How a trained network does: class by class, and image by image.

One number, the accuracy, hides which classes are taken for which, and by how much a
network errs. Everything here follows from its logits and the labels, and is NumPy on
the host: it is looked at once, after training.

    found = assess(apply, params, dataset.test, white=dataset.white)
    found.confusion[4, 9]       # how many 4s were taken for a 9
    found.classes.recall        # the accuracy per class
    found.mistakes.places[0]    # the image of the largest loss
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxgrad._checks import check_int
from jaxgrad._types import Array, ArrayLike, PyTree
from jaxgrad.losses import cross_entropy
from jaxgrad.mnist import _epoch
from jaxgrad.mnist._dataset import Split
from jaxgrad.mnist._state import Epoch, Network, as_model


class Predictions(NamedTuple):
    """What a network says of each of n images."""

    label: np.ndarray  # (n,), int: what it is
    prediction: np.ndarray  # (n,), int: the class of the largest logit
    probability: np.ndarray  # (n,): of the prediction
    label_probability: np.ndarray  # (n,): of the label
    loss: np.ndarray  # (n,): minus the logarithm of the label's probability


class ClassScores(NamedTuple):
    """How each class fares; a share of nothing is NaN."""

    images: np.ndarray  # (classes,), int: how many have this label
    predictions: np.ndarray  # (classes,), int: how many were taken for it
    correct: np.ndarray  # (classes,), int: how many are both
    recall: np.ndarray  # (classes,): correct / images, the accuracy of the class
    precision: np.ndarray  # (classes,): correct / predictions


class Mistakes(NamedTuple):
    """Images that were taken for another class, the largest loss first."""

    places: np.ndarray  # (k,), int: their indices in the split
    images: np.ndarray  # (k, height, width), uint8
    said: Predictions  # of these k


class Assessment(NamedTuple):
    """How a network does on a split."""

    accuracy: float  # the share of all images
    confusion: np.ndarray  # (classes, classes), int: rows are labels
    classes: ClassScores
    mistakes: Mistakes


class LearningCurves(NamedTuple):
    """What training told, as a column for each quantity."""

    epoch: np.ndarray  # (epochs,), int: 0 is the first
    train_loss: np.ndarray  # (epochs,)
    train_loss_after: np.ndarray  # (epochs,): NaN where it was not asked for
    test_loss: np.ndarray  # (epochs,)
    test_accuracy: np.ndarray  # (epochs,): shares


def assess(
    apply: Network,
    params: PyTree,
    split: Split,
    *,
    model_state: PyTree = (),
    white: int = 255,
    worst: int = 20,
) -> Assessment:
    """Judge a network by a split, class by class.

    Args:
        apply: The network, `(params, images) -> logits`, or a `training.Model`.
        params: The parameters; they stay valid.
        split: Images and labels.
        model_state: The state of a `Model` that has one.
        white: The pixel value that means 1.0.
        worst: How many mistakes to show, at least 0.

    Raises:
        ValueError: If there is not one label in [0, classes) for each image.
    """
    logits = predict(apply, params, split.images, model_state=model_state, white=white)
    said = predictions(logits, split.labels)
    confusion = confusion_matrix(said.label, said.prediction, logits.shape[1])
    return Assessment(
        accuracy=float((said.label == said.prediction).mean()),
        confusion=confusion,
        classes=class_scores(confusion),
        mistakes=mistakes(said, split.images, worst),
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
    """The logits of images as they are stored: bytes, not scaled.

    Args:
        apply: As in `assess`.
        params: The parameters.
        images: The images, at least one.
        model_state: As in `assess`.
        white: The pixel value that means 1.0.
        batch_size: How many are in memory at a time; no result depends on it.

    Torch: `net.eval()` and the loop under `torch.no_grad()`.
    """
    check_int("predict", "batch_size", batch_size, least=1)
    pixels = np.asarray(images)
    return np.concatenate(
        [
            np.asarray(_logits(apply, params, model_state, batch, white=white))
            for batch in np.split(pixels, range(batch_size, len(pixels), batch_size))
        ]
    )


def predictions(
    logits: Float[ArrayLike, "n classes"], labels: Int[ArrayLike, "n"]
) -> Predictions:
    """The most probable class of each image, and how sure the network is of it.

    Args:
        logits: The network's output.
        labels: What the images are.

    Raises:
        ValueError: If a label is outside [0, classes).

    Examples:
        >>> said = predictions(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([0, 1]))
        >>> said.prediction.tolist(), said.probability.round(2).tolist()
        ([0, 0], [0.88, 0.5])
    """
    logits, labels = jnp.asarray(logits), np.asarray(labels)
    losses = cross_entropy(logits, jnp.asarray(labels), reduction="none")
    shares = np.asarray(jax.nn.softmax(logits))
    rows, chosen = np.arange(len(labels)), np.asarray(logits).argmax(axis=1)
    return Predictions(
        label=labels,
        prediction=chosen,
        probability=shares[rows, chosen],
        label_probability=shares[rows, labels],
        loss=np.asarray(losses),
    )


def confusion_matrix(
    labels: Int[ArrayLike, "n"], predictions: Int[ArrayLike, "n"], num_classes: int
) -> Int[np.ndarray, "label prediction"]:
    """How many images of each class were taken for each class.

    Args:
        labels: What the images are.
        predictions: What they were taken for.
        num_classes: The number of classes.

    Returns:
        Rows are labels and columns predictions, as in scikit-learn.

    Raises:
        ValueError: If an entry is outside [0, num_classes).

    Examples:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
        array([[1, 1],
               [0, 1]])
    """
    check_int("confusion_matrix", "num_classes", num_classes, least=1)
    rows, columns = np.asarray(labels), np.asarray(predictions)
    for argument, values in (("labels", rows), ("predictions", columns)):
        wrong = values[(values < 0) | (values >= num_classes)]
        if wrong.size:
            raise ValueError(
                f"confusion_matrix: expected {argument} in [0, {num_classes - 1}], "
                f"got {wrong[0]} instead."
            )
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (rows, columns), 1)
    return matrix


def class_scores(confusion: Int[ArrayLike, "label prediction"]) -> ClassScores:
    """Recall and precision of each class.

    Args:
        confusion: As `confusion_matrix` returns it.

    Examples:
        >>> class_scores(np.array([[3, 1], [0, 4]])).recall
        array([0.75, 1. ])
    """
    matrix = np.asarray(confusion)
    correct, labelled, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    return ClassScores(
        images=labelled,
        predictions=predicted,
        correct=correct,
        recall=_share(correct, labelled),
        precision=_share(correct, predicted),
    )


def mistakes(
    said: Predictions, images: Shaped[ArrayLike, "n height width"], most: int = 20
) -> Mistakes:
    """The images that were taken for another class, the largest loss first.

    Args:
        said: What the network says of all images.
        images: The images.
        most: How many to return; fewer if there are no more.
    """
    check_int("mistakes", "most", most, least=0)
    wrong = np.flatnonzero(said.prediction != said.label)
    # Descending, and stable: of equal losses the first image comes first. A loss that
    # is NaN counts as the largest.
    losses = np.nan_to_num(said.loss[wrong], nan=np.inf)
    places = wrong[np.argsort(-losses, kind="stable")[:most]]
    return Mistakes(
        places=places,
        images=np.asarray(images)[places],
        said=jax.tree.map(lambda column: column[places], said),
    )


def learning_curves(epochs: Iterable[Epoch]) -> LearningCurves:
    """What `training.fit` told about its epochs, ready to be drawn."""
    columns: Any = zip(*((e.epoch, *_measured(e)) for e in epochs), strict=True)
    epoch, *measured = map(np.array, columns)
    return LearningCurves(epoch, *measured)


def _measured(epoch: Epoch) -> tuple[float, float, float, float]:
    after = epoch.train_loss_after
    return (
        epoch.train_loss,
        np.nan if after is None else after,
        epoch.test_loss,
        epoch.test_accuracy,
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


@partial(jax.jit, static_argnames=("apply", "white"))
def _logits(
    apply: Network, params: PyTree, model_state: PyTree, images: Array, *, white: int
) -> Array:
    scaled = _epoch.scaled(images, white, _epoch.floating_dtype(params))
    return as_model(apply).evaluate(params, model_state, scaled)
