"""Why the digits are lost: the operation to blame, and the reason in one word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.inaccurate.path import (
    Place,
    Stage,
    before_loops,
    eps_of,
    stage_of,
)
from jaxgrad.inspection.faults.inaccurate.twin import Operation, Pair
from jaxgrad.inspection.program import jaxprs

Reason = Literal[
    "cancellation",
    "variance",
    "absorbed",
    "accumulated",
    "matmul",
    "overflow",
    "underflow",
    "amplified",
]
PRODUCTS = frozenset(("dot_general", "conv_general_dilated"))
ADDING = frozenset(("add", "sub", "add_any"))
SUMS = (
    frozenset("reduce_sum cumsum scatter-add reduce_window_sum psum".split())
    | ADDING
    | PRODUCTS
)
SQUARES = frozenset(("integer_pow", "square", "mul", "pow"))
SAME = frozenset(
    "convert_element_type broadcast_in_dim reshape squeeze copy neg transpose".split()
)
ANGLES = frozenset(("acos", "asin"))  # steep at 1, where small angles are
# The reasons that a formula near a special point has.
ROUNDING = ("cancellation", "absorbed", "amplified")
# An operation loses digits if it makes the relative error this many times larger.
LOSING = 16.0
# A sum cancels if it is this much smaller than its terms.
CANCELS = 0.05


@dataclass(frozen=True, eq=False)
class Cause:
    """The operation to blame, and the reason."""

    reason: Reason
    stage: Stage


def cause_of(stages: Sequence[Stage]) -> Cause | None:
    """The cause from the operations on the way to a wrong number, if it is a fault."""
    if not stages:
        return None
    best = max(reversed(stages), key=lambda stage: stage.growth)
    if best.growth >= LOSING:
        return None if _is_guard(best) else _of_growth(best)
    narrow = next((s for s in stages if _is_narrow_product(s.operation)), None)
    if narrow is not None:
        return Cause("matmul", narrow)
    sums = [s for s in stages if s.operation.name in SUMS]
    if not sums:
        return Cause("amplified", best)
    summing = max(sums, key=lambda stage: stage.local)
    return Cause("absorbed" if _stalls(summing) else "accumulated", summing)


def _of_growth(stage: Stage) -> Cause:
    """The cause at a stage; of what an addition absorbed, the addition is to blame."""
    reason = _reason(stage)
    if reason not in ("absorbed", "cancellation"):
        return Cause(reason, stage)
    for place in filter(None, map(before_loops, stage.read)):
        maker = place.pair.maker
        if isinstance(maker, Operation) and maker.name in ADDING and _loses(maker):
            return Cause("absorbed", stage_of(maker, place))
    return Cause(reason, stage)


def _reason(stage: Stage) -> Reason:
    place, operation = stage.place, stage.operation
    own, true = np.asarray(place.pair.own)[place.index], place.pair.true[place.index]
    if not np.isfinite(own):
        return "overflow"
    if stage.local > 0.5 and abs(true) < float(jnp.finfo(own.dtype).tiny):
        return "underflow"
    name = operation.name
    if stage.local > 0.5 and _is_narrow_product(operation):
        return "matmul"
    if name in SUMS and _cancels(operation, place):
        return _of_difference(operation)
    if name in SUMS:
        return "accumulated"
    makers = (origin(p.pair) for p in stage.read)
    adds = any(m and m.name in SUMS for m in makers)
    return "absorbed" if adds and name not in ANGLES else "amplified"


def _is_guard(stage: Stage) -> bool:
    """Whether what is lost is a small constant, as in log(p + 1e-8): it may vanish."""
    makers = (origin(place.pair) for place in stage.read)
    adding = [m for m in makers if m is not None and m.name in ADDING]
    return any(_loses(m) and _sizes(m)[-1] == min(_sizes(m)) for m in adding) and all(
        len(m.inputs) == 1 for m in adding
    )


def origin(pair: Pair) -> Operation | None:
    """What made a value, apart from conversions and moves."""
    maker = pair.maker
    while isinstance(maker, Operation):
        if maker.name not in SAME or not maker.inputs:
            return maker
        maker = maker.inputs[0].maker
    return None


def is_log_softmax(operation: Operation) -> bool:
    """Whether it is a step of log(sum(exp(x - max(x)))), forward or backward.

    Near a loss of zero log_softmax loses digits too, and a better formula is not known.
    """
    if operation.name == "log":
        return _is_sum_of_powers(origin(operation.inputs[0]))
    makers = (origin(pair) for pair in operation.inputs)
    return any(maker is not None and _is_softmax(maker) for maker in makers)


def _is_softmax(maker: Operation) -> bool:
    """Whether it is exp(x) * (g / sum(exp(x))), as in the gradient of logsumexp."""
    makers = [m for m in map(origin, maker.inputs) if m is not None]
    quotients = (m for m in makers if m.name == "div" and m.inputs)
    return maker.name == "mul" and any(
        _is_sum_of_powers(origin(m.inputs[-1])) for m in quotients
    )


def _is_sum_of_powers(maker: Operation | None) -> bool:
    if maker is None or maker.name != "reduce_sum":
        return False
    power = origin(maker.inputs[0])
    if power is None or power.name != "exp":
        return False
    return bool(np.max(power.outputs[0].own, initial=0) == 1)


def _of_difference(operation: Operation) -> Reason:
    """Variance, absorption, or any other difference of nearly equal numbers."""
    makers = [origin(pair) for pair in operation.inputs]
    squares = [_is_square(m) or _is_square(_scaled(m)) for m in makers]
    if any(squares) and any(map(_is_mean_of_squares, makers)):
        return "variance"
    adding = (m for m in makers if m is not None and m.name in ADDING)
    return "absorbed" if any(map(_loses, adding)) else "cancellation"


def _loses(maker: Operation) -> bool:
    """Whether a sum keeps less than half of the digits of its smaller term."""
    (result, *_) = maker.outputs
    return 0 < min(_sizes(maker)) < eps_of(result) ** 0.5 * max(_sizes(maker))


def _sizes(operation: Operation) -> list[float]:
    """The largest element of each operand, literals included."""
    return [float(np.abs(x).max(initial=0)) for x in _operands(operation)]


def _scaled(maker: Operation | None) -> Operation | None:
    """What a quotient or a product by a number is made of, as sum(x)**2 / n."""
    alone = (
        maker is not None and maker.name in ("div", "mul") and len(maker.inputs) == 1
    )
    return origin(maker.inputs[0]) if maker is not None and alone else None


def _is_square(maker: Operation | None) -> bool:
    if maker is None or maker.name not in SQUARES:
        return False
    equation = maker.item.equation
    name = equation.primitive.name
    if name == "integer_pow":
        return equation.params["y"] == 2
    return name != "mul" or equation.invars[0] is equation.invars[1]


def _is_mean_of_squares(maker: Operation | None) -> bool:
    """Whether it is a sum of squares, perhaps divided by their number."""
    for _ in range(3):
        if maker is None:
            return False
        name = maker.name
        if name in ("reduce_sum", "dot_general"):
            below = origin(maker.inputs[0])
            return name == "dot_general" or _is_square(below)
        if name not in ("div", "mul"):
            return False
        maker = origin(maker.inputs[0])
    return False


def _cancels(operation: Operation, place: Place) -> bool:
    """Whether a sum is much smaller than the sum of the sizes of its terms."""
    index, position = place.index, place.pair.position
    if operation.name in ADDING:
        mass = sum(_at(x, index) for x in _operands(operation))
    else:
        sizes = [abs(pair.true) for pair in operation.inputs]
        mass = float(abs(operation.function(*sizes)[position][index]))
    return float(abs(place.pair.true[index])) < CANCELS * mass


def _operands(operation: Operation) -> list[np.ndarray]:
    """Its operands, literals included."""
    literals = (a.val for a in operation.item.equation.invars if jaxprs.is_literal(a))
    return [*map(np.asarray, (*(x.true for x in operation.inputs), *literals))]


def _at(array: np.ndarray, index: tuple[int, ...]) -> float:
    """The size of an element; a scalar may stand for an array of it."""
    return float(abs(array[index] if array.ndim else array))


def _is_narrow_product(operation: Operation) -> bool:
    """Whether it is a matrix product that reads or makes numbers of 16 bits."""
    if operation.name not in PRODUCTS:
        return False
    dtypes = [x.own.dtype for x in (*operation.inputs, *operation.outputs)]
    return any(d.itemsize <= 2 for d in dtypes if jnp.issubdtype(d, jnp.floating))


def _stalls(stage: Stage) -> bool:
    """Whether an addition leaves its larger term as it was."""
    operation, place = stage.operation, stage.place
    if operation.name not in ADDING:
        return False
    own = np.asarray(place.pair.own)[place.index]
    terms = [np.asarray(x.own) for x in operation.inputs]
    alike = [t[place.index] for t in terms if t.shape == np.shape(place.pair.own)]
    return any(t == own for t in alike) and stage.local > 0
