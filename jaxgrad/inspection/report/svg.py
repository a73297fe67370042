"""The graph as SVG: one picture without scripts, fonts or other files."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import Drawing, Edge, Node, drawing_of
from jaxgrad.inspection.report.files import graph_style, template
from jaxgrad.inspection.report.format import cut
from jaxgrad.inspection.report.layout import Point, Size, lay_out

LETTER, LINE, PAD, MARGIN = 6.7, 17.0, 8.0, 16.0
LONGEST = 34
# With more nodes than this, arguments are drawn right before their first reader: one
# column at the left would be higher than any window, and its edges would hide the rest.
CROWD = 48
# Edges over more columns than this are drawn as stubs.
FARTHEST = 48


class _Box(NamedTuple):
    """A node with its three lines of text cut, and where it is drawn."""

    node: Node
    lines: tuple[str, str, str]
    size: Size
    corner: Point = (0.0, 0.0)


def svg(report: Report) -> str:
    """The graph of a report as a standalone file."""
    return picture(drawing_of(report), style=f"<style>\n{graph_style()}</style>")


def picture(drawing: Drawing, prefix: str = "", style: str = "") -> str:
    """A drawing as SVG; all ids start with `prefix`, so drawings can share a page."""
    placed = place(drawing, prefix)
    steps = sum(node.kind in ("step", "result") for node in drawing.nodes)
    label = f"The graph of {drawing.name}: {steps} steps"
    return frame(label, placed.content, placed.size, prefix, style)


class Placed(NamedTuple):
    """A drawing with positions: its elements, its size, and where each node is."""

    content: list[str]
    size: Size
    areas: dict[str, tuple[Point, Size]]  # By the key of the node


def place(drawing: Drawing, prefix: str) -> Placed:
    """The elements of a drawing, from the corner (0, 0)."""
    boxes = [_box(node) for node in drawing.nodes]
    forward = [edge for edge in drawing.edges if edge.start < edge.end]
    inputs = sum(box.node.kind in ("argument", "constant") for box in boxes)
    few = len(boxes) <= CROWD
    layout = lay_out(
        [box.size for box in boxes],
        [(edge.start, edge.end) for edge in forward],
        leftmost=inputs if few else 0,
        farthest=None if few else FARTHEST,
    )
    pairs = zip(boxes, layout.corners, strict=True)
    boxes = [box._replace(corner=corner) for box, corner in pairs]
    paths = [
        _path(_curve(course), edge, boxes, prefix)
        for edge, course in zip(forward, layout.courses, strict=True)
    ]
    lowest = layout.size.height
    for edge in drawing.edges:
        if edge.start >= edge.end:
            curve, depth = _loop(boxes[edge.start], boxes[edge.end], boxes)
            paths.append(_path(curve, edge, boxes, prefix))
            lowest = max(lowest, depth)
    areas = {box.node.key: (box.corner, box.size) for box in boxes}
    content = [*paths, *(_node(box, prefix) for box in boxes)]
    return Placed(content, Size(layout.size.width, lowest), areas)


def frame(
    label: str, content: Sequence[str], size: Size, prefix: str, style: str = ""
) -> str:
    """Elements within a size as one SVG with a margin."""
    width, height = (f"{side + 2 * MARGIN:.0f}" for side in size)
    text = template("graph.svg").substitute(
        label=escape(label),
        width=width,
        height=height,
        box=f"{-MARGIN:.0f} {-MARGIN:.0f} {width} {height}",
        prefix=prefix,
        style=style,
        content="\n".join(content),
    )
    return text.rstrip()


def _box(node: Node) -> _Box:
    title = cut(node.title, LONGEST)
    value = f"value {cut(node.value, LONGEST)}"
    gradient = f"grad {cut(node.gradient, LONGEST)}"
    first = len(title) + (len(node.mark) + 2 if node.mark else 0)
    letters = max(first * 1.04, len(value), len(gradient))
    size = Size(letters * LETTER + 2 * PAD, 3 * LINE + PAD)
    return _Box(node, (title, value, gradient), size)


def _node(box: _Box, prefix: str) -> str:
    node, (x, y), (width, height) = box.node, box.corner, box.size
    classes = " ".join(("node", node.kind, *node.marks))
    title, value, gradient = map(escape, box.lines)
    kind = "none" if node.gradient == "none" else "grad"
    right, top = f"{width - PAD:.1f}", f"{LINE - 2:g}"
    mark = f'<text class="mark" x="{right}" y="{top}">{node.mark}</text>'
    return (
        f'<g class="{classes}" id="{prefix}{node.key}" tabindex="0" role="img" '
        f'transform="translate({x:.1f},{y:.1f})">'
        f"<title>{escape(chr(10).join(node.details))}</title>"
        f'<rect width="{width:.1f}" height="{height:.1f}" rx="4"/>'
        f'<text class="title" x="{PAD:g}" y="{LINE - 2:g}">{title}</text>'
        f"{mark if node.marks else ''}{_rule(1, width)}{_rule(2, width)}"
        f'<text x="{PAD:g}" y="{2 * LINE:g}">{value}</text>'
        f'<text class="{kind}" x="{PAD:g}" y="{3 * LINE + 1:g}">{gradient}</text></g>'
    )


def _rule(row: int, width: float) -> str:
    y = row * LINE + 4
    return f'<line class="rule" x1="1" x2="{width - 1:.1f}" y1="{y:g}" y2="{y:g}"/>'


def _curve(course: Sequence[Point]) -> str:
    """A path through the points, level at each of them."""
    (x, y), *rest = course
    parts = [f"M{x:.1f},{y:.1f}"]
    for next_x, next_y in rest:
        middle = (x + next_x) / 2
        bend = f"C{middle:.1f},{y:.1f} {middle:.1f},{next_y:.1f}"
        level = abs(next_y - y) < 0.05
        parts.append(f"H{next_x:.1f}" if level else f"{bend} {next_x:.1f},{next_y:.1f}")
        x, y = next_x, next_y
    return " ".join(parts)


def _loop(start: _Box, end: _Box, boxes: Sequence[_Box]) -> tuple[str, float]:
    """An edge to the next iteration of a loop, below the boxes between; its depth."""
    a = start.corner[0] + 0.7 * start.size.width
    b = end.corner[0] + 0.3 * end.size.width
    low = LINE + max(
        box.corner[1] + box.size.height
        for box in boxes
        if box.corner[0] < a and box.corner[0] + box.size.width > b
    )
    path = (
        f"M{a:.1f},{start.corner[1] + start.size.height:.1f} "
        f"C{a:.1f},{low:.1f} {a:.1f},{low:.1f} {(a + b) / 2:.1f},{low:.1f} "
        f"S{b:.1f},{low:.1f} {b:.1f},{end.corner[1] + end.size.height:.1f}"
    )
    return path, low


def _path(path: str, edge: Edge, boxes: Sequence[_Box], prefix: str) -> str:
    ends = f"{prefix}{boxes[edge.start].node.key} {prefix}{boxes[edge.end].node.key}"
    kind = "edge previous" if edge.previous else "edge"
    shape = f'd="{path}" marker-end="url(#{prefix}tip)"'
    return f'<path class="{kind}" data-ends="{ends}" {shape}/>'
