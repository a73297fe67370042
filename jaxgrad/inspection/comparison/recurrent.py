"""What a fused recurrent layer computes on the way: its gates and states, by time.

One layer in one direction, or one cell. A cell's values have names; a name of the time
before reads "... before".
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.comparison.part import Array, Inputs, Part, Parts

Values = tuple[Array, ...]
Name = tuple[str, str, tuple[str, ...]]  # A value, its kind, what it is computed from


class Cell(NamedTuple):
    """A cell: the blocks of its weights' rows, its states, its values in their order.

    `run` takes the products of the input and of the state with the weights, with their
    biases, and the states.
    """

    blocks: int
    states: tuple[str, ...]
    names: tuple[Name, ...]
    run: Callable[[Array, Array, Values], Values]


def recurrent(cell: Cell) -> Callable[[Inputs, Array], Parts]:
    """The rule of a fused layer with this cell."""

    def rule(inputs: Inputs, output: Array) -> Parts:
        arrays = [(i, a) for i, a in enumerate(inputs) if a is not None]
        rows, x = cell.blocks * output.shape[-1], inputs[0]
        weights = [(i, a) for i, a in arrays if a.ndim == 2 and len(a) == rows and i]
        if len(weights) != 2 or x is None:
            return
        biases = [a for _, a in arrays if a.ndim == 1 and len(a) == rows]
        given = [i for i, _ in arrays[1:] if i < weights[0][0]][: len(cell.states)]
        states = [np.asarray(inputs[i]).reshape(-1, output.shape[-1]) for i in given]
        matrices = weights[0][1], weights[1][1]
        for axis in (1, 0) if x.ndim == 3 else (None,):
            xs = x[None] if axis is None else np.moveaxis(x, 1 - axis, 0)
            if states and len(states[0]) != xs.shape[1]:
                continue
            times = list(_unrolled(cell, xs, matrices, biases, states))
            last = [t[cell.names.index(_named(cell, cell.states[0]))] for t in times]
            made = last[0] if axis is None else np.stack(last, 1 - axis)
            if made.shape == output.shape and np.allclose(made, output, 1e-3, 1e-5):
                own = tuple(i for i, _ in arrays if i not in given)
                known = dict(zip(cell.states, given, strict=False))
                yield from _parts(cell, times, own, known)
                return

    return rule


def _named(cell: Cell, name: str) -> Name:
    return next(each for each in cell.names if each[0] == name)


def _unrolled(
    cell: Cell,
    xs: Array,
    weights: tuple[Array, Array],
    biases: Sequence[Array],
    states: Sequence[Array],
) -> Iterator[Values]:
    zero = np.zeros((xs.shape[1], weights[1].shape[1]))
    now = tuple(states) or (zero,) * len(cell.states)
    inner, outer = biases if len(biases) == 2 else (np.zeros(()), np.zeros(()))
    which = [cell.names.index(_named(cell, name)) for name in cell.states]
    for x in xs:
        values = cell.run(x @ weights[0].T + inner, now[0] @ weights[1].T + outer, now)
        now = tuple(values[i] for i in which)
        yield values


def states_of(
    cell: Cell, xs: Array, weights: Sequence[Array], biases: Sequence[Array]
) -> Array:
    """The states at all times, from zeros, with the time first."""
    which = cell.names.index(_named(cell, cell.states[0]))
    matrices = weights[0], weights[1]
    return np.stack([t[which] for t in _unrolled(cell, xs, matrices, biases, ())])


def _parts(
    cell: Cell, times: list[Values], own: tuple[int, ...], given: dict[str, int]
) -> Parts:
    for time, values in enumerate(times):
        for (name, kind, read), value in zip(cell.names, values, strict=True):
            earlier = [n.removesuffix(" before") for n in read if n.endswith(" before")]
            after = [f"{n} at time {time}" for n in read if not n.endswith(" before")]
            reads = () if after else own
            if time:
                after += [f"{n} at time {time - 1}" for n in earlier]
            else:
                reads += tuple(given[n] for n in earlier if n in given)
            yield Part(f"{name} at time {time}", kind, value, reads, tuple(after))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _lstm(x: Array, h: Array, states: Values) -> Values:
    gates = x + h
    i, f, g, o = np.split(gates, 4, -1)
    on, keep, new, out = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    kept, added = keep * states[1], on * new
    cell = kept + added
    bent = np.tanh(cell)
    first = (gates, i, f, g, o, on, keep, new, out)
    return (*first, kept, added, cell, bent, out * bent)


def _gru(x: Array, h: Array, states: Values) -> Values:
    (rx, zx, nx), (rh, zh, nh) = np.split(x, 3, -1), np.split(h, 3, -1)
    r, z = _sigmoid(rx + rh), _sigmoid(zx + zh)
    n = np.tanh(nx + r * nh)
    products = (x, h, rx, zx, nx, rh, zh, nh, rx + rh, zx + zh, r, z)
    kept, new = z * states[0], (1 - z) * n
    return (*products, r * nh, nx + r * nh, n, kept, new, new + kept)


LSTM = (
    ("gates", "add", ("state before",)),
    ("input gate", "split", ("gates",)),
    ("forget gate", "split", ("gates",)),
    ("cell gate", "split", ("gates",)),
    ("output gate", "split", ("gates",)),
    ("input gate's sigmoid", "activation", ("input gate",)),
    ("forget gate's sigmoid", "activation", ("forget gate",)),
    ("cell gate's tanh", "activation", ("cell gate",)),
    ("output gate's sigmoid", "activation", ("output gate",)),
    ("kept cell", "multiply", ("forget gate's sigmoid", "cell before")),
    ("new cell", "multiply", ("input gate's sigmoid", "cell gate's tanh")),
    ("cell", "add", ("kept cell", "new cell")),
    ("cell's tanh", "activation", ("cell",)),
    ("state", "multiply", ("output gate's sigmoid", "cell's tanh")),
)
GRU = (
    ("input's product", "add", ()),
    ("state's product", "add", ("state before",)),
    ("reset gate of the input", "split", ("input's product",)),
    ("update gate of the input", "split", ("input's product",)),
    ("candidate of the input", "split", ("input's product",)),
    ("reset gate of the state", "split", ("state's product",)),
    ("update gate of the state", "split", ("state's product",)),
    ("candidate of the state", "split", ("state's product",)),
    ("reset gate", "add", ("reset gate of the input", "reset gate of the state")),
    ("update gate", "add", ("update gate of the input", "update gate of the state")),
    ("reset gate's sigmoid", "activation", ("reset gate",)),
    ("update gate's sigmoid", "activation", ("update gate",)),
    ("reset candidate", "multiply", ("reset gate's sigmoid", "candidate of the state")),
    ("candidate", "add", ("candidate of the input", "reset candidate")),
    ("candidate's tanh", "activation", ("candidate",)),
    ("kept state", "multiply", ("update gate's sigmoid", "state before")),
    ("new state", "multiply", ("update gate's sigmoid", "candidate's tanh")),
    ("state", "add", ("new state", "kept state")),
)
PLAIN = (("sum", "add", ("state before",)), ("state", "activation", ("sum",)))
CELLS = {
    "lstm": Cell(4, ("state", "cell"), LSTM, _lstm),
    "gru": Cell(3, ("state",), GRU, _gru),
    "rnn_tanh": Cell(1, ("state",), PLAIN, lambda x, h, _: (x + h, np.tanh(x + h))),
    "rnn_relu": Cell(
        1, ("state",), PLAIN, lambda x, h, _: (x + h, np.maximum(x + h, 0))
    ),
}
RULES = {
    name + suffix: recurrent(cell)
    for name, cell in CELLS.items()
    for suffix in ("", "_cell")
}
