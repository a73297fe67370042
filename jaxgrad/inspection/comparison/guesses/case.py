"""What the trials of a cause read: the values that differ, and what they come from."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxgrad.inspection.comparison.arrange import arrange, arrange_like, distance, gap
from jaxgrad.inspection.comparison.correspondence import Correspondence
from jaxgrad.inspection.comparison.fingerprint import floats
from jaxgrad.inspection.comparison.nodes import Node
from jaxgrad.inspection.comparison.values import Place

Array = np.ndarray


@dataclass(eq=False)
class Case:
    """Two arrays that should be equal, and the arrays behind them that are.

    Attributes:
        both: The correspondence.
        place: The place that is named.
        pair: The numbers of the nodes whose arrays differ.
        gradient: Whether the arrays are gradients.
    """

    both: Correspondence
    place: Place
    pair: tuple[int, int]
    gradient: bool = False

    @cached_property
    def nodes(self) -> tuple[Node, Node]:
        """Theirs and ours."""
        return self.both.theirs.nodes[self.pair[0]], self.both.ours.nodes[self.pair[1]]

    @cached_property
    def named(self) -> tuple[Node | None, Node | None]:
        """The nodes that are named as the place."""
        a, b = self.place.theirs, self.place.ours
        return (
            None if a is None else self.both.theirs.nodes[a],
            None if b is None else self.both.ours.nodes[b],
        )

    @cached_property
    def kinds(self) -> set[str]:
        """The kinds of operation at the place."""
        return {n.kind for n in (*self.nodes, *self.named) if n is not None}

    @cached_property
    def values(self) -> tuple[Array, Array]:
        """Their array and ours, each in its own layout."""
        arrays = [n.gradient if self.gradient else n.value for n in self.nodes]
        shapes = [np.shape(n.value) for n in self.nodes]
        a, b = (
            np.zeros(s) if x is None else floats(x)
            for x, s in zip(arrays, shapes, strict=True)
        )
        return a, b

    @cached_property
    def aligned(self) -> tuple[Array, Array] | None:
        """The same with ours in the layout of theirs; None if the sizes differ."""
        a, b = self.values
        if a.size != b.size:
            return None
        for x, y in itertools.product(*self.inputs):
            # The layout of an input is that of the result, if it has its shape.
            if x.shape == a.shape and y.shape == b.shape and x.size > 1:
                if x.ndim == y.ndim and gap(x, arrange(y, x)).relative <= self.close:
                    return a, arrange_like(b, y, x)
        if (
            a.ndim > 1
            and a.shape == b.shape
            and (known := self._layout(a.shape)) is not None
        ):
            return a, arrange_like(b, *known)
        arranged = arrange(b, a)
        # With equal shapes only a clear fit is a reason to swap axes.
        if a.shape == b.shape and gap(a, arranged).relative > 1e-2:
            return a, b
        return a, arranged

    def _layout(self, shape: tuple[int, ...]) -> tuple[Array, Array] | None:
        """The nearest earlier arrays of one shape that agree: ours, then theirs."""
        for b, a in sorted(self.both.pairs.theirs.items(), reverse=True):
            if a >= self.pair[0] or b >= self.pair[1]:
                continue
            x, y = (self.both.theirs.nodes[a].value, self.both.ours.nodes[b].value)
            if np.shape(x) == np.shape(y) == shape and self.both.verdict(a, b).agrees:
                if gap(floats(x), arrange(floats(y), floats(x))).relative <= self.close:
                    return floats(y), floats(x)
        return None

    @cached_property
    def sources(self) -> tuple[list[Node], list[Node]]:
        """What each of the two is computed from and agrees, the nearest first."""
        found = []
        for side, number in enumerate(self.pair):
            pairs = [s.pair[side] for s in self.both.sources(side, number)]
            nodes = self.both.graph(side).nodes
            found.append([nodes[n] for n in dict.fromkeys(pairs)])
        return found[0], found[1]

    @cached_property
    def inputs(self) -> tuple[list[Array], list[Array]]:
        """The arrays of the sources of each side."""
        a, b = ([floats(n.value) for n in side] for side in self.sources)
        return a, b

    @cached_property
    def close(self) -> float:
        """A relative distance that counts as equal in a trial.

        A small difference must become smaller: what changes nothing explains nothing.
        """
        usual = float(np.clip(200 * max(self.both.units), 1e-10, 0.02))
        a, b = self.values
        apart = gap(a, arrange(b, a)).relative if a.size == b.size else np.inf
        return min(usual, apart / 4) if apart > 0 else usual

    def same(self, candidate: Array, target: Array) -> bool:
        """Whether a trial gives the target, in its own layout."""
        if candidate.size != target.size or target.size == 0:
            return False
        if candidate.shape != target.shape:
            return distance(candidate, target).relative <= self.close
        return gap(candidate, target).relative <= self.close

    def distinct(self, candidate: Array, other: Array) -> bool:
        """Whether a trial is not what the other side computes, too."""
        return not self.same(candidate, other)

    def sides(self) -> Iterator[tuple[Array, list[Array], list[Node]]]:
        """For theirs and then ours: the array, its inputs, and their nodes."""
        yield from zip(self.values, self.inputs, self.sources, strict=True)
