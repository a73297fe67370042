"""Attention: masks, shared heads, dropout, projections, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad.activations import (
    multi_head_attention,
    scaled_dot_product_attention,
    softmax,
)
from tests.cases import numbers
from tests.tolerances import assert_close

KEY = jax.random.key(0)
Q, K, V = (jnp.asarray(numbers(2, 4, 6, start=i), jnp.float32) for i in range(3))
W_IN = jnp.asarray(numbers(18, 6), jnp.float32) / 4
W_OUT = jnp.asarray(numbers(6, 6, start=5), jnp.float32) / 4
HIDDEN = jnp.array([[False, True]])
B_IN, B_OUT = jnp.asarray(numbers(18) / 4, jnp.float32), jnp.arange(6.0)


def test_a_boolean_mask_equals_an_additive_one():
    seen = jnp.array([[True, False, True, True]] * 4)
    bias = jnp.where(seen, 0, -jnp.inf)
    actual = scaled_dot_product_attention(Q, K, V, seen)
    assert_close(actual, scaled_dot_product_attention(Q, K, V, bias), "float32")
    kept = jnp.array([0, 2, 3])
    less = scaled_dot_product_attention(Q, K[:, kept], V[:, kept])
    assert_close(actual, less, "float32")


def test_causal_attention_ignores_later_keys():
    def first(v):
        return scaled_dot_product_attention(Q, K, v, is_causal=True)[:, 1].sum()

    gradient = jax.grad(first)(V)
    assert (gradient[:, 2:] == 0).all()
    assert (gradient[:, :2] != 0).all()


def test_a_query_without_keys_gives_0_with_gradient_0():
    blind = jnp.ones((4, 4), bool).at[1].set(False)

    def attend(q):
        return scaled_dot_product_attention(q, K, V, blind)

    assert (attend(Q)[:, 1] == 0).all()
    gradient = jax.grad(lambda q: attend(q).sum())(Q)
    assert jnp.isfinite(gradient).all()
    assert (gradient[:, 1] == 0).all()


def test_shared_heads_equal_repeated_heads():
    q, k, v = (jnp.stack([x] * n, 1) for x, n in ((Q, 4), (K, 2), (V, 2)))
    k, v = k * jnp.array([1.0, -1.0])[:, None, None], v.at[:, 1].multiply(2)
    shared = scaled_dot_product_attention(q, k, v, enable_gqa=True)
    k, v = (jnp.repeat(x, 2, 1) for x in (k, v))
    assert_close(shared, scaled_dot_product_attention(q, k, v), "float32")


def test_dropout_keeps_the_mean_and_needs_a_key():
    ones = jnp.ones((1, 1, 4000))
    v = jnp.ones((1, 4000, 1))
    k = jnp.zeros((1, 4000, 4000))
    f = jax.jit(
        lambda key: scaled_dot_product_attention(
            ones, k, v, dropout_p=0.25, dropout_key=key
        )
    )
    assert abs(f(KEY).item() - 1) < 0.05
    assert f(KEY) != f(jax.random.key(1))
    assert f(KEY) == f(KEY)
    all_gone = scaled_dot_product_attention(Q, K, V, dropout_p=1.0, dropout_key=KEY)
    assert (all_gone == 0).all()


def by_hand(x, heads):
    """Self-attention of (length, batch, embedding) in a loop over the heads."""
    weights, biases = np.split(W_IN, 3), np.split(B_IN, 3)
    q, k, v = (x @ w.T + b for w, b in zip(weights, biases, strict=True))
    depth = x.shape[-1] // heads
    outputs, all_weights = [], []
    for h in range(heads):
        part = slice(h * depth, (h + 1) * depth)
        scores = jnp.einsum("qbd,kbd->bqk", q[..., part], k[..., part])
        all_weights.append(softmax(scores / depth**0.5, -1))
        outputs.append(jnp.einsum("bqk,kbd->qbd", all_weights[-1], v[..., part]))
    return jnp.concatenate(outputs, -1) @ W_OUT.T + B_OUT, jnp.stack(all_weights, 1)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_multi_head_attention_equals_a_loop_over_heads(heads):
    expected, weights = by_hand(Q, heads)
    arguments = (Q, Q, Q, heads, W_IN, B_IN, W_OUT, B_OUT)
    output, mean = multi_head_attention(*arguments)
    assert_close(output, expected, "float32", factor=4)
    assert mean is not None
    assert_close(mean, weights.mean(1), "float32", factor=4)
    _, each = multi_head_attention(*arguments, average_attn_weights=False)
    assert each is not None
    assert_close(each, weights, "float32", factor=4)
    without, none = multi_head_attention(*arguments, need_weights=False)
    assert none is None
    assert_close(without, expected, "float32", factor=4)
    w_q, w_k, w_v = jnp.split(W_IN, 3)
    again, _ = multi_head_attention(Q, Q, Q, heads, (w_q, w_k, w_v), B_IN, W_OUT, B_OUT)
    assert_close(again, output, "float32")


def test_one_sequence_equals_a_batch_of_one():
    output, weights = multi_head_attention(Q, Q, Q, 2, W_IN, B_IN, W_OUT)
    x = Q[:, 1]
    alone, alone_weights = multi_head_attention(x, x, x, 2, W_IN, B_IN, W_OUT)
    assert weights is not None
    assert alone_weights is not None
    assert_close(alone, output[:, 1], "float32")
    assert_close(alone_weights, weights[1], "float32")


def test_padding_and_masks_hide_keys_where_true():
    x = Q[:, :1]
    _, weights = multi_head_attention(
        x, x, x, 2, W_IN, B_IN, W_OUT, key_padding_mask=HIDDEN
    )
    assert weights is not None
    assert weights[0, :, 1].tolist() == [0, 0]
    mask = jnp.array([[False, True], [False, False]])
    _, masked = multi_head_attention(x, x, x, 2, W_IN, B_IN, W_OUT, attn_mask=mask)
    assert masked is not None
    assert masked[0, 0].tolist() == [1, 0]
    per_head = jnp.stack([mask, mask])
    _, heads = multi_head_attention(x, x, x, 2, W_IN, B_IN, W_OUT, attn_mask=per_head)
    assert_close(heads, masked, "float32")


def test_the_causal_hint_replaces_the_mask_where_pytorch_s_kernel_takes_it():
    def attention(mask, **options):
        arrays = (Q, Q, Q, 2, W_IN, B_IN, W_OUT)
        return multi_head_attention(*arrays, attn_mask=mask, **options)

    nothing, later = jnp.zeros((2, 2), bool), jnp.triu(jnp.ones((2, 2), bool), 1)
    hinted, _ = attention(nothing, is_causal=True, need_weights=False)
    assert_close(hinted, attention(later)[0], "float32")
    not_hinted, _ = attention(nothing, is_causal=True)
    assert_close(not_hinted, attention(nothing)[0], "float32")


@pytest.mark.parametrize("is_float", [False, True])
def test_attn_mask_and_is_causal_apply_together(is_float):
    seen = jnp.array([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1], [1, 0, 1, 1]], bool)
    mask = jnp.where(seen, 0.5, -jnp.inf) if is_float else seen
    both = scaled_dot_product_attention(Q, K, V, mask, is_causal=True)
    merged = scaled_dot_product_attention(Q, K, V, seen & jnp.tri(4, dtype=bool))
    assert_close(both, merged, "float32")
    assert not both[:, 2].any()  # each key of this query is hidden by one of them


def test_an_additional_key_gets_weight():
    x = Q[:, :1]
    _, weights = multi_head_attention(
        x, x, x, 2, W_IN, B_IN, W_OUT, add_zero_attn=True, bias_k=B_OUT, bias_v=B_OUT
    )
    assert weights is not None
    assert weights.shape == (1, 2, 4)
    assert_close(weights.sum(-1), np.ones((1, 2)), "float32")


def attend(*arrays, **options):
    return lambda: scaled_dot_product_attention(*arrays, **options)


def heads(*arrays, **options):
    return lambda: multi_head_attention(*arrays, **options)


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (attend(Q, K[..., :3], V), ValueError, "key of shape .*the depth of query"),
        (attend(Q, K[:, :3], V), ValueError, "value of shape .*the length of key"),
        (attend(Q, K[:1].repeat(3, 0), V), ValueError, ".*batch axes that broadcast"),
        (attend(Q[0, 0], K, V), ValueError, "query with at least 2 axes"),
        (attend(Q, K.astype("float16"), V), TypeError, "key of the dtype float32"),
        (attend(Q, K, V, dropout_p=1.5), ValueError, r"dropout_p in \[0, 1\]"),
        (attend(Q, K, V, dropout_p=0.5), ValueError, "dropout_key with dropout_p > 0"),
        (
            heads(Q, Q, Q, 2, W_IN, B_IN, W_OUT, is_causal=True),
            ValueError,
            "attn_mask with is_causal=True, got None",
        ),
        (
            attend(Q, K, V, jnp.ones((4, 4), int)),
            TypeError,
            "attn_mask of a boolean or floating dtype",
        ),
        (
            attend(jnp.stack([Q] * 3, 1), K[:, None].repeat(2, 1), V, enable_gqa=True),
            ValueError,
            "key and value whose heads divide",
        ),
        (
            attend(Q, K, V, jnp.ones((4, 3), bool)),
            ValueError,
            r"attn_mask of a shape that broadcasts against the shape \(2, 4, 4\)",
        ),
        (attend(Q, K, V, is_causal=None), TypeError, "is_causal to be True or False"),
        (heads(Q, Q, Q, 4, W_IN, B_IN, W_OUT), ValueError, "num_heads that divides"),
        (heads(Q, Q, Q, 2, W_IN[1:], None, W_OUT), ValueError, "in_proj_weight of"),
        (heads(Q, K, V[:1], 2, W_IN, B_IN, W_OUT), ValueError, "value of shape"),
        (
            heads(Q, Q, Q, 2, W_IN, B_IN, W_OUT, bias_k=B_OUT),
            ValueError,
            "bias_k and bias_v, got one",
        ),
        (
            heads(*[Q[:, 0]] * 3, 2, W_IN, B_IN, W_OUT, key_padding_mask=HIDDEN),
            ValueError,
            "key_padding_mask of shape",
        ),
        (
            heads(Q, Q, Q, 2, W_IN, B_IN, W_OUT, attn_mask=jnp.ones((2, 3))),
            ValueError,
            "attn_mask of shape",
        ),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=f"expected {message}"):
        call()
