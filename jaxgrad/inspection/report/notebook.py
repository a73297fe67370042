"""A report in a notebook's cell: the notebook's theme, and what is left without style.

JupyterLab removes style sheets and inline SVG from a notebook that it does not trust,
and keeps images and the attribute `hidden`. So a cell holds the graph twice: hidden,
until the style sheet shows it, and as an image, until the style sheet hides it.
"""

import base64
import itertools
import re
import zlib
from functools import cache

from jaxgrad.inspection.report.files import (
    dark_colours,
    graph_style,
    light_colours,
    page_style,
    read,
    template,
)

# What an image does not use: texts for hovering, and the attributes of a live node.
UNSEEN = r'<title>.*?</title>| (?:tabindex|role|data-ends)="[^"]*"'


_shown = itertools.count(1)


def new_prefix(kind: str, text: str) -> str:
    """A prefix for the ids in a cell that shows a text; no other cell has the same."""
    return f"{kind}{zlib.crc32(text.encode()):x}-{next(_shown)}-"


def graph_and_style(svg: str, prefix: str) -> dict[str, str]:
    """The `graph` and `style` of a page, or of a cell, whose ids have a prefix."""
    graph = template("graph.html").substitute(prefix=prefix, graph=svg)
    if not prefix:
        return {"graph": graph, "style": page_style()}
    return {"graph": _twice(graph, svg), "style": cell_style()}


def _twice(live: str, svg: str) -> str:
    """The graph, and the same as an image."""
    tag, rest = re.sub(UNSEEN, "", svg, flags=re.DOTALL).split(">", 1)
    still = f"{tag}><style>{graph_style()}</style>{rest}"
    sides = dict(re.findall(r' (width|aria-label)="([^"]*)"', tag))
    return template("cell_graph.html").substitute(
        live=live,
        label=sides["aria-label"],
        width=sides["width"],
        least=round(0.65 * float(sides["width"])),
        still=base64.b64encode(still.encode()).decode(),
    )


@cache
def cell_style() -> str:
    """The CSS of a cell; each rule is more specific than any of the notebook's."""
    light, dark = light_colours(), dark_colours()
    pairs = (f"--{n}: light-dark({light[n]}, {dark[n]});" for n in light)
    colours = f".jaxgrad {{ {' '.join(pairs)} }}"
    rules = "\n".join((page_style(colours), read("notebook.css")))
    # `:not(#_)` holds for every element, and counts as an id.
    return re.sub(r"\.jaxgrad(?![\w-])", ".jaxgrad:not(#_)", rules)
