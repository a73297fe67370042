"""Trials on gradients that differ although all values agree."""

import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.nodes import Graph


def cut(case: Case) -> Guess:
    """One side stops the gradient."""
    for who, other, node in zip(
        ("Theirs", "Ours"), ("ours", "theirs"), case.named, strict=True
    ):
        if node is None or node.is_argument or node.part:
            continue
        graph = case.both.theirs if who == "Theirs" else case.both.ours
        number = case.place.on(who == "Ours")
        if node.kind == "detach" or (number is not None and _stops(graph, number)):
            text = f"{who} stops the gradient at {node.operation}"
            return "detach", f"{text}, {other} lets it through."
    a, b = case.values
    zeros = not a.any(), not b.any()
    if zeros[0] != zeros[1]:
        who, other = ("Theirs", "ours") if zeros[0] else ("Ours", "theirs")
        return "detach", f"{who} sends no gradient back here, {other} does."
    return None


def _stops(graph: Graph, number: int) -> bool:
    node = graph.nodes[number]
    if node.gradient is not None:
        return False
    near = [graph.nodes[p] for p in (*node.parents, *node.children)]
    return any(n.gradient is not None for n in near)


def rows(case: Case) -> Guess:
    """One side sends no gradient to some rows: the padding of an embedding."""
    if case.aligned is None or case.aligned[0].ndim < 2:
        return None
    a, b = case.aligned
    empty = [np.asarray((x == 0).reshape(len(x), -1).all(1)) for x in (a, b)]
    unlike = empty[0] != empty[1]
    if not unlike.any() or not _equal(case, a[~unlike], b[~unlike]):
        return None
    who, other = ("Theirs", "ours") if empty[0][unlike].all() else ("Ours", "theirs")
    shown = ", ".join(map(str, np.flatnonzero(unlike)[:4]))
    text = f"{who} sends no gradient to row {shown}, {other} does"
    return "padding_idx", f"{text}: the padding_idx of an embedding."


def _equal(case: Case, a: np.ndarray, b: np.ndarray) -> bool:
    return a.size == 0 or case.same(b, a)


def clipped(case: Case) -> Guess:
    """One side clips the gradient, by value or by norm."""
    if case.aligned is None or case.aligned[0].size < 2:
        return None
    for who, a, b in (("Theirs", *case.aligned), ("Ours", *case.aligned[::-1])):
        most = float(np.abs(a).max())
        if most and (np.abs(b).max() > most) and case.same(np.clip(b, -most, most), a):
            return "clipping", f"{who} clips the gradient's elements to {most:.4g}."
    return None


def kink(case: Case) -> Guess:
    """The derivatives differ only where the value is at a kink: 0, a bound, a tie."""
    if case.aligned is None or case.aligned[0].size < 2:
        return None
    a, b = case.aligned
    value = np.asarray(case.nodes[0].value, float)
    if value.shape != a.shape:
        return None
    scale = max(float(np.nanmax(np.abs(np.nan_to_num(a)))), 1e-30)
    unlike = ~(np.abs(a - b) <= case.close * scale)
    points = np.unique(value[unlike])
    elsewhere = np.isin(value[~unlike], points).any()
    if not unlike.any() or unlike.all() or len(points) > 2 or elsewhere:
        return None
    shown = ", ".join(f"{p:.4g}" for p in points)
    text = f"The derivatives differ at {int(unlike.sum())} elements that are exactly"
    operations = {n.operation for n in case.named if n is not None}
    where = " and ".join(sorted(operations))
    text = f"{text} {shown}: a kink, a bound or a tie of {where}"
    return "kink", f"{text}, where each library takes another slope (0, 0.5 or 1)."


def more_readers(case: Case) -> Guess:
    """One side uses an array more often: tied weights."""
    counts = [
        sum(not side.nodes[c].part for c in side.nodes[number].children)
        for side, number in zip(
            (case.both.theirs, case.both.ours), case.pair, strict=True
        )
    ]
    if counts[0] == counts[1] or not case.nodes[0].is_argument:
        return None
    text = f"Theirs uses {case.nodes[0].name} {counts[0]} times, ours {counts[1]} times"
    return "tied", f"{text}: weights tied on one side only, or one use is cut."
