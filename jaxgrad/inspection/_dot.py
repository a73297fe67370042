"""The graph in Graphviz's DOT language, for those who have its `dot` program."""

from jaxgrad.inspection._nodes import Node, graph
from jaxgrad.inspection._steps import Explanation

COLOURS = {
    "argument": "#eff6ff",
    "constant": "#f8fafc",
    "result": "#ecfdf5",
    "step": "#ffffff",
    "zero": "#f1f5f9",
    "dead": "#e2e8f0",
    "exploding": "#ffedd5",
    "non-finite": "#fee2e2",
}


def dot(report: Explanation) -> str:
    """Records `operation | value | gradient`, and edges along the data."""
    nodes, edges = graph(report)
    lines = [
        f'digraph "{_escaped(report.name)}" {{',
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
    cells = (node.title, f"value {node.value}", f"grad {node.gradient}")
    label = "|".join(_record(cell) for cell in cells)
    colour = COLOURS[node.marks[0] if node.marks else node.kind]
    tip = _escaped("\n".join(node.more))
    return f'"{node.key}" [label="{label}", fillcolor="{colour}", tooltip="{tip}"];'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _record(text: str) -> str:
    """Text of a record's cell: braces, bars and angles stand for themselves."""
    text = _escaped(text)
    return "".join("\\" + c if c in "{}|<>" else c for c in text)
