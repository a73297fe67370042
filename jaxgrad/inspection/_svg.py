"""The graph as SVG: one picture without scripts, fonts or files from elsewhere."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from jaxgrad.inspection._layout import Size, draw
from jaxgrad.inspection._nodes import Edge, Node, graph
from jaxgrad.inspection._steps import Explanation

LETTER, LINE, PAD, MARGIN = 6.7, 17.0, 8.0, 16.0
LONGEST = 34

STYLE = """
.jaxgrad-graph { font: 11px ui-monospace, Menlo, Consolas, monospace; }
.jaxgrad-graph rect { fill: #ffffff; stroke: #64748b; stroke-width: 1; }
.jaxgrad-graph text { fill: #0f172a; }
.jaxgrad-graph .title { font-weight: 600; }
.jaxgrad-graph .grad { fill: #1d4ed8; }
.jaxgrad-graph .rule { stroke: #cbd5e1; stroke-width: 1; }
.jaxgrad-graph .edge { fill: none; stroke: #94a3b8; stroke-width: 1.2; }
.jaxgrad-graph .previous { stroke-dasharray: 4 3; }
.jaxgrad-graph .tip { fill: #94a3b8; stroke: none; }
.jaxgrad-graph .argument rect { fill: #eff6ff; stroke: #3b82f6; }
.jaxgrad-graph .constant rect { fill: #f8fafc; stroke-dasharray: 3 2; }
.jaxgrad-graph .result rect { fill: #ecfdf5; stroke: #059669; stroke-width: 2; }
.jaxgrad-graph .zero rect { stroke-dasharray: 2 2; }
.jaxgrad-graph .dead rect { fill: #e2e8f0; stroke: #475569; }
.jaxgrad-graph .exploding rect { fill: #ffedd5; stroke: #ea580c; stroke-width: 2; }
.jaxgrad-graph .non-finite rect { fill: #fee2e2; stroke: #dc2626; stroke-width: 2; }
.jaxgrad-graph g.node { cursor: default; }
.jaxgrad-graph g.node:hover rect, .jaxgrad-graph g.node:focus rect { stroke-width: 3; }
.jaxgrad-graph g.node:focus { outline: none; }
"""


class _Box(NamedTuple):
    lines: tuple[str, str, str]
    size: Size


def svg(report: Explanation, prefix: str = "") -> str:
    """The graph of a report.

    Args:
        report: The report.
        prefix: Ahead of the nodes' ids, where several graphs share a page.
    """
    nodes, edges = graph(report)
    boxes = [_box(node) for node in nodes]
    forward = [edge for edge in edges if edge.start < edge.end]
    given = sum(node.kind in ("argument", "constant") for node in nodes)
    pairs = [(edge.start, edge.end) for edge in forward]
    drawing = draw([box.size for box in boxes], pairs, leftmost=given)
    back = [
        _back(edge, nodes, boxes, drawing.corners)
        for edge in edges
        if edge.start >= edge.end
    ]
    lowest = max((drawing.size.height, *(depth for _, depth in back)))
    width, height = drawing.size.width + 2 * MARGIN, lowest + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="jaxgrad-graph" role="img" '
        f'aria-label="{escape(_label(report))}" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width:.0f} '
        f'{height:.0f}">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="6" refX="7" refY="3" '
        'orient="auto" markerUnits="userSpaceOnUse"><path class="tip" '
        'd="M0,0 L8,3 L0,6 z"/></marker></defs>',
    ]
    for edge, course in zip(forward, drawing.courses, strict=True):
        parts.append(_edge(edge, nodes, course))
    parts += [path for path, _ in back]
    for node, box, corner in zip(nodes, boxes, drawing.corners, strict=True):
        parts.append(_node(node, box, corner, prefix))
    return "\n".join([*parts, "</svg>"])


def _box(node: Node) -> _Box:
    lines = (_cut(node.title), _cut(node.value), _cut(node.gradient))
    letters = max(len(lines[0]) * 1.04, len(lines[1]) + 6, len(lines[2]) + 5)
    return _Box(lines, Size(letters * LETTER + 2 * PAD, 3 * LINE + PAD))


def _node(node: Node, box: _Box, corner: tuple[float, float], prefix: str) -> str:
    x, y = corner
    classes = escape(" ".join(("node", node.kind, *node.marks)))
    more = escape("\n".join(node.more))
    title, value, gradient = (escape(line) for line in box.lines)
    return (
        f'<g class="{classes}" id="{prefix}{node.key}" tabindex="0" '
        f'data-more="{more}" transform="translate({x:.1f},{y:.1f})">'
        f"<title>{more}</title>"
        f'<rect width="{box.size.width:.1f}" height="{box.size.height:.1f}" rx="4"/>'
        f'<text class="title" x="{PAD}" y="{LINE - 2}">{title}</text>'
        f"{_rule(1, box)}{_rule(2, box)}"
        f'<text x="{PAD}" y="{2 * LINE}">value {value}</text>'
        f'<text class="grad" x="{PAD}" y="{3 * LINE + 1}">grad {gradient}</text></g>'
    )


def _rule(row: int, box: _Box) -> str:
    y = row * LINE + 4
    return f'<line class="rule" x1="0" x2="{box.size.width:.1f}" y1="{y}" y2="{y}"/>'


def _edge(edge: Edge, nodes: Sequence[Node], course) -> str:
    (x, y), *rest = course
    path = f"M{x:.1f},{y:.1f}"
    for nx, ny in rest:
        bend = (x + nx) / 2
        path += f" C{bend:.1f},{y:.1f} {bend:.1f},{ny:.1f} {nx:.1f},{ny:.1f}"
        x, y = nx, ny
    return _path(path, edge, nodes)


def _back(edge: Edge, nodes, boxes, corners) -> tuple[str, float]:
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
    return _path(path, edge, nodes), below


def _path(path: str, edge: Edge, nodes: Sequence[Node]) -> str:
    ends = f"{nodes[edge.start].key} {nodes[edge.end].key}"
    kind = "edge previous" if edge.previous else "edge"
    return f'<path class="{kind}" data-ends="{ends}" d="{path}" marker-end="url(#tip)"/>'


def _label(report: Explanation) -> str:
    return f"The graph of {report.name}: {len(report.steps)} steps"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
