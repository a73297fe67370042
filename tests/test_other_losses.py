"""Tests of single losses of `cases_losses.py`: errors, limits, kinks."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import losses
from tests.case import numbers
from tests.tolerances import assert_close

X = jnp.asarray(numbers(2, 3), jnp.float32)
Y = jnp.asarray(numbers(2, 3, start=8), jnp.float32)
HALF = jnp.full((2, 3), 0.5)
EVEN = jnp.log(jnp.full((4, 2, 3), 1 / 3))
UNKNOWN: Any = "batch"
PAIRS = jnp.array([[1, 2], [2, 1]])


OPTIONS: Any = [
    (losses.huber_loss, (X, Y), "delta"),
    (losses.smooth_l1_loss, (X, Y), "beta"),
    (losses.cross_entropy, (X, PAIRS[0]), "label_smoothing"),
    (losses.kl_div, (X, Y), "log_target"),
    (losses.poisson_nll_loss, (X, Y), "eps"),
    (losses.poisson_nll_loss, (X, Y), "log_input"),
    (losses.poisson_nll_loss, (X, Y), "full"),
    (losses.gaussian_nll_loss, (X, Y, HALF), "eps"),
    (losses.hinge_embedding_loss, (X, Y), "margin"),
    (losses.margin_ranking_loss, (X, Y, Y), "margin"),
    (losses.multi_margin_loss, (X, PAIRS[0]), "margin"),
    (losses.cosine_embedding_loss, (X, Y, PAIRS[0]), "margin"),
    (losses.triplet_margin_loss, (X, Y, X), "margin"),
    (losses.triplet_margin_loss, (X, Y, X), "p"),
    (losses.triplet_margin_loss, (X, Y, X), "eps"),
    (losses.triplet_margin_loss, (X, Y, X), "swap"),
    (losses.ctc_loss, (EVEN, PAIRS, (4, 4), (2, 2)), "zero_infinity"),
]


@pytest.mark.message
@pytest.mark.parametrize("value", ["1", None, [1.0]])
@pytest.mark.parametrize(("loss", "arguments", "option"), OPTIONS)
def test_an_option_of_the_wrong_type_is_named(loss, arguments, option, value):
    with pytest.raises(TypeError, match=f"{loss.__name__}: expected {option} to be"):
        loss(*arguments, **{option: value})


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: losses.l1_loss(X, Y[:, :2]),
            ValueError,
            "l1_loss: expected target of",
        ),
        (lambda: losses.l1_loss(X, Y, weight=X[0]), ValueError, "expected weight of"),
        (lambda: losses.l1_loss(X, Y > 0), TypeError, "target of an integer or float"),
        (lambda: losses.kl_div(X, PAIRS), TypeError, "expected target of a floating"),
        (lambda: losses.huber_loss(X, Y, delta=0), ValueError, "delta > 0, got 0 ins"),
        (lambda: losses.smooth_l1_loss(X, Y, beta=-1.0), ValueError, "beta >= 0"),
        (lambda: losses.kl_div(X, Y, UNKNOWN), ValueError, "'sum', 'batchmean', got"),
        (lambda: losses.soft_margin_loss(X, Y > 0), TypeError, "target of an integer"),
        (
            lambda: losses.gaussian_nll_loss(X, Y, HALF[:, :2]),
            ValueError,
            "expected var",
        ),
        (lambda: losses.gaussian_nll_loss(X, Y, -HALF), ValueError, ">= 0, got -0.5"),
        (lambda: losses.gaussian_nll_loss(X, Y, 1), TypeError, "var of a floating"),
        (
            lambda: losses.binary_cross_entropy(2 * HALF + 1, HALF),
            ValueError,
            "input in",
        ),
        (
            lambda: losses.binary_cross_entropy(HALF, -HALF),
            ValueError,
            "target in [0, 1]",
        ),
        (
            lambda: losses.binary_cross_entropy(HALF, HALF[0]),
            ValueError,
            "target of shap",
        ),
        (
            lambda: losses.binary_cross_entropy_with_logits(X, HALF, HALF[None]),
            ValueError,
            "expected weight of a shape that broadcasts to the shape (2, 3) of input",
        ),
        (
            lambda: losses.soft_margin_loss(X[0], Y),
            ValueError,
            "broadcasts to the shape",
        ),
        (
            lambda: losses.margin_ranking_loss(X, Y, X[0]),
            ValueError,
            "expected target with 2 axes, like input1, got shape (3,) instead.",
        ),
        (
            lambda: losses.multi_margin_loss(X, PAIRS[0], p=3),
            ValueError,
            "p to be 1 or 2",
        ),
        (
            lambda: losses.multi_margin_loss(X, jnp.array([0, 3])),
            ValueError,
            "multi_margin_loss: expected target in [0, 3), got 3 instead.",
        ),
        (
            lambda: losses.multi_margin_loss(X, PAIRS),
            ValueError,
            "target of shape (2,)",
        ),
        (
            lambda: losses.multi_margin_loss(X[:, :0], PAIRS[0]),
            ValueError,
            "least one cl",
        ),
        (
            lambda: losses.multilabel_margin_loss(X[0], jnp.array([0, -2, 1])),
            ValueError,
            "expected target in [-1, 3), got -2 instead.",
        ),
        (
            lambda: losses.cosine_embedding_loss(X, Y, X),
            ValueError,
            "one label per vecto",
        ),
        (
            lambda: losses.triplet_margin_loss(X, Y, X, margin=0),
            ValueError,
            "margin > 0",
        ),
        (
            lambda: losses.triplet_margin_loss(X, Y, X[:, :2]),
            ValueError,
            "negative of a",
        ),
        (
            lambda: losses.ctc_loss(EVEN, PAIRS, (4, 5), (2, 2)),
            ValueError,
            "got 5 instead",
        ),
        (
            lambda: losses.ctc_loss(EVEN, PAIRS, (4, 4), (2, 3)),
            ValueError,
            "got 3 instead",
        ),
        (
            lambda: losses.ctc_loss(EVEN, 3 * PAIRS, (4, 4), (2, 2)),
            ValueError,
            "targets in",
        ),
        (
            lambda: losses.ctc_loss(EVEN, PAIRS[0], (4, 4), (2, 1)),
            ValueError,
            "shape (3,)",
        ),
        (
            lambda: losses.ctc_loss(EVEN, PAIRS, (4,), (2, 2)),
            ValueError,
            "input_lengths",
        ),
        (
            lambda: losses.ctc_loss(EVEN, PAIRS, (4, 4), (2, 2), 3),
            ValueError,
            "blank in",
        ),
    ],
)
def test_a_fault_names_the_argument(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)


@pytest.mark.parametrize("loss", [losses.l1_loss, losses.huber_loss])
def test_shapes_that_broadcast_warn(loss):
    with pytest.warns(UserWarning, match=r"is that intended\?"):
        loss(X, Y[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(X, 0.5)


@pytest.mark.parametrize(
    ("loss", "good", "bad"),
    [
        (lambda p: losses.binary_cross_entropy(p, HALF), HALF, HALF.at[1, 1].set(1.5)),
        (lambda p: losses.binary_cross_entropy(p, HALF), HALF, HALF.at[1, 1].set(-0.5)),
        (lambda v: losses.gaussian_nll_loss(X, Y, v), HALF, HALF.at[1, 1].set(-0.5)),
    ],
)
def test_a_number_out_of_range_gives_nan_under_jit(loss, good, bad):
    value, gradient = jax.jit(jax.value_and_grad(loss))(bad)
    assert jnp.isnan(value)
    assert jnp.isnan(gradient[1, 1])
    value, gradient = jax.jit(jax.value_and_grad(loss))(good)
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("loss", "scores", "bad"),
    [
        (losses.multi_margin_loss, X, [0, 3]),
        (losses.multi_margin_loss, X, [0, -1]),
        (losses.multilabel_margin_loss, X, [[0, -1, -1], [1, 2, 3]]),
        (lambda x, t: losses.ctc_loss(x, t, (4, 4), (2, 2)), EVEN, [[1, 2], [1, 3]]),
        (lambda x, t: losses.ctc_loss(x, PAIRS, t, (2, 2)), EVEN, [4, 5]),
        (lambda x, t: losses.ctc_loss(x, PAIRS, (4, 4), t), EVEN, [2, -1]),
    ],
)
def test_a_label_or_length_out_of_range_gives_nan_under_jit(loss, scores, bad):
    with pytest.raises(ValueError, match=r"expected .* in \["):
        loss(scores, jnp.array(bad))
    value, gradient = jax.jit(jax.value_and_grad(loss))(scores, jnp.array(bad))
    assert jnp.isnan(value)
    assert jnp.isnan(gradient).any()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_one_nan_among_many_entries_reaches_distance_and_gradient(p):
    anchor = jnp.zeros((2, 1000)).at[0, 7].set(jnp.nan)

    def loss(anchor):
        return losses.triplet_margin_loss(
            anchor, anchor + 1, anchor + 2, p=p, reduction="none"
        )

    assert np.isnan(loss(anchor)).tolist() == [True, False]
    (gradient,) = jax.vjp(loss, anchor)[1](jnp.ones(2))
    # The slope of |NaN| is 0 in PyTorch, and p = 1 has no other factor.
    assert np.isnan(gradient[0]).any() == (p != 1)
    assert np.isfinite(gradient[1]).all()


def test_soft_margin_does_not_overflow():
    value, slope = jax.value_and_grad(losses.soft_margin_loss)(-1e4, 1)
    assert (value, slope) == (1e4, -1.0)


@pytest.mark.parametrize(
    ("loss", "x", "slope"),
    [
        (lambda x: losses.l1_loss(x, 0.0), 0.0, 0.0),
        (lambda x: losses.hinge_embedding_loss(x, -1), 1.0, -1.0),
        (lambda x: losses.margin_ranking_loss(x, 1.0, 1), 1.0, -1.0),
        (lambda x: losses.multi_margin_loss(jnp.stack([x, 0.0]), 0), 1.0, 0.0),
        (lambda x: losses.gaussian_nll_loss(0.0, 0.0, x, eps=0.5), 0.0, 1.0),
    ],
)
def test_the_slope_at_the_kink_equals_torch_s_in_both_modes(loss, x, slope):
    x = jnp.asarray(x)
    assert jax.grad(loss)(x).item() == slope
    assert jax.jvp(loss, (x,), (jnp.ones(()),))[1].item() == slope


def test_the_infinite_slope_in_the_target_stays_there():
    """The infinite slope in the target must not meet a zero tangent."""
    slope = jax.jvp(lambda p: losses.binary_cross_entropy(p, 1.0), (0.0,), (1.0,))[1]
    assert_close(slope, -1 / np.float32(1e-12), "float32")


def test_hessians_equal_their_closed_forms(x64):
    hessian = jax.hessian(losses.binary_cross_entropy)(0.25, 1.0)
    assert_close(hessian, 1 / 0.25**2)
    hessian = jax.hessian(lambda x: losses.soft_margin_loss(x, 1))(0.0)
    assert_close(hessian, 0.25)
    hessian = jax.jacfwd(jax.grad(losses.gaussian_nll_loss, 2), 2)(1.0, 3.0, 4.0)
    assert_close(hessian, -1 / (2 * 4.0**2) + 2.0**2 / 4.0**3)


def test_ctc_of_logits_has_the_gradient_of_the_probability(x64):
    """The term that PyTorch adds to the gradient cancels in a log-softmax."""
    logits = jnp.asarray(numbers(3, 1, 3), jnp.float64)

    def loss(logits):
        log_probs = jax.nn.log_softmax(logits)
        return losses.ctc_loss(
            log_probs, jnp.array([[1, 2]]), (3,), (2,), reduction="sum"
        )

    def by_hand(logits):
        p = jax.nn.softmax(logits)[:, 0]
        paths = ["112", "122", "012", "102", "120"]
        terms = [jnp.prod(jnp.array([p[t, int(c)] for t, c in enumerate(path)]))
                 for path in paths]  # fmt: skip
        return -jnp.log(sum(terms))

    assert_close(loss(logits), by_hand(logits))
    assert_close(jax.grad(loss)(logits), jax.grad(by_hand)(logits))


def test_ctc_takes_traced_lengths_in_both_layouts():
    @jax.jit
    def loss(targets, frames, lengths):
        return losses.ctc_loss(EVEN, targets, frames, lengths, reduction="none")

    frames, lengths = jnp.array([4, 3]), jnp.array([1, 2])
    padded = loss(jnp.array([[1, 0], [2, 1]]), frames, lengths)
    assert_close(loss(jnp.array([1, 2, 1]), frames, lengths), padded, "float32")


def adaptive_arguments(dtype=jnp.float32):
    """Two frequent classes, clusters of three and one."""
    head = jnp.asarray(numbers(4, 4), dtype)
    sizes = ((2, 3), (1, 1))
    tail = [
        (
            jnp.asarray(numbers(narrow, 4, start=i + 3), dtype),
            jnp.asarray(numbers(size, narrow, start=i + 9), dtype),
        )
        for i, (narrow, size) in enumerate(sizes)
    ]
    x = jnp.asarray(numbers(6, 4, start=2), dtype)
    return x, jnp.arange(6), head, tail, jnp.asarray(numbers(4, start=1), dtype)


def test_adaptive_log_softmax_sums_to_one_and_contains_the_loss():
    x, target, head, tail, bias = adaptive_arguments()
    log_probs = losses.adaptive_log_softmax(x, head, tail, bias)
    assert_close(jnp.exp(log_probs).sum(-1), np.ones(6), "float32")
    result = losses.adaptive_log_softmax_with_loss(x, target, head, tail, bias)
    assert_close(result.output, jnp.diagonal(log_probs), "float32", factor=4)
    assert_close(result.loss, -jnp.diagonal(log_probs).mean(), "float32")
    single = losses.adaptive_log_softmax_with_loss(x[3], target[3], head, tail, bias)
    assert_close(single.output, result.output[3], "float32")


def test_adaptive_log_softmax_errors():
    x, target, head, tail, _ = adaptive_arguments()
    loss = losses.adaptive_log_softmax_with_loss
    with pytest.raises(ValueError, match=r"expected target in \[0, 6\), got 6"):
        loss(x, target + 1, head, tail)
    with pytest.raises(ValueError, match=r"expected tail\[0\]\[1\] of shape"):
        loss(x, target, head, [(tail[0][0], tail[1][1]), tail[1]])
    with pytest.raises(ValueError, match="expected tail of 1 to 3 clusters"):
        loss(x, target, head, [])
    under_jit = jax.jit(lambda x, target: loss(x, target, head, tail).loss)
    value, gradient = jax.value_and_grad(under_jit)(x, target + 1)
    assert jnp.isnan(value)
    assert jnp.isnan(gradient[5]).any()


@pytest.mark.parity
def test_adaptive_log_softmax_equals_torch_s(x64):
    import torch

    x, target, head, tail, bias = adaptive_arguments(jnp.float64)
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(4, 6, [2, 5], 2.0, True).double()
    weights = [head, bias, *(weight for pair in tail for weight in pair)]
    learned = [module.head.weight, module.head.bias]
    learned += [layer.weight for pair in module.tail for layer in pair.children()]
    with torch.no_grad():
        for parameter, weight in zip(learned, weights, strict=True):
            parameter.copy_(torch.tensor(np.asarray(weight)))
    theirs = module(torch.tensor(np.asarray(x)), torch.tensor(np.asarray(target)))

    def loss(head, bias, tail):
        return losses.adaptive_log_softmax_with_loss(x, target, head, tail, bias).loss

    value, gradients = jax.value_and_grad(loss, (0, 1, 2))(head, bias, tail)
    assert_close(value, theirs.loss.item())
    for ours, torch_s in zip(
        jax.tree.leaves(gradients),
        torch.autograd.grad(theirs.loss, learned),
        strict=True,
    ):
        assert_close(ours, torch_s.numpy())
