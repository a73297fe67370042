"""A report as HTML: for a notebook's cell, or as one page that needs nothing else."""

import zlib
from html import escape

from jaxgrad.inspection._format import headline
from jaxgrad.inspection._marks import Marks, has_nonfinite, marks, named
from jaxgrad.inspection._nodes import graph
from jaxgrad.inspection._page import SCRIPT, STYLE
from jaxgrad.inspection._steps import Explanation
from jaxgrad.inspection._svg import picture
from jaxgrad.inspection._table import table
from jaxgrad.inspection._text import blame_text


def page(report: Explanation) -> str:
    """One self-contained page: nothing is fetched, and it works offline."""
    title = escape(f"{report.name} explained")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{title}</title>'
        f"<style>body {{ margin: 0; }} .jaxgrad {{ padding: 1.2rem; "
        f"min-height: 100vh; box-sizing: border-box; }}</style></head><body>\n"
        f'{_body(report, "")}\n<div class="jaxgrad-card" role="tooltip"></div>\n'
        f"<script>{SCRIPT}</script>\n</body></html>\n"
    )


def fragment(report: Explanation) -> str:
    """The same for a notebook: no script, since notebooks may refuse to run it."""
    checksum = zlib.crc32(str(report).encode())
    return _body(report, f"r{checksum:x}-")


def _body(report: Explanation, prefix: str) -> str:
    found = marks(report)
    drawn = graph(report)
    linked = {node.key for node in drawn.nodes}
    rows = table(report, found, linked, prefix)
    return (
        f'<div class="jaxgrad"><style>{STYLE}</style>'
        f"<h1>{escape(headline(report))}</h1>\n{_remarks(report, found)}"
        f'{_zoom(prefix)}<div class="graph">{picture(drawn, prefix)}</div>\n'
        f'<div class="scroll">{rows}</div></div>'
    )


def _zoom(prefix: str) -> str:
    """How large the graph is drawn: three radio buttons that work without a script."""
    choices = {
        "auto": "fit the window, legibly",
        "whole": "whole graph",
        "full": "full size",
    }
    buttons = (
        f'<input type="radio" name="{prefix}zoom" class="{name}" id="{prefix}{name}"'
        f"{' checked' if name == 'auto' else ''}>"
        f'<label class="zoom" for="{prefix}{name}">{text}</label>'
        for name, text in choices.items()
    )
    return "".join(buttons)


def _remarks(report: Explanation, found: Marks) -> str:
    parts = []
    if report.note:
        parts.append(f"<p>{escape(report.note)}</p>")
    if has_nonfinite(report) and report.nonfinite is not None:
        parts.append(f"<pre>{escape(blame_text(report.nonfinite))}</pre>")
    items = [
        f'<dt class="{m}">{m}</dt><dd>{escape(why)}</dd>' for m, why in named(found)
    ]
    if items:
        parts.append(f"<dl>{''.join(items)}</dl>")
    return "\n".join(parts)
