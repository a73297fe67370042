"""Multi-head attention: attention in several heads, between learned projections."""

from typing import SupportsIndex

import jax.numpy as jnp
from jaxtyping import Bool, Float

from jaxgrad._checks import check_floating, check_int, check_shape, wrong_value
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, Flag, Number, PRNGKey
from jaxgrad.activations._attention import (
    causal_bias,
    dropout,
    mask_bias,
    safe_softmax,
    same_dtype,
    scores,
)
from jaxgrad.activations._softmax import softmax


def multi_head_attention(
    query: Float[ArrayLike, "queries *batch embedding"],
    key: Float[ArrayLike, "keys *batch key_features"],
    value: Float[ArrayLike, "keys *batch value_features"],
    num_heads: SupportsIndex,
    in_proj_weight: Float[ArrayLike, "projected embedding"]
    | tuple[ArrayLike, ArrayLike, ArrayLike],
    in_proj_bias: Float[ArrayLike, "projected"] | None,
    out_proj_weight: Float[ArrayLike, "out embedding"],
    out_proj_bias: Float[ArrayLike, "out"] | None = None,
    *,
    bias_k: Float[ArrayLike, "*ones embedding"] | None = None,
    bias_v: Float[ArrayLike, "*ones embedding"] | None = None,
    add_zero_attn: Flag = False,
    dropout_p: Number = 0.0,
    key_padding_mask: Bool[ArrayLike, "*batch keys"]
    | Float[ArrayLike, "*batch keys"]
    | None = None,
    need_weights: Flag = True,
    attn_mask: Bool[ArrayLike, "*heads queries keys"]
    | Float[ArrayLike, "*heads queries keys"]
    | None = None,
    average_attn_weights: Flag = True,
    is_causal: Flag = False,
    dropout_key: PRNGKey | None = None,
) -> tuple[Float[Array, "queries *batch out"], Array | None]:
    r"""Multi-head attention, between learned projections.

    $$ \mathrm{concat}_h [\mathrm{attention}(Q_h, K_h, V_h)] \, W_o^T + b_o, \qquad
       Q = x_q W_q^T + b_q, \; \dots $$

    Args:
        query: Shape `(queries, batch, embedding)`, or without the batch axis.
        key: Shape `(keys, batch, key_features)`.
        value: Shape `(keys, batch, value_features)`.
        num_heads: The number of heads; divides `embedding`.
        in_proj_weight: PyTorch's layout: rows 0 ... E-1 are $W_q$, the next E $W_k$,
            the last E $W_v$, shape `(3 E, E)`, each an (out, in) matrix. Or the
            tuple $(W_q, W_k, W_v)$, which may have different numbers of columns.
        in_proj_bias: $(b_q, b_k, b_v)$ in one array of shape `(3 E,)`, or None.
        out_proj_weight: $W_o$, shape `(out, E)`.
        out_proj_bias: $b_o$, shape `(out,)`, or None.
        bias_k: An additional key for every sequence, shape `(1, 1, E)` or `(E,)`.
        bias_v: Its value, of the same shape.
        add_zero_attn: Whether to add one more key and value, both 0.
        dropout_p: As in `scaled_dot_product_attention`.
        key_padding_mask: Shape `(batch, keys)`, or `(keys,)` without a batch axis.
            Boolean: True where a key is padding and hidden. Floating: added to the
            scores.
        need_weights: Whether to return the weights.
        attn_mask: Shape `(queries, keys)` or `(batch * heads, queries, keys)`.
            Boolean: True where a key is hidden. Floating: added to the scores.
        average_attn_weights: Whether the returned weights are the mean of the heads.
        is_causal: A hint that `attn_mask`, which it requires, is causal. As in PyTorch
            it is used only without `need_weights` and `key_padding_mask`: then query i
            attends to keys 0 ... i, and the values of `attn_mask` are ignored.
        dropout_key: The PRNG key, needed if `dropout_p` > 0.

    Returns: The output, shape `(queries, batch, out)`, and the weights after dropout,
        shape `(batch, queries, keys)` or `(batch, heads, queries, keys)`, or None. A
        query that attends to no key is NaN with `need_weights`, else 0 before W_o.
    Raises: TypeError as in `scaled_dot_product_attention`; ValueError if shapes do not
        fit, `num_heads` does not divide the embedding, only one of `bias_k` and
        `bias_v` is given, or `is_causal` comes without `attn_mask`.
    Torch: `torch.nn.functional.multi_head_attention_forward` without its
        `embed_dim_to_check`, `training` (set dropout_p to 0 instead), `static_k` and
        `static_v`; the tuple means `use_separate_proj_weight`.

    Examples:
        >>> x, eye = jnp.eye(2)[:, None], jnp.eye(2)
        >>> out, weights = multi_head_attention(x, x, x, 1, (eye, eye, eye), None, eye)
        >>> weights.round(5).tolist()
        [[[0.66976, 0.33024], [0.33024, 0.66976]]]
    """
    name = "multi_head_attention"
    if is_causal and attn_mask is None:
        raise wrong_value(name, "attn_mask with is_causal=True", None)
    num_heads = check_int(name, "num_heads", num_heads, least=1)
    x = same_dtype(name, query=query, key=key, value=value)
    _check_sequences(name, x, num_heads, separate=isinstance(in_proj_weight, tuple))
    dtype, batched = x[0].dtype, x[0].ndim == 3
    x = tuple(widened(array if batched else array[:, None]) for array in x)
    q, k, v = _in_projection(name, x, in_proj_weight, in_proj_bias)
    (queries, batch, _), keys = q.shape, k.shape[0]
    shape, padded = (batch, num_heads, queries, keys), (batch, keys)[not batched :]
    bias = _merged_bias(name, shape, padded, q.dtype, key_padding_mask, attn_mask)
    k, v = _more_keys(name, k, v, bias_k, bias_v, add_zero_attn)
    bias = jnp.pad(bias, [(0, 0)] * 3 + [(0, k.shape[0] - keys)])
    if is_causal and not need_weights and key_padding_mask is None:
        # PyTorch's fused kernel uses the hint and ignores attn_mask.
        bias = causal_bias(queries, k.shape[0], q.dtype)
    q, k, v = (_heads(array, num_heads) for array in (q, k, v))
    logits = scores(q, k, bias)
    weights = softmax(logits, -1) if need_weights else safe_softmax(logits)
    weights = dropout(name, weights, dropout_p, dropout_key)
    joined = jnp.moveaxis(weights @ v, 2, 0).reshape(queries, batch, -1)
    output = _linear(name, "out_proj", joined, out_proj_weight, out_proj_bias)
    if average_attn_weights:
        weights = jnp.mean(weights, 1)
    if not batched:
        output, weights = output[:, 0], weights[0]
    return output.astype(dtype), weights.astype(dtype) if need_weights else None


def _check_sequences(
    name: str, x: tuple[Array, ...], heads: int, separate: bool
) -> None:
    query, key, value = x
    if query.ndim not in (2, 3):
        raise wrong_value(name, "query with 2 or 3 axes", f"shape {query.shape}")
    if query.shape[-1] % heads:
        what = f"num_heads that divides the embedding {query.shape[-1]}"
        raise wrong_value(name, what, heads)
    key_shape = (*key.shape[:1], *query.shape[1:-1], *key.shape[-1:])
    check_shape(name, "key", key, key_shape, "the batch of query")
    expected = (*key.shape[:-1], *value.shape[-1:]) if separate else key.shape
    check_shape(name, "value", value, expected, "the shape of key")


def _merged_bias(
    name: str,
    shape: tuple[int, int, int, int],
    padded: tuple[int, ...],
    dtype: jnp.dtype,
    key_padding_mask: ArrayLike | None,
    attn_mask: ArrayLike | None,
) -> Array:
    """The sum of both masks, in the `shape` of the scores."""
    batch, heads, queries, keys = shape
    total = jnp.zeros(shape, dtype)
    if key_padding_mask is not None:
        bias = mask_bias(name, "key_padding_mask", key_padding_mask, dtype, hidden=True)
        check_shape(name, "key_padding_mask", bias, padded, "batch and keys")
        total = total + bias.reshape(batch, 1, 1, keys)
    if attn_mask is not None:
        bias = mask_bias(name, "attn_mask", attn_mask, dtype, hidden=True)
        if bias.ndim == 3:
            why = "batch * heads, queries and keys"
            check_shape(name, "attn_mask", bias, (batch * heads, queries, keys), why)
            bias = bias.reshape(shape)
        else:
            check_shape(name, "attn_mask", bias, (queries, keys), "queries and keys")
        total = total + bias
    return total


def _in_projection(
    name: str,
    x: tuple[Array, ...],
    weight: ArrayLike | tuple[ArrayLike, ArrayLike, ArrayLike],
    bias: ArrayLike | None,
) -> tuple[Array, Array, Array]:
    embedding = x[0].shape[-1]
    if isinstance(weight, tuple):
        weights = weight
    else:
        packed = check_floating(name, "in_proj_weight", weight)
        expected = (3 * embedding, embedding)
        check_shape(name, "in_proj_weight", packed, expected, "W_q, W_k, W_v")
        weights = jnp.split(packed, 3)
    biases = (None,) * 3
    if bias is not None:
        bias = check_floating(name, "in_proj_bias", bias)
        check_shape(name, "in_proj_bias", bias, (3 * embedding,), "b_q, b_k, b_v")
        biases = jnp.split(bias, 3)
    q, k, v = (
        _linear(name, "in_proj", *parts, rows=embedding)
        for parts in zip(x, weights, biases, strict=True)
    )
    return q, k, v


def _linear(
    name: str,
    argument: str,
    x: Array,
    weight: ArrayLike,
    bias: ArrayLike | None,
    rows: int | None = None,
) -> Array:
    weight = check_floating(name, f"{argument}_weight", weight).astype(x.dtype)
    rows = rows if rows is not None or weight.ndim == 0 else weight.shape[0]
    check_shape(name, f"{argument}_weight", weight, (rows or 0, x.shape[-1]))
    if bias is None:
        return x @ weight.T
    bias = check_floating(name, f"{argument}_bias", bias).astype(x.dtype)
    check_shape(name, f"{argument}_bias", bias, weight.shape[:1])
    return x @ weight.T + bias


def _more_keys(
    name: str,
    k: Array,
    v: Array,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    zero: Flag,
) -> tuple[Array, Array]:
    """Append the learned key and value, then the zero ones."""
    if (bias_k is None) != (bias_v is None):
        raise wrong_value(name, "bias_k and bias_v", "one of them")
    one, extra = (1, *k.shape[1:]), []
    if bias_k is not None and bias_v is not None:
        extra.append(
            [
                jnp.broadcast_to(_row(name, argument, bias, k), one)
                for argument, bias in (("bias_k", bias_k), ("bias_v", bias_v))
            ]
        )
    if zero:
        extra.append([jnp.zeros(one, k.dtype)] * 2)
    more_k, more_v = ([pair[i] for pair in extra] for i in (0, 1))
    return jnp.concatenate([k, *more_k]), jnp.concatenate([v, *more_v])


def _row(name: str, argument: str, bias: ArrayLike, x: Array) -> Array:
    """Check `bias`, of shape (..., 1, embedding); return (embedding,), dtype of `x`."""
    bias = check_floating(name, argument, bias).astype(x.dtype)
    expected = (*(1,) * (bias.ndim - 1), x.shape[-1])
    check_shape(name, argument, bias, expected, "the embedding")
    return bias.reshape(-1)


def _heads(x: Array, heads: int) -> Array:
    """(length, batch, embedding) to (batch, heads, length, depth)."""
    length, batch, embedding = x.shape
    return x.reshape(length, batch, heads, embedding // heads).transpose(1, 2, 0, 3)
