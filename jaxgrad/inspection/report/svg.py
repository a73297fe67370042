"""The graph as SVG: one picture without scripts, fonts or files from elsewhere."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import Edge, Graph, Node, graph
from jaxgrad.inspection.report.layout import Drawing, Size, draw
from jaxgrad.inspection.report.palette import LIGHT, graph_rules
from jaxgrad.inspection.report.rows import cut

LETTER, LINE, PAD, MARGIN = 6.7, 17.0, 8.0, 16.0
LONGEST = 34
# With more nodes than this, arguments stand right before what reads them: in one
# column at the left they would be higher than any window, and their edges a curtain.
CROWD = 48
# And edges over more columns than these are stubs.
FARTHEST = 48

GEOMETRY = """
.jaxgrad-graph { font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono",
  monospace; }
.jaxgrad-graph rect { stroke-width: 1; }
.jaxgrad-graph .title { font-weight: 600; }
.jaxgrad-graph .mark { font-weight: 600; text-anchor: end; }
.jaxgrad-graph .rule { stroke-width: 1; }
.jaxgrad-graph .edge { fill: none; stroke-width: 1.2; }
.jaxgrad-graph .edge.lit { stroke-width: 2.4; }
.jaxgrad-graph .previous { stroke-dasharray: 4 3; }
.jaxgrad-graph .tip { stroke: none; }
.jaxgrad-graph .constant rect { stroke-dasharray: 3 2; }
.jaxgrad-graph .result rect, .jaxgrad-graph .exploding rect,
.jaxgrad-graph .non-finite rect { stroke-width: 2; }
.jaxgrad-graph .blamed rect { stroke-width: 3.5; }
.jaxgrad-graph g.node { cursor: default; }
.jaxgrad-graph g.node:hover rect, .jaxgrad-graph g.node:focus rect,
.jaxgrad-graph g.node:target rect { stroke-width: 3; }
.jaxgrad-graph g.node:focus { outline: none; }
"""


class _Box(NamedTuple):
    lines: tuple[str, str, str]
    size: Size


def svg(report: Report) -> str:
    """The graph of a report, alone."""
    return picture(graph(report))


def picture(graph: Graph, prefix: str = "") -> str:
    """The graph of a report; `prefix` ahead of its ids, where several share a page."""
    nodes, edges = graph.nodes, graph.edges
    boxes = [_box(node) for node in nodes]
    forward = [edge for edge in edges if edge.start < edge.end]
    drawing = _drawing(nodes, boxes, forward)
    back = [
        _back(edge, nodes, boxes, drawing.corners, prefix)
        for edge in edges
        if edge.start >= edge.end
    ]
    lowest = max((drawing.size.height, *(depth for _, depth in back)))
    size = Size(drawing.size.width + 2 * MARGIN, lowest + 2 * MARGIN)
    parts = _head(graph, size, prefix)
    for edge, course in zip(forward, drawing.courses, strict=True):
        parts.append(_path(_curve(course), edge, nodes, prefix))
    parts += [path for path, _ in back]
    for node, box, corner in zip(nodes, boxes, drawing.corners, strict=True):
        parts.append(_node(node, box, corner, prefix))
    return "\n".join([*parts, "</svg>"])


def _drawing(
    nodes: Sequence[Node], boxes: Sequence[_Box], edges: Sequence[Edge]
) -> Drawing:
    given = sum(node.kind in ("argument", "constant") for node in nodes)
    pairs = [(edge.start, edge.end) for edge in edges]
    sizes = [box.size for box in boxes]
    if len(nodes) <= CROWD:
        return draw(sizes, pairs, leftmost=given)
    return draw(sizes, pairs, farthest=FARTHEST)


def _head(graph: Graph, size: Size, prefix: str) -> list[str]:
    width, height = f"{size.width:.0f}", f"{size.height:.0f}"
    steps = sum(node.kind in ("step", "result") for node in graph.nodes)
    label = escape(f"The graph of {graph.name}: {steps} steps")
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="jaxgrad-graph" role="group" '
        f'aria-label="{label}" width="{width}" height="{height}" '
        f'style="--width:{width}px" '
        f'viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width} {height}">',
        f"<style>{GEOMETRY}{graph_rules(LIGHT)}</style>",
        f'<defs><marker id="{prefix}tip" markerWidth="8" markerHeight="6" refX="7" '
        'refY="3" orient="auto" markerUnits="userSpaceOnUse"><path class="tip" '
        'd="M0,0 L8,3 L0,6 z"/></marker></defs>',
    ]


def _box(node: Node) -> _Box:
    value, gradient = (
        f"value {cut(node.value, LONGEST)}",
        f"grad {cut(node.gradient, LONGEST)}",
    )
    lines = (cut(node.title, LONGEST), value, gradient)
    title = len(lines[0]) + (len(node.mark) + 2 if node.mark else 0)
    letters = max(title * 1.04, len(value), len(gradient))
    return _Box(lines, Size(letters * LETTER + 2 * PAD, 3 * LINE + PAD))


def _node(node: Node, box: _Box, corner: tuple[float, float], prefix: str) -> str:
    x, y = corner
    classes = escape(" ".join(("node", node.kind, *node.marks)))
    title, value, gradient = (escape(line) for line in box.lines)
    kind = "none" if node.gradient == "none" else "grad"
    return (
        f'<g class="{classes}" id="{prefix}{node.key}" tabindex="0" role="img" '
        f'transform="translate({x:.1f},{y:.1f})">'
        f"<title>{escape(chr(10).join(node.more))}</title>"
        f'<rect width="{box.size.width:.1f}" height="{box.size.height:.1f}" rx="4"/>'
        f'<text class="title" x="{PAD:g}" y="{LINE - 2:g}">{title}</text>'
        f"{_mark(node, box)}{_rule(1, box)}{_rule(2, box)}"
        f'<text x="{PAD:g}" y="{2 * LINE:g}">{value}</text>'
        f'<text class="{kind}" x="{PAD:g}" y="{3 * LINE + 1:g}">{gradient}</text></g>'
    )


def _mark(node: Node, box: _Box) -> str:
    if not node.mark:
        return ""
    x = box.size.width - PAD
    return f'<text class="mark" x="{x:.1f}" y="{LINE - 2:g}">{node.mark}</text>'


def _rule(row: int, box: _Box) -> str:
    y = row * LINE + 4
    x = box.size.width - 1
    return f'<line class="rule" x1="1" x2="{x:.1f}" y1="{y:g}" y2="{y:g}"/>'


def _curve(course: Sequence[tuple[float, float]]) -> str:
    (x, y), *rest = course
    path = f"M{x:.1f},{y:.1f}"
    for nx, ny in rest:
        bend = (x + nx) / 2
        level = abs(ny - y) < 0.05
        path += (
            f" H{nx:.1f}"
            if level
            else (f" C{bend:.1f},{y:.1f} {bend:.1f},{ny:.1f} {nx:.1f},{ny:.1f}")
        )
        x, y = nx, ny
    return path


def _back(edge: Edge, nodes, boxes, corners, prefix: str) -> tuple[str, float]:
    """An edge to the next iteration of a loop, below what it passes; and its depth."""
    (sx, sy), (ex, ey) = corners[edge.start], corners[edge.end]
    start, end = boxes[edge.start].size, boxes[edge.end].size
    a, b = sx + 0.7 * start.width, ex + 0.3 * end.width
    passed = [
        y + box.size.height
        for (x, y), box in zip(corners, boxes, strict=True)
        if x < a and x + box.size.width > b
    ]
    below = max(passed) + LINE
    path = (
        f"M{a:.1f},{sy + start.height:.1f} C{a:.1f},{below:.1f} {a:.1f},{below:.1f} "
        f"{(a + b) / 2:.1f},{below:.1f} S{b:.1f},{below:.1f} {b:.1f},"
        f"{ey + end.height:.1f}"
    )
    return _path(path, edge, nodes, prefix), below


def _path(path: str, edge: Edge, nodes: Sequence[Node], prefix: str) -> str:
    ends = f"{prefix}{nodes[edge.start].key} {prefix}{nodes[edge.end].key}"
    kind = "edge previous" if edge.previous else "edge"
    return (
        f'<path class="{kind}" data-ends="{ends}" d="{path}" '
        f'marker-end="url(#{prefix}tip)"/>'
    )
