"""A layered drawing of the graph: what it needs at the left, the result at the right.

The usual four passes: a column per node by its longest path from the left, waypoints
where an edge crosses a column (shared by all edges from one node), the order in each
column by the mean of the neighbours, and heights that pull neighbours level without
overlaps.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

GAP_X, GAP_Y, WAY = 30.0, 18.0, 4.0
SWEEPS = 8
# How much the wish of a waypoint counts, and of an end of the graph; a node's is 1.
WAYPOINT, END = 0.1, 0.01


class Size(NamedTuple):
    """Width and height of a node."""

    width: float
    height: float


class Drawing(NamedTuple):
    """Positions of the nodes' upper left corners, courses of the edges, total size."""

    corners: list[tuple[float, float]]
    courses: list[list[tuple[float, float]]]
    size: Size


def draw(
    sizes: Sequence[Size],
    edges: Sequence[tuple[int, int]],
    leftmost: int = 0,
    farthest: int | None = None,
) -> Drawing:
    """Place nodes and edges.

    Args:
        sizes: The size of each node; nodes are numbered in an order in which every
            edge leads from a smaller number to a larger one.
        edges: Pairs (from, to).
        leftmost: So many of the first nodes stay at the left; any other that nothing
            leads to stands right before what it leads to.
        farthest: Over more columns than these an edge is a stub at its end, since
            hundreds of edges side by side say nothing; None for no limit.
    """
    columns = _columns(len(sizes), edges, leftmost)
    stubs = [
        farthest is not None and columns[end] - columns[start] > farthest
        for start, end in edges
    ]
    drawn = [edge for edge, stub in zip(edges, stubs, strict=True) if not stub]
    chains, heights, columns = _waypoints(columns, drawn, [s.height for s in sizes])
    order = _ordered(columns, chains)
    tops = _levelled(order, chains, heights, len(sizes))
    lefts, total = _lefts(order, sizes)
    corners = [(lefts[columns[i]], tops[i]) for i in range(len(sizes))]
    remaining = iter(chains)
    courses = [
        _stub(corners[edge[1]], sizes[edge[1]])
        if stub
        else _course(next(remaining), lefts, columns, tops, heights, sizes)
        for edge, stub in zip(edges, stubs, strict=True)
    ]
    height = max((tops[i] + heights[i] for i in range(len(heights))), default=0.0)
    return Drawing(corners, courses, Size(total, height))


def _stub(corner: tuple[float, float], size: Size) -> list[tuple[float, float]]:
    x, y = corner
    return [(x - 0.7 * GAP_X, y + 0.8 * size.height), (x, y + 0.8 * size.height)]


def _columns(count: int, edges: Sequence[tuple[int, int]], leftmost: int) -> list[int]:
    """The longest path from the left."""
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for start, end in edges:
        before.setdefault(end, []).append(start)
        after.setdefault(start, []).append(end)
    columns = [0] * count
    for node in range(count):
        columns[node] = max((columns[b] + 1 for b in before.get(node, ())), default=0)
    for node in range(leftmost, count):
        if node not in before and node in after:
            columns[node] = max(min(columns[a] for a in after[node]) - 1, 0)
    return columns


def _waypoints(columns, edges, heights):
    """Each edge as a chain of nodes in neighbouring columns."""
    columns, heights = list(columns), list(heights)
    chains = []
    ways: dict[tuple[int, int], int] = {}
    for start, end in edges:
        chain = [start]
        for column in range(columns[start] + 1, columns[end]):
            way = ways.setdefault((start, column), len(columns))
            if way == len(columns):
                columns.append(column)
                heights.append(WAY)
            chain.append(way)
        chains.append([*chain, end])
    return chains, heights, columns


def _ordered(columns: Sequence[int], chains: Sequence[Sequence[int]]):
    """The nodes of each column, ordered so that few edges cross."""
    order: list[list[int]] = [[] for _ in range(max(columns, default=-1) + 1)]
    for node, column in enumerate(columns):
        order[column].append(node)
    left, right = _neighbours(chains)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        near = left if forward else right
        rank = {n: i for nodes in order for i, n in enumerate(nodes)}
        for nodes in order if forward else reversed(order):
            mean = {
                n: _mean([rank[m] for m in near.get(n, ())], rank[n]) for n in nodes
            }
            nodes.sort(key=lambda n: (mean[n], rank[n]))
            rank.update((n, i) for i, n in enumerate(nodes))
    return order


def _levelled(order, chains, heights, count: int) -> list[float]:
    """The top of each node: near the middle of its neighbours, without overlap."""
    left, right = _neighbours(chains)
    weights = [
        WAYPOINT if n >= count else 1.0 if n in left and n in right else END
        for n in range(len(heights))
    ]
    left, right = _steady(left, count), _steady(right, count)
    tops = [0.0] * len(heights)
    for nodes in order:
        _stack(nodes, [0.0] * len(nodes), weights, heights, tops)
    for sweep in range(SWEEPS):
        near = left if sweep % 2 == 0 else right
        for nodes in order if sweep % 2 == 0 else reversed(order):
            middles = [tops[n] + heights[n] / 2 for n in nodes]
            wanted = [
                _mean([tops[m] + heights[m] / 2 for m in near.get(n, ())], middle)
                for n, middle in zip(nodes, middles, strict=True)
            ]
            starts = [w - heights[n] / 2 for n, w in zip(nodes, wanted, strict=True)]
            _stack(nodes, starts, weights, heights, tops)
    highest = min(tops, default=0.0)
    return [top - highest for top in tops]


def _steady(near: Mapping[int, list[int]], count: int) -> Mapping[int, list[int]]:
    """Of the neighbours the ones to be level with: what keeps a long chain straight.

    A node follows nodes (numbers below `count`) and a waypoint waypoints, if there are
    any; and neither the ends of the graph, if there are others: else each argument
    beside a chain of steps, and each long edge, would pull the chain further aslant.
    """

    def preferred(node: int, each: list[int]) -> list[int]:
        inner = [m for m in each if m in near]
        alike = [m for m in inner if (m < count) == (node < count)]
        return alike or inner or each

    return {node: preferred(node, each) for node, each in near.items()}


def _stack(nodes, wanted, weights, heights, tops) -> None:
    """Set the tops to the wanted ones, pushed apart as far as needed.

    Neighbours that would overlap form a block, which moves to the weighted mean of what
    its members want (the pool-adjacent-violators algorithm).
    """
    blocks: list[_Block] = []
    for node, want in zip(nodes, wanted, strict=True):
        weight, extent = weights[node], heights[node] + GAP_Y
        blocks.append(_Block(weight * want, weight, extent, 1))
        while len(blocks) > 1 and blocks[-2].end > blocks[-1].start:
            below, above = blocks.pop(), blocks.pop()
            blocks.append(above.joined(below))
    place = iter(nodes)
    for block in blocks:
        start = block.start
        for _ in range(block.members):
            node = next(place)
            tops[node] = start
            start += heights[node] + GAP_Y


class _Block(NamedTuple):
    """Nodes stacked without a gap."""

    total: float
    """Weighted sum of where the members want the block to start."""
    weight: float
    extent: float
    members: int

    @property
    def start(self) -> float:
        return self.total / self.weight

    @property
    def end(self) -> float:
        return self.start + self.extent

    def joined(self, below: "_Block") -> "_Block":
        return _Block(
            self.total + below.total - below.weight * self.extent,
            self.weight + below.weight,
            self.extent + below.extent,
            self.members + below.members,
        )


def _lefts(order, sizes: Sequence[Size]) -> tuple[list[float], float]:
    lefts, x = [], 0.0
    for nodes in order:
        lefts.append(x)
        widest = max((sizes[n].width for n in nodes if n < len(sizes)), default=0.0)
        x += widest + GAP_X
    return lefts, max(x - GAP_X, 0.0)


def _course(chain, lefts, columns, tops, heights, sizes) -> list[tuple[float, float]]:
    """From the right side of the first node to the left side of the last.

    Bends lie in the gaps between columns alone, where there are no nodes.
    """
    first, *between, last = chain
    y = tops[first] + heights[first] / 2
    points = [(lefts[columns[first]] + sizes[first].width, y)]
    points.append((lefts[columns[first] + 1] - GAP_X, y))
    for way in between:
        x, y = lefts[columns[way]], tops[way] + heights[way] / 2
        points += [(x, y), (lefts[columns[way] + 1] - GAP_X, y)]
    return [*points, (lefts[columns[last]], tops[last] + heights[last] / 2)]


def _neighbours(
    chains: Sequence[Sequence[int]],
) -> tuple[Mapping[int, list[int]], Mapping[int, list[int]]]:
    left: dict[int, list[int]] = {}
    right: dict[int, list[int]] = {}
    links = [link for c in chains for link in itertools.pairwise(c)]
    for a, b in dict.fromkeys(links):
        right.setdefault(a, []).append(b)
        left.setdefault(b, []).append(a)
    return left, right


def _mean(values: Sequence[int | float], default: int | float) -> int | float:
    return sum(values) / len(values) if values else default
