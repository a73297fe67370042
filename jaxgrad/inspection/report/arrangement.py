"""A drawing with positions: boxes with their lines of text, and curves between them.

SVG, PNG and PDF are drawn from it. A graph runs down the page, as the source does, or
from left to right: then the layout is that of the turned boxes, turned back.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxgrad.inspection.report.drawing import Drawing, Edge, Node
from jaxgrad.inspection.report.format import columns_of, cut
from jaxgrad.inspection.report.layout import GAP_X, Layout, Point, Size, lay_out

LETTER, LINE, PAD = 7.3, 15.0, 8.0
BASELINE = 13.0  # Of the first line
LONGEST = 34
# With more nodes than this, arguments are drawn right before their first reader: one
# column at the left would be higher than any window, and its edges would hide the rest.
CROWD = 48
# Edges over more columns than this are drawn as stubs.
FARTHEST = 48
# Between the rows of a graph that runs down: MNIST's fits a window of 1280 x 800.
GAP_DOWN = 18.0
# A graph that is wider than this when it runs down may be narrower from left to right.
WIDE = 900.0


class Box(NamedTuple):
    """A node with its three lines of text cut, and where it is drawn."""

    node: Node
    lines: tuple[str, str, str]
    corner: Point
    size: Size


class Curve(NamedTuple):
    """An edge from its start through cubic Bezier segments of three points each."""

    edge: Edge
    start: Point
    segments: Sequence[tuple[Point, Point, Point]]


class Arrangement(NamedTuple):
    """Everything that is drawn, from the corner (0, 0)."""

    boxes: Sequence[Box]
    curves: Sequence[Curve]
    size: Size


def arrange(drawing: Drawing, across: bool | None = None) -> Arrangement:
    """The drawing from left to right if `across`, else down.

    None means down; if that is wider than `WIDE`, the narrower of the two.
    """
    if across is not None:
        return _arranged(drawing, across)
    down = _arranged(drawing, across=False)
    if down.size.width <= WIDE:
        return down
    return min(down, _arranged(drawing, across=True), key=lambda a: a.size.width)


def _arranged(drawing: Drawing, across: bool) -> Arrangement:
    lines = [_lines(node) for node in drawing.nodes]
    pairs = zip(drawing.nodes, lines, strict=True)
    sizes = [_size(node, texts) for node, texts in pairs]
    forward = [edge for edge in drawing.edges if edge.start < edge.end]
    inputs = sum(node.kind in ("argument", "constant") for node in drawing.nodes)
    few = across and len(sizes) <= CROWD
    turned = sizes if across else [_turned(size) for size in sizes]
    layout = lay_out(
        turned,
        [(edge.start, edge.end) for edge in forward],
        leftmost=inputs if few else 0,
        farthest=None if few else FARTHEST,
        gap=GAP_X if across else GAP_DOWN,
    )
    curves = [
        _curve(edge, course)
        for edge, course in zip(forward, layout.courses, strict=True)
    ]
    loops = [
        _loop(edge, layout, turned) for edge in drawing.edges if edge.start >= edge.end
    ]
    lowest = max([layout.size.height, *(curve.segments[0][1][1] for curve in loops)])
    flow = Size(layout.size.width, lowest)
    corners = layout.corners if across else [(y, x) for x, y in layout.corners]
    boxes = map(Box, drawing.nodes, lines, corners, sizes)
    every = [*curves, *loops]
    if not across:
        every = [_turned_curve(curve) for curve in every]
    return Arrangement([*boxes], every, flow if across else _turned(flow))


def _lines(node: Node) -> tuple[str, str, str]:
    value, gradient = (cut(text, LONGEST) for text in (node.value, node.gradient))
    return cut(node.title, LONGEST), f"value {value}", f"grad {gradient}"


def _size(node: Node, lines: tuple[str, str, str]) -> Size:
    title, value, gradient = map(columns_of, lines)
    first = title + (len(node.mark) + 2 if node.mark else 0)
    letters = max(first * 1.04, value, gradient)
    return Size(letters * LETTER + 2 * PAD, 3 * LINE + 4)


def _turned(size: Size) -> Size:
    return Size(size.height, size.width)


def _turned_curve(curve: Curve) -> Curve:
    (x, y), segments = curve.start, curve.segments
    return Curve(
        curve.edge,
        (y, x),
        [((a[1], a[0]), (b[1], b[0]), (c[1], c[0])) for a, b, c in segments],
    )


def _curve(edge: Edge, course: Sequence[Point]) -> Curve:
    """A curve through the points, level at each of them."""
    (x, y), *rest = course
    segments = []
    for end in rest:
        middle = (x + end[0]) / 2
        segments.append(((middle, y), (middle, end[1]), end))
        x, y = end
    return Curve(edge, course[0], segments)


def _loop(edge: Edge, layout: Layout, sizes: Sequence[Size]) -> Curve:
    """An edge to the next iteration of a loop, beyond the boxes between."""
    (left, top), (left_of_end, top_of_end) = (layout.corners[i] for i in edge[:2])
    a = left + 0.7 * sizes[edge.start].width
    b = left_of_end + 0.3 * sizes[edge.end].width
    low = LINE + max(
        y + size.height
        for (x, y), size in zip(layout.corners, sizes, strict=True)
        if x < a and x + size.width > b
    )
    start = a, top + sizes[edge.start].height
    end = b, top_of_end + sizes[edge.end].height
    middle = (a + b) / 2, low
    return Curve(edge, start, [((a, low), (a, low), middle), ((b, low), (b, low), end)])
