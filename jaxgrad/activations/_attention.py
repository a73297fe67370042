r"""Attention: a mean of the values, weighted by the softmax of scores.

$$ \mathrm{attention}(Q, K, V) = \mathrm{softmax}(Q K^T / \sqrt{d} + M) \, V $$

A mask M is 0 where a query attends to a key and -inf where it does not. PyTorch's two
functions read boolean masks in opposite ways: in `scaled_dot_product_attention` True
means "attend", in `multi_head_attention` True means "hidden".
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from jaxgrad._checks import (
    as_array,
    check_broadcast,
    check_flag,
    check_floating,
    check_ndim,
    check_number,
    check_range,
    check_shape,
    wrong_type,
    wrong_value,
)
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, Flag, Number, PRNGKey
from jaxgrad.activations._softmax import softmax


def scaled_dot_product_attention(
    query: Float[ArrayLike, "*batch_q queries depth"],
    key: Float[ArrayLike, "*batch_k keys depth"],
    value: Float[ArrayLike, "*batch_v keys width"],
    attn_mask: Bool[ArrayLike, "..."] | Float[ArrayLike, "..."] | None = None,
    dropout_p: Number = 0.0,
    is_causal: Flag = False,
    scale: Number | None = None,
    enable_gqa: Flag = False,
    *,
    dropout_key: PRNGKey | None = None,
) -> Float[Array, "*batch queries width"]:
    r"""Weighted means of the values, with weights from queries and keys.

    $$ \mathrm{softmax}(s \, Q K^T + M) \, V $$

    Args:
        query: Q, shape `(*batch, queries, depth)`; a heads axis is a batch axis.
        key: K, shape `(*batch, keys, depth)`. Batch axes broadcast.
        value: V, shape `(*batch, keys, width)`.
        attn_mask: Broadcasts against `(*batch, queries, keys)`. Boolean: True where a
            query attends to a key. Floating: M itself, added to the scores.
        dropout_p: The probability p of setting a weight to 0; the others are divided
            by 1 - p.
        is_causal: Whether query i attends only to keys 0 ... i, among those that
            `attn_mask` allows.
        scale: The factor $s$, by default $1 / \sqrt{\text{depth}}$.
        enable_gqa: Whether axis -3 of `key` and `value` may have fewer heads than
            that of `query`, so that consecutive query heads share one.
        dropout_key: The PRNG key, needed if `dropout_p` > 0.

    Returns: Array of the dtype of `query`, shape `(*batch, queries, width)`. A query
        that attends to no key gets zeros, and its gradient is 0.
    Raises: TypeError if an array is not floating, dtypes differ, or the mask is neither
        boolean nor floating; ValueError if shapes do not fit, or `dropout_p` is not a
        probability or comes without a key.
    Torch: `torch.nn.functional.scaled_dot_product_attention`, without `dropout_key`. Of
        PyTorch's kernels, only the CPU's default takes `attn_mask` with `is_causal`.

    Examples:
        >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0]])
        >>> scaled_dot_product_attention(x, x, x, is_causal=True).round(5).tolist()
        [[1.0, 0.0], [0.33024, 0.66976]]
    """
    name = "scaled_dot_product_attention"
    arrays = same_dtype(name, query=query, key=key, value=value)
    for argument, array in zip(("query", "key", "value"), arrays, strict=True):
        check_ndim(name, argument, array, least=2)
    q, k, v = map(widened, arrays)
    if enable_gqa:
        k, v = (_shared_heads(name, q, array) for array in (k, v))
    _check_fit(name, q, k, v)
    check_flag(name, "is_causal", is_causal)
    bias = mask_bias(name, "attn_mask", attn_mask, q.dtype, hidden=False)
    _check_mask(name, bias, q, k)
    if is_causal:
        bias = bias + causal_bias(q.shape[-2], k.shape[-2], q.dtype)
    if scale is not None:
        scale = check_number(name, "scale", scale)
    weights = safe_softmax(scores(q, k, bias, scale))
    weights = dropout(name, weights, dropout_p, dropout_key)
    return (weights @ v).astype(arrays[0].dtype)


def scores(q: Array, k: Array, bias: Array, scale: Number | None = None) -> Array:
    scale = 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale
    return (scale * q) @ jnp.swapaxes(k, -1, -2) + bias


def safe_softmax(scores: Array) -> Array:
    """Softmax over the keys; 0 with gradient 0 for a query that attends to none."""
    blind = jnp.all(scores == -jnp.inf, -1, keepdims=True)
    return jnp.where(blind, 0, softmax(jnp.where(blind, 0, scores), -1))


def dropout(name: str, weights: Array, rate: Number, key: PRNGKey | None) -> Array:
    rate = check_range(name, "dropout_p", rate, least=0, most=1)
    if rate == 0:
        return weights
    if key is None:
        raise wrong_value(name, "dropout_key with dropout_p > 0", None)
    kept = jax.random.bernoulli(key, 1 - rate, weights.shape)
    return jnp.where(kept, weights / (1 - rate if rate < 1 else 1), 0)


def mask_bias(
    name: str, argument: str, mask: ArrayLike | None, dtype: jnp.dtype, hidden: bool
) -> Array:
    """The term a mask adds to the scores: -inf where a boolean mask equals `hidden`."""
    if mask is None:
        return jnp.zeros((), dtype)
    mask = as_array(name, argument, mask)
    if mask.dtype == bool:
        return jnp.where(mask == hidden, -jnp.inf, 0).astype(dtype)
    if not jnp.issubdtype(mask.dtype, jnp.floating):
        raise wrong_type(name, f"{argument} of a boolean or floating dtype", mask.dtype)
    return mask.astype(dtype)


def causal_bias(queries: int, keys: int, dtype: jnp.dtype) -> Array:
    return jnp.where(jnp.tri(queries, keys, dtype=bool), 0, -jnp.inf).astype(dtype)


def _shared_heads(name: str, q: Array, x: Array) -> Array:
    """Repeat the heads of `x`, axis -3, to the number of heads of `q`."""
    if q.ndim < 3 or x.ndim < 3 or x.shape[-3] == 0 or q.shape[-3] % x.shape[-3]:
        what = f"key and value whose heads divide those of query of shape {q.shape}"
        raise wrong_value(name, what, f"shape {x.shape}")
    return jnp.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)


def _check_fit(name: str, q: Array, k: Array, v: Array) -> None:
    check_shape(name, "key", k, (*k.shape[:-1], q.shape[-1]), "the depth of query")
    keys = (*v.shape[:-2], k.shape[-2], v.shape[-1])
    check_shape(name, "value", v, keys, "the length of key")
    batches = [array.shape[:-2] for array in (q, k, v)]
    try:
        jnp.broadcast_shapes(*batches)
    except ValueError:
        what = "query, key and value with batch axes that broadcast"
        raise wrong_value(name, what, ", ".join(map(str, batches))) from None


def _check_mask(name: str, bias: Array, q: Array, k: Array) -> None:
    batch = jnp.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    shape = (*batch, q.shape[-2], k.shape[-2])
    check_broadcast(name, "attn_mask", bias, "the scores", shape)


def same_dtype(name: str, **arrays: ArrayLike) -> tuple[Array, ...]:
    """The arguments as arrays; TypeError unless all have one floating dtype."""
    checked = tuple(check_floating(name, key, x) for key, x in arrays.items())
    dtype = checked[0].dtype
    for argument, array in zip(arrays, checked, strict=True):
        if array.dtype != dtype:
            what = f"{argument} of the dtype {dtype} of {next(iter(arrays))}"
            raise wrong_type(name, what, array.dtype)
    return checked
