"""Trials on what is added, multiplied or read: biases, residuals, other parameters."""

from collections.abc import Iterator

import numpy as np

from jaxgrad.inspection.comparison import rounding
from jaxgrad.inspection.comparison.arrange import arrange, distance
from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.nodes import Node
from jaxgrad.inspection.comparison.values import TAKING, readers

NEAR = 80  # Steps behind a difference in which the order of the layers is compared


def summand(case: Case) -> Guess:
    """What one side adds and the other does not: a bias, a residual."""
    if case.aligned is None:
        return None
    a, b = case.values
    for who, other, more, less, nodes in (
        ("Theirs", "ours", a, b, case.sources[0]),
        ("Ours", "theirs", b, a, case.sources[1]),
    ):
        apart = _difference(more, less)
        for node in nodes:
            for sign, word in ((1, "adds"), (-1, "subtracts")):
                if _is_broadcast(case, sign * _array(node), apart):
                    return _summand(node, who, other, word, case)
    return None


def _difference(a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.nan_to_num(a - arrange(b, a))


def _array(node: Node) -> Array:
    return np.asarray(node.value, np.float64)


def _is_broadcast(case: Case, x: Array, apart: Array) -> bool:
    """Whether an array, broadcast along some axes, is the difference."""
    if not x.size or not np.abs(x).max() > 0 or x.size > apart.size:
        return False
    if x.size == apart.size:
        return case.same(x, apart)
    if x.ndim == 1:
        axes = [i for i, n in enumerate(apart.shape) if n == x.size]
        shapes = [[-1 if i == k else 1 for i in range(apart.ndim)] for k in axes]
        full = [np.broadcast_to(x.reshape(shape), apart.shape) for shape in shapes]
        return any(case.same(each, apart) for each in full)
    try:
        return case.same(np.broadcast_to(x, apart.shape), apart)
    except ValueError:
        return False


def _summand(node: Node, who: str, other: str, word: str, case: Case) -> Guess:
    if node.is_argument:
        cause = "bias" if np.ndim(node.value) <= 1 else "operand"
        return cause, f"{who} {word} {node.name}, which {other} does not."
    if "variance" in (node.kind, node.part):
        return None
    text = f"{who} {word} {node.name} (line {_line(node)}), which {other} does not"
    return "residual", f"{text}: a residual connection is missing."


def _line(node: Node) -> int:
    source = getattr(node.thing, "source", None)
    return source.line if source else 0


def factor(case: Case) -> Guess:
    """What one side multiplies by and the other does not."""
    if case.aligned is None:
        return None
    a, b = case.values
    for who, other, more, less, nodes in (
        ("Theirs", "ours", a, b, case.sources[0]),
        ("Ours", "theirs", b, a, case.sources[1]),
    ):
        arranged = arrange(less, more)
        for node in nodes:
            x = _array(node)
            if x.ndim > more.ndim or x.size < 2:
                continue
            for full in _broadcasts(x, more.shape):
                if case.same(full * arranged, more):
                    mask = "the mask " if set(np.unique(x)) <= {0.0, 1.0} else ""
                    text = f"{who} multiplies by {mask}{node.name}, which {other} does"
                    return "mask" if mask else "operand", f"{text} not."
                if case.same(full * more, arranged):
                    text = f"{who} divides by {node.name}, which {other} does not"
                    return "reduction", f"{text}: a mean against a sum."
    return None


def _broadcasts(x: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """An array broadcast to a shape: as it is, or along the first axis."""
    longer = x.reshape(x.shape + (1,) * (len(shape) - x.ndim))
    for each in (x, longer):
        if all(
            m in (1, n) for m, n in zip(each.shape[::-1], shape[::-1], strict=False)
        ):
            yield np.broadcast_to(each, shape)


def product(case: Case) -> Guess:
    """A matrix product with the weight transposed, or without its bias."""
    if "matmul" not in case.kinds:
        return None
    found = [_product(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    if found[0][0] != found[1][0]:
        where = f"Theirs computes {found[0][1]}, ours {found[1][1]}"
        return "transposed", f"{where}: the weight is transposed on one side only."
    return None


def _product(case: Case, side: int) -> tuple[str, str] | None:
    """The form of a product, with the weight as theirs stores it or transposed."""
    y, nodes = case.values[side], case.sources[side]
    matrices = [n for n in nodes if np.ndim(n.value) == 2]
    xs = [n for n in nodes if np.ndim(n.value) >= 2]
    biases = [n for n in nodes if n.is_argument and np.ndim(n.value) == 1]
    for w in matrices:
        theirs = their_form(case, side, w)
        for x in xs:
            if x is w:
                continue
            for form, weight in (("W", theirs), ("W^T", theirs.T)):
                if _array(x).shape[-1] != weight.shape[0]:
                    continue
                result = _array(x) @ weight
                for b in (0.0, *(_array(n) for n in biases)):
                    if np.shape(b) in ((), result.shape[-1:]) and case.same(
                        result + b, y
                    ):
                        return form, f"x {form}"
    return None


def their_form(case: Case, side: int, node: Node) -> Array:
    """The weight in the layout that theirs stores it in."""
    if side == 0:
        return _array(node)
    number = case.both.ours.nodes.index(node)
    pair = case.both.pair_of(1, number)
    return _array(case.both.theirs.nodes[pair[0]]) if pair else _array(node)


def loaded(case: Case) -> Guess:
    """Our parameter holds the numbers of another one of theirs."""
    theirs, ours = case.nodes
    if not theirs.is_argument:
        return None
    for node in case.both.theirs.nodes[: len(case.both.theirs.arguments)]:
        if node is theirs or np.size(node.value) != np.size(ours.value):
            continue
        if distance(node.value, ours.value).relative == 0:
            text = f"Our {ours.name} holds the numbers of their {node.name}"
            return "parameter", f"{text}: another parameter is loaded."
    return None


def renormalized(case: Case) -> Guess:
    """One side divides by the sum along an axis, the other does not."""
    a, b = case.place.theirs, case.place.ours
    if a is None or b is None:
        return None
    places = [case.both.graph(i).nodes[n] for i, n in ((0, a), (1, b))]
    for side, who, other in ((0, "Theirs", "ours"), (1, "Ours", "theirs")):
        nodes, x = case.both.graph(side).nodes, _array(places[1 - side])
        for y in (places[side], *(nodes[n] for n in places[side].children)):
            for axis in range(x.ndim) if np.shape(y.value) == x.shape else ():
                if case.same(x / x.sum(axis, keepdims=True), _array(y)):
                    text = f"{who} divides by the sum over axis {axis}"
                    return "normalization", f"{text}, {other} does not."
    return None


def other_parts(case: Case) -> Guess:
    """The sides read different parts of equal arrays, such as gates."""
    alone = _alone(case)
    nodes = case.both.theirs.nodes, case.both.ours.nodes
    if not alone[0] or len(alone[0]) != len(alone[1]):
        return None
    a, b = (nodes[side][alone[side][0][side]] for side in (0, 1))
    if ({a.kind, b.kind} <= TAKING or a.part) and _interchangeable(a, b):
        text = f"Theirs reads {_part(a)}, ours {_part(b)}"
        partner = nodes[0][alone[1][0][0]]
        known = f", which is their {_part(partner)}" if partner.part else ""
        return "gates", f"{text}{known}: the parts (gates) are in another order."
    return None


def _part(node: Node) -> str:
    return node.part or f"part {node.position} ({node.name}) of {node.operation}"


def _alone(case: Case) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The pairs that only theirs, and that only ours is computed from."""
    read = [
        {s.pair for s in case.both.sources(side, n)} for side, n in enumerate(case.pair)
    ]
    return sorted(read[0] - read[1]), sorted(read[1] - read[0])


def counted(case: Case) -> Guess:
    """Another number of rows that are added up, such as the edges of a graph."""
    if not all(n.kind == "scatter" for n in case.nodes):
        return None
    graphs = case.both.theirs, case.both.ours
    rows = [
        max(
            len(graph.nodes[p].value) for p in node.parents if graph.nodes[p].value.ndim
        )
        for graph, node in zip(graphs, case.nodes, strict=True)
    ]
    if rows[0] == rows[1]:
        return None
    text = f"Theirs adds up {rows[0]} rows, ours {rows[1]}"
    return (
        "rows",
        f"{text}: some are missing on one side, as the self-loops of a graph.",
    )


def other_operand(case: Case) -> Guess:
    """The sides read different arrays, and each has the other's array too."""
    nodes = case.both.theirs.nodes, case.both.ours.nodes
    kinds = [nodes[side][n].kind for side, n in enumerate(case.pair)]
    same, alone = kinds[0] == kinds[1] or "loss" in kinds, _alone(case)
    for a in alone[0]:
        for b in alone[1]:
            found = nodes[0][a[0]], nodes[1][b[1]]
            if (same or found[0].is_argument) and _interchangeable(*found):
                return _other(nodes[0][a[0]], nodes[1][b[1]], nodes[1][a[1]])
    return None


def _interchangeable(a: Node, b: Node) -> bool:
    if a.is_argument != b.is_argument or np.size(a.value) != np.size(b.value):
        return False
    return distance(a.value, b.value).relative > 1e-3


def _other(a: Node, b: Node, own: Node) -> Guess:
    if a.is_argument:
        text = f"Theirs reads {a.name}, which is our {own.name}; ours reads {b.name}"
        return "parameter", f"{text}: another parameter or state, or two are swapped."
    text = f"Theirs reads {a.name} ({a.operation}, line {_line(a)})"
    text = f"{text}, ours {b.name} ({b.operation}, line {_line(b)})"
    if {"activation", "softmax"} & ({a.kind} ^ {b.kind}):
        return "logits", f"{text}: one side takes logits for probabilities."
    return "operand", f"{text}: operands are swapped, or a skip starts elsewhere."


def shifted(case: Case) -> Guess:
    """One side adds a number to a parameter, as a norm with 1 + weight."""
    for side, who, other in ((0, "Theirs", "ours"), (1, "Ours", "theirs")):
        for node in case.sources[side]:
            y, x = case.values[side], _array(node)
            if not node.is_argument or x.size != y.size or y.size < 2:
                continue
            apart = y - x.reshape(y.shape)
            if abs(apart.mean()) > 1e-3 and np.ptp(apart) <= case.close:
                text = f"{who} adds {apart.mean():.4g} to {node.name}"
                return "offset", f"{text}, {other} does not."
    return None


def operation(case: Case) -> Guess:
    """The steps that should correspond compute different things."""
    a, b = case.named
    if a is None or b is None or a.is_argument or b.is_argument or a.kind == b.kind:
        return None
    if a.part or b.part:
        return None
    return "operation", f"Theirs computes {a.operation} here, ours {b.operation}."


def extra_step(case: Case) -> Guess:
    """A step that only one side has, without a better explanation."""
    for _, node, who, other in _extra(case):
        text = f"{who} has the step {node.operation} (line {_line(node)})"
        return "step", f"{text}, {other} has none like it here."
    return None


def _extra(case: Case) -> Iterator[tuple[int, Node, str, str]]:
    """The place's step that has no partner: its side, the node, whose it is."""
    for side, who, other in ((0, "Theirs", "ours"), (1, "Ours", "theirs")):
        number, own = case.place.on(side), case.pair[side]
        near = {own, *case.both.between(side, own)}
        if number in near and case.both.pair_of(side, number) is None:
            yield side, case.both.graph(side).nodes[number], who, other


def elsewhere(case: Case) -> Guess:
    """A parameter that one side reads here and the other in another step."""
    for side, node, who, other in _extra(case):
        number, graph = case.place.on(side), case.both.graph(1 - side)
        for source in case.both.sources(side, number or 0):
            parameter = graph.nodes[source.pair[1 - side]]
            reads = [graph.nodes[c] for c in parameter.children]
            if parameter.is_argument and rounding.unit(parameter.dtype) and reads:
                text = f"{who} reads {parameter.name} in {node.operation} (line"
                text = f"{text} {_line(node)}), {other} in {reads[0].operation} (line"
                return "order", f"{text} {_line(reads[0])}): another place or offset."
    return None


def order_of_layers(case: Case) -> Guess:
    """Two layers that follow each other in another order, such as a norm."""
    first = [_readers_of_arguments(case, side) for side in (0, 1)]
    shared = [p for p in first[1] if p in first[0]]
    behind = [
        {p: readers(case.both.graph(side), [first[side][p]]) for p in shared}
        for side in (0, 1)
    ]
    for p in shared:
        for q in shared:
            swapped = first[1][q] in behind[1][p] and first[0][p] in behind[0][q]
            if swapped and first[0][p] != first[0][q] and first[1][p] != first[1][q]:
                names = [case.both.ours.nodes[n].name for n in (p, q)]
                text = f"Ours applies {names[0]} before {names[1]}, theirs after it"
                return "order", f"{text}: two layers in another order, as a norm."
    return None


def _readers_of_arguments(case: Case, side: int) -> dict[int, int]:
    """The first reader of each parameter, by our number, behind the place."""
    graph, start = case.both.graph(side), case.place.on(side)
    start = case.pair[side] if start is None else start
    near = sorted(readers(graph, [start]))[:NEAR]
    found: dict[int, int] = {}
    for number in near:
        for parent in graph.nodes[number].parents:
            pair = case.both.pair_of(side, parent)
            if pair is not None and graph.nodes[parent].is_argument:
                found.setdefault(pair[1], number)
    return found
