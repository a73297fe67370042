"""What a fused step computes on the way, where its inputs tell.

`F.layer_norm` is one step, a port of it six. The mean, the variance and the normalized
values of the fused step become nodes of their own, so that the port's steps have
counterparts. A part that resembles nothing is ignored.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.comparison.fingerprint import floats

Array = np.ndarray
Inputs = Sequence[Array | None]

X, XW, GAIN = (0,), (0, 1), (0, -2)  # Which inputs a part reads


class Part(NamedTuple):
    """A value on the way: its name, kind of operation, numbers, and inputs."""

    name: str
    kind: str
    value: Array
    reads: tuple[int, ...] = X


Parts = Iterator[Part]


def parts_of(operation: str, inputs: Inputs, output: object) -> list[Part]:
    """The parts of a step, in the order of execution; empty if it has none."""
    rule = RULES.get(operation)
    if rule is None or not inputs or inputs[0] is None or not isinstance(output, Array):
        return []
    arrays = [None if x is None else floats(x) for x in inputs]
    try:
        with np.errstate(all="ignore"):
            return list(rule(arrays, floats(output)))
    except (ValueError, IndexError, TypeError):  # Inputs that the rule does not expect
        return []


def _linear(inputs: Inputs, output: Array) -> Parts:
    x, weight, *bias = inputs
    if x is not None and weight is not None and bias and bias[0] is not None:
        yield Part("product", "matmul", x @ weight.T, XW)


def _convolution(inputs: Inputs, output: Array) -> Parts:
    bias = inputs[2] if len(inputs) > 2 else None
    if bias is not None:
        yield Part("convolution", "conv", output - bias.reshape(-1, *[1] * (output.ndim - 2)), XW)


def _layer_norm(inputs: Inputs, output: Array) -> Parts:
    x, *affine = inputs
    assert x is not None
    known = [a for a in affine if a is not None]
    axes = tuple(range(-(known[0].ndim if known else 1), 0))
    yield from _normalized(x, output, axes, affine, (1,))


def _batch_norm(inputs: Inputs, output: Array) -> Parts:
    x, *rest = inputs
    assert x is not None
    axes = (0, *range(2, x.ndim))
    affine = [a for a in rest if a is not None][-2:]
    shape = (1, -1, *[1] * (x.ndim - 2))
    yield from _normalized(x, output, axes, affine, shape)


def _normalized(
    x: Array, output: Array, axes: tuple[int, ...], affine: Inputs, shape: tuple[int, ...]
) -> Parts:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    yield Part("mean", "mean", mean)
    yield Part("centred", "subtract", x - mean)
    yield Part("variance", "variance", variance)
    known = [a if shape == (1,) else a.reshape(shape) for a in affine if a is not None]
    if len(known) == 2 and (known[0] != 0).all():
        normalized = (output - known[1]) / known[0]
        deviation = np.median((x - mean) / normalized, axes, keepdims=True)
        yield Part("variance + eps", "add", np.square(deviation))
        yield Part("deviation", "root", deviation)
        yield Part("1 / deviation", "root", 1 / deviation)
        yield Part("normalized", "divide", normalized)
        yield Part("scaled", "multiply", normalized * known[0], GAIN)


def _cross_entropy(inputs: Inputs, output: Array) -> Parts:
    logits, labels, *_ = inputs
    assert logits is not None
    axis = 1 if logits.ndim > 1 else 0
    log_p = _log_softmax(logits, axis)
    yield Part("log_softmax", "softmax", log_p)
    if labels is None or labels.shape == logits.shape:
        return
    index = np.clip(np.expand_dims(labels, axis).astype(int), 0, logits.shape[axis] - 1)
    picked = np.take_along_axis(log_p, index, axis)
    yield Part("picked", "embedding", picked, XW)
    yield Part("losses", "negative", -picked, XW)


def _log_softmax(x: Array, axis: int) -> Array:
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def _squared(inputs: Inputs, output: Array) -> Parts:
    x, y = inputs[:2]
    if x is not None and y is not None:
        yield Part("difference", "subtract", x - y, XW)
        yield Part("squares", "power", np.square(x - y), XW)


def _absolute(inputs: Inputs, output: Array) -> Parts:
    x, y = inputs[:2]
    if x is not None and y is not None:
        yield Part("difference", "subtract", x - y, XW)
        yield Part("absolute", "absolute", np.abs(x - y), XW)


def _logistic(inputs: Inputs, output: Array) -> Parts:
    x, y = inputs[:2]
    if x is not None and y is not None:
        yield Part("probabilities", "activation", 1 / (1 + np.exp(-x)))
        yield Part("losses", "subtract", np.logaddexp(0, x) - x * y, XW)


def _attention(inputs: Inputs, output: Array) -> Parts:
    q, k, v, *_ = inputs
    assert q is not None
    if k is None or v is None:
        return
    scores = q @ np.swapaxes(k, -1, -2)
    yield Part("scores", "matmul", scores, XW)
    scaled = scores / np.sqrt(q.shape[-1])
    yield Part("scaled scores", "divide", scaled, XW)
    causal = np.where(np.tri(*scaled.shape[-2:], dtype=bool), scaled, -np.inf)
    for name, masked in (("weights", scaled), ("causal weights", causal)):
        weights = np.exp(_log_softmax(masked, -1))
        if np.allclose(weights @ v, output, rtol=1e-3, atol=1e-5):
            yield Part(name, "softmax", weights, XW)


RULES: dict[str, Callable[[Inputs, Array], Parts]] = {
    **dict.fromkeys(("linear", "dense"), _linear),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "instance_norm": _batch_norm,
    "cross_entropy": _cross_entropy,
    "softmax_cross_entropy_with_integer_labels": _cross_entropy,
    "mse_loss": _squared,
    **dict.fromkeys(("l1_loss", "smooth_l1_loss", "huber_loss"), _absolute),
    "binary_cross_entropy_with_logits": _logistic,
    "scaled_dot_product_attention": _attention,
}
