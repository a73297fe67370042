"""The operation of an expression in the source, and the variable that takes its value.

An instruction's line and column identify the expression in the syntax tree. One of its
parents is the assignment, unless a container or a comprehension comes first.
"""

import ast
import functools
import re
from typing import NamedTuple

from jaxgrad.inspection.program.cells import lines_of
from jaxgrad.inspection.program.frames import Frame, Span, position

# The words for the operators, by the names of their classes in `ast`.
OPERATORS: dict[str, str] = dict(
    re.findall(
        r"(\w+) (\w+)",
        "Add add, Sub subtract, Mult multiply, Div divide, FloorDiv floor_divide, "
        "Mod remainder, Pow power, MatMult matmul, USub negative, UAdd positive, "
        "Invert invert, BitAnd bitwise_and, BitOr bitwise_or, BitXor bitwise_xor, "
        "LShift left_shift, RShift right_shift, Lt less, LtE less_equal, Gt greater, "
        "GtE greater_equal, Eq equal, NotEq not_equal",
    )
)
# An expression inside one of these, or a comprehension, is not the assigned value.
BOUNDARIES = (ast.Lambda, ast.List, ast.Set, ast.Dict, ast.stmt)

# Of a longer index only the operation is named.
LONGEST_INDEX = 30


class Assignment(NamedTuple):
    """An expression that is assigned, and the variables it is assigned to."""

    node: ast.AST  # The whole right side: what is computed inside belongs to the value
    names: tuple[str, ...]
    unpacks: bool  # Whether the variables take the parts of the value in their order


def operation_of(frame: Frame) -> str:
    """The function called or the operator applied at `frame`; "" if not known."""
    node = _expression(frame)
    if isinstance(node, ast.Call):
        return _called(node.func)
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.AugAssign):
        return OPERATORS.get(type(node.op).__name__, "")
    if isinstance(node, ast.Compare):
        return OPERATORS.get(type(node.ops[0]).__name__, "")
    if isinstance(node, ast.Subscript):
        return "index"
    if isinstance(node, ast.Attribute):
        return "transpose" if node.attr in ("T", "mT") else node.attr
    return ""


def index_of(frame: Frame) -> str:
    """The variable and the index that are read at `frame`: `points[:, 0]`; or ""."""
    node = _expression(frame)
    if not isinstance(node, ast.Subscript) or not _single(node.value):
        return ""
    text = ast.unparse(node)
    return text if len(text) <= LONGEST_INDEX else ""


def words_of(frame: Frame) -> set[str]:
    """The variables that the expression at `frame` mentions."""
    node = _expression(frame)
    words = ast.walk(node) if node is not None else ()
    return {word.id for word in words if isinstance(word, ast.Name)}


def summands_of(frame: Frame) -> tuple[str, ...]:
    """The names on both sides of a sum, "" for other terms; () if it is not a sum."""
    node = _expression(frame)
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return ()
    sides = node.left, node.right
    return tuple(ast.unparse(side) if _single(side) else "" for side in sides)


@functools.lru_cache(maxsize=4096)
def assignment_of(frame: Frame) -> Assignment | None:
    """The assignment that takes what is computed at `frame`, if there is one."""
    tree = _tree(frame)
    node = _expression(frame)
    if tree is None or node is None:
        return None
    while True:
        if isinstance(node, ast.AugAssign):
            return Assignment(node, _names(node.target), False)
        parent = tree.parents.get(node)
        if parent is None:
            return None
        if isinstance(parent, ast.NamedExpr):
            return Assignment(node, _names(parent.target), False)
        if isinstance(parent, ast.Assign):
            return _assigned(node, parent.targets[0])
        if isinstance(parent, ast.AnnAssign | ast.AugAssign):
            return _assigned(node, parent.target)
        if isinstance(parent, ast.Tuple):
            return _unpacked(node, parent, tree.parents.get(parent))
        if isinstance(parent, BOUNDARIES) or hasattr(parent, "generators"):
            return None
        node = parent


def _assigned(node: ast.AST, target: ast.expr) -> Assignment | None:
    names = _names(target)
    return Assignment(node, names, not _single(target)) if names else None


def _unpacked(
    node: ast.AST, parent: ast.Tuple, statement: ast.AST | None
) -> Assignment | None:
    """The variable of `node` in `a, b = node, other`."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) > 1:
        return None
    target = statement.targets[0]
    if not isinstance(target, ast.Tuple) or len(target.elts) != len(parent.elts):
        return None
    if any(isinstance(e, ast.Starred) for e in (*target.elts, *parent.elts)):
        return None
    position = next(i for i, each in enumerate(parent.elts) if each is node)
    return _assigned(node, target.elts[position])


def _names(target: ast.expr) -> tuple[str, ...]:
    """The variables of an assignment's target; () if their number is open."""
    if _single(target):
        return (ast.unparse(target),)
    if not isinstance(target, ast.Tuple | ast.List):
        return ()
    parts = [_names(part) for part in target.elts]
    return sum(parts, ()) if all(parts) else ()


def _single(target: ast.AST) -> bool:
    return isinstance(target, ast.Name | ast.Attribute | ast.Subscript)


def _called(function: ast.expr) -> str:
    """`jax.nn.relu` -> relu, `nn.Dense(10)` -> Dense, `self.layers[0]` -> layers[0]."""
    if isinstance(function, ast.Call):
        outer = _called(function.func)
        # jax.vmap(norm)(x) is about norm, nn.Dense(10)(x) about Dense.
        inner = function.args and isinstance(function.args[0], ast.Name)
        wraps = outer in ("vmap", "grad", "jit", "partial", "checkpoint", "jacfwd")
        return f"{outer}({ast.unparse(function.args[0])})" if inner and wraps else outer
    if isinstance(function, ast.Attribute):
        return function.attr
    if isinstance(function, ast.Subscript):
        return _called(function.value) + f"[{ast.unparse(function.slice)}]"
    return function.id if isinstance(function, ast.Name) else ""


class _Tree(NamedTuple):
    expressions: dict[Span, ast.AST]
    calls: dict[tuple[int | None, int | None], ast.Call]
    parents: dict[ast.AST, ast.AST]


@functools.lru_cache(maxsize=4096)
def _expression(frame: Frame) -> ast.AST | None:
    tree = _tree(frame)
    if tree is None:
        return None
    span = position(*frame)
    # Of a chain of methods over several lines Python only says where a call ends.
    return tree.expressions.get(span) or tree.calls.get((span[1], span[3]))


def _tree(frame: Frame) -> _Tree | None:
    lines = lines_of(frame.code)
    return _parse("".join(lines)) if lines else None


@functools.lru_cache(maxsize=64)
def _parse(text: str) -> _Tree | None:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    expressions: dict[Span, ast.AST] = {}
    calls: dict[tuple[int | None, int | None], ast.Call] = {}
    parents: dict[ast.AST, ast.AST] = {}
    for parent in ast.walk(module):
        for node in ast.iter_child_nodes(parent):
            parents[node] = parent
            if isinstance(node, ast.expr | ast.AugAssign):
                columns = node.col_offset, node.end_col_offset
                span = (node.lineno, node.end_lineno, *columns)
                expressions.setdefault(span, node)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                calls[node.end_lineno, node.end_col_offset] = node
    return _Tree(expressions, calls, parents)
