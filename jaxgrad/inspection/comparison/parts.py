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
    """A value on the way: its name, kind of operation, numbers, and what it reads."""

    name: str
    kind: str
    value: Array
    reads: tuple[int, ...] = X
    after: tuple[str, ...] = ()  # Earlier parts that it reads


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
    except (
        ValueError,
        IndexError,
        TypeError,
        StopIteration,
        RuntimeError,
    ):  # Inputs that the rule does not expect
        return []


def _linear(inputs: Inputs, output: Array) -> Parts:
    x, weight, *bias = inputs
    if x is not None and weight is not None and bias and bias[0] is not None:
        yield Part("product", "matmul", x @ weight.T, XW)


def _convolution(inputs: Inputs, output: Array) -> Parts:
    bias = inputs[2] if len(inputs) > 2 else None
    if bias is not None:
        yield Part(
            "convolution",
            "conv",
            output - bias.reshape(-1, *[1] * (output.ndim - 2)),
            XW,
        )


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
    x: Array,
    output: Array,
    axes: tuple[int, ...],
    affine: Inputs,
    shape: tuple[int, ...],
) -> Parts:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    known = [a if shape == (1,) else a.reshape(shape) for a in affine if a is not None]
    if len(known) == 2 and (known[0] != 0).all():
        plain = (output - known[1]) / known[0]
        centred = np.abs(plain.mean(axes, keepdims=True)) < 1e-3
        if not centred.all():  # The running statistics of an evaluation
            return
    yield Part("mean", "mean", mean)
    yield Part("centred", "subtract", x - mean, X, ("mean",))
    yield Part("variance", "variance", variance)
    if len(known) == 2 and (known[0] != 0).all():
        normalized = (output - known[1]) / known[0]
        deviation = np.median((x - mean) / normalized, axes, keepdims=True)
        yield Part("variance + eps", "add", np.square(deviation), (), ("variance",))
        yield Part("deviation", "root", deviation, (), ("variance + eps",))
        yield Part("1 / deviation", "root", 1 / deviation, (), ("variance + eps",))
        yield Part("normalized", "divide", normalized, (), ("centred", "deviation"))
        yield Part("scaled", "multiply", normalized * known[0], (-2,), ("normalized",))


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


def _multi_head(inputs: Inputs, output: Array) -> Parts:
    """The projections, the scores and the weights of `nn.MultiheadAttention`."""
    arrays = [(i, a) for i, a in enumerate(inputs) if a is not None]
    size = output.shape[-1]
    w = next(i for i, a in arrays if a.shape == (3 * size, size))
    last = next(i for i, a in arrays if i > w and a.shape == (size, size))
    x, weight, outer = inputs[0], inputs[w], inputs[last]
    if w != 1 or x is None or x.ndim != 3 or weight is None or outer is None:
        return  # Another key or value
    biases = {len(a): a for _, a in arrays if a.ndim == 1}
    bias, shift = (biases.get(n, np.zeros(n)) for n in (3 * size, size))
    masks = [a for i, a in arrays if i > last and a.ndim > 1]
    product = x @ weight.T
    for heads in (n for n in range(1, size + 1) if size % n == 0):
        q, k, v = (_heads(a, heads) for a in np.split(product + bias, 3, -1))
        scores = q @ np.swapaxes(k, -1, -2)
        scaled = scores / np.sqrt(size / heads)
        masked = scaled
        for mask in masks:
            masked = masked + _as_added(mask, scaled)
        weights = np.exp(_log_softmax(masked, -1))
        mixed = np.moveaxis(weights @ v, 2, 0).reshape(x.shape)
        if not np.allclose(mixed @ outer.T + shift, output, rtol=1e-3, atol=1e-5):
            continue
        yield Part("projection", "matmul", product, (0, w))
        yield Part("projection and bias", "add", product + bias, (), ("projection",))
        for name, part in zip("qkv", (q, k, v), strict=True):
            yield Part(name, "split", part, (), ("projection and bias",))
        yield Part("scores", "matmul", scores, (), ("q", "k"))
        yield Part("scaled scores", "divide", scaled, (), ("scores",))
        before = "scaled scores"
        if masks:
            yield Part("masked scores", "mask", masked, (), (before,))
            before = "masked scores"
        yield Part("weights", "softmax", weights, (), (before,))
        yield Part("mixed", "matmul", weights @ v, (), ("weights", "v"))
        yield Part("merged heads", "layout", mixed, (), ("mixed",))
        product = mixed @ outer.T
        yield Part("output product", "matmul", product, (last,), ("merged heads",))
        return


def _heads(x: Array, heads: int) -> Array:
    """From (time, batch, features) to (batch, head, time, features of the head)."""
    split = x.reshape(*x.shape[:2], heads, -1)
    return split.transpose(1, 2, 0, 3)


def _as_added(mask: Array, scores: Array) -> Array:
    """A mask as it is added: of keys for each example, of pairs, or of heads too."""
    if mask.ndim == 3:
        return mask.reshape(len(scores), -1, *mask.shape[1:])
    pairs = mask.shape == scores.shape[-2:]
    return mask if pairs else mask[:, None, None]


def _lstm(inputs: Inputs, output: Array) -> Parts:
    """The gates and states of one layer in one direction, time by time."""
    x = inputs[0]
    assert x is not None
    arrays = [(i, a) for i, a in enumerate(inputs) if a is not None]
    size = output.shape[-1]
    weights = [(i, a) for i, a in arrays if a.ndim == 2 and len(a) == 4 * size and i]
    biases = [a for i, a in arrays if a.ndim == 1 and len(a) == 4 * size]
    if len(weights) != 2 or x.ndim != 3:
        return
    start = [a.reshape(-1, size) for i, a in arrays[1:3] if i < weights[0][0]]
    for first in (True, False):
        if start and len(start[0]) != x.shape[0 if first else 1]:
            continue
        steps = list(_unrolled(x, weights, biases, start, first))
        made = np.stack([h for *_, h in steps], 1 if first else 0)
        if made.shape == output.shape and np.allclose(
            made, output, rtol=1e-3, atol=1e-5
        ):
            state = arrays[1:3] if start else []
            yield from _named_parts(steps, len(inputs), [i for i, _ in state])
            return


def _named_parts(
    steps: list[tuple[Array, ...]], inputs: int, state: list[int]
) -> Parts:
    own = tuple(i for i in range(inputs) if i not in state[1:])
    for time, values in enumerate(steps):
        for (name, kind, after), value in zip(LSTM, values, strict=True):
            # The first part of a time reads the state of the time before.
            earlier = (f"state at time {time - 1}",) if not after and time else ()
            if name == "kept cell" and time:
                earlier = (f"cell at time {time - 1}",)
            earlier += tuple(f"{each} at time {time}" for each in after)
            reads = () if after else own
            if name == "kept cell" and not time:
                reads = tuple(state[1:])
            yield Part(f"{name} at time {time}", kind, value, reads, earlier)


LSTM = (
    ("gates", "add", ()),
    ("input gate", "split", ("gates",)),
    ("forget gate", "split", ("gates",)),
    ("cell gate", "split", ("gates",)),
    ("output gate", "split", ("gates",)),
    ("input gate's sigmoid", "activation", ("input gate",)),
    ("forget gate's sigmoid", "activation", ("forget gate",)),
    ("cell gate's tanh", "activation", ("cell gate",)),
    ("output gate's sigmoid", "activation", ("output gate",)),
    ("kept cell", "multiply", ("forget gate's sigmoid",)),
    ("new cell", "multiply", ("input gate's sigmoid", "cell gate's tanh")),
    ("cell", "add", ("kept cell", "new cell")),
    ("cell's tanh", "activation", ("cell",)),
    ("state", "multiply", ("output gate's sigmoid", "cell's tanh")),
)


def _unrolled(
    x: Array,
    weights: list[tuple[int, Array]],
    biases: list[Array],
    start: list[Array],
    batch_first: bool,
) -> Iterator[tuple[Array, ...]]:
    (_, inner), (_, outer) = weights
    xs = x if not batch_first else np.swapaxes(x, 0, 1)
    zero = np.zeros((xs.shape[1], outer.shape[1]))
    h, c = start if len(start) == 2 else (zero, zero)
    for each in xs:
        gates = each @ inner.T + h @ outer.T + sum(biases, np.zeros(()))
        i, f, g, o = np.split(gates, 4, -1)
        on = [1 / (1 + np.exp(-gate)) for gate in (i, f, o)]
        kept, new = on[1] * c, on[0] * np.tanh(g)
        c = kept + new
        h = on[2] * np.tanh(c)
        yield (
            gates,
            i,
            f,
            g,
            o,
            on[0],
            on[1],
            np.tanh(g),
            on[2],
            kept,
            new,
            c,
            np.tanh(c),
            h,
        )


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
    "multi_head_attention_forward": _multi_head,
    "lstm": _lstm,
}
