"""Trials on what is added, multiplied or read: biases, residuals, other parameters."""

import numpy as np

from jaxgrad.inspection.comparison.arrange import arrange, distance
from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess
from jaxgrad.inspection.comparison.nodes import Node


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
            try:
                product = np.broadcast_to(x, more.shape) * arranged
            except ValueError:
                continue
            if case.same(product, more):
                mask = "the mask " if set(np.unique(x)) <= {0.0, 1.0} else ""
                text = f"{who} multiplies by {mask}{node.name}, which {other} does not."
                return "mask" if mask else "operand", text
    return None


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


def other_operand(case: Case) -> Guess:
    """The sides read different arrays, and each has the other's array too."""
    read = [
        {s.pair for s in case.both.sources(side, n)} for side, n in enumerate(case.pair)
    ]
    nodes = case.both.theirs.nodes, case.both.ours.nodes
    same = nodes[0][case.pair[0]].kind == nodes[1][case.pair[1]].kind
    alone = sorted(read[0] - read[1]), sorted(read[1] - read[0])
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
    if a.kind in ("split", "embedding") and b.kind == a.kind:
        text = f"Theirs reads part {a.position} ({a.name}) of {a.operation}, ours part"
        text = f"{text} {b.position} ({b.name})"
        return "gates", f"{text}: the parts (gates) are taken in another order."
    text = f"Theirs reads {a.name} ({a.operation}, line {_line(a)})"
    text = f"{text}, ours {b.name} ({b.operation}, line {_line(b)})"
    return "operand", f"{text}: operands are swapped, or a skip starts elsewhere."


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
    a, b = case.place.theirs, case.place.ours
    between = [set(case.both.between(side, n)) for side, n in enumerate(case.pair)]
    for side, number, who, other in (
        (0, a, "Theirs", "ours"),
        (1, b, "Ours", "theirs"),
    ):
        if number is not None and number in between[side] | {case.pair[side]}:
            node = case.both.graph(side).nodes[number]
            if case.both.pair_of(side, number) is None:
                text = f"{who} has the step {node.operation} (line {_line(node)})"
                return "step", f"{text}, {other} has none like it here."
    return None
