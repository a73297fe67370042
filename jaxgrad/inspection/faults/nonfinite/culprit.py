"""Search a tape backward for the operation that made a NaN or Inf.

If its operands are finite, the operation that made a non-finite value is the culprit.
Otherwise the non-finite elements of one operand at a time are replaced by ordinary
numbers: if that makes the result finite, the search continues with what made the
operand; if no operand does, the operation is the culprit. In the backward pass the
search starts from a gradient and follows the cotangents; if the saved operands are the
cause, it continues with the forward operation that made them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._types import Array
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.report.data import Phase
from jaxgrad.inspection.run.backward import Backward, replaced, total
from jaxgrad.inspection.run.tape import Entry, Value, nonfinite

# Finite stand-ins for non-finite elements, inside the domains of log and acos.
ORDINARY = (0.5, 1.0)
# Each element of the result depends only on the operands' elements at its place.
ELEMENTWISE = frozenset(
    "add sub mul div max min pow integer_pow neg abs exp log log1p expm1 sqrt rsqrt "
    "tanh logistic sin cos select_n convert_element_type square add_any copy".split()
)
# A NaN in one of their operands is a NaN in their result.
PASSING_NAN = ELEMENTWISE - {"select_n", "max", "min", "pow"}


@dataclass(frozen=True)
class Culprit:
    """Where a search ended."""

    phase: Phase
    # The operation that made it, or that read the input or constant
    entry: Entry | None
    value: Value  # What is non-finite: the result, or the input or constant
    mask: np.ndarray  # Which of its elements count
    cotangents: tuple[Any, ...] = ()  # In the backward phase the incoming cotangents
    became: Entry | None = None  # The other operation that turned infinity into NaN
    # The forward operation whose derivative read the non-finite value
    passed: Entry | None = None
    # The zero that it was multiplied by, and where: a factor, or a result whose
    # cotangent was 0
    zero: tuple[Value, np.ndarray] | None = None
    adding: bool = False  # Whether finite parts of a cotangent overflowed in their sum
    # The last select that chose the constant, and where
    chosen: tuple[Entry, np.ndarray] | None = None


def blame_forward(value: Value, mask: np.ndarray | None = None) -> Culprit:
    """Follow the elements `mask`, or all non-finite ones, to what made them."""
    mask = value.bad() if mask is None else mask
    entry, became, zero, chosen = None, None, None, None
    while value.maker is not None:
        entry = value.maker
        if entry.primitive == "select_n":
            chosen = entry, mask
        cause = _cause(entry, value, mask)
        turned = bool(cause) and _holds_nan(value, mask) and not _holds_nan(*cause)
        if (cause is None or turned) and _opened(entry, value, mask):
            continue
        if cause is None:
            constant = _bad_literal(entry)
            if constant is None:
                culprit = Culprit("forward", entry, value, mask)
                return replace(culprit, became=became, zero=zero)
            value, mask = constant, constant.bad()
            break
        operand, reached = cause
        if turned and not entry.moves:  # a move continues with the first row only
            became, zero = entry, _zero_factor(entry, operand, mask)
        value, mask = operand, reached
    if chosen is not None and value.kind != "input" and _holds_nan(value, mask):
        tested = next(_tested(chosen[0].operands[0]), None)
        if tested is not None:  # a median, for example, tests its data for NaN
            return blame_forward(tested)
    phase: Phase = "input" if value.kind == "input" else "constant"
    culprit = Culprit(phase, entry, value, mask, became=became)
    return replace(culprit, zero=zero, chosen=chosen)


def blame_backward(backward: Backward, value: Value, mask: np.ndarray) -> Culprit:
    """Follow the non-finite elements `mask` of the gradient of an input."""
    while True:
        bad = [each for each in value.parts if (nonfinite(each[1]) & mask).any()]
        if not bad:
            entry = value.maker or value.parts[-1][0]
            return Culprit("backward", entry, value, mask, adding=True)
        entry, part = bad[0]
        assert entry is not None  # only the seed has no entry, and it is 1
        mask = np.asarray(mask & nonfinite(part))  # also for scalars
        cause = _backward_cause(backward, entry, value, mask)
        if not isinstance(cause, Culprit):
            value, mask = cause
            continue
        if entry.open is None:
            return cause
        backward.open(entry)
        if not any((nonfinite(part) & mask).any() for _, part in value.parts):
            return cause  # it depends on how the stretch was compiled


def reaches(entry: Entry, position: int, output: int, mask: np.ndarray) -> np.ndarray:
    """Which elements of an output depend on the elements `mask` of an input."""

    def forward(f: Callable[[Array], Array], x: Array) -> Array:
        return jax.jvp(f, (x,), (jnp.asarray(mask, x.dtype),))[1]

    return _reached(entry, position, output, mask, entry.outputs[output], forward)


def finite(array: Any) -> Any:
    """The array with an ordinary number for every element that is not finite."""
    return _ordinary(array, ORDINARY[0])


def influence(entry: Entry, position: int, output: int, mask: np.ndarray) -> np.ndarray:
    """Which elements of an input the elements `mask` of an output depend on."""

    def back(f: Callable[[Array], Array], x: Array) -> Array:
        return jax.vjp(f, x)[1](jnp.asarray(mask, x.dtype))[0]

    return _reached(entry, position, output, mask, entry.inputs[position], back)


def _opened(entry: Entry, value: Value, mask: np.ndarray) -> bool:
    """Whether the passes of a stretch, one by one, make these elements non-finite."""
    if entry.open is None:
        return False
    entry.open()
    assert value.maker
    return bool((value.maker.inputs[0].bad() & mask).any())


def _cause(
    entry: Entry, value: Value, mask: np.ndarray
) -> tuple[Value, np.ndarray] | None:
    """The operand that made `value` non-finite, and which elements of it."""
    if entry.moves:
        whole = entry.inputs[0] if entry.primitive == "unstack" else entry.outputs[0]
        return _moved(entry, value, mask, whole)
    output = _index(entry.outputs, value)
    arrays = [v.array for v in entry.inputs]
    suspects = _suspects(entry.inputs)
    found = _deciding(lambda xs: entry.function(*xs)[output], arrays, suspects, mask)
    if found is None and (entry.primitive in PASSING_NAN or entry.open):
        # It makes a NaN where there was one already: x / 0 in every pass of a loop.
        nan = np.asarray(np.isnan(np.asarray(value.array)) & mask)
        passed = (i for i in suspects if _holds_all(arrays[i], nan))
        passed = (i for i in passed if influence(entry, i, output, mask).any())
        found = next(passed, None)
    if found is None:
        return None
    bad = nonfinite(arrays[found])
    return entry.inputs[found], _overlap(bad, influence(entry, found, output, mask))


def _tested(condition: Value, far: int = 20) -> Iterator[Value]:
    """The values that a condition tests for NaN and that contain one."""
    entry = condition.maker
    if entry is None or not far:
        return
    compared = [value for value in entry.operands if jaxprs.is_floating(value.array)]
    if entry.primitive in ("ne", "eq", "is_finite"):
        same = len({id(value) for value in compared}) == 1
        bad = (value for value in compared[:1] if same and value.bad().any())
        yield from bad
    elif not compared:
        for value in entry.operands:
            yield from _tested(value, far - 1)


def _bad_literal(entry: Entry) -> Value | None:
    """A literal of an operation that is not finite."""
    literals = (v for v in entry.operands if v.kind == "literal")
    return next((v for v in literals if v.bad().any()), None)


def _backward_cause(
    backward: Backward, entry: Entry, value: Value, mask: np.ndarray
) -> Culprit | tuple[Value, np.ndarray]:
    """The incoming cotangent that was already non-finite, or where the search ends."""
    if entry.moves:
        whole = entry.inputs[0] if entry.primitive == "unstack" else None
        return _moved(entry, value, mask, whole or entry.outputs[0])
    position = _index(entry.inputs, value)
    arrays = [v.array for v in entry.inputs]
    cotangents = [total(output) for output in entry.outputs]

    def sent_back(xs: Sequence[Any], cs: Sequence[Any]) -> Array:
        return backward.pull(entry, xs, cs)[position]

    given = [(i, c) for i, c in enumerate(cotangents) if c is not None]
    suspects = [i for i, cotangent in given if nonfinite(cotangent).any()]
    found = _deciding(lambda cs: sent_back(arrays, cs), cotangents, suspects, mask)
    if found is None:  # an infinite derivative here hides the incoming cotangent
        found = next((i for i in suspects if _came_in(entry, value, mask, i)), None)
    if found is not None:
        reached = reaches(entry, position, found, mask)
        bad = nonfinite(cotangents[found])
        return entry.outputs[found], _overlap(bad, reached)
    suspects = _suspects(entry.inputs)
    found = _deciding(lambda xs: sent_back(xs, cotangents), arrays, suspects, mask)
    if found is not None:
        bad = nonfinite(arrays[found])
        culprit = blame_forward(entry.inputs[found], _overlap(bad, mask))
        return _read_by_a_derivative(culprit, entry, value, mask)
    zero, cs = _zero_cotangent(entry, mask), tuple(cotangents)
    return Culprit("backward", entry, value, mask, cotangents=cs, zero=zero)


def _came_in(entry: Entry, value: Value, mask: np.ndarray, output: int) -> bool:
    """Whether the elements `mask` of an operand's gradient have a bad cotangent."""
    bad = nonfinite(total(entry.outputs[output]))
    reached = reaches(entry, _index(entry.inputs, value), output, mask)
    return bad.shape == reached.shape and bool((bad & reached).any())


def _read_by_a_derivative(
    culprit: Culprit, entry: Entry, value: Value, mask: np.ndarray
) -> Culprit:
    """A culprit of the forward pass whose value the derivative of `entry` read."""
    sent = [part for reader, part in value.parts if reader is entry]
    turned = np.isnan(np.asarray(sent[0]))[mask].any() if sent else False
    became = culprit.became
    if turned and became is None and not _holds_nan(culprit.value, culprit.mask):
        became = entry
    zero = _zero_cotangent(entry, mask)
    return replace(culprit, passed=entry, became=became, zero=zero)


def _zero_cotangent(entry: Entry, mask: np.ndarray) -> tuple[Value, np.ndarray] | None:
    """The result whose cotangent is 0 wherever a gradient is bad, if there is one."""
    for output in entry.outputs:
        cotangent = total(output)
        if cotangent is not None and np.shape(cotangent) == mask.shape:
            if (np.asarray(cotangent)[mask] == 0).all():
                return output, mask
    return None


def _moved(
    entry: Entry, value: Value, mask: np.ndarray, whole: Value
) -> tuple[Value, np.ndarray]:
    """From a row to its place in the whole array, or from there to its first row."""
    place = entry.place(value)
    if place is None:
        rows = zip(entry.rows, entry.places, strict=True)
        return next((row, np.asarray(mask[at])) for row, at in rows if mask[at].any())
    placed = np.zeros(np.shape(whole.array), bool)
    placed[place] = mask
    return whole, placed


def _deciding(
    result: Callable[[Sequence[Any]], Any],
    arrays: Sequence[Any],
    suspects: Sequence[int],
    mask: np.ndarray,
) -> int | None:
    """The suspect whose replacement makes more elements of the result finite."""
    before = int(mask.sum())

    def left(chosen: Sequence[int]) -> int:
        changed = ({i: _ordinary(arrays[i], x) for i in chosen} for x in ORDINARY)
        try:
            results = (result(replaced(arrays, new)) for new in changed)
            return min(int((nonfinite(each) & mask).sum()) for each in results)
        except Exception:  # the user's function or rule does not take a stand-in
            return before

    alone = {i: left([i]) for i in suspects}
    best = min(suspects, key=lambda i: alone[i], default=None)
    if best is not None and alone[best] < before:
        return best
    if len(suspects) > 1 and left(suspects) < before:
        return suspects[0]
    return None


def _suspects(inputs: Sequence[Value]) -> list[int]:
    """The non-finite operands: the earliest made first, constants last."""

    def made(i: int) -> tuple[bool, tuple[int, ...]]:
        maker = inputs[i].maker
        return inputs[i].kind == "constant", maker.number if maker else ()

    return sorted((i for i, v in enumerate(inputs) if v.bad().any()), key=made)


def _ordinary(array: Any, x: float) -> Any:
    if not nonfinite(array).any():
        return array
    return jnp.where(jnp.isfinite(array), array, jnp.asarray(x, array.dtype))


def _reached(
    entry: Entry,
    position: int,
    output: int,
    mask: np.ndarray,
    end: Value,
    through: Callable[[Callable[[Array], Array], Array], Array],
) -> np.ndarray:
    """Where a mask arrives when `through` sends it between an input and an output."""
    shape = np.shape(end.array)
    if int(np.prod(shape)) == 1 and entry.open is None:
        return np.ones(shape, bool)
    if entry.primitive in ELEMENTWISE and shape == mask.shape:
        return mask
    arrays = [_ordinary(v.array, ORDINARY[0]) for v in entry.inputs]

    def alone(x: Array) -> Array:
        return entry.function(*replaced(arrays, {position: x}))[output]

    try:
        return np.asarray(through(alone, arrays[position]) != 0)
    except Exception:  # the user's function or rule raised: any element may count
        return np.ones(shape, bool)


def _overlap(bad: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """The bad elements that are reached; all of them if that is not known."""
    if bad.shape == reached.shape and (bad & reached).any():
        return np.asarray(bad & reached)
    return bad


def _holds_all(array: Any, nan: np.ndarray) -> bool:
    """Whether `nan` has true elements, and the array is NaN at all of them."""
    array = np.asarray(array)
    somewhere = array.shape == nan.shape and bool(nan.any())
    return somewhere and bool(np.isnan(array)[nan].all())


def _holds_nan(value: Value, mask: np.ndarray) -> bool:
    return bool(np.isnan(np.asarray(value.array))[mask].any())


def _zero_factor(
    entry: Entry, operand: Value, mask: np.ndarray
) -> tuple[Value, np.ndarray] | None:
    """The zero factor with which a product turned infinity into NaN."""
    if entry.primitive not in ("mul", "dot_general"):
        return None
    for factor in entry.operands:
        array = np.asarray(factor.array)
        if factor is operand or array.shape not in (mask.shape, ()):
            continue
        if (np.broadcast_to(array, mask.shape)[mask] == 0).all():
            where = mask if array.shape else np.ones((), bool)
            return factor, where
    return None


def _index(values: Sequence[Value], value: Value) -> int:
    return next(i for i, each in enumerate(values) if each is value)
