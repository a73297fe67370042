"""Trials on recurrent layers: gates, biases, the initial state, the direction."""

import itertools
from collections.abc import Iterator

import numpy as np

from jaxgrad.inspection.comparison.arrange import distance
from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.nodes import Node
from jaxgrad.inspection.comparison.recurrent import CELLS, Cell, states_of


def variant(case: Case) -> Guess:
    """A fused layer of ours that is theirs without a bias, or with other gates."""
    cell = CELLS.get(case.nodes[0].operation)
    if cell is None or case.nodes[0].part or case.nodes[1].is_argument:
        return None
    # Flax's RNN is a step before its loop, the loop, and a step behind it.
    line = _line(case.nodes[1])
    ours = [
        np.asarray(n.value, float) for n in case.both.ours.nodes if _line(n) == line
    ]
    arrays = [np.asarray(x.value, float) for x in _read(case, case.nodes[0].thing)]
    xs, *rest = arrays
    rows = max(len(a) for a in rest if a.ndim == 1)
    weights = [a for a in rest if a.ndim == 2 and len(a) == rows]
    biases = [a for a in rest if a.ndim == 1]
    for time in (np.swapaxes(xs, 0, 1), xs):
        for cause, text, matrices, shifts in _variants(cell, weights, biases):
            made = states_of(cell, time, matrices, shifts)
            for each in (made, np.swapaxes(made, 0, 1), made[-1]):
                same = [y for y in ours if y.size == each.size]
                if any(distance(each, y).relative <= case.close for y in same):
                    return cause, f"Ours computes {text}."
    return None


def _line(node: Node) -> tuple[str, int] | None:
    source = getattr(node.thing, "source", None)
    return None if source is None else (source.file, source.line)


Variant = tuple[str, str, list[Array], list[Array]]


def _variants(
    cell: Cell, weights: list[Array], biases: list[Array]
) -> Iterator[Variant]:
    none = [np.zeros_like(b) for b in biases]
    yield "bias", "without the second bias, bias_hh", weights, [biases[0], none[1]]
    yield "bias", "without the first bias, bias_ih", weights, [none[0], biases[1]]
    yield "bias", "without biases", weights, none
    for order in itertools.permutations(range(cell.blocks)):

        def turned(x: Array, order: tuple[int, ...] = order) -> Array:
            blocks = np.split(x, cell.blocks)
            return np.concatenate([blocks[i] for i in order])

        both = [turned(w) for w in weights], [turned(b) for b in biases]
        text = f"with the gates in the order {', '.join(map(str, order))} of theirs"
        yield "gates", text, *both


def gates(case: Case) -> Guess:
    """A gate that is treated as another one, or a reset before the product."""
    node, mine = case.nodes
    name, _, time = node.part.partition(" at time ")
    if time and name.endswith(("gate's sigmoid", "gate's tanh")):
        read = [case.both.pair_of(i, n.parents[0]) for i, n in enumerate(case.nodes)]
        if mine.kind == "activation" and read[0] == read[1]:
            gate = name.split("'")[0]
            text = f"Ours applies {mine.operation} to their {gate}"
            return "gates", f"{text}: the gates are in another order."
    if name != "reset candidate":
        return None
    nodes = case.both.theirs.nodes
    product = next(n for n in node.parents if "candidate of" in nodes[n].part)
    if case.both.pairs.ours.get(product) in mine.parents:
        return None
    text = "Theirs multiplies the reset gate by the product of state and weight, ours"
    return "gates", f"{text} by the state, before the product."


def start(case: Case) -> Guess:
    """An LSTM that starts from another state, or at the other end of the sequence."""
    node = case.nodes[0]
    if node.part != "gates at time 0":
        return None
    arrays = [np.asarray(x.value, float) for x in _read(case, node.thing)]
    sequence, h, c, inner, outer, *biases = arrays
    y = case.values[1]
    for text, x, state in _starts(sequence, h.reshape(-1, h.shape[-1]), c):
        if x.shape[0] != len(state):
            continue
        gates = x @ inner.T + state @ outer.T
        for made in (gates, gates + sum(biases, np.zeros(()))):
            if case.same(made, y):
                return "state", f"Ours computes the first gates from {text}."
    return None


def _read(case: Case, step: object) -> list[Node]:
    graph = case.both.theirs
    first = next(n for n in graph.nodes if n.thing is step and not n.part)
    return [graph.nodes[p] for p in first.parents if not graph.nodes[p].part]


def _starts(sequence: Array, h: Array, c: Array) -> Iterator[tuple[str, Array, Array]]:
    c = c.reshape(h.shape)
    for ends in (sequence, np.swapaxes(sequence, 0, 1)):
        yield "the cell state: h and c are swapped", ends[0], c
        yield "the last time: the sequence runs in reverse", ends[-1], h
        yield "the last time and the cell state: reversed, swapped", ends[-1], c
        yield "zeros: the initial state is not read", ends[0], np.zeros_like(h)
