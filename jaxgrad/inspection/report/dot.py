"""The graph in Graphviz's DOT language, for its `dot` program."""

from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import Node, drawing_of
from jaxgrad.inspection.report.files import light_colours


def dot(report: Report) -> str:
    """Records `operation | value | gradient`, and edges along the data."""
    name, nodes, edges = drawing_of(report)
    lines = [
        f'digraph "{_escaped(name)}" {{',
        "  rankdir=LR;",
        '  node [shape=record, style=filled, fontname="monospace", fontsize=10];',
    ]
    lines += [f"  {_node(node)}" for node in nodes]
    for edge in edges:
        style = " [style=dashed, constraint=false]" if edge.previous else ""
        ends = f'"{nodes[edge.start].key}" -> "{nodes[edge.end].key}"'
        lines.append(f"  {ends}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def _node(node: Node) -> str:
    title = f"{node.title}  ({node.mark})" if node.mark else node.title
    cells = (title, f"value {node.value}", f"grad {node.gradient}")
    label = "|".join(_record(cell) for cell in cells)
    kind, colours = node.marks[0] if node.marks else node.kind, light_colours()
    fill, stroke = colours[f"{kind}-fill"], colours[f"{kind}-stroke"]
    tip = _escaped("\n".join(node.details))
    look = f'fillcolor="{fill}", color="{stroke}", tooltip="{tip}"'
    return f'"{node.key}" [label="{label}", {look}];'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _record(text: str) -> str:
    """The text of a record's cell, with braces, bars and angle brackets escaped."""
    return "".join("\\" + c if c in "{}|<>" else c for c in _escaped(text))
