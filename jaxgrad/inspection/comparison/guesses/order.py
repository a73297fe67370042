"""Trials on the order of elements: flattening, heads, gates, reversed axes."""

import itertools

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
    return "Both hold the same elements in another order: a reshape or transpose differs."
