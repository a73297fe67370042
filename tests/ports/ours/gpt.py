"""The decoder block as functions: three projections by heads, einsum, a padded mean."""

import jax
import jax.numpy as jnp


def params_from_torch(state):
    weights = state["block.attention.qkv.weight"].reshape(3, 2, 4, 8)  # <! fused
    biases = state["block.attention.qkv.bias"].reshape(3, 2, 4)
    params = {
        name: {"kernel": weights[i].transpose(2, 0, 1), "bias": biases[i]}
        for i, name in enumerate("qkv")
    }
    for name in ("attention.out", "up", "down"):
        params[name] = {
            "kernel": state[f"block.{name}.weight"].T,
            "bias": state[f"block.{name}.bias"],
        }
    for name in ("block.norm1", "block.norm2", "norm"):
        params[name] = {"scale": state[f"{name}.weight"], "bias": state[f"{name}.bias"]}
    return params | {"embed": state["embed.weight"]}


def dense(p, x):
    return x @ p["kernel"] + p["bias"]  # <~ merge, residual2


def layer_norm(p, x):
    mean = x.mean(-1, keepdims=True)
    x = (x - mean) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * p["scale"] + p["bias"]  # <~ residual, residual2


def project(p, x):
    return jnp.einsum("btd,dhk->bhtk", x, p["kernel"]) + p["bias"][:, None]  # <~ fused


def attention(params, x):
    q, k, v = (project(params[name], x) for name in "qkv")
    scores = jnp.einsum("bhqk,bhsk->bhqs", q, k)  # <- scores <~ scale
    scores = scores / jnp.sqrt(q.shape[-1]).astype(x.dtype)  # <- scale
    seen = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))  # <- causal
    # <- axis <~ causal, scale
    weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
    mixed = jnp.einsum("bhqs,bhsk->bqhk", weights, v)  # <- merge
    mixed = mixed.reshape(x.shape)  # <~ merge
    return dense(params["attention.out"], mixed)


def block(params, x):
    x = x + attention(params, layer_norm(params["block.norm1"], x))  # <- residual
    h = dense(params["up"], layer_norm(params["block.norm2"], x))
    h = jax.nn.gelu(h)  # <- gelu
    return x + dense(params["down"], h)  # <- residual2


def sinusoids(length, size, dtype):
    t = jnp.arange(length, dtype=dtype)
    angles = t[:, None] * 10000 ** (-jnp.arange(0, size, 2, dtype=dtype) / size)
    pairs = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)  # <- sinusoid
    return pairs.reshape(length, size)


def logits_of(params, tokens):
    x = params["embed"][tokens] * 8**0.5  # <- embed <~ tied
    x = x + sinusoids(tokens.shape[1], 8, x.dtype)  # <~ sinusoid, embed
    x = block(params, x)
    x = layer_norm(params["norm"], x)
    return x @ params["embed"].T  # <- tied


def loss(params, tokens, labels):
    log_p = jax.nn.log_softmax(logits_of(params, tokens))
    kept = labels != -1  # <- ignored <~ error
    log_p = jnp.take_along_axis(log_p, labels[..., None], axis=-1)[
        ..., 0
    ]  # <~ ignored, error
    return -jnp.sum(log_p * kept) / jnp.sum(kept)  # <- error <~ ignored
