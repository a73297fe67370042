"""Tests of single losses; test_cases.py tests the properties of all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import losses
from jaxgrad.losses import cross_entropy, mse_loss, nll_loss
from tests.cases import numbers
from tests.tolerances import DTYPES, assert_close

LOGITS = jnp.asarray(numbers(4, 3), jnp.float32)
LABELS = jnp.array([2, 0, 1, 2])
WEIGHT = jnp.array([0.5, 2.0, 1.25])
CLASSIFIERS = pytest.mark.parametrize("loss", [nll_loss, cross_entropy])


def test_the_gradient_of_cross_entropy_is_softmax_minus_one_hot():
    gradient = jax.grad(cross_entropy)(LOGITS, LABELS, reduction="sum")
    expected = jax.nn.softmax(LOGITS) - jax.nn.one_hot(LABELS, 3)
    assert_close(gradient, expected, "float32")


def test_cross_entropy_is_nll_of_log_softmax():
    log_probs = jax.nn.log_softmax(LOGITS)
    assert_close(
        cross_entropy(LOGITS, LABELS, WEIGHT),
        nll_loss(log_probs, LABELS, WEIGHT),
        "float32",
    )


def test_one_hot_probabilities_equal_labels():
    onehot = jax.nn.one_hot(LABELS, 3)
    for reduction in ("none", "sum"):
        assert_close(
            cross_entropy(LOGITS, onehot, WEIGHT, reduction=reduction),
            cross_entropy(LOGITS, LABELS, WEIGHT, reduction=reduction),
            "float32",
        )


@CLASSIFIERS
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int32"])
def test_labels_of_every_integer_dtype(loss, dtype):
    # 200 classes do not fit into int8; -100 does not fit into uint8.
    scores = jnp.zeros((4, 200)).at[:, 1].set(1.0)
    labels = jnp.asarray([1, 1, 0, 1])
    expected = loss(scores, labels)
    assert loss(scores, labels.astype(dtype)).item() == expected.item()
    assert jax.jit(loss)(scores, labels.astype(dtype)).item() == expected.item()


@CLASSIFIERS
def test_unsigned_labels_do_not_wrap_to_ignore_index(loss):
    wrapped = jnp.array([2**32 - 100, 0], jnp.uint32)
    assert jnp.isnan(jax.jit(loss)(LOGITS[:2], wrapped))
    void = jnp.array([255, 1], jnp.uint8)
    ignoring = jax.jit(lambda labels: loss(LOGITS[:2], labels, ignore_index=255))
    assert_close(ignoring(void), loss(LOGITS[1:2], void[1:]), "float32")


FAR = np.array([1, 2**32 + 1])  # label 1 if only 32 bits are left
TWO = LOGITS[:2]
TAIL = [(jnp.zeros((2, 3)), jnp.zeros((5, 2)))]


@pytest.mark.parametrize(
    "loss",
    [
        lambda labels: nll_loss(TWO, labels),
        lambda labels: cross_entropy(TWO, labels),
        lambda labels: cross_entropy(TWO[0], int(labels[1])),
        lambda labels: losses.linear_cross_entropy(TWO, LOGITS, labels),
        lambda labels: losses.multi_margin_loss(TWO, labels),
        lambda labels: losses.multilabel_margin_loss(
            TWO[:, :2], labels[None] + [[0]] * 2
        ),
        lambda labels: (
            losses.adaptive_log_softmax_with_loss(TWO, labels, LOGITS[:3], TAIL).loss
        ),
        lambda labels: losses.ctc_loss(TWO[:, None], labels[None, 1:], (2,), (1,)),
        lambda labels: losses.poisson_nll_loss(TWO[:, 0], labels),
    ],
)
def test_labels_are_checked_before_they_are_cut_to_32_bits(loss):
    loss(FAR % 2**32)
    for call in (loss, lambda labels: jax.jit(lambda: loss(labels))()):
        with pytest.raises(ValueError, match=r"target.* in .* got 4294967297 instead"):
            call(FAR)


@CLASSIFIERS
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_label_out_of_range_gives_nan_under_jit(loss, reduction):
    def losses(scores, weight, labels):
        return loss(scores, labels, weight, reduction=reduction)

    @jax.jit
    def everything(labels):
        total = jax.value_and_grad(lambda *args: losses(*args).sum(), (0, 1))
        _, tangents = jax.jvp(
            lambda scores: losses(scores, WEIGHT, labels), (LOGITS,), (LOGITS,)
        )
        return *total(LOGITS, WEIGHT, labels), tangents

    assert jnp.isfinite(everything(LABELS)[0])
    for label in (3, -1, -101):
        value, (of_scores, of_weight), tangents = everything(LABELS.at[1].set(label))
        assert jnp.isnan(value)
        assert jnp.isnan(of_scores[1]).any()
        assert jnp.isnan(of_weight).any()
        expected = [False, True, False, False] if reduction == "none" else True
        assert jnp.isnan(tangents).tolist() == expected


@CLASSIFIERS
def test_vmap_over_samples_equals_the_batch(loss):
    singly = jax.vmap(loss)(LOGITS, LABELS)
    assert_close(singly, loss(LOGITS, LABELS, reduction="none"), "float32")
    bad = LABELS.at[0].set(7)
    assert jnp.isnan(jax.vmap(loss)(LOGITS, bad)).tolist() == [True, *[False] * 3]


@CLASSIFIERS
def test_the_gradient_of_the_weight_is_the_true_one(loss, x64):
    # PyTorch has none for class indices.
    logits, weight = LOGITS.astype("float64"), WEIGHT.astype("float64")

    def of_weight(weight):
        return loss(logits, LABELS, weight)

    steps = 1e-5 * jnp.eye(3)
    losses = jax.vmap(of_weight)
    slopes = (losses(weight + steps) - losses(weight - steps)) / 2e-5
    assert_close(jax.grad(of_weight)(weight), slopes, factor=10)


@CLASSIFIERS
def test_forward_and_reverse_mode_agree_on_the_second_derivative(loss, x64):
    logits = LOGITS[:2].astype("float64")

    def of_logits(logits):
        return loss(logits, LABELS[:2])

    forward = jax.jit(jax.jacfwd(jax.jacfwd(of_logits)))(logits)
    assert_close(jax.jit(jax.hessian(of_logits))(logits), forward)


@CLASSIFIERS
def test_all_ignored_is_nan_without_a_gradient_in_forward_mode_too(loss):
    labels = jnp.full(4, -100)
    value, tangent = jax.jvp(lambda x: loss(x, labels), (LOGITS,), (LOGITS,))
    assert jnp.isnan(value)
    assert tangent == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"weight": WEIGHT}, {"label_smoothing": 0.1}])
def test_the_gradient_is_finite_at_finite_logits(dtype, options, x64):
    large = float(jnp.finfo(dtype).max)
    logits = jnp.array([[large, -large, 0.0], [-large, large, large]], dtype)
    shares = jnp.array([[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]], dtype)

    @jax.jit
    def gradients(logits):
        of_logits = jax.grad(cross_entropy)
        return of_logits(logits, jnp.array([1, 0]), **options), of_logits(
            logits, shares, **options
        )

    assert jnp.isfinite(jnp.array(gradients(logits))).all()


@CLASSIFIERS
def test_the_compiled_gradient_has_no_scatter(loss):
    def step(scores, labels, weight):
        return loss(scores, labels, weight, ignore_index=1)

    program = jax.jit(jax.value_and_grad(step)).lower(LOGITS, LABELS, WEIGHT)
    assert "scatter" not in program.as_text()
    indexed = jax.jit(jax.grad(lambda x: x[jnp.arange(4), LABELS].sum()))
    assert "scatter" in indexed.lower(LOGITS).as_text(), "the check finds a scatter"


def test_a_wrong_shift_would_lose_every_digit():
    # log-sum-exp minus the logit, each about 1e6, has no digit left in float32.
    logits = jnp.array([1e6, 1e6 - 1.0])
    assert_close(cross_entropy(logits, 0), np.log1p(np.exp(-1)), "float32")


def test_dtypes_promote_as_in_torch(x64):
    half = LOGITS.astype("bfloat16")
    probabilities = jax.nn.one_hot(LABELS, 3, dtype=jnp.float32)
    assert cross_entropy(half, LABELS, WEIGHT).dtype == jnp.bfloat16
    assert cross_entropy(half, probabilities).dtype == jnp.float32
    assert mse_loss(half, LOGITS).dtype == jnp.float32
    assert mse_loss(half, 0.0).dtype == jnp.bfloat16
    assert mse_loss(LOGITS, LOGITS, weight=LOGITS.astype("float64")).dtype == "float64"


def test_sixteen_bit_sums_do_not_overflow():
    # 100 squares of 200 add up to 4e6, beyond float16; their mean is not.
    large = jnp.full(100, 200.0, jnp.float16)
    assert mse_loss(large, jnp.zeros_like(large)).item() == 40000.0


def test_mse_gradient_reaches_input_target_and_weight(x64):
    arrays = [jnp.asarray(numbers(3, start=s)) for s in (0, 5, 9)]
    gradients = jax.grad(lambda x, y, w: mse_loss(x, y, weight=w), (0, 1, 2))(*arrays)
    x, y, w = arrays
    assert_close(gradients[0], 2 * w * (x - y) / w.sum())
    assert_close(gradients[1], -gradients[0])
    assert_close(gradients[2], ((x - y) ** 2 - mse_loss(x, y, weight=w)) / w.sum())


def test_mse_warns_when_it_broadcasts_two_batches():
    with pytest.warns(UserWarning, match=r"target of shape \(3, 1\) is broadcast"):
        loss = mse_loss(jnp.zeros(3), jnp.ones((3, 1)), reduction="none")
    assert loss.shape == (3, 3)
    assert mse_loss(jnp.zeros(3), jnp.asarray(1.0)).item() == 1.0


def _entropy(*args, **options):
    return lambda: cross_entropy(*args, **options)


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            _entropy(LOGITS, jnp.array([0, 1, 3, 2])),
            ValueError,
            r"cross_entropy: expected target in \[0, 3\) or equal to ignore_index = "
            "-100, got 3 instead",
        ),
        (
            lambda: nll_loss(LOGITS, np.array([0, 2**32, 0, 0])),
            ValueError,
            "nll_loss: expected target in .* got 4294967296 instead",
        ),
        (
            _entropy(LOGITS, jnp.zeros(3, int)),
            ValueError,
            r"expected target of shape \(4,\) \(one class index per sample\), got",
        ),
        (
            _entropy(LOGITS[0], jnp.zeros(1, int)),
            ValueError,
            r"expected target of shape \(\)",
        ),
        (
            _entropy(LOGITS, jnp.zeros((4, 3), int)),
            ValueError,
            r"expected target of shape \(4,\)",
        ),
        (
            _entropy(LOGITS, jnp.zeros(4)),
            ValueError,
            r"target of shape \(4, 3\) \(class probabilities, as its dtype is float",
        ),
        (
            _entropy(LOGITS, LABELS, jnp.ones(4)),
            ValueError,
            r"expected weight of shape \(3,\) \(one weight per class\), got shape \(4",
        ),
        (_entropy(LOGITS, LABELS, jnp.ones(3, int)), TypeError, "weight of a floating"),
        (_entropy(LOGITS, LABELS > 0), TypeError, "target of an integer dtype, got bo"),
        (_entropy(LOGITS, None), TypeError, "target to be an array or a number, got N"),
        (_entropy(LABELS, LABELS), TypeError, "expected logits of a floating dtype"),
        (_entropy(jnp.float32(1), 0), ValueError, "logits with at least 1 axis"),
        (
            _entropy(LOGITS, LABELS, reduction="avg"),
            ValueError,
            "expected reduction to be one of 'none', 'mean', 'sum', got 'avg' instead",
        ),
        (
            _entropy(LOGITS, LABELS, label_smoothing=-0.1),
            ValueError,
            r"expected label_smoothing in \[0, 1\], got -0.1 instead",
        ),
        (
            _entropy(LOGITS, LOGITS, ignore_index=1),
            ValueError,
            "expected ignore_index < 0 with class probabilities, got 1 instead",
        ),
        (
            _entropy(LOGITS, LABELS, ignore_index=1.0),
            TypeError,
            "expected ignore_index to be an int, got float instead",
        ),
        (
            _entropy(LOGITS, LABELS, ignore_index=2**31),
            ValueError,
            "expected ignore_index in",
        ),
        (
            lambda: nll_loss(LOGITS, LOGITS[:, 0]),  # pyright: ignore[reportArgumentType]
            TypeError,
            "nll_loss: expected target of an integer dtype, got float32 instead",
        ),
        (
            lambda: mse_loss(LOGITS, LOGITS[:2]),
            ValueError,
            r"mse_loss: expected target of a shape that broadcasts against the shape "
            r"\(4, 3\) of input, got shape \(2, 3\) instead",
        ),
        (
            lambda: mse_loss(LOGITS, LOGITS, weight=LOGITS[0]),
            ValueError,
            r"mse_loss: expected weight of shape \(4, 3\) \(the shape of input\)",
        ),
        (
            lambda: mse_loss(LOGITS, LOGITS.astype("complex64")),
            TypeError,
            "target of a boolean, integer or floating dtype, got complex64",
        ),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()
