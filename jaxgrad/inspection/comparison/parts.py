"""What a fused step computes on the way, where its inputs tell.

`F.layer_norm` is one step, a port of it six. The mean, the variance and the normalized
values of the fused step become nodes of their own, so that the port's steps have
counterparts. A part that resembles nothing is ignored.
"""

from collections.abc import Callable

import numpy as np

from jaxgrad.inspection.comparison import recurrent
from jaxgrad.inspection.comparison.fingerprint import floats
from jaxgrad.inspection.comparison.part import Array, Inputs, Part, Parts

X, XW, GAIN = (0,), (0, 1), (0, -2)  # Which inputs a part reads


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


def _group_norm(inputs: Inputs, output: Array) -> Parts:
    """With the number of groups that explains the output."""
    x, *affine = inputs
    assert x is not None
    channels, shape = x.shape[1], (1, -1, *[1] * (x.ndim - 2))
    known = [a.reshape(shape) for a in affine if a is not None]
    plain = (output - known[1]) / known[0] if len(known) == 2 else output
    for groups in (g for g in range(1, channels + 1) if channels % g == 0):
        split = (len(x), groups, channels // groups, *x.shape[2:])
        grouped, normalized = x.reshape(split), plain.reshape(split)
        axes = tuple(range(2, grouped.ndim))
        if not _is_normalized(grouped, normalized, axes):
            continue
        yield Part("groups", "layout", grouped)
        yield from _normalized(grouped, normalized, axes, (), (1,), ("groups",))
        if len(known) == 2:
            after = ("normalized",)
            yield Part("scaled", "multiply", plain * known[0], (-2,), after)
        return


def _is_normalized(x: Array, y: Array, axes: tuple[int, ...]) -> bool:
    """Whether `y` is a positive multiple of the centred `x` along some axes."""
    centred = x - x.mean(axes, keepdims=True)
    scale = (centred * y).sum(axes, keepdims=True)
    scale /= np.square(centred).sum(axes, keepdims=True)
    return np.allclose(scale * centred, y, rtol=1e-3, atol=1e-4)


def _normalized(
    x: Array,
    output: Array,
    axes: tuple[int, ...],
    affine: Inputs,
    shape: tuple[int, ...],
    after: tuple[str, ...] = (),
) -> Parts:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    known = [a if shape == (1,) else a.reshape(shape) for a in affine if a is not None]
    if len(known) == 2 and (known[0] != 0).all():
        plain = (output - known[1]) / known[0]
        centred = np.abs(plain.mean(axes, keepdims=True)) < 1e-3
        if not centred.all():  # The running statistics of an evaluation
            return
    reads = () if after else X
    yield Part("mean", "mean", mean, reads, after)
    yield Part("centred", "subtract", x - mean, reads, ("mean", *after))
    yield Part("variance", "variance", variance, reads, after)
    if after or (len(known) == 2 and (known[0] != 0).all()):
        normalized = (output - known[1]) / known[0] if known else output
        deviation = np.median((x - mean) / normalized, axes, keepdims=True)
        yield Part("variance + eps", "add", np.square(deviation), (), ("variance",))
        yield Part("deviation", "root", deviation, (), ("variance + eps",))
        yield Part("1 / deviation", "root", 1 / deviation, (), ("variance + eps",))
        yield Part("normalized", "divide", normalized, (), ("centred", "deviation"))
        if known:
            scaled = normalized * known[0]
            yield Part("scaled", "multiply", scaled, (-2,), ("normalized",))


def _rms_norm(inputs: Inputs, output: Array) -> Parts:
    x = inputs[0]
    assert x is not None
    yield Part("squares", "power", np.square(x))
    yield Part("mean square", "mean", np.square(x).mean(-1, keepdims=True))
    gain = next((a for a in inputs[1:] if a is not None), None)
    if gain is not None and (gain != 0).all():
        yield Part("normalized", "normalization", output / gain)


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
    if output.size == 1 and inputs[2:] and inputs[2] is not None:
        kept = (labels >= 0) & (labels < logits.shape[axis])
        weights = (inputs[2][np.clip(labels.astype(int), 0, None)] * kept).sum()
        yield Part("sum of the weights", "loss", weights, (1, 2))
        yield Part("sum of the losses", "loss", output * weights, (0, 1, 2))


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


RULES: dict[str, Callable[[Inputs, Array], Parts]] = {
    **dict.fromkeys(("linear", "dense"), _linear),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "instance_norm": _batch_norm,
    "group_norm": _group_norm,
    "rms_norm": _rms_norm,
    "cross_entropy": _cross_entropy,
    "softmax_cross_entropy_with_integer_labels": _cross_entropy,
    "mse_loss": _squared,
    **dict.fromkeys(("l1_loss", "smooth_l1_loss", "huber_loss"), _absolute),
    "binary_cross_entropy_with_logits": _logistic,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head,
    **recurrent.RULES,
}
