"""The table of cases: every function with a counterpart in PyTorch, and arguments.

One row is one call. `tests/golden/generate.py` runs a row in PyTorch,
`test_cases.py` runs it in jaxgrad and checks every property (value, gradient and
second derivative as PyTorch's; jit, vmap, dtypes), and `test_parity.py` runs both
side by side. To add a function, add rows and regenerate the golden values.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgrad import activations, losses
from tests.case import INF, NAN, Case, numbers, positive, rows, shares
from tests.cases_composed import ADAPTIVE, ATTENTION
from tests.cases_losses import OTHER_LOSSES
from tests.composed import IN_JAXGRAD
from tests.tolerances import DTYPES

SOFTMAXES = "softmax log_softmax"
ENTROPIES = "nll_loss cross_entropy"


def _first(name: str, functions: str, note: str, array: Any, **more: Any) -> list[Case]:
    return rows(functions, note, {name: np.asarray(array, float)}, **more)


def _softmax(
    note: str, x: Any, axis: int = -1, functions: str = SOFTMAXES, **more: Any
) -> list[Case]:
    return _first("x", functions, note, x, options={"axis": axis}, **more)


POINTS = np.array([-2.0, -0.25, -0.0, 0.0, 0.25, 2.0, 2.0**13, -(2.0**13)])
NOT_FINITE = np.array([-INF, INF, NAN])

# Elementwise activations, with their default options.
CURVES = """
    relu6 hardtanh hardsigmoid hardswish leaky_relu rrelu hardshrink softshrink elu celu
    selu softplus logsigmoid sigmoid tanh tanhshrink softsign silu mish gelu
"""
# The others are NaN at -inf or inf in PyTorch; test_activations checks their limits.
NAN_AT_INF = {"hardswish", "softsign", "silu", "mish", "gelu"}
FINITE_AT_INF = " ".join(name for name in CURVES.split() if name not in NAN_AT_INF)
# At no kink the weight of a value or of a gradient is 0.
KINKS = np.array([-3, -2, -1, -6, -0.25, -0.5, -0.0, 0, 0.5, 1, 0.25, 2, 3, 1.5, 6])
LARGE = np.array([-(2.0**13), -88.5, -20, 20, 88.5, 2.0**13])
HUGE = np.array([-(2.0**100), -(2.0**-100), 2.0**-100, 2.0**100])
SEEN = np.array([[True, False, True], [False, True, False], [True, True, True]])


def _curve(
    function: str,
    x: Any,
    second: bool = True,
    dtypes: tuple[str, ...] = DTYPES,
    **options: Any,
) -> list[Case]:
    """A row with options, which also give it its note."""
    note = ", ".join(f"{key} {value}" for key, value in options.items())
    note += {len(LARGE): ", large", len(HUGE): ", tiny and huge"}.get(len(x), "")
    more: dict[str, Any] = {"second": second, "dtypes": dtypes, "options": options}
    return _first("x", function, note, x, **more)


def _prelu(note: str, x: Any, weight: Any) -> list[Case]:
    arrays = {"x": np.asarray(x, float), "weight": np.asarray(weight, float)}
    return [Case("prelu", note, arrays)]


def _attention(
    note: str, shape: tuple[int, ...], keys: tuple[int, ...] = (), **options: Any
) -> Case:
    """A row whose arrays are query, key, value and an additive mask."""
    arrays = {
        name: numbers(*(keys or shape) if start else shape, start=start)
        for start, name in enumerate(("query", "key", "value"))
    }
    if "attn_mask" in options and options["attn_mask"].dtype == float:
        arrays["attn_mask"] = options.pop("attn_mask")
    return Case("scaled_dot_product_attention", note, arrays, options)


ACTIVATIONS = [
    *_first("x", "relu", "both sides and the kink", POINTS),
    *_first("x", "relu", "not finite", NOT_FINITE),
    *_first("x", "relu", "scalar", -0.5),
    *_first("x", "relu", "empty", np.zeros((0, 2))),
    *_softmax("last axis", numbers(2, 3)),
    *_softmax("first axis", numbers(2, 3), 0),
    *_softmax("middle axis", numbers(2, 3, 4), 1),
    *_softmax("scalar", 0.5, 0),
    *_softmax("scalar, axis -1", 0.5, functions="softmax"),
    *_softmax("one class", numbers(3, 1)),
    *_softmax("no classes", numbers(2, 0)),
    *_softmax("no rows", numbers(0, 2)),
    *_softmax("equal", np.full((1, 4), 1.5)),
    *_softmax("large", 2.0**13 * numbers(2, 3)),
    *_softmax("huge", 2.0**100 * numbers(2, 3), dtypes=DTYPES[:3]),
    *_softmax("masked with -inf", [[0.0, -INF, 1.0], [-INF, 0.5, -INF]], second=False),
    *_softmax("masked with inf", [[0.0, INF, 1.0], [INF, 0.5, INF]], second=False),
    *_softmax("all -inf in a row", [[-INF, -INF], [0.0, 1.0]], second=False),
    *_softmax("nan in a row", [[NAN, 1.0], [0.0, 1.0]], second=False),
    *_softmax("last axis", numbers(2, 3), functions="softmin"),
    *_softmax("middle axis", numbers(2, 3, 4), 1, functions="softmin"),
    *_softmax("scalar", 0.5, 0, functions="softmin"),
    *_softmax("large", 2.0**13 * numbers(2, 3), functions="softmin"),
    *_softmax("masked with inf", [[0.0, INF, 1.0]], functions="softmin", second=False),
    *_softmax("an entry of -inf", [[0.0, -INF]], functions="softmin", second=False),
    *_first("x", "softmax2d", "batch", numbers(2, 3, 2, 1)),
    *_first("x", "softmax2d", "single image", numbers(3, 2, 2)),
    *_first("x", CURVES, "both sides and the kinks", KINKS),
    *_first("x", "hardshrink elu gelu", "scalar", -0.5),
    *_first("x", "hardshrink elu gelu", "empty", np.zeros((0, 2))),
    *_first("x", CURVES, "large", LARGE, second=False),
    *_first("x", CURVES, "tiny and huge", HUGE, dtypes=DTYPES[:3], second=False),
    *_first("x", CURVES, "nan", [NAN]),
    *_first("x", FINITE_AT_INF, "infinite", [-INF, INF]),
    *_curve("threshold", KINKS, threshold=0.5, value=-7.0),
    *_curve("threshold", NOT_FINITE, threshold=-1.0, value=2.0),
    *_curve("hardtanh", KINKS, min_val=-3.0, max_val=0.5),
    *_curve("hardtanh", KINKS, min_val=1.0, max_val=1.0),
    *_curve("leaky_relu", KINKS, negative_slope=-0.25),
    *_curve("rrelu", KINKS, lower=0.25, upper=0.75),
    *_curve("hardshrink", KINKS, lambd=2.0),
    *_curve("hardshrink", KINKS, lambd=-1.0),
    *_curve("softshrink", KINKS, lambd=2.0),
    *_curve("softshrink", KINKS, lambd=0.0),
    *_curve("elu", KINKS, alpha=2.0),
    *_curve("celu", KINKS, alpha=2.0),
    *_curve("celu", KINKS[4:12], alpha=-0.5),
    *_curve("celu", KINKS, alpha=0.1),
    *_curve("softplus", KINKS, beta=2.0, threshold=5.0),
    *_curve("softplus", KINKS, beta=-1.0, threshold=20.0),
    *_curve("softplus", KINKS, beta=0.0),
    *_curve("softplus", KINKS, threshold=0.0),
    *_curve("gelu", KINKS, approximate="tanh"),
    *_curve("gelu", LARGE, second=False, approximate="tanh"),
    *_curve("gelu", HUGE, second=False, dtypes=DTYPES[:3], approximate="tanh"),
    *_prelu("one slope", numbers(2, 3), [0.25]),
    *_prelu("a scalar slope", numbers(2, 3), 0.25),
    *_prelu("a scalar", -0.5, 0.25),
    *_prelu("a slope per channel", numbers(2, 3, 2), [0.25, -0.5, 2.0]),
    *_prelu("a vector", KINKS, [0.25]),
    *_prelu("empty", np.zeros((2, 0)), np.zeros(0)),
    *_first("x", "glu", "last axis", numbers(2, 3, 4)),
    *_first("x", "glu", "first axis", numbers(2, 3), options={"axis": 0}),
    *_first("x", "glu", "empty", numbers(2, 0)),
    *_first("x", "glu", "large", [-(2.0**13), 2.0**13, 2.0**13, -(2.0**13)]),
    _attention("plain", (2, 3, 4)),
    _attention("without a batch", (3, 4)),
    _attention("causal", (2, 3, 4), is_causal=True),
    _attention("scaled", (2, 3, 4), scale=0.25),
    _attention("boolean mask", (2, 3, 4), attn_mask=SEEN),
    _attention("additive mask", (2, 3, 4), attn_mask=numbers(3, 3)),
    _attention("a batch that broadcasts", (3, 4), (2, 3, 4)),
    _attention("shared heads", (1, 4, 3, 2), (1, 2, 3, 2), enable_gqa=True),
]


def _labels(
    note: str, logits: Any, target: Any, functions: str = ENTROPIES, **more: Any
) -> list[Case]:
    """Rows of the losses that take class indices."""
    logits, options = np.asarray(logits, float), {"target": np.asarray(target)}
    names = {"nll_loss": "log_probs", "cross_entropy": "logits"}
    keep = {key: more.pop(key) for key in ("second", "dtypes") if key in more}
    return [
        Case(function, note, {names[function]: logits}, options | more, **keep)
        for function in functions.split()
    ]


def _soft(
    note: str, *shape: int, weight: Any = None, second: bool = True, **options: Any
) -> Case:
    """A row of cross_entropy with class probabilities, all arrays differentiated."""
    arrays = {"logits": numbers(*shape), "target": shares(*shape)}
    arrays |= {} if weight is None else {"weight": np.asarray(weight, float)}
    return Case(
        "cross_entropy", f"probabilities, {note}", arrays, options, second=second
    )


def _linear(
    note: str,
    input: tuple[int, ...],
    layer: tuple[int, ...],
    target: Any,
    bias: Any = None,
    **options: Any,
) -> Case:
    """A row of linear_cross_entropy; its arrays are given by their shapes."""
    arrays = {"input": numbers(*input), "linear_weight": numbers(*layer, start=3)}
    arrays |= {} if bias is None else {"linear_bias": bias}
    options = {"target": np.asarray(target)} | options
    return Case("linear_cross_entropy", note, arrays, options)


def _mse(note: str, input: Any, target: Any, **options: Any) -> Case:
    arrays = {"input": input, "target": target}
    for name in {"weight"} & set(options):
        arrays[name] = options.pop(name)
    dtypes = options.pop("dtypes", DTYPES)
    return Case("mse_loss", note, arrays, options, dtypes=dtypes)


X43, T4 = numbers(4, 3), [2, 0, 1, 2]
X235, T25 = numbers(2, 3, 5), [[0, 1, 2, 0, 1], [2, -100, 1, 1, -100]]
W3 = np.array([0.5, 2.0, 1.25])

LOSSES = [
    *(
        case
        for reduction in ("none", "mean", "sum")
        for case in (
            *_labels(reduction, X43, T4, reduction=reduction),
            *_labels(
                f"{reduction}, weight, ignored, trailing axis",
                X235,
                T25,
                reduction=reduction,
                weight=W3,
            ),
            *_labels(
                f"{reduction}, weight, ignored, smoothing",
                X43,
                [2, 1, 1, 0],
                "cross_entropy",
                reduction=reduction,
                weight=W3,
                ignore_index=1,
                label_smoothing=0.25,
            ),
            _soft(reduction, 4, 3, reduction=reduction),
            _soft(
                f"{reduction}, weight, smoothing, trailing axis",
                2,
                3,
                2,
                weight=W3,
                reduction=reduction,
                label_smoothing=0.25,
            ),
        )
    ),
    *_labels("all ignored", X43, [-100] * 4),
    *_labels("all ignored, sum", X43, [-100] * 4, "cross_entropy", reduction="sum"),
    *_labels(
        "all ignored, smoothing, weight",
        X43,
        [-100] * 4,
        "cross_entropy",
        label_smoothing=0.25,
        weight=W3,
    ),
    *_labels("empty batch", np.zeros((0, 3)), np.zeros(0, int)),
    *_labels(
        "empty batch, sum",
        np.zeros((0, 3)),
        np.zeros(0, int),
        "cross_entropy",
        reduction="sum",
    ),
    *_labels("single sample", numbers(3), 1),
    *_labels("single sample, weight, none", numbers(3), 1, weight=W3, reduction="none"),
    *_labels("one class", numbers(3, 1), [0, 0, 0]),
    *_labels("a class ignored", X43, T4, ignore_index=2),
    *_labels("ignored label beyond the classes", X43, [2, 255, 1, 0], ignore_index=255),
    *_labels("empty trailing axis", np.zeros((2, 3, 0)), np.zeros((2, 0), int)),
    *_labels(
        "three trailing axes",
        numbers(2, 3, 1, 2, 2),
        [[[[0, 2], [1, 1]]], [[[2, 2], [0, 1]]]],
    ),
    *_labels("a weight of zero", X43, T4, weight=np.array([1.0, 0.5, 0.0])),
    *_labels("weights that sum to zero", X43, [0, 0, 0, 0], weight=np.eye(3)[1]),
    *_labels("large", 2.0**13 * X43, T4, "cross_entropy"),
    *_labels("huge", 2.0**100 * X43, T4, "cross_entropy", dtypes=DTYPES[:3]),
    *_labels("smoothing, no weight", X43, T4, "cross_entropy", label_smoothing=0.125),
    *_labels("all smoothing", X43, T4, "cross_entropy", label_smoothing=1.0),
    *_labels(
        "logits masked with -inf",
        [[0.0, -INF, 1.0], [-INF, 0.5, -INF]],
        [2, 0],
        "cross_entropy",
        reduction="none",
        second=False,
    ),
    *_labels(
        "a row all -inf, a row with nan",
        [[-INF, -INF, -INF], [NAN, 0.5, 1.0], [0.5, 0.0, 1.0]],
        [2, 0, 1],
        "cross_entropy",
        reduction="none",
        second=False,
    ),
    *_labels(
        "an infinite weight",
        X43,
        T4,
        weight=np.array([0.5, INF, 1.25]),
        reduction="sum",
        second=False,
    ),
    *_labels(
        "an ignored sample of an infinite weight",
        X43,
        [1, 2, 1, -100],
        weight=np.array([-INF, 1.0, 0.5]),
    ),
    _linear("plain", (4, 3), (5, 3), [4, 0, -100, 2]),
    _linear("a single sample", (3,), (5, 3), 1),
    _linear(
        "positions, bias",
        (2, 3),
        (4, 2, 3),
        [[3, 0], [-100, 2]],
        numbers(4, 2, start=2),
        reduction="none",
    ),
    _linear(
        "weight, smoothing",
        (4, 3),
        (3, 3),
        T4,
        numbers(3),
        weight=W3,
        ignore_index=1,
        label_smoothing=0.25,
        reduction="sum",
    ),
    _soft("single sample", 3),
    _soft("empty batch", 0, 3),
    _soft("empty batch, weight", 0, 3, weight=W3),
    _soft("smoothing", 4, 3, label_smoothing=0.25),
    _mse("mean", numbers(2, 3), numbers(2, 3, start=8)),
    _mse("none", numbers(2, 3), numbers(2, 3, start=8), reduction="none"),
    _mse("sum", numbers(2, 3), numbers(2, 3, start=8), reduction="sum"),
    _mse("scalars", numbers(), numbers(start=2)),
    _mse("a scalar target", numbers(2, 3), numbers()),
    _mse("empty", numbers(0, 3), numbers(0, 3)),
    _mse("weight", numbers(2, 3), numbers(2, 3, start=8), weight=positive(2, 3)),
    _mse(
        "weight, none",
        numbers(2, 3),
        numbers(2, 3, start=8),
        weight=positive(2, 3),
        reduction="none",
    ),
    _mse("equal", numbers(3), numbers(3)),
    _mse("large", 2.0**100 * numbers(2, 3), numbers(2, 3), dtypes=("float64",)),
]

FAMILIES = {
    "activations": ACTIVATIONS + ATTENTION,
    "losses": LOSSES + OTHER_LOSSES + ADAPTIVE,
}
CASES = [case for cases in FAMILIES.values() for case in cases]


def in_jaxgrad(case: Case) -> Callable[..., Any]:
    """The case as a function of its differentiated arrays, by name."""
    if case.function in IN_JAXGRAD:
        return functools.partial(IN_JAXGRAD[case.function], **case.options)
    for module in (activations, losses):
        if hasattr(module, case.function):
            function = getattr(module, case.function)
            break
    else:
        raise LookupError(f"jaxgrad has no function {case.function}")
    first, *_ = case.arrays

    def call(**arrays: Any) -> Any:
        return function(arrays.pop(first), **arrays, **case.options)

    return call
