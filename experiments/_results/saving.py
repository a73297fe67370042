"""A figure as a file: PNG always, and SVG where it is sharp and small."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

SMALL = 120_000  # bytes of an SVG; with more lines than that a PNG is as good
SAME_BYTES: Any = {"svg.hashsalt": "jaxgrad"}


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Save `stem`.png, and `stem`.svg if it is small."""
    written = [stem.with_name(f"{stem.name}.png")]
    figure.savefig(written[0], dpi=120)
    with mpl.rc_context(SAME_BYTES), io.BytesIO() as buffer:
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        text = buffer.getvalue()
    drawing = stem.with_name(f"{stem.name}.svg")
    if len(text) > SMALL:
        drawing.unlink(missing_ok=True)  # of an earlier run
        return written
    drawing.write_bytes(text)
    return [*written, drawing]
