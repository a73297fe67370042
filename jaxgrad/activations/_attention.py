r"""Attention: a softmax of scores chooses which values to add up.

$$ \mathrm{attention}(Q, K, V) = \mathrm{softmax}(Q K^T / \sqrt{d} + M) \, V $$

A mask M is 0 where a query may look and -inf where not. PyTorch's two functions read
a boolean mask the other way round: in `scaled_dot_product_attention` True means
"look", in `multi_head_attention` True means "hidden".
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from jaxgrad._checks import (
    as_array,
    check_flag,
    check_floating,
    check_int,
    check_ndim,
    check_range,
    check_shape,
)
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, PRNGKey
from jaxgrad.activations._softmax import softmax


def scaled_dot_product_attention(
    query: Float[ArrayLike, "*batch_q queries depth"],
    key: Float[ArrayLike, "*batch_k keys depth"],
    value: Float[ArrayLike, "*batch_v keys width"],
    attn_mask: Bool[ArrayLike, "..."] | Float[ArrayLike, "..."] | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    dropout_key: PRNGKey | None = None,
) -> Float[Array, "*batch queries width"]:
    r"""Attention of queries to keys, which returns weighted means of values.

    $$ \mathrm{softmax}(s \, Q K^T + M) \, V $$

    Args:
        query: Q, shape `(*batch, queries, depth)`; a heads axis is a batch axis.
        key: K, shape `(*batch, keys, depth)`. Batch axes broadcast.
        value: V, shape `(*batch, keys, width)`.
        attn_mask: Broadcasts against `(*batch, queries, keys)`. Boolean: True where a
            query may look at a key. Floating: M itself, added to the scores.
        dropout_p: The probability with which each weight is set to 0; the others
            grow by 1 / (1 - p).
        is_causal: Whether query i may look at keys 0 ... i only.
        scale: The factor $s$, by default $1 / \sqrt{\text{depth}}$.
        enable_gqa: Whether axis -3 of `key` and `value` may hold fewer heads than
            that of `query`, each then shared by several of its heads in a row.
        dropout_key: The key of the random numbers; needed if `dropout_p` > 0.

    Returns:
        Array of the dtype of `query`, shape `(*batch, queries, width)`. A query that
        may look nowhere gets zeros, and its gradient is 0.

    Raises:
        TypeError: If an array is not floating, dtypes differ, or the mask is neither
            boolean nor floating.
        ValueError: If shapes do not fit, `dropout_p` is no probability or has no
            key, or both `attn_mask` and `is_causal` are given.

    Examples:
        >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0]])
        >>> scaled_dot_product_attention(x, x, x, is_causal=True).round(5).tolist()
        [[1.0, 0.0], [0.33024, 0.66976]]

    Torch: `torch.nn.functional.scaled_dot_product_attention`; `key` is taken, so the
        random numbers come from `dropout_key`.
    """
    name = "scaled_dot_product_attention"
    arrays = _same_dtype(name, query=query, key=key, value=value)
    for argument, array in zip(("query", "key", "value"), arrays, strict=True):
        check_ndim(name, argument, array, least=2)
    q, k, v = map(widened, arrays)
    if enable_gqa:
        k, v = (_shared_heads(name, q, array) for array in (k, v))
    _check_fit(name, q, k, v)
    check_flag(name, "is_causal", is_causal)
    if is_causal and attn_mask is not None:
        raise ValueError(
            f"{name}: expected attn_mask or is_causal, got both of them instead."
        )
    bias = _bias(name, "attn_mask", attn_mask, q.dtype, hidden=False)
    _check_mask(name, bias, q, k)
    if is_causal:
        bias = _causal(q.shape[-2], k.shape[-2], q.dtype)
    weights = _safe_softmax(_scores(q, k, bias, scale))
    weights = _dropout(name, weights, dropout_p, dropout_key)
    return (weights @ v).astype(arrays[0].dtype)


def multi_head_attention(
    query: Float[ArrayLike, "queries *batch embedding"],
    key: Float[ArrayLike, "keys *batch key_features"],
    value: Float[ArrayLike, "keys *batch value_features"],
    num_heads: int,
    in_proj_weight: Float[ArrayLike, "projected embedding"]
    | tuple[ArrayLike, ArrayLike, ArrayLike],
    in_proj_bias: Float[ArrayLike, "projected"] | None,
    out_proj_weight: Float[ArrayLike, "out embedding"],
    out_proj_bias: Float[ArrayLike, "out"] | None = None,
    *,
    bias_k: Float[ArrayLike, "*ones embedding"] | None = None,
    bias_v: Float[ArrayLike, "*ones embedding"] | None = None,
    add_zero_attn: bool = False,
    dropout_p: float = 0.0,
    key_padding_mask: Bool[ArrayLike, "*batch keys"]
    | Float[ArrayLike, "*batch keys"]
    | None = None,
    need_weights: bool = True,
    attn_mask: Bool[ArrayLike, "*heads queries keys"]
    | Float[ArrayLike, "*heads queries keys"]
    | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    dropout_key: PRNGKey | None = None,
) -> tuple[Float[Array, "queries *batch out"], Array | None]:
    r"""Attention in several heads, between learned projections.

    $$ \mathrm{concat}_h [\mathrm{attention}(Q_h, K_h, V_h)] \, W_o^T + b_o, \qquad
       Q = x_q W_q^T + b_q, \; \dots $$

    Args:
        query: Shape `(queries, batch, embedding)`, or without the batch axis.
        key: Shape `(keys, batch, key_features)`.
        value: Shape `(keys, batch, value_features)`.
        num_heads: The number of heads; divides `embedding`.
        in_proj_weight: PyTorch's layout: rows 0 ... E-1 are $W_q$, the next E $W_k$,
            the last E $W_v$, shape `(3 E, E)`, each an (out, in) matrix. Or the
            tuple $(W_q, W_k, W_v)$, whose columns may differ.
        in_proj_bias: $(b_q, b_k, b_v)$ in one array of shape `(3 E,)`, or None.
        out_proj_weight: $W_o$, shape `(out, E)`.
        out_proj_bias: $b_o$, shape `(out,)`, or None.
        bias_k: One more key for every sequence, shape `(1, 1, E)`
            or `(E,)`.
        bias_v: Its value, of the same shape.
        add_zero_attn: Whether one more key and value are 0.
        dropout_p: As in `scaled_dot_product_attention`.
        key_padding_mask: Shape `(batch, keys)`, or `(keys,)` without a batch axis.
            Boolean: True where a key is padding, and so hidden. Floating: added to
            the scores.
        need_weights: Whether the weights are returned.
        attn_mask: Shape `(queries, keys)` or `(batch * heads, queries, keys)`.
            Boolean: True where a key is hidden. Floating: added to the scores.
        average_attn_weights: Whether the returned weights are the mean of the heads.
        is_causal: Whether query i may look at keys 0 ... i only, besides the masks.
        dropout_key: The key of the random numbers; needed if `dropout_p` > 0.

    Returns:
        The output, shape `(queries, batch, out)`, and the weights after dropout, shape
        `(batch, queries, keys)` or `(batch, heads, queries, keys)`, or None. A query
        that may look nowhere is NaN with `need_weights`, else 0 before W_o.

    Raises:
        TypeError: As in `scaled_dot_product_attention`.
        ValueError: If shapes do not fit, `num_heads` does not divide the embedding,
            or only one of `bias_k` and `bias_v` is given.

    Examples:
        >>> x, eye = jnp.eye(2)[:, None], jnp.eye(2)
        >>> out, weights = multi_head_attention(x, x, x, 1, (eye, eye, eye), None, eye)
        >>> weights.round(5).tolist()
        [[[0.66976, 0.33024], [0.33024, 0.66976]]]

    Torch: `torch.nn.functional.multi_head_attention_forward` without its
        `embed_dim_to_check`, `training` (dropout_p is 0 or not), `static_k` and
        `static_v`; `use_separate_proj_weight` is the tuple. PyTorch's `is_causal` is a
        hint that `attn_mask` is causal, and needs it; here it is a mask itself.
    """
    name = "multi_head_attention"
    x = _same_dtype(name, query=query, key=key, value=value)
    _check_sequences(name, x, num_heads, separate=isinstance(in_proj_weight, tuple))
    dtype, batched = x[0].dtype, x[0].ndim == 3
    x = tuple(widened(array if batched else array[:, None]) for array in x)
    q, k, v = _in_projection(name, x, in_proj_weight, in_proj_bias)
    (queries, batch, _), keys = q.shape, k.shape[0]
    shape, padded = (batch, num_heads, queries, keys), (batch, keys)[not batched :]
    bias = _merged_bias(name, shape, padded, q.dtype, key_padding_mask, attn_mask)
    if is_causal:
        bias = bias + _causal(queries, keys, q.dtype)
    k, v = _more_keys(name, k, v, bias_k, bias_v, add_zero_attn)
    bias = jnp.pad(bias, [(0, 0)] * 3 + [(0, k.shape[0] - keys)])
    q, k, v = (_heads(array, num_heads) for array in (q, k, v))
    scores = _scores(q, k, bias)
    weights = softmax(scores, -1) if need_weights else _safe_softmax(scores)
    weights = _dropout(name, weights, dropout_p, dropout_key)
    joined = jnp.moveaxis(weights @ v, 2, 0).reshape(queries, batch, -1)
    output = _linear(name, "out_proj", joined, out_proj_weight, out_proj_bias)
    if average_attn_weights:
        weights = jnp.mean(weights, 1)
    if not batched:
        output, weights = output[:, 0], weights[0]
    return output.astype(dtype), weights.astype(dtype) if need_weights else None


def _scores(q: Array, k: Array, bias: Array, scale: float | None = None) -> Array:
    scale = 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale
    return (scale * q) @ jnp.swapaxes(k, -1, -2) + bias


def _safe_softmax(scores: Array) -> Array:
    """Softmax over the keys, 0 with gradient 0 for a query that sees none."""
    blind = jnp.all(scores == -jnp.inf, -1, keepdims=True)
    return jnp.where(blind, 0, softmax(jnp.where(blind, 0, scores), -1))


def _dropout(name: str, weights: Array, rate: float, key: PRNGKey | None) -> Array:
    check_range(name, "dropout_p", rate, least=0, most=1)
    if rate == 0:
        return weights
    if key is None:
        raise ValueError(
            f"{name}: expected dropout_key with dropout_p > 0, got None instead."
        )
    kept = jax.random.bernoulli(key, 1 - rate, weights.shape)
    return jnp.where(kept, weights / (1 - rate if rate < 1 else 1), 0)


def _bias(
    name: str, argument: str, mask: ArrayLike | None, dtype: jnp.dtype, hidden: bool
) -> Array:
    """What a mask adds to the scores; boolean, it is -inf where it is `hidden`."""
    if mask is None:
        return jnp.zeros((), dtype)
    mask = as_array(name, argument, mask)
    if mask.dtype == bool:
        return jnp.where(mask == hidden, -jnp.inf, 0).astype(dtype)
    return check_floating(name, argument, mask).astype(dtype)


def _causal(queries: int, keys: int, dtype: jnp.dtype) -> Array:
    return jnp.where(jnp.tri(queries, keys, dtype=bool), 0, -jnp.inf).astype(dtype)


def _merged_bias(
    name: str,
    shape: tuple[int, int, int, int],
    padded: tuple[int, ...],
    dtype: jnp.dtype,
    key_padding_mask: ArrayLike | None,
    attn_mask: ArrayLike | None,
) -> Array:
    """Both masks of multi_head_attention in the `shape` of its scores."""
    batch, heads, queries, keys = shape
    total = jnp.zeros(shape, dtype)
    if key_padding_mask is not None:
        bias = _bias(name, "key_padding_mask", key_padding_mask, dtype, hidden=True)
        check_shape(name, "key_padding_mask", bias, padded, "batch and keys")
        total = total + bias.reshape(batch, 1, 1, keys)
    if attn_mask is not None:
        bias = _bias(name, "attn_mask", attn_mask, dtype, hidden=True)
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
    zero: bool,
) -> tuple[Array, Array]:
    """Append the learned key and value, then those that are 0."""
    if (bias_k is None) != (bias_v is None):
        raise ValueError(
            f"{name}: expected bias_k and bias_v, got one of them instead."
        )
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
    """`bias`, of shape (embedding,) or with 1s before it, in the dtype of `x`."""
    bias = check_floating(name, argument, bias).astype(x.dtype)
    expected = (*(1,) * (bias.ndim - 1), x.shape[-1])
    check_shape(name, argument, bias, expected, "the embedding")
    return bias.reshape(-1)


def _heads(x: Array, heads: int) -> Array:
    """(length, batch, embedding) as (batch, heads, length, depth)."""
    length, batch, embedding = x.shape
    return x.reshape(length, batch, heads, embedding // heads).transpose(1, 2, 0, 3)


def _shared_heads(name: str, q: Array, x: Array) -> Array:
    """The heads of `x`, axis -3, repeated to as many as `q` has."""
    if q.ndim < 3 or x.ndim < 3 or x.shape[-3] == 0 or q.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"{name}: expected key and value whose heads divide those of query of "
            f"shape {q.shape}, got shape {x.shape} instead."
        )
    return jnp.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)


def _check_fit(name: str, q: Array, k: Array, v: Array) -> None:
    check_shape(name, "key", k, (*k.shape[:-1], q.shape[-1]), "the depth of query")
    keys = (*v.shape[:-2], k.shape[-2], v.shape[-1])
    check_shape(name, "value", v, keys, "the length of key")
    batches = [array.shape[:-2] for array in (q, k, v)]
    try:
        jnp.broadcast_shapes(*batches)
    except ValueError:
        raise ValueError(
            f"{name}: expected query, key and value with batch axes that broadcast, "
            f"got {', '.join(map(str, batches))} instead."
        ) from None


def _check_mask(name: str, bias: Array, q: Array, k: Array) -> None:
    batch = jnp.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    scores = (*batch, q.shape[-2], k.shape[-2])
    try:
        jnp.broadcast_shapes(bias.shape, scores)
    except ValueError:
        raise ValueError(
            f"{name}: expected attn_mask of a shape that broadcasts against {scores}, "
            f"got shape {bias.shape} instead."
        ) from None


def _check_sequences(
    name: str, x: tuple[Array, ...], heads: int, separate: bool
) -> None:
    query, key, value = x
    check_int(name, "num_heads", heads, least=1)
    if query.ndim not in (2, 3):
        raise ValueError(
            f"{name}: expected query with 2 or 3 axes, got shape {query.shape} instead."
        )
    if query.shape[-1] % heads:
        raise ValueError(
            f"{name}: expected num_heads that divides the embedding "
            f"{query.shape[-1]}, got {heads} instead."
        )
    key_shape = (*key.shape[:1], *query.shape[1:-1], *key.shape[-1:])
    check_shape(name, "key", key, key_shape, "the batch of query")
    expected = (*key.shape[:-1], *value.shape[-1:]) if separate else key.shape
    check_shape(name, "value", value, expected, "the shape of key")


def _same_dtype(name: str, **arrays: ArrayLike) -> tuple[Array, ...]:
    """The arguments as floating arrays of one dtype."""
    checked = tuple(check_floating(name, key, x) for key, x in arrays.items())
    dtype = checked[0].dtype
    for argument, array in zip(arrays, checked, strict=True):
        if array.dtype != dtype:
            raise TypeError(
                f"{name}: expected {argument} of the dtype {dtype} of "
                f"{next(iter(arrays))}, got {array.dtype} instead."
            )
    return checked
