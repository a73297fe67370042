"""The graph as SVG: one picture without scripts, fonts or other files."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from jaxgrad.inspection.report.arrangement import (
    PAD,
    Arrangement,
    Box,
    Curve,
    arrange,
)
from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import Drawing, drawing_of
from jaxgrad.inspection.report.files import graph_style, template
from jaxgrad.inspection.report.layout import Point, Size

MARGIN = 10.0


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

    content: Sequence[str]
    size: Size
    areas: dict[str, tuple[Point, Size]]  # By the key of the node


def place(drawing: Drawing, prefix: str, across: bool | None = None) -> Placed:
    """The elements of a drawing, from the corner (0, 0)."""
    arranged = arrange(drawing, across)
    areas = {box.node.key: (box.corner, box.size) for box in arranged.boxes}
    paths = [_path(curve, arranged, prefix) for curve in arranged.curves]
    nodes = [_node(box, prefix) for box in arranged.boxes]
    return Placed([*paths, *nodes], arranged.size, areas)


def frame(
    label: str, content: Sequence[str], size: Size, prefix: str, style: str = ""
) -> str:
    """Elements within a size as one SVG with a margin."""
    width, height = (round(side + 2 * MARGIN) for side in size)
    text = template("graph.svg").substitute(
        label=escape(label),
        width=width,
        height=height,
        ratio=round(width / height, 3),
        box=f"{-MARGIN:.0f} {-MARGIN:.0f} {width} {height}",
        prefix=prefix,
        style=style,
        content="\n".join(content),
    )
    return text.rstrip()


def _node(box: Box, prefix: str) -> str:
    node, (x, y), (width, height) = box.node, box.corner, box.size
    title, value, gradient = map(escape, box.lines)
    mark = template("mark.svg").substitute(mark=node.mark, x=f"{width - PAD:.1f}")
    return (
        template("node.svg")
        .substitute(
            id=prefix + node.key,
            classes=" ".join(("node", node.kind, *node.marks)),
            place=f"{x:.1f},{y:.1f}",
            details=escape("\n".join(node.details)),
            width=f"{width:.1f}",
            height=f"{height:.1f}",
            right=f"{width - 1:.1f}",
            title=title,
            mark=mark.strip() if node.marks else "",
            value=value,
            kind="none" if node.gradient == "none" else "grad",
            gradient=gradient,
        )
        .rstrip()
    )


def _path(curve: Curve, arranged: Arrangement, prefix: str) -> str:
    edge, boxes = curve.edge, arranged.boxes
    ends = (prefix + boxes[i].node.key for i in (edge.start, edge.end))
    return (
        template("edge.svg")
        .substitute(
            kind="edge previous" if edge.previous else "edge",
            ends=" ".join(ends),
            path=_commands(curve),
            tip=f"{prefix}tip",
        )
        .rstrip()
    )


def _commands(curve: Curve) -> str:
    x, y = curve.start
    parts = [f"M{x:.1f},{y:.1f}"]
    for one, other, end in curve.segments:
        if abs(end[1] - y) < 0.05 and abs(one[1] - y) < 0.05:
            parts.append(f"H{end[0]:.1f}")
        elif abs(end[0] - x) < 0.05 and abs(one[0] - x) < 0.05:
            parts.append(f"V{end[1]:.1f}")
        else:
            points = (f"{a:.1f},{b:.1f}" for a, b in (one, other, end))
            parts.append(f"C{' '.join(points)}")
        x, y = end
    return " ".join(parts)
