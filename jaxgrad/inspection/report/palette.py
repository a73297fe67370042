"""The colours of nodes and rows, by what they are: for a light page and a dark one."""

from typing import NamedTuple


class Colours(NamedTuple):
    """Of a node: its ground, and its border."""

    fill: str
    stroke: str


class Scheme(NamedTuple):
    """A light or a dark set of colours; where two kinds hold, the later one wins."""

    ink: str
    muted: str
    gradient: str
    edge: str
    rule: str
    ground: str
    lit: str
    kinds: dict[str, Colours]


LIGHT = Scheme(
    ink="#0f172a",
    muted="#475569",
    gradient="#1d4ed8",
    edge="#94a3b8",
    rule="#e2e8f0",
    ground="#ffffff",
    lit="#d97706",
    kinds={
        "step": Colours("#ffffff", "#64748b"),
        "argument": Colours("#eff6ff", "#3b82f6"),
        "constant": Colours("#f8fafc", "#94a3b8"),
        "result": Colours("#ecfdf5", "#059669"),
        "zero": Colours("#f8fafc", "#64748b"),
        "dead": Colours("#e2e8f0", "#475569"),
        "exploding": Colours("#ffedd5", "#c2410c"),
        "non-finite": Colours("#fee2e2", "#b91c1c"),
        "blamed": Colours("#fed0d0", "#7f1d1d"),
    },
)
DARK = Scheme(
    ink="#f1f5f9",
    muted="#a8b5c7",
    gradient="#93c5fd",
    edge="#64748b",
    rule="#334155",
    ground="#0f172a",
    lit="#fbbf24",
    kinds={
        "step": Colours("#1e293b", "#94a3b8"),
        "argument": Colours("#172554", "#60a5fa"),
        "constant": Colours("#0f172a", "#64748b"),
        "result": Colours("#053b2c", "#34d399"),
        "zero": Colours("#1e293b", "#94a3b8"),
        "dead": Colours("#3b475a", "#cbd5e1"),
        "exploding": Colours("#5a2308", "#fdba74"),
        "non-finite": Colours("#5f1313", "#fca5a5"),
        "blamed": Colours("#811414", "#fee2e2"),
    },
)


def graph_rules(scheme: Scheme, ahead: str = "") -> str:
    """The colours of the graph as CSS; `ahead` of each selector."""
    graph = f"{ahead}.jaxgrad-graph"
    rules = [
        f"{graph} text {{ fill: {scheme.ink}; }}",
        f"{graph} .grad {{ fill: {scheme.gradient}; }}",
        f"{graph} .none {{ fill: {scheme.muted}; }}",
        f"{graph} .rule {{ stroke: {scheme.rule}; }}",
        f"{graph} .edge {{ stroke: {scheme.edge}; }}",
        f"{graph} .tip {{ fill: {scheme.edge}; }}",
        f"{graph} .edge.lit {{ stroke: {scheme.lit}; }}",
    ]
    for kind, (fill, stroke) in scheme.kinds.items():
        rules.append(f"{graph} .{kind} rect {{ fill: {fill}; stroke: {stroke}; }}")
        rules.append(f"{graph} .{kind} .mark {{ fill: {stroke}; }}")
    return "\n".join(rules)


def page_rules(scheme: Scheme) -> str:
    """The colours of the page around the graph as CSS."""
    rules = [
        f".jaxgrad {{ color: {scheme.ink}; background: {scheme.ground}; }}",
        f".jaxgrad .graph {{ border-color: {scheme.rule}; }}",
        f".jaxgrad th, .jaxgrad td {{ border-bottom-color: {scheme.rule}; }}",
        f".jaxgrad th {{ background: {scheme.rule}; }}",
        f".jaxgrad .gradient {{ color: {scheme.gradient}; }}",
        f".jaxgrad .none, .jaxgrad .source, .jaxgrad .zoom "
        f"{{ color: {scheme.muted}; }}",
        f".jaxgrad .chosen td, .jaxgrad tr:target td "
        f"{{ outline-color: {scheme.lit}; }}",
        f".jaxgrad pre {{ background: {scheme.kinds['non-finite'].fill}; }}",
        f".jaxgrad-card {{ color: {scheme.ground}; background: {scheme.ink}; }}",
    ]
    for kind, (fill, stroke) in scheme.kinds.items():
        rules.append(f".jaxgrad tr.{kind} td {{ background: {fill}; }}")
        rules.append(
            f".jaxgrad tr.{kind} .mark, .jaxgrad dt.{kind} {{ color: {stroke}; }}"
        )
    return "\n".join(rules)
