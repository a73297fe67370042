"""The package's CSS, JavaScript, HTML and SVG files, and the colours of the CSS."""

import re
from functools import cache
from importlib import resources
from string import Template

FOLDER = resources.files("jaxgrad.inspection.report")


@cache
def read(name: str) -> str:
    """The text of a file of this package."""
    return FOLDER.joinpath(name).read_text(encoding="utf-8")


@cache
def template(name: str) -> Template:
    """A file of this package with `$names` to substitute."""
    return Template(read(name))


@cache
def light_colours() -> dict[str, str]:
    """The colours of a light page by name, as `colours.css` defines them."""
    return _colours(0)


@cache
def dark_colours() -> dict[str, str]:
    """Those of a dark page."""
    return _colours(1)


def _colours(block: int) -> dict[str, str]:
    text = read("colours.css").split("@media")[block]
    return dict(re.findall(r"--([\w-]+): (#\w+);", text))


@cache
def page_style(colours: str = "") -> str:
    """The CSS of a page; by default light, or dark if the reader prefers."""
    # More specific than the same rules inside a standalone SVG on the same page.
    graph = read("graph.css").replace(".jaxgrad-graph", ".jaxgrad .jaxgrad-graph")
    return "\n".join((colours or read("colours.css"), read("page.css"), graph))


@cache
def graph_style() -> str:
    """The CSS of a standalone SVG, without `var()`, which Inkscape does not support."""
    colours = light_colours()
    return re.sub(r"var\(--([\w-]+)\)", lambda m: colours[m[1]], read("graph.css"))
