"""Trials on sliding windows: the padding of a convolution, the kind of a pooling."""

import itertools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.guesses.operands import their_form
from jaxgrad.inspection.comparison.nodes import Node


def convolution(case: Case) -> Guess:
    """The padding, stride or dilation of a convolution."""
    mine, yours = (_convolution(case, side) for side in (0, 1))
    if mine is None or yours is None or mine == yours:
        return None
    names = ("padding", "stride", "dilation", "kernel")
    fields = zip(names, mine, yours, strict=True)
    unlike = [name for name, a, b in fields if a != b]
    a, b = _settings(names, mine), _settings(names, yours)
    return unlike[0], f"Theirs convolves with {a}; ours with {b}."


def _settings(names: Sequence[str], values: tuple[object, ...]) -> str:
    pairs = zip(names, values, strict=True)
    return ", ".join(f"{n} {v}" for n, v in pairs)


def _convolution(case: Case, side: int) -> tuple[object, ...] | None:
    y, nodes = case.values[side], case.sources[side]
    weights = [
        n for n in nodes if np.ndim(n.value) == y.ndim and _is_weight(case, side, n)
    ]
    xs = [x for x in case.inputs[side] if x.ndim == y.ndim and x.ndim in (3, 4)]
    bias = [
        np.asarray(n.value, float)
        for n in nodes
        if n.is_argument and np.ndim(n.value) == 1
    ]
    for w in weights:
        kernel = their_form(case, side, w)
        for x in xs:
            if x is kernel or x.shape == kernel.shape:
                continue
            for form in _layouts(x, kernel, y):
                if (found := _searched(case, *form, bias)) is not None:
                    return found
    return None


def _is_weight(case: Case, side: int, node: Node) -> bool:
    """An argument, or one that was brought into another layout."""
    number = case.both.graph(side).nodes.index(node)
    pair = case.both.pair_of(side, number)
    return node.is_argument or bool(
        pair and case.both.theirs.nodes[pair[0]].is_argument
    )


def _layouts(x: Array, w: Array, y: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Channels first or last, kernels as OIHW or HWIO: all brought to the first."""
    last = (0, x.ndim - 1, *range(1, x.ndim - 1))
    for x_, y_ in ((x, y), (x.transpose(last), y.transpose(last))):
        hwio = (w.ndim - 1, w.ndim - 2, *range(w.ndim - 2))
        for w_ in (w, w.transpose(hwio)):
            if w_.shape[0] == y_.shape[1] and x_.shape[1] % max(w_.shape[1], 1) == 0:
                yield x_, w_, y_


def _searched(
    case: Case, x: Array, w: Array, y: Array, biases: list[Array]
) -> tuple[object, ...] | None:
    size = w.shape[2]
    explicit = [((p, q),) * (x.ndim - 2) for p, q in _paddings(size)]
    forms = ("plain", "flipped", "transposed")
    tried = itertools.product(forms, (1, 2), (1, 2, 3), ["SAME", *explicit])
    for flip, dilation, stride, padding in tried:
        kernel = np.flip(w, tuple(range(2, w.ndim))) if flip == "flipped" else w
        kernel = np.swapaxes(w, -1, -2) if flip == "transposed" else kernel
        shape = _shape(x, kernel, stride, padding, dilation)
        if shape != y.shape[2:]:
            continue
        made = _convolve(x, kernel, stride, padding, dilation)
        fitting = [b for b in biases if b.size == y.shape[1]]
        for b in (None, *fitting):
            full = made if b is None else made + b.reshape(-1, *[1] * (y.ndim - 2))
            if case.same(full, y):
                shown = padding if isinstance(padding, str) else padding[0]
                if shown == "SAME":
                    shown = _same_padding(x.shape[2], size, stride, dilation)
                return shown, stride, dilation, flip
    return None


def _paddings(size: int) -> list[tuple[int, int]]:
    most = min(size, 4)
    equal = [(p, p) for p in range(most + 1)]
    return [
        *equal,
        *((p, p + 1) for p in range(most)),
        *((p + 1, p) for p in range(most)),
    ]


def _same_padding(n: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max((-(-n // stride) - 1) * stride + (size - 1) * dilation + 1 - n, 0)
    return total // 2, total - total // 2


def _shape(
    x: Array, w: Array, stride: int, padding: object, dilation: int
) -> tuple[int, ...]:
    pads = [
        _same_padding(n, k, stride, dilation) if padding == "SAME" else padding[0]  # type: ignore[index]
        for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    return tuple(
        (n + sum(p) - (k - 1) * dilation - 1) // stride + 1
        for n, k, p in zip(x.shape[2:], w.shape[2:], pads, strict=True)
    )


def _convolve(x: Array, w: Array, stride: int, padding: object, dilation: int) -> Array:
    space = x.ndim - 2
    with jax.enable_x64(True):
        made = jax.lax.conv_general_dilated(
            jnp.asarray(x, np.float64),
            jnp.asarray(w, np.float64),
            (stride,) * space,
            padding,  # type: ignore[arg-type]
            rhs_dilation=(dilation,) * space,
            feature_group_count=x.shape[1] // w.shape[1],
        )
        return np.asarray(made)


def pooling(case: Case) -> Guess:
    """Maximum or mean, the window, the padding, and whether it counts in the mean."""
    found = [_pooling(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    return "pool", f"Theirs computes the {found[0]}, ours the {found[1]}."


def _pooling(case: Case, side: int) -> str:
    y = case.values[side]
    for x in case.inputs[side]:
        if x.ndim != y.ndim or x.ndim not in (3, 4) or x.size < y.size:
            continue
        last = (0, x.ndim - 1, *range(1, x.ndim - 1))
        for x_, y_ in ((x, y), (x.transpose(last), y.transpose(last))):
            if x_.shape[:2] == y_.shape[:2]:
                for name, made in _pooled(x_, y_.shape[2:]):
                    if case.same(made, y_):
                        return name
    return ""


def _pooled(x: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    space = x.ndim - 2
    for size, stride, pad in itertools.product((2, 3, 4), (1, 2, 3, 4), (0, 1)):
        widths = [(0, 0), (0, 0), *[(pad, pad)] * space]
        where = [(n + 2 * pad - size) // stride + 1 for n in x.shape[2:]]
        if tuple(where) != shape:
            continue
        text = f"over windows of {size}, stride {stride}, padding {pad}"
        windows = _windows(np.pad(x, widths, constant_values=-np.inf), size, stride)
        yield f"maximum {text}", windows.max(-1)
        windows = _windows(np.pad(x, widths), size, stride)
        yield f"maximum {text} with zeros (not -inf)", windows.max(-1)
        counts = _windows(np.pad(np.ones_like(x), widths), size, stride)
        yield f"mean {text}", windows.mean(-1)
        yield f"mean {text} that is not counted", windows.sum(-1) / counts.sum(-1)
        yield f"sum {text}", windows.sum(-1)


def resizing(case: Case) -> Guess:
    """How an interpolation places the corners."""
    if "resize" not in case.kinds:
        return None
    found = [_resizing(case, side) for side in (0, 1)]
    if found[0] and found[1] and found[0] != found[1]:
        text = f"Theirs interpolates {found[0]}, ours {found[1]}"
        return "corners", f"{text}: align_corners."
    text = f"Theirs interpolates {found[0] or 'in another way'}"
    return "resize", f"{text}, ours {found[1] or 'in another way'}."


def _resizing(case: Case, side: int) -> str:
    y = case.values[side]
    for x in case.inputs[side]:
        if x.ndim != y.ndim or x.ndim < 3:
            continue
        for axes in (range(2, x.ndim), range(1, x.ndim - 1)):
            for name in ("with aligned corners", "with half pixels", "to the nearest"):
                made = x
                for axis in axes:
                    made = _along(made, axis, y.shape[axis], name)
                if case.same(made, y) and made.shape == y.shape:
                    return name
    return ""


def _along(x: Array, axis: int, size: int, name: str) -> Array:
    length = x.shape[axis]
    places = (np.arange(size) + 0.5) * length / size - 0.5
    if name == "with aligned corners":
        places = np.arange(size) * (length - 1) / max(size - 1, 1)
    if name == "to the nearest":
        return np.take(x, np.floor(np.arange(size) * length / size).astype(int), axis)
    places = np.clip(places, 0, length - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, length - 1)
    share = (places - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share


def _windows(x: Array, size: int, stride: int) -> Array:
    space = x.ndim - 2
    axes = tuple(range(2, x.ndim))
    views = np.lib.stride_tricks.sliding_window_view(x, (size,) * space, axes)
    step = (slice(None), slice(None), *[slice(None, None, stride)] * space)
    return views[step].reshape(*views[step].shape[: x.ndim], -1)
