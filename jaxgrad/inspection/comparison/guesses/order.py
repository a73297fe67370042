"""Trials on the order of elements: flattening, heads, gates, reversed axes."""

import itertools
from collections.abc import Iterator

import numpy as np

from jaxgrad.inspection.comparison.arrange import distance
from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess


def flipped(case: Case) -> Guess:
    """The same elements with an axis reversed or shifted."""
    if case.aligned is None or case.aligned[0].size < 3:
        return None
    a, b = case.aligned
    for axis in range(a.ndim):
        if a.shape[axis] > 1 and case.same(np.flip(b, axis), a):
            return "order", f"Axis {axis} of {a.ndim} runs in reverse on one side."
        for shift in (1, -1):
            if case.same(np.roll(b, shift, axis), a):
                return "order", f"Axis {axis} of {a.ndim} is shifted by {shift}."
    return None


def blocks(case: Case) -> Guess:
    """The same blocks along an axis in another order, as the gates of an LSTM."""
    if case.aligned is None or case.aligned[0].size < 4:
        return None
    a, b = case.aligned
    for axis in range(a.ndim):
        for count in (2, 3, 4):
            if a.shape[axis] % count or a.shape[axis] < 2 * count:
                continue
            parts = np.split(b, count, axis)
            for order in itertools.permutations(range(count)):
                if order == tuple(range(count)):
                    continue
                if case.same(np.concatenate([parts[i] for i in order], axis), a):
                    shown = ", ".join(map(str, order))
                    text = f"Axis {axis} holds {count} blocks; theirs are our {shown}"
                    return "gates", f"{text}: another order of gates or parts."
    return None


def rearranged(case: Case) -> Guess:
    """The same elements in another order."""
    a, b = case.values
    if a.size != b.size or a.size < 3 or distance(a, b).arranged:
        return None
    if "layout" in case.kinds:
        return "layout", _layout_text(case, a)
    return "order", "Both hold the same elements in another order."


def _layout_text(case: Case, a: Array) -> str:
    shapes = [np.shape(x) for side in case.inputs for x in side if x.size == a.size]
    if any(len(s) > np.ndim(a) for s in shapes) and np.ndim(a) <= 2:
        text = "Both hold the same elements in another order: NCHW and NHWC are"
        return f"{text} flattened in different orders before a dense layer."
    return (
        "Both hold the same elements in another order: a reshape or transpose differs."
    )


def chosen(case: Case) -> Guess:
    """Each side takes other elements of the same array: slices, rows, the last one."""
    found = [_chosen(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    words = " ".join(found)
    cause = "order" if "every" in words or "half" in words else "index"
    if "quarter" in words or "third" in words:
        text = f"Theirs takes {found[0]}, ours {found[1]}"
        return "gates", f"{text}: gates or parts in another order."
    return cause, f"Theirs takes {found[0]}, ours {found[1]}: another order or index."


def _chosen(case: Case, side: int) -> str:
    y = case.values[side]
    for x in case.inputs[side]:
        if x.size <= y.size or x.ndim == 0:
            continue
        for text, made in _slices(x):
            if made.size == y.size and case.same(made.reshape(y.shape), y):
                return text
        if rows := _rows(x, y):
            return rows
    return ""


def _slices(x: Array) -> Iterator[tuple[str, Array]]:
    for axis in range(x.ndim):
        length, name = x.shape[axis], f"along axis {axis - x.ndim}"
        for count in (2, 3, 4):
            if length % count == 0 and length > count:
                for i, part in enumerate(np.split(x, count, axis)):
                    share = {2: "half", 3: "third", 4: "quarter"}[count]
                    yield f"{share} {i + 1} {name}", part
                every = np.moveaxis(x, axis, 0)
                for i in range(count):
                    part = np.moveaxis(every[i::count], 0, axis)
                    yield f"every {count}th element from {i} {name}", part
        for i in range(min(length, 64)):
            at = "the last index" if i == length - 1 else f"index {i}"
            yield f"{at} {name}", np.take(x, i, axis)


def _rows(table: Array, y: Array) -> str:
    """The rows of a table that make up an array."""
    if table.ndim != 2 or y.shape[-1:] != table.shape[1:]:
        return ""
    flat = y.reshape(-1, table.shape[1])[:64]
    apart = np.abs(flat[:, None] - table[None]).max(-1)
    if apart.min(1).max() > 1e-5 * max(np.abs(table).max(), 1e-30):
        return ""
    return f"the rows {', '.join(map(str, apart.argmin(1)[:6]))}, ..."


def argument(case: Case) -> Guess:
    """A parameter that holds the same numbers in an order that no transpose makes."""
    for side, number in enumerate(case.pair):
        for source in case.both.sources(side, number):
            a, b = (
                g.nodes[n]
                for g, n in zip(
                    (case.both.theirs, case.both.ours), source.pair, strict=True
                )
            )
            if a.is_argument and not case.both.verdict(*source.pair).distance.arranged:
                text = (
                    f"{a.name} and {b.name} hold the same numbers in different orders"
                )
                return "order", f"{text}: their rows, heads or gates are permuted."
    return None
