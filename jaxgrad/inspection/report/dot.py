"""The graph in Graphviz's DOT language, for those who have its `dot` program."""

from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import Node, graph
from jaxgrad.inspection.report.palette import LIGHT


def dot(report: Report) -> str:
    """Records `operation | value | gradient`, and edges along the data."""
    name, nodes, edges = graph(report)
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
    fill, stroke = LIGHT.kinds[node.marks[0] if node.marks else node.kind]
    tip = _escaped("\n".join(node.more))
    look = f'fillcolor="{fill}", color="{stroke}", tooltip="{tip}"'
    return f'"{node.key}" [label="{label}", {look}];'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _record(text: str) -> str:
    """Text of a record's cell: braces, bars and angles stand for themselves."""
    text = _escaped(text)
    return "".join("\\" + c if c in "{}|<>" else c for c in text)
