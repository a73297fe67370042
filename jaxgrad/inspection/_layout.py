"""A layered drawing of the graph: what it needs at the left, the result at the right.

The usual four passes: a column per node by its longest path from the left, waypoints
where an edge crosses a column, the order in each column by the mean of the
neighbours, and heights that pull neighbours level without overlaps.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

GAP_X, GAP_Y, WAY = 56.0, 18.0, 10.0
SWEEPS = 8


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
    sizes: Sequence[Size], edges: Sequence[tuple[int, int]], leftmost: int = 0
) -> Drawing:
    """Place nodes and edges.

    Args:
        sizes: The size of each node; nodes are numbered in an order in which every
            edge leads from a smaller number to a larger one.
        edges: Pairs (from, to).
        leftmost: So many of the first nodes stay at the left; any other that nothing
            leads to stands right before what it leads to.
    """
    columns = _columns(len(sizes), edges, leftmost)
    chains, heights, columns = _waypoints(columns, edges, [s.height for s in sizes])
    order = _ordered(columns, chains)
    tops = _levelled(order, chains, heights)
    lefts, total = _lefts(order, sizes)
    corners = [(lefts[columns[i]], tops[i]) for i in range(len(sizes))]
    courses = [_course(chain, lefts, columns, tops, heights, sizes) for chain in chains]
    height = max((tops[i] + heights[i] for i in range(len(heights))), default=0.0)
    return Drawing(corners, courses, Size(total, height))


def _columns(
    count: int, edges: Sequence[tuple[int, int]], leftmost: int
) -> list[int]:
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
    for start, end in edges:
        chain = [start]
        for column in range(columns[start] + 1, columns[end]):
            chain.append(len(columns))
            columns.append(column)
            heights.append(WAY)
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
            mean = {n: _mean([rank[m] for m in near.get(n, ())], rank[n]) for n in nodes}
            nodes.sort(key=lambda n: (mean[n], rank[n]))
            rank.update((n, i) for i, n in enumerate(nodes))
    return order


def _levelled(order, chains, heights) -> list[float]:
    """The top of each node: near the middle of its neighbours, without overlap."""
    left, right = _neighbours(chains)
    tops = [0.0] * len(heights)
    for nodes in order:
        _stack(nodes, [0.0] * len(nodes), heights, tops)
    for sweep in range(SWEEPS):
        near = left if sweep % 2 == 0 else right
        for nodes in order if sweep % 2 == 0 else reversed(order):
            wanted = [
                _mean([tops[m] + heights[m] / 2 for m in near.get(n, ())], None)
                for n in nodes
            ]
            _stack(
                nodes,
                [
                    tops[n] if w is None else w - heights[n] / 2
                    for n, w in zip(nodes, wanted, strict=True)
                ],
                heights,
                tops,
            )
    highest = min(tops, default=0.0)
    return [top - highest for top in tops]


def _stack(nodes, wanted, heights, tops) -> None:
    """Set the tops to the wanted ones, pushed apart as far as needed.

    Neighbours that would overlap form a block, which moves to the mean of what its
    members want (the pool-adjacent-violators algorithm).
    """
    blocks: list[list[float]] = []  # [sum of wanted starts, members, start, extent]
    for node, want in zip(nodes, wanted, strict=True):
        extent = heights[node] + GAP_Y
        blocks.append([want, 1, want, extent])
        while len(blocks) > 1 and blocks[-2][2] + blocks[-2][3] > blocks[-1][2]:
            total, members, _, extent = blocks.pop()
            head = blocks[-1]
            head[0] += total - members * head[3]
            head[1] += members
            head[2] = head[0] / head[1]
            head[3] += extent
    place = iter(nodes)
    for _, members, start, _ in blocks:
        for _ in range(int(members)):
            node = next(place)
            tops[node] = start
            start += heights[node] + GAP_Y


def _lefts(order, sizes: Sequence[Size]) -> tuple[list[float], float]:
    lefts, x = [], 0.0
    for nodes in order:
        lefts.append(x)
        widest = max((sizes[n].width for n in nodes if n < len(sizes)), default=0.0)
        x += widest + GAP_X
    return lefts, max(x - GAP_X, 0.0)


def _course(chain, lefts, columns, tops, heights, sizes) -> list[tuple[float, float]]:
    """From the right side of the first node to the left side of the last."""
    first, *between, last = chain
    points = [
        (lefts[columns[first]] + sizes[first].width, tops[first] + heights[first] / 2)
    ]
    for way in between:
        x, y = lefts[columns[way]], tops[way] + heights[way] / 2
        following = columns[way] + 1
        points += [(x, y), (lefts[following] - GAP_X, y)]
    return [*points, (lefts[columns[last]], tops[last] + heights[last] / 2)]


def _neighbours(
    chains: Sequence[Sequence[int]],
) -> tuple[Mapping[int, list[int]], Mapping[int, list[int]]]:
    left: dict[int, list[int]] = {}
    right: dict[int, list[int]] = {}
    for chain in chains:
        for a, b in zip(chain, chain[1:], strict=False):
            right.setdefault(a, []).append(b)
            left.setdefault(b, []).append(a)
    return left, right


def _mean(values: Sequence[float], default):
    return sum(values) / len(values) if values else default
