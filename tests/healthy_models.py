"""Small networks that train well: no fault may be found in them at any step.

Each is a function of a key that returns the parameters and a loss of (params, key),
which draws its batch with the key.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Loss = Callable[[Any, Any], Any]


def _dense(key, inputs, outputs):
    w = jax.random.normal(key, (inputs, outputs)) * (2 / inputs) ** 0.5
    return {"w": w, "b": jnp.zeros(outputs)}


def _apply(layer, x):
    return x @ layer["w"] + layer["b"]


def _cross_entropy(logits, labels):
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(logits) * labels, -1))


def _digits(key, classes=10, size=64):
    """Sparse patterns whose borders are always zero, as in MNIST."""
    labels = jax.random.randint(key, (size,), 0, classes)
    patterns = jax.random.uniform(jax.random.key(7), (classes, 8, 8)) > 0.6
    patterns = patterns.astype(jnp.float32)
    inside = jnp.zeros((8, 8)).at[1:7, 1:7].set(1.0)
    noise = jax.random.uniform(key, (size, 8, 8)) * 0.3
    images = (patterns[labels] * 0.8 + noise * patterns[labels]) * inside
    return images, jax.nn.one_hot(labels, classes)


def mlp(key):
    k1, k2, k3 = jax.random.split(key, 3)
    params = [_dense(k1, 64, 64), _dense(k2, 64, 32), _dense(k3, 32, 10)]

    def loss(params, key):
        images, labels = _digits(key)
        x = images.reshape(len(images), -1)
        for layer in params[:-1]:
            x = jax.nn.relu(_apply(layer, x))
        return _cross_entropy(_apply(params[-1], x), labels)

    return params, loss


def cnn(key):
    k1, k2, k3 = jax.random.split(key, 3)
    params = {
        "conv1": jax.random.normal(k1, (3, 3, 1, 8)) * 0.4,
        "b1": jnp.zeros(8),
        "bn1": {"scale": jnp.ones(8), "shift": jnp.zeros(8)},
        "conv2": jax.random.normal(k2, (3, 3, 8, 8)) * 0.2,
        "bn2": {"scale": jnp.ones(8), "shift": jnp.zeros(8)},
        "out": _dense(k3, 32, 10),
    }

    def conv(x, w):
        dims = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=dims
        )

    def norm(x, p):
        mean, var = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
        return (x - mean) / jnp.sqrt(var + 1e-5) * p["scale"] + p["shift"]

    def pool(x):
        window = (1, 2, 2, 1)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")

    def loss(params, key):
        images, labels = _digits(key, size=16)
        x = conv(images[..., None], params["conv1"]) + params["b1"]
        x = pool(jax.nn.relu(norm(x, params["bn1"])))
        x = pool(jax.nn.relu(norm(conv(x, params["conv2"]), params["bn2"])))
        keep = jax.random.bernoulli(key, 0.8, x.shape)
        x = jnp.where(keep, x / 0.8, 0.0).reshape(len(x), -1)
        return _cross_entropy(_apply(params["out"], x), labels)

    return params, loss


def transformer(key):
    keys = jax.random.split(key, 8)
    dim, vocabulary, length = 16, 20, 8
    params = {
        "tokens": jax.random.normal(keys[0], (vocabulary, dim)) * 0.3,
        "positions": jax.random.normal(keys[1], (length, dim)) * 0.3,
        "q": _dense(keys[2], dim, dim),
        "k": _dense(keys[3], dim, dim),
        "v": _dense(keys[4], dim, dim),
        "up": _dense(keys[5], dim, 32),
        "down": _dense(keys[6], 32, dim),
        "norm": {"scale": jnp.ones(dim), "shift": jnp.zeros(dim)},
        "out": _dense(keys[7], dim, vocabulary),
    }

    def norm(x, p):
        x = x - jnp.mean(x, -1, keepdims=True)
        x = x / jnp.sqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-5)
        return x * p["scale"] + p["shift"]

    def loss(params, key):
        first = jax.random.randint(key, (8, 1), 0, vocabulary)
        tokens = (first + 3 * jnp.arange(length + 1)) % vocabulary
        padded = jnp.arange(length) >= jnp.array([8, 8, 5, 8, 6, 8, 8, 4])[:, None]
        x = params["tokens"][tokens[:, :-1]] + params["positions"]
        y = norm(x, params["norm"])
        q, k, v = (_apply(params[name], y) for name in "qkv")
        scores = q @ jnp.swapaxes(k, 1, 2) / dim**0.5
        seen = jnp.tril(jnp.ones((length, length), bool)) & ~padded[:, None, :]
        x = x + jax.nn.softmax(jnp.where(seen, scores, -1e9)) @ v
        x = x + _apply(params["down"], jax.nn.gelu(_apply(params["up"], x)))
        logp = jax.nn.log_softmax(_apply(params["out"], x))
        target = jax.nn.one_hot(tokens[:, 1:], vocabulary) * 0.9 + 0.1 / vocabulary
        losses = -jnp.sum(logp * target, -1)
        return jnp.sum(jnp.where(padded, 0.0, losses)) / jnp.sum(
            ~padded, dtype=jnp.float32
        )

    return params, loss


def lstm(key):
    k1, k2 = jax.random.split(key)
    size = 12
    params = {
        "cell": _dense(k1, size + 2, 4 * size),
        "out": _dense(k2, size, 1),
        "start": jnp.zeros(size),
    }

    def loss(params, key):
        x = jax.random.normal(key, (10, 16, 2))
        target = jnp.mean(x[..., 0] * x[..., 1], 0)

        def step(carry, x):
            h, c = carry
            gates = _apply(params["cell"], jnp.concatenate([h, x], -1))
            i, f, g, o = jnp.split(gates, 4, -1)
            c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        h = jnp.broadcast_to(params["start"], (16, size))
        (h, _), _ = jax.lax.scan(step, (h, h), x)
        return jnp.mean((_apply(params["out"], h)[:, 0] - target) ** 2)

    return params, loss


def vae(key):
    keys = jax.random.split(key, 4)
    params = {
        "encode": _dense(keys[0], 64, 32),
        "code": _dense(keys[1], 32, 8),
        "decode": _dense(keys[2], 4, 32),
        "out": _dense(keys[3], 32, 64),
    }

    def loss(params, key):
        images, _ = _digits(key)
        x = jnp.clip(images.reshape(len(images), -1), 0, 1)
        h = jax.nn.relu(_apply(params["encode"], x))
        mean, log_var = jnp.split(_apply(params["code"], h), 2, -1)
        z = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
        logits = _apply(params["out"], jax.nn.relu(_apply(params["decode"], z)))
        fit = jnp.maximum(logits, 0) - logits * x + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        divergence = (jnp.exp(log_var) + mean**2 - 1 - log_var) / 2
        return jnp.mean(jnp.sum(fit, -1) + jnp.sum(divergence, -1))

    return params, loss


def pinn(key):
    k1, k2, k3 = jax.random.split(key, 3)
    params = [_dense(k1, 1, 16), _dense(k2, 16, 16), _dense(k3, 16, 1)]

    def u(params, x):
        h = x[None]
        for layer in params[:-1]:
            h = jnp.tanh(_apply(layer, h))
        return _apply(params[-1], h)[0]

    def loss(params, key):
        x = jax.random.uniform(key, (32,), minval=-1, maxval=1) * jnp.pi
        second = jax.grad(jax.grad(u, 1), 1)
        residual = jax.vmap(lambda x: second(params, x) + jnp.sin(x))(x)
        ends = (
            u(params, jnp.asarray(jnp.pi)) ** 2 + u(params, -jnp.asarray(jnp.pi)) ** 2
        )
        return jnp.mean(residual**2) + ends

    return params, loss


MODELS = {f.__name__: f for f in (mlp, cnn, transformer, lstm, vae, pinn)}
