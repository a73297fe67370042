"""The programs of `benchmarks.scale`: small ones that grow, and two large networks.

Each function takes a size and returns a loss and its arguments.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

Program = tuple[Callable[..., Any], tuple[Any, ...]]


def mlp(layers: int) -> Program:
    """An unrolled perceptron, 16 wide."""

    def loss(params):
        x = jnp.ones((8, 16))
        for w, b in params:
            h = x @ w
            h = h + b
            x = jnp.tanh(h)
        return jnp.mean(x**2)

    return loss, ([(jnp.eye(16), jnp.zeros(16))] * layers,)


def many_arrays(count: int) -> Program:
    """A product of `count` parameter matrices."""

    def loss(params):
        product = jnp.ones((4, 4))
        for w in params:
            product = product @ w
        return jnp.sum(product)

    return loss, ([jnp.eye(4)] * count,)


def _log_after(h: Any, x: Any) -> Any:
    """A pass of a loop; the logarithm is NaN in the third."""
    h = jnp.sin(h) + x
    return h + 0 * jnp.log(2.5 - x)


def scan(passes: int) -> Program:
    """A scan whose carry becomes NaN in an early pass and stays so."""

    def loss(w):
        def step(h, x):
            return _log_after(w * h, x), None

        return jax.lax.scan(step, w, jnp.arange(1.0, passes + 1))[0]

    return loss, (0.5,)


def fori_loop(passes: int) -> Program:
    """The same as a `fori_loop`."""

    def loss(w):
        def step(i, h):
            return _log_after(w * h, i + 1.0)

        return jax.lax.fori_loop(0, passes, step, w)

    return loss, (0.5,)


def while_loop(passes: int) -> Program:
    """The same as a `while_loop`, which has no gradient."""

    def loss(w):
        def step(state):
            i, h = state
            return i + 1, _log_after(w * h, i + 1.0)

        return jax.lax.while_loop(lambda s: s[0] < passes, step, (0, w))[1]

    return loss, (0.5,)


def nested_scan(passes: int) -> Program:
    """Ten scans in a scan, `passes` in all."""

    def loss(w):
        def step(h, x):
            return _log_after(w * h, x), None

        rows = jnp.arange(1.0, passes + 1).reshape(10, -1)
        return jax.lax.scan(lambda h, xs: jax.lax.scan(step, h, xs), w, rows)[0]

    return loss, (0.5,)


def backward_scan(passes: int) -> Program:
    """A scan whose values are finite; the gradient is NaN from its third pass on."""

    def loss(w):
        def step(h, x):
            h = jnp.cos(w * h)
            return h + jnp.sqrt(jnp.abs(x - 3.0) * w), None

        return jax.lax.scan(step, w, jnp.arange(1.0, passes + 1))[0]

    return loss, (0.5,)


def finite_scan(passes: int) -> Program:
    """A scan without a fault."""

    def loss(w):
        def step(h, x):
            h = jnp.sin(w * h)
            h = h + x
            return h, None

        return jax.lax.scan(step, w, jnp.linspace(0.0, 1.0, passes))[0]

    return loss, (0.5,)


def transformer(layers: int, width: int = 768, length: int = 32) -> Program:
    """GPT-2 small (12 heads, vocabulary 50,257) on one short sequence."""
    heads, vocabulary = 12, 50_257
    new = partial(_normal, 0.02)

    def layer(key):
        keys = jax.random.split(key, 4)
        return {
            "norm1": (jnp.ones(width), jnp.zeros(width)),
            "qkv": (new(keys[0], width, 3 * width), jnp.zeros(3 * width)),
            "out": (new(keys[1], width, width), jnp.zeros(width)),
            "norm2": (jnp.ones(width), jnp.zeros(width)),
            "up": (new(keys[2], width, 4 * width), jnp.zeros(4 * width)),
            "down": (new(keys[3], 4 * width, width), jnp.zeros(width)),
        }

    def norm(params, x):
        scale, shift = params
        centred = x - x.mean(-1, keepdims=True)
        variance = jnp.mean(centred**2, -1, keepdims=True)
        return centred / jnp.sqrt(variance + 1e-5) * scale + shift

    def dense(params, x):
        w, b = params
        return x @ w + b

    def attention(params, x):
        q, k, v = jnp.split(dense(params["qkv"], x), 3, axis=-1)
        q, k, v = (z.reshape(length, heads, -1) for z in (q, k, v))
        scores = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(q.shape[-1])
        mask = jnp.tril(jnp.ones((length, length), bool))
        weights = jax.nn.softmax(jnp.where(mask, scores, -1e9))
        mixed = jnp.einsum("hqk,khd->qhd", weights, v).reshape(length, width)
        return dense(params["out"], mixed)

    def loss(params, tokens):
        x = params["tokens"][tokens[:-1]] + params["places"]
        for each in params["layers"]:
            x = x + attention(each, norm(each["norm1"], x))
            hidden = jax.nn.gelu(dense(each["up"], norm(each["norm2"], x)))
            x = x + dense(each["down"], hidden)
        logits = norm(params["norm"], x) @ params["tokens"].T
        chosen = jax.nn.log_softmax(logits)[jnp.arange(length), tokens[1:]]
        return -chosen.mean()

    keys = jax.random.split(jax.random.key(0), layers + 3)
    params = {
        "tokens": new(keys[0], vocabulary, width),
        "places": new(keys[1], length, width),
        "norm": (jnp.ones(width), jnp.zeros(width)),
        "layers": [layer(key) for key in keys[3:]],
    }
    return loss, (params, jax.random.randint(keys[2], (length + 1,), 0, vocabulary))


def resnet(size: int, batch: int = 2) -> Program:
    """ResNet-50's 53 convolutions with batch norm, on images `size` x `size`."""
    stages = ((64, 3), (128, 4), (256, 6), (512, 3))
    keys = iter(jax.random.split(jax.random.key(0), 100))

    def new_conv(inputs, outputs, window):
        scale = (2 / (inputs * window**2)) ** 0.5
        w = _normal(scale, next(keys), window, window, inputs, outputs)
        return w, jnp.ones(outputs), jnp.zeros(outputs)

    def conv(params, x, stride=1):
        w, scale, shift = params
        dims = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(
            x, w, (stride, stride), "SAME", dimension_numbers=dims
        )
        mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
        return (y - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + shift

    def loss(params, images, labels):
        x = jax.nn.relu(conv(params["stem"], images, 2))
        for block, stride in zip(params["blocks"], strides, strict=True):
            y = jax.nn.relu(conv(block["in"], x))
            y = jax.nn.relu(conv(block["middle"], y, stride))
            y = conv(block["out"], y)
            skip = conv(block["skip"], x, stride) if "skip" in block else x
            x = jax.nn.relu(y + skip)
        logits = x.mean((1, 2)) @ params["head"]
        return -jax.nn.log_softmax(logits)[jnp.arange(batch), labels].mean()

    blocks, strides, inputs = [], [], 64
    for stage, (width, repeats) in enumerate(stages):
        for i in range(repeats):
            block = {
                "in": new_conv(inputs, width, 1),
                "middle": new_conv(width, width, 3),
                "out": new_conv(width, 4 * width, 1),
            }
            if i == 0:
                block["skip"] = new_conv(inputs, 4 * width, 1)
            blocks.append(block)
            strides.append(2 if i == 0 and stage else 1)
            inputs = 4 * width
    head = _normal(0.01, next(keys), inputs, 1000)
    params = {"stem": new_conv(3, 64, 7), "blocks": blocks, "head": head}
    images = jax.random.normal(next(keys), (batch, size, size, 3))
    return loss, (params, images, jnp.arange(batch))


def ode(end: int) -> Program:
    """Tsit5 of diffrax with a PID controller on a driven oscillator, until `end`."""
    diffrax: Any = import_module("diffrax")

    def field(t, y, w):
        position, speed = y
        return jnp.stack([speed, jnp.sin(t) - w * position])

    def loss(w):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            t0=0.0,
            t1=float(end),
            dt0=0.1,
            y0=jnp.ones(2),
            args=w,
            stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-4),
        )
        return jnp.sum(solution.ys**2)

    return loss, (jnp.float32(2.0),)


def _normal(scale: float, key: Any, *shape: int) -> jax.Array:
    return scale * jax.random.normal(key, shape)
