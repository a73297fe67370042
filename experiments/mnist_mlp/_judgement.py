"""What became of the training: which digits the network knows, and which it mistakes.

Tables and pictures of `jaxgrad.mnist.assessment`; PyTorch users take scikit-learn's
`classification_report` and `ConfusionMatrixDisplay` for the like.
"""

import numpy as np
from matplotlib.figure import Figure

from experiments._command import section, table
from jaxgrad import plots
from jaxgrad.mnist.assessment import Assessment, LearningCurves, Mistakes

MISTAKES_IN_TABLE = 10


def report_judgement(judged: Assessment, name: str) -> None:
    """Print the accuracy per class, the confusion matrix and the worst mistakes."""
    section(f"Class by class, on the test images of {name}", _classes(judged))
    section(
        "Confusion matrix: rows are labels, columns predictions",
        _confusion(judged.confusion),
    )
    section("The most wrong: the largest losses", _mistakes(judged.mistakes))


def judgement_figures(judged: Assessment, name: str) -> dict[str, Figure]:
    """The same three as pictures."""
    said = judged.mistakes.said
    captions = [
        f"{label} taken for {prediction}\n{probability:.1%}, loss {loss:.1f}"
        for label, prediction, probability, _, loss in zip(*said, strict=True)
    ]
    classes = judged.classes
    return {
        "classes": plots.class_accuracy(
            classes.recall, classes.precision, title=f"Class by class on {name}"
        ),
        "confusion": plots.confusion(
            judged.confusion, title=f"Confusion matrix, test images of {name}"
        ),
        "most_wrong": plots.gallery(
            judged.mistakes.images,
            captions,
            title=f"The largest losses on the test images of {name}",
        ),
    }


def curve_figures(curves: LearningCurves, name: str) -> dict[str, Figure]:
    """The losses and the accuracy over the epochs."""
    losses = {
        "train, mean over the epoch": curves.train_loss,
        "train, after the epoch": curves.train_loss_after,
        "test": curves.test_loss,
    }
    if np.isnan(curves.train_loss_after).all():  # not asked for
        del losses["train, after the epoch"]
    best = 100 * curves.test_accuracy.max()
    return {
        "losses": plots.curves(
            losses, title=f"Loss on {name}", ylabel="cross-entropy", log=True
        ),
        "accuracy": plots.curves(
            {"test": 100 * curves.test_accuracy},
            title=f"Accuracy on {name}: {100 * curves.test_accuracy[-1]:.2f} % at the "
            f"end, {best:.2f} % at best",
            ylabel="test accuracy, %",
        ),
    }


def _classes(judged: Assessment) -> str:
    rows = [
        (
            digit,
            int(images),
            int(images - correct),
            f"{recall:8.2%}",
            f"{precision:9.2%}",
        )
        for digit, (images, _, correct, recall, precision) in enumerate(
            zip(*judged.classes, strict=True)
        )
    ]
    header = ("class", "images", "errors", "accuracy", "precision")
    best, worst = (
        np.nanargmax(judged.classes.recall),
        np.nanargmin(judged.classes.recall),
    )
    return (
        f"{table(header, rows)}\n"
        f"All together {judged.accuracy:.2%}; the {best} is known best, the {worst} "
        "worst.\n"
        "accuracy: of the images of the class, recognised; precision: of what was "
        "taken\nfor the class, right."
    )


def _confusion(matrix: np.ndarray) -> str:
    rows = [
        (label, *(int(count) or "." for count in row))
        for label, row in enumerate(matrix)
    ]
    width = max(3, len(str(matrix.max())))
    lines = ["  ".join(str(entry).rjust(width) for entry in row) for row in rows]
    header = ["", *map(str, range(len(matrix)))]
    head = "  ".join(entry.rjust(width) for entry in header)
    errors = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    label, prediction = np.unravel_index(errors.argmax(), errors.shape)
    most = (
        f"The commonest error: {errors.max()} times a {label} was taken for a "
        f"{prediction}."
    )
    return "\n".join([head, *lines, most if errors.max() else "There is no error."])


def _mistakes(mistakes: Mistakes) -> str:
    rows = [
        (
            int(index),
            int(label),
            int(prediction),
            f"{probability:8.2%}",
            f"{of_label:9.2%}",
            f"{loss:.2f}",
        )
        for index, label, prediction, probability, of_label, loss in zip(
            mistakes.places, *mistakes.said, strict=True
        )
    ][:MISTAKES_IN_TABLE]
    if not rows:
        return "There is none."
    header = ("image", "label", "taken for", "sure", "of label", "loss")
    return f"{table(header, rows)}\n{len(mistakes.places)} of them are in the picture."
