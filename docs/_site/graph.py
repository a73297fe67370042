"""`{graph} module.function`: the graph of the report that a function returns."""

from pkgutil import resolve_name

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Graph(SphinxDirective):
    """The directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Draw the graph into the page."""
        function = resolve_name(self.arguments[0])
        self.env.note_dependency(function.__code__.co_filename)
        svg = function().to_svg()
        return [nodes.raw("", f'<div class="drawing">{svg}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("graph", Graph)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
