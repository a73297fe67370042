"""Two reports side by side: which arrays correspond, and which agree up to rounding."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.comparison import rounding
from jaxgrad.inspection.comparison.align import Alignment, Prints, align, prints_of
from jaxgrad.inspection.comparison.arrange import FAR, Distance, distance, reduced
from jaxgrad.inspection.comparison.fingerprint import distances
from jaxgrad.inspection.comparison.nodes import Graph, Node

FAR_APART = 1e-3  # A relative distance that no rounding makes
WALK = 200  # Steps that only one side has, between two that both have


class Source(NamedTuple):
    """A paired node that another one is computed from, directly or on the way."""

    pair: tuple[int, int]
    amplification: float


class Verdict(NamedTuple):
    """How far a pair is apart, and how far rounding may bring it."""

    distance: Distance
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether rounding explains the distance."""
        return bool(self.distance.relative <= self.allowed)

    @property
    def excess(self) -> float:
        """The distance in units of what rounding explains."""
        return float(self.distance.relative / max(self.allowed, 1e-300))


@dataclass(eq=False)
class Correspondence:
    """Two graphs, their pairs, and the verdict on each pair's values."""

    theirs: Graph
    ours: Graph
    tolerance: float | None = None
    strict: bool = True
    verdicts: dict[tuple[int, int], Verdict] = field(default_factory=dict)
    aliases: tuple[dict[int, int], dict[int, int]] = field(
        default_factory=lambda: ({}, {})
    )

    @cached_property
    def prints(self) -> tuple[Prints, Prints]:
        """The fingerprints of both sides."""
        return prints_of(self.theirs), prints_of(self.ours)

    @cached_property
    def units(self) -> tuple[float, float]:
        """The units of rounding that both sides mostly work in."""
        return rounding.working_unit(self.theirs), rounding.working_unit(self.ours)

    @cached_property
    def pairs(self) -> Alignment:
        """The corresponding nodes; the results always correspond."""
        pairs = align(self.theirs, self.ours, self.prints)
        for a, b in list(pairs.ours.items()):
            if self._is_by_chance(pairs, a, b):
                del pairs.ours[a], pairs.theirs[b]
        a, b = self.theirs.result, self.ours.result
        if a is not None and b is not None:
            pairs.join(a, b)
        return pairs

    def _is_by_chance(self, pairs: Alignment, a: int, b: int) -> bool:
        """Whether one computes, and the other only moves what has a partner."""
        nodes = self.theirs.nodes[a], self.ours.nodes[b]
        moves = [n.kind == "layout" for n in nodes]
        if moves[0] == moves[1] or not (nodes[0].parents and nodes[1].parents):
            return False
        if any(pairs.ours.get(n) in nodes[1].children for n in nodes[0].children):
            return False  # They stand in the same place
        side = moves.index(True)
        known = (pairs.ours, pairs.theirs)[side]
        if not all(p in known for p in nodes[side].parents):
            return False
        values = nodes[0].value, nodes[1].value
        return distance(*values).relative > FAR_APART

    def judge(self) -> None:
        """Fill in the verdicts, in the order of execution."""
        self._find_aliases()
        for b, a in sorted(self.pairs.theirs.items()):
            self.verdicts[a, b] = self._verdict(a, b)
        self._excuse_arguments()

    def _excuse_arguments(self) -> None:
        """Accept arguments that differ without effect: a bias that ours adds up."""
        for a, b in list(self.verdicts):
            mine, yours = self.theirs.nodes[a], self.ours.nodes[b]
            apart = self.verdicts[a, b].distance
            if not mine.is_argument or self.verdicts[a, b].agrees:
                continue
            shared = set(mine.children) & {
                self.pairs.theirs.get(n) for n in self._first_paired(yours)
            }
            pairs = [(n, self.pairs.ours[n]) for n in shared if n is not None]
            if any(self.verdicts[p].agrees for p in pairs):
                self.verdicts[a, b] = Verdict(apart, apart.relative)

    def _first_paired(self, node: Node) -> Iterator[int]:
        """The paired readers of one of our nodes, directly or through others."""
        waiting, seen = list(node.children), set(node.children)
        while waiting and len(seen) < WALK:
            number = waiting.pop()
            if number in self.pairs.theirs:
                yield number
                continue
            fresh = set(self.ours.nodes[number].children) - seen
            seen |= fresh
            waiting += fresh

    def agrees(self, side: int, number: int) -> bool:
        """Whether a node has an equal on the other side."""
        pair = self.pair_of(side, number)
        return pair is not None and bool(self.verdict(*pair).agrees)

    def pair_of(self, side: int, number: int) -> tuple[int, int] | None:
        """A node with its partner, or with its equal, as (theirs, ours)."""
        partners = self.pairs.ours if side == 0 else self.pairs.theirs
        other = partners.get(number, self.aliases[side].get(number))
        if other is None:
            return None
        return (number, other) if side == 0 else (other, number)

    def verdict(self, a: int, b: int) -> Verdict:
        """The verdict on the values of two nodes, a pair or not."""
        if (a, b) not in self.verdicts:
            self.verdicts[a, b] = self._verdict(a, b)
        return self.verdicts[a, b]

    def graph(self, side: int) -> Graph:
        """Theirs for 0, ours for 1."""
        return self.ours if side else self.theirs

    def sources(self, side: int, number: int) -> list[Source]:
        """The paired nodes that a node is computed from."""
        return [s for s, _ in self._walk(side, number) if s is not None]

    def between(self, side: int, number: int) -> list[int]:
        """The steps that only this side has, between a node and its sources."""
        return [n for s, n in self._walk(side, number) if s is None]

    def _walk(self, side: int, number: int) -> Iterator[tuple[Source | None, int]]:
        graph, prints = self.graph(side), self.prints[side]
        waiting, seen = [(number, 1.0)], {number}
        while waiting and len(seen) < WALK:
            node, amplified = waiting.pop(0)
            for parent in graph.nodes[node].parents:
                own = prints.values[node], prints.gradients[node]
                source = prints.values[parent], prints.gradients[parent]
                more = rounding.amplification(graph.nodes[node], own, source)
                more = min(amplified * more, rounding.MOST)
                pair = self.pair_of(side, parent)
                if pair is not None:
                    yield Source(pair, more), parent
                elif graph.nodes[parent].part and not graph.nodes[node].part:
                    continue  # A fused step reads directly what its parts read
                elif parent not in seen:
                    seen.add(parent)
                    yield None, parent
                    waiting.append((parent, more))

    def _find_aliases(self) -> None:
        """Unpaired nodes that equal one of the other side: a view, a copy."""
        values = [p.values for p in self.prints]
        partners = self.pairs.ours, self.pairs.theirs
        for side in (0, 1):
            alone = [
                n
                for n, p in enumerate(values[side])
                if n not in partners[side] and not p.plain and p.size > 0
            ]
            if not alone:
                continue
            mine = [values[side][n] for n in alone]
            apart = distances(mine, values[1 - side])
            plain = [p.plain for p in values[1 - side]]
            apart[:, plain] = np.inf
            best = apart.argmin(1)
            limit = 64 * max(self.units)
            for n, other, far in zip(alone, best, apart.min(1), strict=True):
                if far <= limit:
                    self.aliases[side][n] = int(other)
        self._find_totals()

    def _find_totals(self) -> None:
        """Unpaired numbers that are the sum of an unpaired array of the other side."""
        limit = 64 * max(self.units)  # The verdict tells more exactly
        for side in (0, 1):
            numbers = [
                n for n in self._alone(side) if self.prints[side].values[n].size == 1
            ]
            arrays = [
                m
                for m in self._alone(1 - side)
                if self.prints[1 - side].values[m].size > 1
            ]
            for n in numbers:
                for m in arrays:
                    values = (
                        self.graph(side).nodes[n].value,
                        self.graph(1 - side).nodes[m].value,
                    )
                    if reduced(*values).relative <= limit:
                        self.aliases[side][n], self.aliases[1 - side][m] = m, n

    def _alone(self, side: int) -> list[int]:
        """The computed real arrays of a side without a partner or an equal."""
        partners = self.pairs.ours if side == 0 else self.pairs.theirs
        return [
            n
            for n, node in enumerate(self.graph(side).nodes)
            if n not in partners
            and n not in self.aliases[side]
            and isinstance(node.value, np.ndarray)
            and rounding.unit(node.dtype)
            and node.parents
            and not node.part
        ]

    def _verdict(self, a: int, b: int) -> Verdict:
        pair = self.theirs.nodes[a], self.ours.nodes[b]
        apart = self._distance(a, b)
        if self.tolerance is not None:
            return Verdict(apart, self.tolerance)
        unit = rounding.pair_unit(*pair, self.units, self.strict)
        if not (rounding.unit(pair[0].dtype) or rounding.unit(pair[1].dtype)):
            return Verdict(apart, 0.5 * unit)
        allowed = [
            self._allowed(side, n, pair[side], unit) for side, n in ((0, a), (1, b))
        ]
        return Verdict(apart, max(allowed))

    def _distance(self, a: int, b: int) -> Distance:
        pair = self.theirs.nodes[a], self.ours.nodes[b]
        values = pair[0].value, pair[1].value
        losses = all(n.kind == "loss" for n in pair)
        if losses or self.aliases[0].get(a) == b or self.aliases[1].get(b) == a:
            if sorted(np.size(v) > 1 for v in values) == [False, True]:
                return reduced(*values, mean=losses)
        return distance(*values)

    def _allowed(self, side: int, number: int, node: Node, unit: float) -> float:
        parents = [self.prints[side].values[p] for p in node.parents]
        between = self.between(side, number)
        count = rounding.terms(node, parents)
        for n in between:
            inner = self.graph(side).nodes[n]
            sizes = [self.prints[side].values[p] for p in inner.parents]
            count = max(count, rounding.terms(inner, sizes))
        own = unit * (rounding.STEP + rounding.SUM * np.sqrt(count))
        own *= 1 + 0.1 * len(between)
        inherited, clean = 0.0, True
        for source in self.sources(side, number):
            found = self.verdicts.get(source.pair)
            agrees = found is None or found.agrees
            clean &= agrees
            known = found.distance.relative if found and agrees else 0.0
            inherited += source.amplification * max(known, unit)
        allowed = own + rounding.INHERITED * inherited
        return float(allowed if clean else min(allowed, own + rounding.AFTER * unit))


def no_verdict() -> Verdict:
    """The verdict on an array that has no counterpart."""
    return Verdict(FAR, 0.0)
