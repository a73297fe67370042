"""Both graphs in one picture, theirs above ours, with the matched nodes joined."""

from collections.abc import Iterator

from jaxgrad.inspection.comparison.result import Findings, Matched
from jaxgrad.inspection.comparison.text import is_first
from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import Drawing, drawing_of
from jaxgrad.inspection.report.files import graph_style
from jaxgrad.inspection.report.format import plain
from jaxgrad.inspection.report.layout import Size
from jaxgrad.inspection.report.marks import key_of
from jaxgrad.inspection.report.svg import Placed, frame, place

GAP = 120.0  # Between the two graphs


def standalone(found: Findings) -> str:
    """The picture as a file of its own."""
    return svg(found, style=f"<style>\n{graph_style()}</style>")


def svg(found: Findings, prefix: str = "", style: str = "") -> str:
    """The picture; all ids start with `prefix`."""
    sides = [
        place(_drawing(found, side), f"{prefix}{name}-", across=True)
        for side, name in ((0, "theirs"), (1, "ours"))
    ]
    down = sides[0].size.height + GAP
    width = max(placed.size.width for placed in sides)
    size = Size(width, down + sides[1].size.height)
    content = [
        *_joins(found, sides[0], sides[1], down),
        *sides[0].content,
        f'<g transform="translate(0,{down:.1f})">',
        *sides[1].content,
        "</g>",
    ]
    names = f"{plain(found.theirs.name)} above, {plain(found.ours.name)} below"
    # The arrow heads are named once for each side.
    text = frame(f"Two graphs: {names}", content, size, f"{prefix}theirs-", style)
    return text.replace(f"url(#{prefix}ours-tip)", f"url(#{prefix}theirs-tip)")


def _drawing(found: Findings, side: int) -> Drawing:
    """A report's drawing with the first difference marked, and no other marks."""
    report: Report = found.ours if side else found.theirs
    named = set()
    if found.first is not None:
        thing = found.first.ours if side else found.first.theirs
        named = {None if thing is None else key_of(thing)}
    drawing = drawing_of(report)
    nodes = [
        node._replace(marks=("blamed",) if node.key in named else ())
        for node in drawing.nodes
    ]
    return drawing._replace(nodes=nodes)


def _joins(found: Findings, theirs: Placed, ours: Placed, down: float) -> Iterator[str]:
    """A line between each pair of nodes; of a loop's iterations the worst counts."""
    worst: dict[tuple[str, str], tuple[bool, bool]] = {}
    for m in found.matched:
        if m.theirs is not None and m.ours is not None:
            keys = key_of(m.theirs), key_of(m.ours)
            parted, first = worst.get(keys, (False, False))
            worst[keys] = parted or _parted(m), first or is_first(m, found.first)
    for (a, b), (parted, first) in worst.items():
        if a in theirs.areas and b in ours.areas:
            (x, y), size = theirs.areas[a]
            (u, v), other = ours.areas[b]
            kind = f"join{' parted' if parted else ''}{' first' if first else ''}"
            yield (
                f'<line class="{kind}" x1="{x + size.width / 2:.1f}" '
                f'y1="{y + size.height:.1f}" x2="{u + other.width / 2:.1f}" '
                f'y2="{v + down:.1f}"/>'
            )


def _parted(m: Matched) -> bool:
    return (m.value or 0) > 1 or (m.gradient or 0) > 1
