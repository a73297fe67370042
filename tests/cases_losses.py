"""Rows of the table of cases: all losses except those of a choice among classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.case import INF, NAN, Case, numbers, positive
from tests.tolerances import DTYPES

X, Y = numbers(2, 3), numbers(2, 3, start=8)
P, Q = positive(2, 3) / 2, positive(2, 3, start=4) / 2  # probabilities in (0, 1)
SIGNS = np.array([[1, -1, 1], [-1, -1, 1]])
WEIGHT = positive(2, 3, start=5)
COUNTS = np.array([[0, 1, 2], [3, 5, 8]])
REDUCTIONS = ("none", "mean", "sum")
WIDE = DTYPES[:3]  # float16 ends at 65504

ARRAYS = {
    "gaussian_nll_loss": ("input", "target", "var"),
    "margin_ranking_loss": ("input1", "input2", "target"),
    "cosine_embedding_loss": ("input1", "input2"),
    "triplet_margin_loss": ("anchor", "positive", "negative"),
    "triplet_margin_with_distance_loss": ("anchor", "positive", "negative"),
    "ctc_loss": ("log_probs",),
}


def _row(function: str, note: str, *arrays: Any, **more: Any) -> Case:
    """A row whose arrays are the first arguments; `more` are options, or the case's."""
    names = ARRAYS.get(function, ("input", "target", "weight"))
    given = {
        name: np.asarray(array, float)
        for name, array in zip(names, arrays, strict=False)
    }
    keep = {key: more.pop(key) for key in ("second", "dtypes") if key in more}
    return Case(function, note, given, more, **keep)


def _reductions(function: str, *arrays: Any, **more: Any) -> list[Case]:
    """The same row with every reduction."""
    return [
        _row(function, ", ".join(["plain", r]), *arrays, reduction=r, **more)
        for r in REDUCTIONS
    ]


def _triplets(note: str, *shapes: Sequence[int], **more: Any) -> Case:
    arrays = [numbers(*shape, start=5 * i) for i, shape in enumerate(shapes)]
    return _row("triplet_margin_loss", note, *arrays, **more)


def _ctc(note: str, shape: tuple[int, ...], targets: Any, **more: Any) -> Case:
    scores = numbers(*shape)
    log_probs = scores - 1.5  # not normalised, some of them above 0
    return _row(
        "ctc_loss", note, log_probs, targets=np.array(targets), second=False, **more
    )


REGRESSION = [
    *_reductions("l1_loss", X, Y),
    _row("l1_loss", "weight", X, Y, WEIGHT),
    _row(
        "l1_loss",
        "the kink, tiny and huge",
        [0, 2.0**-100, 2.0**100],
        [0, 0, 0],
        dtypes=WIDE,
    ),
    _row("l1_loss", "nan", [NAN, 1.0], [0.5, NAN], reduction="none"),
    _row("l1_loss", "empty", np.zeros((0, 3)), np.zeros((0, 3))),
    *_reductions("smooth_l1_loss", X, Y),
    _row(
        "smooth_l1_loss", "beta, its kinks", [-0.5, 0, 0.5, 9], [0, 0, 0, 0], beta=0.5
    ),
    _row("smooth_l1_loss", "beta 0", X, Y, beta=0.0),
    _row("smooth_l1_loss", "beta inf", X, Y, beta=INF),
    _row(
        "smooth_l1_loss",
        "huge",
        [2.0**100, -INF],
        [0, 0],
        dtypes=WIDE,
        reduction="none",
        second=False,
    ),
    *_reductions("huber_loss", X, Y),
    _row("huber_loss", "delta, its kinks", [-0.5, 0, 0.5, 9], [0, 0, 0, 0], delta=0.5),
    _row("huber_loss", "weight", X, Y, WEIGHT, delta=1.5),
    _row("huber_loss", "a scalar target", X, 0.5),
    _row("l1_loss", "integers", X, target=COUNTS, weight=COUNTS),
    _row("mse_loss", "integers", X, target=COUNTS),
    _row("mse_loss", "booleans", X, target=COUNTS > 2),
    _row("mse_loss", "boolean weights", X, Y, weight=COUNTS > 0),
    _row("smooth_l1_loss", "booleans", X, target=COUNTS > 2, second=False),
]
LIKELIHOOD = [
    *_reductions("kl_div", X, P),
    _row("kl_div", "batchmean, broadcast", X, P[:1], reduction="batchmean"),
    _row("kl_div", "log_target", X, Y, log_target=True, reduction="sum"),
    _row(
        "kl_div",
        "a share of zero",
        [0.5, -INF],
        [0.0, 0.5],
        reduction="none",
        second=False,
    ),
    _row(
        "kl_div",
        "empty, batchmean",
        np.zeros((0, 3)),
        np.zeros((0, 3)),
        reduction="batchmean",
    ),
    *_reductions("poisson_nll_loss", X, Y),
    _row("poisson_nll_loss", "full", X, [[0.5, 1, 1.5], [2, 3, 8]], full=True),
    _row(
        "poisson_nll_loss",
        "full, counts",
        X,
        target=np.array([[0.0, 1, 2], [3, 5, 8]]),
        dtypes=("float64",),
        full=True,
    ),
    _row("poisson_nll_loss", "not log_input", P, Q, log_input=False, eps=0.25),
    *_reductions("gaussian_nll_loss", X, Y, P),
    _row("gaussian_nll_loss", "full, a variance per row", X, Y, P[:, 0], full=True),
    _row("gaussian_nll_loss", "a variance per column", X, Y, P[:1]),
    _row("gaussian_nll_loss", "below eps", X, Y, 0 * P, eps=0.5, reduction="sum"),
    _row("gaussian_nll_loss", "one number", X, Y, var=0.5),
    _row("gaussian_nll_loss", "integers", X, target=COUNTS, var=0.5),
    _row("poisson_nll_loss", "integers", X, target=COUNTS),
    _row("poisson_nll_loss", "booleans", X, target=COUNTS > 2),
]
BINARY = [
    *_reductions("binary_cross_entropy", P, Q),
    _row("binary_cross_entropy", "weight that broadcasts", P, Q, weight=WEIGHT[:1]),
    _row(
        "binary_cross_entropy",
        "certain",
        [0, 0, 0, 1, 1, 1],
        [0, 1, 0.5, 0, 1, 0.5],
        reduction="none",
        second=False,
        dtypes=WIDE,
    ),
    _row(
        "binary_cross_entropy",
        "certain, second derivative",
        [0, 0, 0, 1, 1, 1, 2.0**-40],
        target=np.array([0, 1, 0.5, 0, 1, 0.5, 1]),
        reduction="none",
        dtypes=("float64",),
    ),
    _row("binary_cross_entropy", "empty", np.zeros((0, 3)), np.zeros((0, 3))),
    *_reductions("binary_cross_entropy_with_logits", X, P),
    _row(
        "binary_cross_entropy_with_logits",
        "weight, pos_weight",
        X,
        P,
        weight=WEIGHT,
        pos_weight=WEIGHT[0],
    ),
    _row(
        "binary_cross_entropy_with_logits",
        "large",
        [2.0**13, -(2.0**13), 88.5],
        [0.5, 1, 1],
        second=False,
    ),
    *_reductions("soft_margin_loss", X, target=SIGNS),
    _row("soft_margin_loss", "a target that broadcasts", X, target=SIGNS[0]),
    _row(
        "soft_margin_loss",
        "large",
        [2.0**13, -88.5, 512],
        target=np.array([1, 1, -1]),
        second=False,
    ),
    *_reductions("multilabel_soft_margin_loss", X, P),
    _row("multilabel_soft_margin_loss", "weight", X, P, WEIGHT),
    _row("multilabel_soft_margin_loss", "one sample", X[0], P[0], reduction="none"),
]
MARGIN = [
    *_reductions("hinge_embedding_loss", X, target=SIGNS),
    _row(
        "hinge_embedding_loss",
        "at the margin",
        [0.5, 0.5, 0.75],
        target=np.array([-1, 1, -1]),
        margin=0.5,
    ),
    _row("hinge_embedding_loss", "other labels", X, target=2 * SIGNS),
    _row("hinge_embedding_loss", "booleans", X, target=SIGNS > 0),
    *_reductions("margin_ranking_loss", X, Y, SIGNS, margin=0.5),
    _row(
        "margin_ranking_loss", "at the margin", [1, 1], [1, 1], target=np.array([1, -1])
    ),
    *_reductions("multi_margin_loss", X, target=np.array([2, 0]), second=False),
    _row(
        "multi_margin_loss",
        "p 2, weight, margin",
        X,
        target=np.array([0, 1]),
        p=2,
        margin=0.5,
        weight=np.array([0.5, 2.0, 1.25]),
        second=False,
    ),
    _row(
        "multi_margin_loss",
        "at the margin",
        [0.0, 1.0, -1.0],
        target=np.array(1),
        second=False,
    ),
    _row("multi_margin_loss", "nan", [NAN, 1.0, 2.0], target=np.array(0), second=False),
    _row(
        "multi_margin_loss",
        "empty",  # PyTorch leaves the mean of nothing uninitialised
        np.zeros((0, 3)),
        target=np.zeros(0, int),
        reduction="none",
        second=False,
    ),
    *_reductions(
        "multilabel_margin_loss",
        X,
        target=np.array([[2, 0, -1], [-1, 0, 1]]),
        second=False,
    ),
    _row(
        "multilabel_margin_loss",
        "a label twice",
        numbers(4),
        target=np.array([1, 3, 1, -1]),
        second=False,
    ),
    _row(
        "multilabel_margin_loss",
        "all labels",
        X[0],
        target=np.array([1, 0, 2]),
        second=False,
    ),
]
EMBEDDING = [
    *_reductions("cosine_embedding_loss", X, Y, target=np.array([1, -1])),
    _row(
        "cosine_embedding_loss",
        "a zero vector",
        [[0.0, 0], [0, 0]],
        [[0.5, 1], [1, 2]],
        target=np.array([1, -1]),
        second=False,
        dtypes=DTYPES[:2],
    ),
    _row(
        "cosine_embedding_loss",
        "single, margin",
        X[0],
        Y[0],
        target=np.array(-1),
        margin=-0.5,
    ),
    _row(
        "cosine_embedding_loss",
        "huge",
        2.0**100 * X,
        2.0**60 * Y,
        target=np.array([1, -1]),
        dtypes=DTYPES[:3],
    ),
    *(_triplets(r, (2, 3), (2, 3), (2, 3), reduction=r) for r in REDUCTIONS),
    _triplets("p 1, swap", (2, 3), (2, 3), (2, 3), p=1.0, swap=True, second=False),
    _triplets("p 3, broadcast", (2, 3), (1, 3), (2, 1), p=3.0, margin=0.5),
    _triplets("p inf", (2, 3), (2, 3), (2, 3), p=INF, second=False),
    _triplets("vectors, p 1.5", (3,), (3,), (3,), p=1.5),
    _row("triplet_margin_loss", "equal, no eps", X, X, X, eps=0.0, second=False),
    *_reductions("triplet_margin_with_distance_loss", X, Y, -X, swap=True),
]
SEQUENCE = [
    *(
        _ctc(
            r,
            (5, 2, 4),
            [[1, 1, 2], [3, 2, 0]],
            input_lengths=(5, 4),
            target_lengths=(3, 2),
            reduction=r,
        )
        for r in REDUCTIONS
    ),
    _ctc(
        "one after the other, blank",
        (4, 2, 3),
        [0, 1, 0],
        input_lengths=(4, 3),
        target_lengths=(2, 1),
        blank=2,
    ),
    _ctc("a single sequence", (4, 3), [1, 2], input_lengths=(4,), target_lengths=(2,)),
    _ctc(
        "no path",
        (2, 2, 3),
        [[1, 1], [1, 2]],
        input_lengths=(2, 2),
        target_lengths=(2, 2),
        reduction="none",
    ),
    _ctc(
        "no path, zero_infinity",
        (2, 2, 3),
        [[1, 1], [1, 2]],
        input_lengths=(2, 2),
        target_lengths=(2, 2),
        zero_infinity=True,
    ),
    _row(
        "ctc_loss",
        "huge behind the last frame",
        np.where(np.arange(4) < 3, -0.5, 2.0**13).reshape(4, 1, 1)
        + np.zeros((4, 1, 2)),
        targets=np.array([[1]]),
        input_lengths=(3,),
        target_lengths=(1,),
        second=False,
    ),
    _ctc(
        "no labels",
        (3, 1, 2),
        np.zeros((1, 0), int),
        input_lengths=(3,),
        target_lengths=(0,),
    ),
]
OTHER_LOSSES = REGRESSION + LIKELIHOOD + BINARY + MARGIN + EMBEDDING + SEQUENCE
