"""The graph as PNG or PDF, drawn by matplotlib in the light page's colours."""

import io
from typing import Any, Literal

from jaxgrad.inspection.report.arrangement import (
    BASELINE,
    LINE,
    PAD,
    Arrangement,
    Box,
    Curve,
    arrange,
)
from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import Drawing, drawing_of
from jaxgrad.inspection.report.files import light_colours

MARGIN, INCH = 16.0, 96.0  # In the units of the drawing
# Dots per inch, and the most dots per side that matplotlib draws.
DPI, MOST = 192.0, 2**16 - 1
FONT = 12 * 72 / INCH
# For characters that matplotlib's own font lacks, such as Japanese names.
OTHER_FONTS = (
    *("Noto Sans Mono CJK JP", "Noto Sans CJK JP", "IPAGothic", "MS Gothic"),
    *("Yu Gothic", "Hiragino Sans", "Arial Unicode MS"),
)
Format = Literal["png", "pdf"]


def picture_file(report: Report, format: Format) -> bytes:
    """The graph of a report as a file."""
    return raster(drawing_of(report), format)


def raster(drawing: Drawing, format: Format) -> bytes:
    """A drawing as a file.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as fault:
        message = f"save: .{format} needs matplotlib: pip install matplotlib."
        raise ImportError(message) from fault
    arranged = arrange(drawing)
    width, height = (max(side, 1.0) + 2 * MARGIN for side in arranged.size)
    figure = Figure(figsize=(width / INCH, height / INCH))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-MARGIN, width - MARGIN)
    axes.set_ylim(height - MARGIN, -MARGIN)
    _draw(axes, arranged)
    file, dpi = io.BytesIO(), min(DPI, MOST * INCH / max(width, height))
    dates = {"CreationDate": None} if format == "pdf" else None
    figure.savefig(file, format=format, dpi=dpi, metadata=dates)
    return file.getvalue()


def _families() -> list[str]:
    """The monospaced font, and those of `OTHER_FONTS` that are installed."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["monospace", *(name for name in OTHER_FONTS if name in installed)]


def _draw(axes: Any, arranged: Arrangement) -> None:
    colours = light_colours()
    for curve in arranged.curves:
        axes.add_patch(_arrow(curve, colours["edge"]))
    for box in arranged.boxes:
        _draw_box(axes, box, colours)


def _arrow(curve: Curve, colour: str) -> Any:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points = [curve.start, *(p for segment in curve.segments for p in segment)]
    codes = [Path.MOVETO, *[Path.CURVE4] * (len(points) - 1)]
    return FancyArrowPatch(
        path=Path(points, codes),
        arrowstyle="-|>,head_length=3,head_width=1.5",
        linestyle="--" if curve.edge.previous else "-",
        color=colour,
        linewidth=0.9,
        shrinkA=0,
        shrinkB=0,
    )


def _draw_box(axes: Any, box: Box, colours: dict[str, str]) -> None:
    from matplotlib.patches import Rectangle

    node, (x, y), (width, height) = box.node, box.corner, box.size
    kind = node.marks[0] if node.marks else node.kind
    edge, face = colours[f"{kind}-stroke"], colours[f"{kind}-fill"]
    axes.add_patch(Rectangle((x, y), width, height, ec=edge, fc=face, lw=0.8))
    muted = node.gradient == "none"
    inks = colours["ink"], colours["ink"], colours["muted" if muted else "gradient"]
    for row, (line, ink) in enumerate(zip(box.lines, inks, strict=True)):
        _write(axes, x + PAD, y + BASELINE + row * LINE, line, ink, row == 0)
    if node.marks:
        _write(axes, x + width - PAD, y + BASELINE, node.mark, edge, True, "right")


def _write(
    axes: Any, x: float, y: float, text: str, ink: str, bold: bool, side: str = "left"
) -> None:
    # `$` and `\` in a name are not mathematics.
    axes.text(
        *(x, y, text),
        color=ink,
        ha=side,
        va="baseline",
        size=FONT,
        family="monospace" if text.isascii() else _families(),
        weight="bold" if bold else "normal",
        parse_math=False,
    )
