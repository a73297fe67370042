"""Trials on sliding windows: the padding of a convolution, the kind of a pooling."""

import itertools
from collections.abc import Iterator

import jax
import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess


def convolution(case: Case) -> Guess:
    """The padding, stride or dilation of a convolution."""
    found = [_convolution(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    names = ("padding", "stride", "dilation", "flip")
    fields = zip(names, found[0], found[1], strict=True)
    unlike = [name for name, a, b in fields if a != b]
    texts = (", ".join(f"{n} {v}" for n, v in zip(names, f, strict=True) if n != "flip") for f in found)
    a, b = texts
    cause = unlike[0] if unlike else "padding"
    if cause == "flip":
        return "flip", "One side flips the kernel: a convolution, not a correlation."
    return cause, f"Theirs convolves with {a}; ours with {b}."


def _convolution(case: Case, side: int) -> tuple[object, ...] | None:
    y, nodes = case.values[side], case.sources[side]
    weights = [n for n in nodes if n.is_argument and np.ndim(n.value) == y.ndim]
    xs = [x for x in case.inputs[side] if x.ndim == y.ndim and x.ndim in (3, 4)]
    bias = [np.asarray(n.value, float) for n in nodes if n.is_argument and np.ndim(n.value) == 1]
    for w in weights:
        kernel = np.asarray(w.value, np.float64)
        for x in xs:
            if x is kernel or x.shape == kernel.shape:
                continue
            for form in _layouts(x, kernel, y):
                if (found := _searched(case, *form, bias)) is not None:
                    return found
    return None


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
    tried = itertools.product((1, 2), (1, 2, 3), ["SAME", *explicit], (False, True))
    for dilation, stride, padding, flip in tried:
        kernel = np.flip(w, tuple(range(2, w.ndim))) if flip else w
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
    return [*equal, *((p, p + 1) for p in range(most)), *((p + 1, p) for p in range(most))]


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
            np.asarray(x, np.float64),
            np.asarray(w, np.float64),
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
        counts = _windows(np.pad(np.ones_like(x), widths), size, stride)
        yield f"mean {text}", windows.mean(-1)
        yield f"mean {text} that is not counted", windows.sum(-1) / counts.sum(-1)
        yield f"sum {text}", windows.sum(-1)


def _windows(x: Array, size: int, stride: int) -> Array:
    space = x.ndim - 2
    axes = tuple(range(2, x.ndim))
    views = np.lib.stride_tricks.sliding_window_view(x, (size,) * space, axes)
    step = (slice(None), slice(None), *[slice(None, None, stride)] * space)
    return views[step].reshape(*views[step].shape[: x.ndim], -1)
