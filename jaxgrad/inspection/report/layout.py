"""Where the nodes and edges of a graph are drawn: inputs left, the result right.

The usual four passes for a layered graph (Sugiyama): a column for each node by its
longest path from the left; waypoints where an edge crosses a column, shared by all
edges from one node; the order in each column by the mean of the neighbours; heights
that bring neighbours level without overlaps.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

GAP_X, GAP_Y, WAY = 30.0, 18.0, 4.0
SWEEPS = 8
# How much the height that a waypoint prefers counts, and that of an end of the graph,
# against 1 for any other node.
WAYPOINT, END = 0.1, 0.01

Point = tuple[float, float]
Chain = Sequence[int]
Floats = Sequence[float]
Neighbours = Mapping[int, Sequence[int]]


class Size(NamedTuple):
    """Width and height of a node."""

    width: float
    height: float


class Layout(NamedTuple):
    """Where everything is drawn."""

    corners: list[Point]  # The upper left corner of each node
    courses: list[list[Point]]  # The points that each edge passes through
    size: Size  # Width and height of the whole


def lay_out(
    sizes: Sequence[Size],
    edges: Sequence[tuple[int, int]],
    leftmost: int = 0,
    farthest: int | None = None,
    gap: float = GAP_X,
) -> Layout:
    """Place nodes and edges.

    Args:
        sizes: The size of each node. Every edge leads to a later node.
        edges: Pairs (from, to).
        leftmost: How many of the first nodes stay at the left. Any other node without
            an edge to it is placed right before the first node that reads it.
        farthest: An edge over more columns than this is only a stub at its end, since
            hundreds of parallel edges cannot be told apart; None for no limit.
        gap: The room between two columns.
    """
    columns = _columns(len(sizes), edges, leftmost)
    limit = len(sizes) if farthest is None else farthest
    drawn = [(a, b) for a, b in edges if columns[b] - columns[a] <= limit]
    chains, heights, columns = _waypoints(columns, drawn, [s.height for s in sizes])
    order = _ordered(columns, chains)
    tops = _levelled(order, chains, heights, len(sizes))
    lefts, total = _lefts(order, sizes, gap)
    corners = [(lefts[columns[i]], tops[i]) for i in range(len(sizes))]
    middles = [top + height / 2 for top, height in zip(tops, heights, strict=True)]
    stubs = {(a, b): _stub(corners[b], sizes[b].height, gap) for a, b in edges}
    complete = {
        edge: _course(chain, lefts, columns, middles, sizes, gap)
        for edge, chain in zip(drawn, chains, strict=True)
    }
    courses = [complete.get(edge) or stubs[edge] for edge in edges]
    height = max(map(sum, zip(tops, heights, strict=True)), default=0.0)
    return Layout(corners, courses, Size(total, height))


def _columns(count: int, edges: Sequence[tuple[int, int]], leftmost: int) -> list[int]:
    """The length of the longest path from the left to each node."""
    before, after = _neighbours(edges)
    columns = [0] * count
    for node in range(count):
        columns[node] = max((columns[b] + 1 for b in before.get(node, ())), default=0)
    for node in range(leftmost, count):
        if node not in before and node in after:
            columns[node] = max(min(columns[a] for a in after[node]) - 1, 0)
    return columns


def _waypoints(
    columns: Sequence[int], edges: Sequence[tuple[int, int]], heights: Sequence[float]
) -> tuple[list[Chain], list[float], list[int]]:
    """Each edge as a chain of nodes in adjacent columns; heights and columns of all."""
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


def _ordered(columns: Sequence[int], chains: Sequence[Chain]) -> list[list[int]]:
    """The nodes of each column, in an order with few crossings."""
    order: list[list[int]] = [[] for _ in range(max(columns, default=-1) + 1)]
    for node, column in enumerate(columns):
        order[column].append(node)
    left, right = _neighbours(chains)
    for sweep in range(SWEEPS):
        near = left if sweep % 2 == 0 else right
        rank = {n: i for nodes in order for i, n in enumerate(nodes)}
        for nodes in order if sweep % 2 == 0 else reversed(order):
            ranks = {n: [rank[m] for m in near.get(n, ())] for n in nodes}
            mean = {n: _mean(ranks[n], rank[n]) for n in nodes}
            nodes.sort(key=lambda n: (mean[n], rank[n]))
            rank.update((n, i) for i, n in enumerate(nodes))
    return order


def _levelled(
    order: Sequence[Chain], chains: Sequence[Chain], heights: Floats, count: int
) -> list[float]:
    """The top of each node: level with its neighbours, without overlap."""
    left, right = _neighbours(chains)
    weights = [
        WAYPOINT if n >= count else 1.0 if n in left and n in right else END
        for n in range(len(heights))
    ]
    left, right = _preferred(left, count), _preferred(right, count)
    tops = [0.0] * len(heights)
    for nodes in order:
        _stack(nodes, [0.0] * len(nodes), weights, heights, tops)
    for sweep in range(SWEEPS):
        near = left if sweep % 2 == 0 else right
        for nodes in order if sweep % 2 == 0 else reversed(order):
            wanted = []
            for n in nodes:
                middles = [tops[m] + heights[m] / 2 for m in near.get(n, ())]
                half = heights[n] / 2
                wanted.append(_mean(middles, tops[n] + half) - half)
            _stack(nodes, wanted, weights, heights, tops)
    highest = min(tops, default=0.0)
    return [top - highest for top in tops]


def _preferred(near: Neighbours, count: int) -> Neighbours:
    """The neighbours to be level with, so that a long chain of steps stays straight.

    A node prefers nodes (numbers below `count`) and a waypoint prefers waypoints; both
    avoid the ends of the graph.
    """

    def best(node: int, each: Sequence[int]) -> Sequence[int]:
        inner = [m for m in each if m in near]
        alike = [m for m in inner if (m < count) == (node < count)]
        return alike or inner or each

    return {node: best(node, each) for node, each in near.items()}


def _stack(
    nodes: Chain, wanted: Floats, weights: Floats, heights: Floats, tops: list[float]
) -> None:
    """Set the tops near `wanted` without overlap, by pooling adjacent violators."""
    stacks: list[_Stack] = []
    for node, want in zip(nodes, wanted, strict=True):
        weight, extent = weights[node], heights[node] + GAP_Y
        stacks.append(_Stack(weight * want, weight, extent, 1))
        while len(stacks) > 1 and stacks[-2].end > stacks[-1].start:
            below, above = stacks.pop(), stacks.pop()
            stacks.append(above.joined(below))
    remaining = iter(nodes)
    for stack in stacks:
        top = stack.start
        for node in itertools.islice(remaining, stack.members):
            tops[node] = top
            top += heights[node] + GAP_Y


class _Stack(NamedTuple):
    """Nodes on top of each other without a gap."""

    total: float  # Weighted sum of where the members want the stack to start
    weight: float  # Sum of the members' weights
    extent: float  # Its height
    members: int  # How many nodes it has

    @property
    def start(self) -> float:
        return self.total / self.weight

    @property
    def end(self) -> float:
        return self.start + self.extent

    def joined(self, below: "_Stack") -> "_Stack":
        return _Stack(
            self.total + below.total - below.weight * self.extent,
            self.weight + below.weight,
            self.extent + below.extent,
            self.members + below.members,
        )


def _lefts(
    order: Sequence[Sequence[int]], sizes: Sequence[Size], gap: float
) -> tuple[list[float], float]:
    """The left side of each column, and the total width."""
    lefts, x = [], 0.0
    for nodes in order:
        lefts.append(x)
        widest = max((sizes[n].width for n in nodes if n < len(sizes)), default=0.0)
        x += widest + gap
    return lefts, max(x - gap, 0.0)


def _course(
    chain: Chain,
    lefts: Floats,
    columns: Chain,
    middles: Floats,
    sizes: Sequence[Size],
    gap: float,
) -> list[Point]:
    """The points from one node to another; it bends in the gaps between columns."""
    start = chain[0]
    points = [(lefts[columns[start]] + sizes[start].width, middles[start])]
    for node, following in itertools.pairwise(chain):
        points.append((lefts[columns[following]] - gap, middles[node]))
        points.append((lefts[columns[following]], middles[following]))
    return points


def _stub(corner: Point, height: float, gap: float) -> list[Point]:
    x, y = corner[0], corner[1] + 0.8 * height
    return [(x - 0.7 * gap, y), (x, y)]


def _neighbours(chains: Sequence[Chain]) -> tuple[Neighbours, Neighbours]:
    """The neighbours of each node at the left, and those at the right."""
    links = [link for chain in chains for link in itertools.pairwise(chain)]
    left, right = defaultdict(list), defaultdict(list)
    for a, b in dict.fromkeys(links):
        right[a].append(b)
        left[b].append(a)
    return dict(left), dict(right)


def _mean(values: Sequence[int | float], default: int | float) -> int | float:
    return sum(values) / len(values) if values else default
