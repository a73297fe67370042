"""The encoder block with Flax linen; heads stay on the third axis."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

DENSE = ("q", "k", "v", "out", "gate", "up", "down", "head")


def params_from_torch(state):
    params = {name: {"kernel": state[f"{name}.weight"].T} for name in DENSE}
    params["head"]["bias"] = state["head.bias"]
    params["norm1"] = {"scale": state["norm1.weight"]}
    params["norm2"] = {"scale": state["norm2.weight"], "bias": state["norm2.bias"]}
    params["places"] = {"embedding": state["places.weight"]}
    return {"params": params}


def rotate(x):
    rates = 100.0 ** (-jnp.arange(0, x.shape[-1], 2, dtype=x.dtype) / x.shape[-1])
    angles = jnp.arange(x.shape[1], dtype=x.dtype)[:, None, None] * rates
    turns = jax.lax.complex(jnp.cos(angles), jnp.sin(angles))
    x = x.reshape(*x.shape[:-1], -1, 2)  # <- rotary
    turned = jax.lax.complex(x[..., 0], x[..., 1]) * turns  # <~ rotary
    # <~ rotary
    return jnp.stack([turned.real, turned.imag], axis=-1).reshape(*x.shape[:-2], -1)


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x, present, keep):
        n, t, d = x.shape
        dense = functools.partial(nn.Dense, use_bias=False)
        x = x + nn.Embed(8, 8, name="places")(jnp.arange(t) + 2)  # <- places
        h = nn.RMSNorm(epsilon=1e-5, name="norm1")(x)  # <- rms
        q, k, v = (dense(8, name=name)(h).reshape(n, t, 2, 4) for name in "qkv")
        mask = present[:, None, None]  # <- inverted
        # <- attention <~ inverted
        mixed = nn.dot_product_attention(rotate(q), rotate(k), v, mask=mask)
        mixed = dense(8, name="out")(mixed.reshape(n, t, d))  # <- dropout
        x = x + mixed  # <- residual <~ dropout
        x = nn.LayerNorm(epsilon=1e-5, name="norm2")(x)  # <~ residual
        h = nn.silu(dense(12, name="gate")(x)) * dense(12, name="up")(x)  # <- swiglu
        x = x + dense(8, name="down")(h)
        weight = present[..., None].astype(x.dtype)
        pooled = (x * weight).sum(1) / weight.sum(1)  # <- pooled
        return nn.Dense(1, name="head")(pooled)[:, 0]


def loss(params, x, present, target, keep):
    predicted: Any = Encoder().apply(params, x, present, keep)
    return optax.huber_loss(predicted, target, delta=0.5).mean()  # <- huber
