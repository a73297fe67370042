"""The result of a run, its tables and its pictures.

Class scores, confusion matrix and mistakes come from `jaxgrad.training.assessment`.
Torch: scikit-learn's `classification_report` and `ConfusionMatrixDisplay`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from experiments._command import section, table
from experiments._mnist_mlp.config import Config
from experiments._mnist_mlp.side_runs import SideRuns, report_side_runs
from jaxgrad import plots, training
from jaxgrad.datasets import Dataset
from jaxgrad.training.assessment import Assessment, Mistakes, learning_curves

MISTAKES_IN_TABLE = 10
TIES_IN_TEXT = 5


class Result(NamedTuple):
    """What a run has learned and measured."""

    config: Config
    batch_size: int
    lr: float
    dataset: Dataset
    params: Any
    epochs: tuple[training.Epoch, ...]
    assessment: Assessment  # on the test set, after the last epoch
    side_runs: SideRuns | None


def report(result: Result) -> None:
    """Print the assessment and the side runs."""
    dataset, assessment = result.dataset, result.assessment
    losses = not_learned(result.epochs, dataset.num_classes) + loss_gap(result.epochs)
    section("What the losses say", losses)
    section(
        f"Class by class, on the test images of {dataset.name}", _classes(assessment)
    )
    title = "Confusion matrix: rows are labels, columns predictions"
    section(title, _confusion(assessment.confusion))
    section("The worst mistakes: the largest losses", _mistakes(assessment.mistakes))
    if result.side_runs is not None:
        report_side_runs(result.side_runs)


def not_learned(epochs: Sequence[training.Epoch], classes: int) -> str:
    """A sentence if the loss at the end is not below that of equal probabilities."""
    loss, chance = epochs[-1].train_loss, math.log(classes)
    if not loss >= 0.99 * chance:
        return ""
    return (
        f"The network has not learned: its train loss of {loss:.4g} is no better than "
        f"that of\nguessing, ln {classes} = {chance:.4g}. Another --lr may help.\n"
    )


def loss_gap(epochs: Sequence[training.Epoch]) -> str:
    """Why the train loss lies above the test loss, in words and numbers."""
    last = epochs[-1]
    if not math.isfinite(last.train_loss):
        return "The loss is not finite: the learning rate is too large."
    gap = last.train_loss - last.test_loss
    if gap <= 0:
        losses = f"{last.train_loss:.5f}, the test loss {last.test_loss:.5f}"
        better = "the network does better on the images it was trained on."
        return f"After the last epoch the train loss is {losses}:\n{better}"
    above = sum(epoch.train_loss > epoch.test_loss for epoch in epochs)
    text = (
        '"train loss" is the mean of the batches\' losses, as in the notebook;\n'
        '"after epoch" is the loss on the training set at the end of the epoch.\n'
        f"The train loss lies above the test loss in {above} of {len(epochs)} epochs. "
        "The\nnotebook explains that by averaging over an epoch of learning. The last "
        f"gap is\n{gap:.5f}"
    )
    if last.train_loss_after is None:
        return f"{text}; --side-runs measures how much of it averaging explains."
    left, share = last.train_loss_after - last.test_loss, averaging_share(last)
    text += f", or {left:.5f} with the same parameters for both"
    if share >= 1:
        return f"{text}: averaging explains all of it."
    if share <= 0:
        return f"{text}: averaging explains nothing of it."
    return (
        f"{text}: averaging explains\n{share:.0%} of it. "
        "The rest is a difference between the images of the two sets."
    )


def averaging_share(epoch: training.Epoch) -> float:
    """The share of the gap between the two losses that averaging explains.

    The notebook's train loss is a mean over batches, and the network had learned less
    when it saw the early ones. Measured after the epoch it is smaller by this share.
    """
    assert epoch.train_loss_after is not None
    averaging = epoch.train_loss - epoch.train_loss_after
    return averaging / (epoch.train_loss - epoch.test_loss)


def _classes(assessment: Assessment) -> str:
    scores = assessment.classes
    classes = enumerate(zip(*scores, strict=True))
    rows = [
        (digit, int(n), int(n - correct), f"{recall:8.2%}", f"{precision:9.2%}")
        for digit, (n, _, correct, recall, precision) in classes
    ]
    header = ("class", "images", "errors", "accuracy", "precision")
    best = _where(scores.recall == np.nanmax(scores.recall))
    worst = _where(scores.recall == np.nanmin(scores.recall))
    return (
        "Accuracy (also called recall): of the images of a class, the share that is "
        "predicted to be.\nPrecision: of the images predicted to be of a class, the "
        f"share that is.\n\n{table(header, rows)}\n\n"
        f"Overall {assessment.accuracy:.2%}; best accuracy: {best}; worst accuracy: "
        f"{worst}."
    )


def _confusion(matrix: np.ndarray) -> str:
    counts = [[i, *(int(n) or "." for n in row)] for i, row in enumerate(matrix)]
    drawn = table(("label", *map(str, range(len(matrix)))), counts)
    return f"{drawn}\n\n{most_frequent(matrix)}"


def most_frequent(matrix: np.ndarray) -> str:
    """The most frequent error of a confusion matrix; every one if several tie."""
    errors = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    most = errors.max(initial=0)
    if not most:
        return "There is no error."
    pairs = np.argwhere(errors == most).tolist()
    named = [f"{label} predicted as {other}" for label, other in pairs]
    if len(named) == 1:
        return f"The most frequent error, {most} times: {named[0]}."
    if len(named) > TIES_IN_TEXT:
        named[TIES_IN_TEXT:] = [f"and {len(named) - TIES_IN_TEXT} more"]
    return f"The most frequent errors, {most} times each: {', '.join(named)}."


def _where(mask: np.ndarray) -> str:
    return ", ".join(map(str, np.flatnonzero(mask)))


def _mistakes(mistakes: Mistakes) -> str:
    predictions = zip(mistakes.indices, *mistakes.predictions, strict=True)
    rows = [
        (*map(int, classes), f"{p:11.2%}", f"{of_label:8.2%}", f"{loss:.2f}")
        for *classes, p, of_label, loss in predictions
    ][:MISTAKES_IN_TABLE]
    if not rows:
        return "There is none."
    header = ("image", "label", "prediction", "probability", "of label", "loss")
    return (
        "The probabilities are the network's, of its prediction and of the label; the "
        f"loss is -log of the latter.\n\n{table(header, rows)}\n\n"
        f"The picture shows {len(mistakes.indices)} of them."
    )


def figures(result: Result) -> dict[str, Figure]:
    """The losses and the accuracy over the epochs, and the assessment as pictures."""
    name, assessment = result.dataset.name.replace("mnist", "MNIST"), result.assessment
    classes, images = assessment.classes, f"test images of {name}"
    matrix, title = assessment.confusion, f"Class by class on {name}"
    return _curves(result.epochs, name) | {
        "classes": plots.class_accuracy(classes.recall, classes.precision, title=title),
        "confusion": plots.confusion(matrix, title=f"Confusion matrix, {images}"),
        "most_wrong": _gallery(assessment.mistakes, images),
    }


def _curves(epochs: Sequence[training.Epoch], name: str) -> dict[str, Figure]:
    curves = learning_curves(epochs)
    losses = {"train, mean over the epoch": curves.train_loss, "test": curves.test_loss}
    if not np.isnan(curves.train_loss_after).all():  # measured
        losses["train, after the epoch"] = curves.train_loss_after
    accuracy = 100 * curves.test_accuracy
    reached = f"{accuracy[-1]:.2f} % at the end, {accuracy.max():.2f} % at best"
    title, label = f"Loss on {name}", "cross-entropy"
    loss_plot = plots.curves(losses, title=title, ylabel=label, log=True)
    title, label = f"Accuracy on {name}: {reached}", "test accuracy, %"
    accuracy_plot = plots.curves({"test": accuracy}, title=title, ylabel=label)
    return {"losses": loss_plot, "accuracy": accuracy_plot}


def _gallery(mistakes: Mistakes, images: str) -> Figure:
    predictions = zip(*mistakes.predictions, strict=True)
    captions = [
        f"{label} predicted as {prediction}\n{probability:.1%}, loss {loss:.1f}"
        for label, prediction, probability, _, loss in predictions
    ]
    title = f"The largest losses on the {images}"
    return plots.gallery(mistakes.images, captions, title=title)
