"""Which arrays of two graphs correspond: by fingerprint, operation and neighbours.

An alignment that keeps the order of execution (Needleman and Wunsch, gaps are free)
finds most pairs. A second pass adds what the first one found about the neighbours, and
what then remains is paired without regard to the order.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.comparison.fingerprint import (
    Fingerprint,
    distances,
    fingerprint,
)
from jaxgrad.inspection.comparison.nodes import Graph, Node
from jaxgrad.inspection.comparison.operations import KINDS, MOVING
from jaxgrad.inspection.comparison.rounding import unit, working_unit

# Scores: the same numbers, the same kind of operation, the same parameters, ...
SAME, KIND, OPERATION, PARAMETERS, NEIGHBOURS, NAME = 8.0, 1.5, 0.5, 2.5, 2.0, 0.4
LEAST = 1.2  # Any pair needs this much
UNLIKE, RESIZED = 1.0, 2.0  # Another kind of operation, another size
SIMILAR = 400.0  # Units that fingerprints may differ and count as equal
PLAIN = 0.15  # How much the numbers of masks, constants and counts tell
# What a fused step may end in where the other side computes it step by step.
FUSED = {"loss", "normalization", "attention", "recurrent", "matmul", "conv", "mean"}
ENDS = {"mean", "sum", "negative", "divide", "multiply", "add", "matmul", "subtract"}
ENDS |= {"power", "absolute"}
WORDS = {"kernel": "weight", "w": "weight", "b": "bias", "scale": "weight"}
WORDS |= {"gamma": "weight", "g": "weight", "beta": "bias", "embedding": "weight"}


class Alignment(NamedTuple):
    """Pairs of nodes: for each of theirs its partner among ours, and the reverse."""

    ours: dict[int, int]  # By the number of theirs
    theirs: dict[int, int]  # By the number of ours

    def add(self, theirs: int, ours: int) -> None:
        """Pair two nodes that have no partner yet."""
        self.ours[theirs], self.theirs[ours] = ours, theirs

    def join(self, theirs: int, ours: int) -> None:
        """Make two nodes a pair, whatever they were paired with."""
        self.theirs.pop(self.ours.pop(theirs, -1), None)
        self.ours.pop(self.theirs.pop(ours, -1), None)
        self.add(theirs, ours)


class Prints(NamedTuple):
    """The fingerprints of the nodes' values and gradients."""

    values: list[Fingerprint]
    gradients: list[Fingerprint]


def prints_of(graph: Graph) -> Prints:
    """The fingerprints of a graph."""
    nodes = graph.nodes
    values = [fingerprint(node.value) for node in nodes]
    return Prints(values, [fingerprint(node.gradient) for node in nodes])


def align(theirs: Graph, ours: Graph, prints: tuple[Prints, Prints]) -> Alignment:
    """The corresponding nodes of two graphs."""
    found = Alignment({}, {})
    of_arguments = _arguments(theirs, ours, prints)
    for a, b in of_arguments:
        found.add(a, b)
    first = len(theirs.arguments), len(ours.arguments)
    nodes = theirs.nodes[first[0] :], ours.nodes[first[1] :]
    if not nodes[0] or not nodes[1]:
        return found
    steps = tuple(
        Prints(p.values[n:], p.gradients[n:])
        for p, n in zip(prints, first, strict=True)
    )
    similar = _similar(theirs, ours)
    base, ordered = _scores(nodes, (steps[0], steps[1]), of_arguments, similar)
    pairs, scores = _in_order(base), base
    for _ in range(2):
        near = _neighbours(theirs, ours, [*of_arguments, *_shifted(pairs, first)])
        scores = base + near[first[0] :, first[1] :]
        scores[base < -1e8] = -1e9
        pairs = _in_order(scores)
    pairs += _remaining(np.where(ordered & (scores <= base), -1e9, scores), pairs)
    for a, b in _shifted(pairs, first):
        found.add(a, b)
    return found


def _shifted(
    pairs: Iterable[tuple[int, int]], first: tuple[int, int]
) -> list[tuple[int, int]]:
    return [(a + first[0], b + first[1]) for a, b in pairs]


def _scores(
    nodes: tuple[Sequence[Node], Sequence[Node]],
    prints: tuple[Prints, Prints],
    arguments: Sequence[tuple[int, int]],
    similar: float,
) -> tuple[np.ndarray, np.ndarray]:
    """How much speaks for each pair, and which pairs count only in their order."""
    apart = distances(prints[0].values, prints[1].values)
    scores = _closeness(apart, similar) * _telling(prints)
    gradients = distances(prints[0].gradients, prints[1].gradients)
    scores += 0.25 * _closeness(gradients, similar)
    for weight, word in ((KIND, "kind"), (OPERATION, "operation"), (NAME, "name")):
        scores += weight * _equal(*([getattr(n, word) for n in side] for side in nodes))
    scores += PARAMETERS * _shared(nodes, arguments)
    alike = _equal(*([n.kind for n in side] for side in nodes))
    equal = apart < similar
    related = _related(nodes)
    scores += 0.5 * KIND * (related & ~alike)
    scores -= UNLIKE * (~alike & ~equal & ~related) + RESIZED * np.isinf(apart)
    parts = [np.array([bool(n.part) for n in side]) for side in nodes]
    part = parts[0][:, None] | parts[1][None, :]
    counted = [np.array([unit(n.dtype) == 0 for n in side]) for side in nodes]
    scores[counted[0][:, None] != counted[1][None, :]] = -1e9
    moving = np.array([n.kind in MOVING for n in nodes[0]])
    scores[np.isinf(apart) & moving[:, None]] = -1e9
    # Another size, or the inside of a fused step, needs the same kind of operation.
    apt = alike | related
    scores[np.isinf(apart) & (~apt | part) | (part & ~apt & ~equal)] = -1e9
    return scores - LEAST, (part | moving[:, None]) & ~equal


def _similar(theirs: Graph, ours: Graph) -> float:
    """The relative distance below which fingerprints count as equal."""
    units = max(working_unit(theirs), working_unit(ours))
    return float(np.clip(SIMILAR * units, 1e-10, 1e-2))


def _closeness(apart: np.ndarray, similar: float) -> np.ndarray:
    """0 for a distance of 1, one more for each digit, `SAME` for equal ones."""
    with np.errstate(all="ignore"):
        digits = np.clip(-np.log10(np.maximum(apart, 1e-30)), 0, 0.6 * SAME)
    return np.where(apart < similar, SAME, digits)


def _telling(prints: tuple[Prints, Prints]) -> np.ndarray:
    plain = [np.array([f.plain for f in p.values]) for p in prints]
    return np.where(plain[0][:, None] | plain[1][None, :], PLAIN, 1.0)


def _equal(theirs: Sequence[str], ours: Sequence[str]) -> np.ndarray:
    names = {name: i for i, name in enumerate(dict.fromkeys((*theirs, *ours)))}
    a, b = (np.array([names[n] for n in side]) for side in (theirs, ours))
    return a[:, None] == b[None, :]


def _related(nodes: tuple[Sequence[Node], Sequence[Node]]) -> np.ndarray:
    """A fused loss ends in what a port writes as a mean; a name may tell no kind."""
    kinds = [[n.kind for n in side] for side in nodes]
    fused = [np.array([k in FUSED for k in side]) for side in kinds]
    ends = [np.array([k in ENDS for k in side]) for side in kinds]
    unknown = [np.array([k not in KINDS for k in side]) for side in kinds]
    return (
        (fused[0][:, None] & ends[1][None, :])
        | (ends[0][:, None] & fused[1][None, :])
        | unknown[0][:, None]
        | unknown[1][None, :]
    )


def _shared(
    nodes: tuple[Sequence[Node], Sequence[Node]], arguments: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Whether both read the same arguments: 1, or -0.5 for one that differs."""
    partner = dict(arguments)
    count = max([b for _, b in arguments], default=0) + 1
    reads = [np.zeros((len(side), count)) for side in nodes]
    for i, node in enumerate(nodes[0]):
        reads[0][i, [partner[p] for p in node.parents if p in partner]] = 1
    ours = set(partner.values())
    for j, node in enumerate(nodes[1]):
        reads[1][j, [p for p in node.parents if p in ours]] = 1
    both = reads[0] @ reads[1].T
    either = reads[0].sum(1)[:, None] + reads[1].sum(1)[None, :] - both
    return np.where(either > 0, 1.5 * both / np.maximum(either, 1) - 0.5, 0.0)


def _neighbours(
    theirs: Graph, ours: Graph, pairs: Iterable[tuple[int, int]]
) -> np.ndarray:
    """For each pair, how many of its parents and children are paired already."""
    near = np.zeros((len(theirs.nodes), len(ours.nodes)))
    for a, b in pairs:
        for side in ("children", "parents"):
            mine = getattr(theirs.nodes[a], side), getattr(ours.nodes[b], side)
            if mine[0] and mine[1]:
                share = NEIGHBOURS / max(map(len, mine))
                near[np.ix_(*mine)] += max(share, 0.3)
    return np.minimum(near, NEIGHBOURS)


def _in_order(scores: np.ndarray) -> list[tuple[int, int]]:
    """The pairs with the highest sum of scores that keep the order on both sides."""
    rows, columns = scores.shape
    best = np.zeros((rows + 1, columns + 1), np.float32)
    for i in range(rows):
        joined = best[i, :-1] + scores[i]
        row = np.maximum(joined, best[i, 1:])
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(row, 0))
    pairs, i, j = [], rows, columns
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _remaining(
    scores: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Pairs of what has none yet, in any order, the best first."""
    free = np.array(scores, np.float32)
    free[[a for a, _ in pairs], :] = -1
    free[:, [b for _, b in pairs]] = -1
    more = []
    rows, columns = np.nonzero(free > 0)
    by_score = np.argsort(-free[rows, columns], kind="stable")
    taken: tuple[set[int], set[int]] = (set(), set())
    for a, b in zip(rows[by_score].tolist(), columns[by_score].tolist(), strict=True):
        if a not in taken[0] and b not in taken[1]:
            more.append((a, b))
            taken[0].add(a)
            taken[1].add(b)
    return more


def _arguments(
    theirs: Graph, ours: Graph, prints: tuple[Prints, Prints]
) -> list[tuple[int, int]]:
    """The corresponding arguments: by their numbers, then by names and gradients."""
    counts = len(theirs.arguments), len(ours.arguments)
    if not all(counts):
        return []
    values = [p.values[:n] for p, n in zip(prints, counts, strict=True)]
    gradients = [p.gradients[:n] for p, n in zip(prints, counts, strict=True)]
    names = [
        [n.name for n in g.nodes[:c]]
        for g, c in zip((theirs, ours), counts, strict=True)
    ]
    apart = distances(*values)
    similar = _similar(theirs, ours)
    scores = _closeness(apart, similar)
    scores += 0.25 * _closeness(distances(*gradients), similar)
    scores += 3 * alike(*names)
    order = np.arange(counts[0])[:, None] / counts[0]
    scores -= 0.1 * np.abs(order - np.arange(counts[1])[None, :] / counts[1])
    return _remaining(np.where(np.isinf(apart), -1, scores - LEAST), [])


def alike(theirs: Sequence[str], ours: Sequence[str]) -> np.ndarray:
    """How alike each two paths are: 1 for the same words, 0 for none in common."""
    words = [[_words(name) for name in side] for side in (theirs, ours)]
    every = sorted({word for side in words for each in side for word in each})
    known = {word: i for i, word in enumerate(every)}
    holds = [np.zeros((len(side), len(known))) for side in words]
    for side, matrix in zip(words, holds, strict=True):
        for i, each in enumerate(side):
            matrix[i, [known[w] for w in each]] = 1
    both = holds[0] @ holds[1].T
    either = holds[0].sum(1)[:, None] + holds[1].sum(1)[None, :] - both
    return both / np.maximum(either, 1)


def _words(path: str) -> set[str]:
    parts: list[str] = re.findall(r"[a-z]+|\d+", path.lower())
    return {WORDS.get(part, part) for part in parts} - {"params", "p", "self", "value"}
