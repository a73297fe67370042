"""The classifier as pure functions of a dictionary."""

import jax
import jax.numpy as jnp


def params_from_torch(state):
    params = {name: state[f"{name}.weight"].T for name in ("first", "second", "third")}
    biases = {f"{name}_bias": state[f"{name}.bias"] for name in params}
    norm = {"scale": state["norm.weight"], "shift": state["norm.bias"]}
    return params | biases | norm


def layer_norm(params, h, eps=1e-5):
    mean = jnp.mean(h, axis=-1, keepdims=True)
    variance = jnp.mean((h - mean) ** 2, axis=-1, keepdims=True)
    h = (h - mean) / jnp.sqrt(variance + eps)  # <- eps
    return h * params["scale"] + params["shift"]  # <~ eps


def logits_of(params, x, keep):
    x = (x - x.mean(0)) / x.std(0, ddof=1)  # <- std
    h = x @ params["first"] + params["first_bias"]  # <- half
    h = jax.nn.gelu(h, approximate=False)  # <- gelu <~ half
    h = layer_norm(params, h)
    h = h @ params["second"] + params["second_bias"]  # <- transposed
    h = jax.nn.leaky_relu(h)  # <- slope
    h = h * keep / (1 - 0.2)  # <- dropout
    return h @ params["third"] + params["third_bias"]


def cross_entropy(logits, labels, weights):
    valid = labels != -100  # <- ignored <~ error
    labels = jnp.where(valid, labels, 0)
    log_p = jax.nn.log_softmax(logits)  # <- axis <~ error
    log_p = jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]  # <~ error
    weights = jnp.where(valid, weights[labels], 0.0)  # <~ error
    return -jnp.sum(weights * log_p) / jnp.sum(weights)  # <- error <~ axis, ignored


def loss(params, x, keep, labels, weights):
    error = cross_entropy(logits_of(params, x, keep), labels, weights)
    squares = sum(jnp.sum(p**2) for p in params.values())
    return error + 0.5 * 1e-2 * squares  # <- decay
