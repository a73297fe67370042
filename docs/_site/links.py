"""Links from the names of jaxgrad in a text, such as `explain`, to their entries."""

import re
from collections.abc import Iterable, Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry
from sphinx.util.nodes import make_refnode

DOTTED = re.compile(r"[A-Za-z_][\w.]*")
CLASS = re.compile(r"[A-Z]\w+")
LINKED = (nodes.reference, nodes.title, addnodes.pending_xref, addnodes.desc_signature)


def candidates(text: str, page: str, known: Iterable[str]) -> Iterator[str]:
    """The full names that a text on a page may mean."""
    if DOTTED.fullmatch(text):
        yield text
        yield f"jaxgrad.{text}"
        yield f"{page.removeprefix('api/')}.{text}"
    if CLASS.fullmatch(text):
        same = [name for name in known if name.endswith(f".{text}")]
        yield from same if len(same) == 1 else ()


def link_names(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Make each literal that names something in the API a link to it."""
    known = app.env.domains.python_domain.objects
    for literal in list(doctree.findall(nodes.literal)):
        if not any(isinstance(parent, LINKED) for parent in parents(literal)):
            names = candidates(literal.astext(), page, known)
            found = next((known[name] for name in names if name in known), None)
            if found:
                link(app, literal, found, page)


def parents(node: nodes.Node) -> Iterator[nodes.Node]:
    """The nodes around a node."""
    while node.parent is not None:
        node = node.parent
        yield node


def link(app: Sphinx, literal: nodes.literal, entry: ObjectEntry, page: str) -> None:
    """Put a link around a literal."""
    place = entry.docname, entry.node_id
    copied = literal.deepcopy()
    reference = make_refnode(app.builder, page, *place, copied)
    literal.replace_self(reference)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the links."""
    app.connect("doctree-resolved", link_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
