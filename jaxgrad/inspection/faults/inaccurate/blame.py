"""From the cause of an inaccurate number to a `Blame` in the user's terms."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from jaxgrad.inspection.faults.describe import Describer, guarded, line_of
from jaxgrad.inspection.faults.inaccurate.cause import Cause
from jaxgrad.inspection.faults.inaccurate.hints import hint
from jaxgrad.inspection.faults.inaccurate.outputs import Output
from jaxgrad.inspection.faults.inaccurate.path import worst
from jaxgrad.inspection.faults.inaccurate.twin import Operation, Pair
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.frames import is_machinery
from jaxgrad.inspection.program.labels import Draft
from jaxgrad.inspection.report.data import Phase
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.run.tape import Entry


def write(
    names: Describer, output: Output, pair: Pair, cause: Cause, value: Pair
) -> Blame:
    """The finding for the value, or for the gradient of a leaf."""
    operation = cause.stage.operation
    guilty = user_of(cause)
    entry = _entry(names, guilty)
    step = guarded(lambda: names.step(entry), None)
    primitive = operation.name
    own, true = str(pair.own.dtype), _precision(pair)
    what = f"The gradient of {output.label}" if output.label else "The value"
    iteration = guilty.iteration[0] if len(guilty.iteration) == 1 else guilty.iteration
    when = f" in iteration {iteration}" if guilty.iteration else ""
    because = f", because of {step.name}{when}" if step else ""
    place = worst(pair)
    at = f"[{', '.join(map(str, place.index))}]" if place.index else ""
    a, b = (number(x, 6) for x in _numbers(pair, place.index))
    return Blame(
        phase=_phase(operation, value),
        step=step,
        argument=output.label or None,
        iteration=iteration if guilty.iteration else None,
        count=int((pair.error != 0).sum()),
        operands=guarded(lambda: dict(_operands(cause)), {}),
        hint=guarded(lambda: hint(cause, step.operation if step else primitive), ""),
        primitive=primitive,
        source=line_of(entry, step),
        kind="inaccurate",
        reason=cause.reason,
        summary=f"{what} is inaccurate ({cause.reason}){because}: {at and at + ' is '}"
        f"{a} in {own}, {b} {true}, a relative error of {number(output.error, 2)}",
    )


def in_library(operation: Operation) -> bool:
    """Whether it belongs to a library's formula, such as that of log_softmax."""
    site = operation.item.site
    inside = site.frames if site.user is None else site.frames[site.user + 1 :]
    files = [frame.code.co_filename for frame in inside]
    return not all(is_machinery(f) or "/jax/_src/numpy/" in f for f in files)


def _precision(pair: Pair) -> str:
    if pair.own.dtype == pair.true.dtype:
        return "with the last bits rounded at random (Monte Carlo arithmetic)"
    return f"in {pair.true.dtype}"


def _numbers(pair: Pair, index: tuple[int, ...]) -> tuple[Any, Any]:
    return np.asarray(pair.own)[index].item(), np.asarray(pair.true)[index].item()


def _operands(cause: Cause) -> Iterator[tuple[str, np.ndarray]]:
    """The numbers of the operation, in its own precision and in twice of it."""
    stage = cause.stage
    name = stage.operation.name
    for place in stage.read[:2]:
        position = next(
            i for i, x in enumerate(stage.operation.inputs) if x is place.pair
        )
        yield f"operand {position} of {name}, {_both(place.pair)}", _pair(place)
    yield f"result of {name}, {_both(stage.place.pair)}", _pair(stage.place)


def _both(pair: Pair) -> str:
    return f"{pair.own.dtype} and {pair.true.dtype}"


def _pair(place: Any) -> np.ndarray:
    return np.array(_numbers(place.pair, place.index))


def user_of(cause: Cause) -> Operation:
    """For a sum of cotangents, the operation in the user's line that they come from.

    Two sides that cancel come from the difference that they were sent back from; a part
    of a long sum, from the operation that sent it.
    """
    operation = cause.stage.operation
    if operation.name != "add_any":
        return operation
    sides = [_cotangents(pair) for pair in operation.inputs]
    apart = reduce(set.symmetric_difference, sides, set())
    pick = min if cause.reason == "cancellation" else max
    return pick(apart, key=lambda each: each.number, default=operation)


def _cotangents(pair: Pair) -> set[Operation]:
    """The operations of the backward pass that lead to a cotangent."""
    found: set[Operation] = set()
    pending = [pair.maker]
    while pending:
        maker = pending.pop()
        if isinstance(maker, Operation) and maker not in found:
            if maker.item.site.backward:
                found.add(maker)
                pending += [x.maker for x in maker.inputs]
    return found


def _phase(operation: Operation, value: Pair) -> Phase:
    """Forward if the value depends on the operation."""
    if operation.iteration:
        return "backward" if operation.item.site.backward else "forward"
    seen: set[int] = set()
    pending: list[Any] = [value.maker]
    while pending:
        maker = pending.pop()
        if maker is operation:
            return "forward"
        if maker is None or id(maker) in seen:
            continue
        seen.add(id(maker))
        inputs = getattr(maker, "inputs", None)
        if inputs is None and hasattr(maker, "operands"):
            inputs = [x for part in maker.operands for x in part]
        pending += [x.maker for x in inputs or ()]
    return "backward"


def _entry(names: Describer, operation: Operation) -> Entry:
    """An entry of the user's step, for an operation of the program of the gradient."""
    item = operation.item
    draft = _draft(names.ran(), operation)
    slot = draft.item.slot if draft else len(names.drafts) * 1000
    name = item.equation.primitive.name
    place = slot, operation.site, operation.iteration
    return Entry((), name, lambda *_: [], [], [], *place)


def _draft(drafts: Sequence[Draft], operation: Operation) -> Draft | None:
    """The step on the line of an operation that contains it, or the last one there."""
    line = line_of(Entry((), "", lambda *_: [], [], [], 0, operation.site, ()), None)
    if line is None:
        return None
    place = line.file, line.line
    here = [d for d in drafts if (d.source.file, d.source.line) == place]
    if not here:  # a line of a custom rule
        rules = [d for d in drafts if _primitives(d) & jaxprs.CUSTOM_RULES]
        here = rules if len(rules) == 1 else []
    name = operation.name
    name = "sub" if name == "neg" and operation.item.site.backward else name
    inside = [d for d in here if name in _primitives(d)]
    return (inside or here or [None])[-1]


def _primitives(draft: Draft) -> set[str]:
    found: set[str] = set()
    for equation in draft.item.equations:
        found |= {equation.primitive.name}
        found.update(*map(jaxprs.primitives_in, jaxprs.bodies_of(equation)))
    return found
