"""Where a primitive or its derivative is not finite: poles, and the ends of its domain.

Each point has a predicate over the operands. A hint uses its sentence only if the
points that hold cover all the elements in question.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Operands = Sequence[np.ndarray]


class Point(NamedTuple):
    """A set of operands at which a primitive or its derivative is not finite."""

    holds: Callable[..., Any]  # For each element, given the operands
    sentence: str
    nan: bool = False  # Whether it is NaN there, not infinite


def _real(predicate: Callable[..., Any]) -> Callable[..., Any]:
    """A predicate that needs an order, and so holds for no complex number."""

    def holds(*operands: np.ndarray) -> Any:
        if any(np.iscomplexobj(operand) for operand in operands):
            return np.zeros(operands[0].shape, bool)
        return predicate(*operands)

    return holds


def _at(*points: int | float) -> Callable[..., Any]:
    return lambda x, *_: np.isin(x, np.asarray(points, x.dtype))


def _below(edge: int | float) -> Callable[..., Any]:
    return _real(lambda x, *_: x < edge)


_OUTSIDE_1 = _real(lambda x: np.abs(x) > 1)
_WHOLE_BELOW_1 = _real(lambda x, *_: (x <= 0) & (x == np.round(x)))
_FRACTIONAL = Point(
    _real(lambda x, y: (x < 0) & (y != np.round(y))),
    "a negative base with a fractional power is NaN",
    True,
)
_NEGATIVE_ROOT = Point(_below(0), "sqrt of a negative number is NaN", True)

# Points of the value, by primitive. The second operand of integer_pow is its power.
VALUES: Mapping[str, tuple[Point, ...]] = {
    "sqrt": (_NEGATIVE_ROOT,),
    "rsqrt": (Point(_at(0), "1 / sqrt(0) is infinite"), _NEGATIVE_ROOT),
    "log": (
        Point(_at(0), "log(0) is -inf"),
        Point(_below(0), "log of a negative number is NaN", True),
    ),
    "log1p": (
        Point(_at(-1), "log1p(-1) is -inf"),
        Point(_below(-1), "log1p below -1 is NaN", True),
    ),
    "acos": (Point(_OUTSIDE_1, "arccos is defined on [-1, 1]", True),),
    "asin": (Point(_OUTSIDE_1, "arcsin is defined on [-1, 1]", True),),
    "acosh": (Point(_below(1), "arccosh is defined for x >= 1", True),),
    "atanh": (
        Point(_at(-1, 1), "arctanh is infinite at -1 and 1"),
        Point(_OUTSIDE_1, "arctanh is defined inside (-1, 1)", True),
    ),
    "erf_inv": (
        Point(_at(-1, 1), "erfinv is infinite at -1 and 1"),
        Point(_OUTSIDE_1, "erfinv is defined inside (-1, 1)", True),
    ),
    "lgamma": (
        Point(_WHOLE_BELOW_1, "gammaln is infinite at 0 and at negative integers"),
    ),
    "digamma": (
        Point(_WHOLE_BELOW_1, "digamma has poles at 0 and at negative integers"),
    ),
    "pow": (
        _FRACTIONAL,
        Point(
            _real(lambda x, y: (x == 0) & (y < 0)), "0 to a negative power is infinite"
        ),
    ),
    "integer_pow": (
        Point(lambda x, y: (x == 0) & (y < 0), "0 to a negative power is infinite"),
    ),
    "div": (
        Point(lambda n, d: (d == 0) & (n == 0), "0 / 0 is NaN", True),
        Point(lambda n, d: (d == 0) & (n != 0), "a division by 0"),
    ),
    "rem": (Point(lambda _, d: d == 0, "a remainder modulo 0", True),),
}
REMEDIES = {
    "rsqrt": "add an epsilon to its argument",
    "log": "bound its argument from below, or compute the logarithm directly "
    "(log_softmax, log_sigmoid, logsumexp)",
    "log1p": "bound its argument from below",
    "pow": "bound the base from below",
    "integer_pow": "bound the base from below",
    "div": "replace a zero denominator by 1, where(d == 0, 1, d), or add an epsilon",
    "rem": "replace a zero divisor by 1",
    **dict.fromkeys(("lgamma", "digamma"), "keep the argument away from these points"),
    **dict.fromkeys(("acos", "asin", "acosh", "atanh", "erf_inv"), "clip its argument"),
}
# Points of the derivative, by primitive.
DERIVATIVES: Mapping[str, tuple[Point, ...]] = {
    "sqrt": (Point(_at(0), "sqrt at 0 has an infinite derivative"), _NEGATIVE_ROOT),
    "rsqrt": (Point(_at(0), "1 / sqrt at 0 is infinite"), _NEGATIVE_ROOT),
    "cbrt": (Point(_at(0), "the cube root at 0 has an infinite derivative"),),
    "log": (Point(_at(0), "log at 0 has an infinite derivative"),),
    "log1p": (Point(_at(-1), "log1p at -1 has an infinite derivative"),),
    "div": (
        Point(
            lambda _, d: d == 0,
            "the derivative of a quotient is infinite at a denominator of 0",
        ),
    ),
    "pow": (
        _FRACTIONAL,
        Point(
            _real(lambda x, y: (x == 0) & (y < 1) & (y != 0)),
            "a power below 1 has an infinite derivative at base 0",
        ),
        Point(
            _below(0),
            "the derivative with respect to the exponent takes the log of the base, "
            "and is NaN at a negative base",
            True,
        ),
    ),
    "integer_pow": (
        Point(
            lambda x, y: (x == 0) & (y < 0),
            "a negative power has an infinite derivative at 0",
        ),
    ),
    "acos": (
        Point(
            _at(-1, 1),
            "arccos has an infinite derivative at -1 and 1 (the angle between vectors "
            "is also arctan2(norm(cross(a, b)), dot(a, b)), which has none)",
        ),
        Point(_OUTSIDE_1, "arccos outside of [-1, 1] is NaN", True),
    ),
    "asin": (
        Point(_at(-1, 1), "arcsin has an infinite derivative at -1 and 1"),
        Point(_OUTSIDE_1, "arcsin outside of [-1, 1] is NaN", True),
    ),
    "acosh": (
        Point(_at(1), "arccosh has an infinite derivative at 1"),
        Point(_below(1), "arccosh below 1 is NaN", True),
    ),
    "atanh": (Point(_at(-1, 1), "arctanh has an infinite derivative at -1 and 1"),),
    "erf_inv": (Point(_at(-1, 1), "erfinv has an infinite derivative at -1 and 1"),),
    "atan2": (
        Point(
            lambda y, x: (y == 0) & (x == 0),
            "arctan2 has no derivative at (0, 0)",
            True,
        ),
    ),
}


class Fact(NamedTuple):
    """What holds at all the elements in question."""

    sentence: str
    nan: bool  # Whether the value or derivative is NaN there, not infinite


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(complex if np.iscomplexobj(array) else float)


def fact_at(points: Sequence[Point], operands: Operands) -> Fact | None:
    """The points that together hold at every element; None if they do not."""
    if not points or not operands or not operands[0].size:
        return None
    with np.errstate(all="ignore"):
        arrays = np.broadcast_arrays(*map(_wide, operands))
        held = [(point, np.asarray(point.holds(*arrays))) for point in points]
    left, said = np.ones(arrays[0].shape, bool), []
    for point, holds in held:
        if (holds & left).any():
            said.append(point)
            left &= ~holds
    if left.any() or not said:
        return None
    sentence = ", and ".join(point.sentence for point in said)
    return Fact(sentence, all(point.nan for point in said))
