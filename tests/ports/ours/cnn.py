"""The convolutional classifier with jax.lax in NHWC; the statistics are arguments."""

import jax
import jax.numpy as jnp
from jax import lax


def params_from_torch(state):
    conv2 = state["conv2.weight"].transpose(2, 3, 1, 0)  # <! kernel
    return {
        "conv1": state["conv1.weight"].transpose(2, 3, 1, 0),
        "conv1_bias": state["conv1.bias"],
        "conv2": conv2,
        "conv2_bias": state["conv2.bias"],
        "scale": state["bn.weight"],
        "shift": state["bn.bias"],
        "head": state["head.weight"].T,
        "head_bias": state["head.bias"],
    }


def conv(x, kernel, stride=1, padding=((1, 1), (1, 1))):
    return lax.conv_general_dilated(  # <~ padding, kernel
        *(x, kernel, (stride, stride), padding),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def batch_norm(params, h, mean, variance):
    # <- bn_eps <~ momentum, unbiased, biased, eval_mode
    h = (h - mean) * lax.rsqrt(variance + 1e-5)
    # <~ bn_eps, momentum, unbiased, biased, eval_mode
    return h * params["scale"] + params["shift"]


def batch_norm_train(params, h, running):
    mean, variance = h.mean((0, 1, 2)), h.var((0, 1, 2))  # <- biased <~ eval_mode
    count = h.size // h.shape[-1]
    unbiased = variance * count / (count - 1)  # <- unbiased
    statistics = {"mean": mean, "variance": unbiased}
    running = jax.tree.map(
        lambda old, new: 0.9 * old + 0.1 * lax.stop_gradient(new),  # <- momentum
        *(running, statistics),
    )
    return batch_norm(params, h, mean, variance), running


def max_pool(h):
    edges = ((0, 0), (1, 1), (1, 1), (0, 0))
    # <- pool
    return lax.reduce_window(h, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), edges)


def network(params, x, running, train):
    h = conv(x, params["conv1"], 2, ((1, 1), (1, 1)))  # <- padding
    h = h + params["conv1_bias"]  # <~ padding, biased
    if train:
        h, running = batch_norm_train(params, h, running)
    else:
        h = batch_norm(params, h, running["mean"], running["variance"])  # <- eval_mode
    h = conv(jax.nn.relu(h), params["conv2"]) + params["conv2_bias"]  # <~ kernel
    h = max_pool(h)  # <~ pool
    h = h.transpose(0, 3, 1, 2).reshape(len(h), -1)  # <- flatten
    return h @ params["head"] + params["head_bias"], running  # <~ flatten


def smoothed(labels, classes, amount):
    # <- smoothing
    return (1 - amount) * jax.nn.one_hot(labels, classes) + amount / classes


def cross_entropy(logits, targets):
    log_p = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.sum(targets * log_p, axis=-1))  # <- reduction <~ smoothing


def loss(params, x, later, labels):
    x, later = x.transpose(0, 2, 3, 1), later.transpose(0, 2, 3, 1)
    running = {"mean": jnp.zeros(4, x.dtype), "variance": jnp.ones(4, x.dtype)}
    logits, running = network(params, x, running, train=True)
    error = cross_entropy(logits, smoothed(labels, 5, 0.1))  # <~ smoothing
    logits, _ = network(params, later, running, train=False)
    return error + cross_entropy(logits, jax.nn.one_hot(labels, 5))
