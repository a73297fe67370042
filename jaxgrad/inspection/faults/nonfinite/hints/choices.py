"""Infinite constants: those that a select took and what chose it, and factors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint, first, met
from jaxgrad.inspection.faults.nonfinite.hints.zeros import selects_for_user
from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.run.tape import Entry, Value

COMPARISONS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}
# Operations that only move the elements of a condition.
MOVING = frozenset("broadcast_in_dim reshape squeeze expand_dims transpose".split())
LOGICAL = frozenset("and or not convert_element_type copy".split())
NORMALIZING = frozenset("softmax log_softmax logsumexp dot_product_attention".split())
MASKING = (
    "An infinite constant reaches the result: mask with a large finite number "
    "(-1e9 for logits), and make sure that no row is fully masked"
)


class Condition(NamedTuple):
    """What decided a select, and at which of its elements."""

    value: Value  # The result of a comparison, or a mask that the user passed
    mask: np.ndarray


def chosen_constant(case: Case) -> Hint | None:
    """An infinite constant that a select took: a mask, or a value outside a domain."""
    if case.culprit.chosen is None:
        return None
    entry, mask = case.culprit.chosen
    described = [_described(case, c) for c in _conditions(entry.operands[0], mask)]
    shown = _joined([values for _, values in described])
    if not shown:
        return None
    where = ", ".join(reason for reason, _ in described)
    if not selects_for_user(entry):
        text = (
            f"{case.operation} is defined as an infinite constant where {where}, for "
            "example outside the support of a distribution: check the data"
        )
    elif _is_mask(case):
        text = MASKING
    else:
        text = (
            f"The infinite constant is selected where {where}: select a finite number "
            "instead"
        )
    return Hint(text, shown)


def _joined(columns: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The elements of all columns by name, each number once."""
    joined: dict[str, dict[float, None]] = {}
    for column in columns:
        for label, elements in column.items():
            joined.setdefault(label, {}).update(dict.fromkeys(elements.tolist()))
    return {label: np.array(list(numbers)) for label, numbers in joined.items()}


def added_mask(case: Case) -> Hint | None:
    """An infinity added to logits that a softmax then reads."""
    return Hint(MASKING) if _is_mask(case) else None


def infinite_factor(case: Case) -> Hint | None:
    """An infinity that is written into a product or a quotient."""
    if case.entry.primitive not in ("mul", "div"):
        return None
    written = [v for v in case.entry.operands if _is_constant(v) and v.bad().any()]
    if not written or np.isnan(np.asarray(written[0].array)).any():
        return None
    return Hint(
        f"A factor is an infinite constant, and 0 * inf = NaN in the derivative of "
        f"{case.operation}, also where it is not selected: use a finite number instead"
    )


def _is_mask(case: Case) -> bool:
    """Whether a -inf became NaN in a softmax."""
    return case.became in NORMALIZING and bool((case.bad == -np.inf).all())


def _described(case: Case, condition: Condition) -> tuple[str, dict[str, np.ndarray]]:
    """A condition in words, and the values that it compares."""
    value, mask = condition
    holds, entry = bool(np.asarray(value.array)[mask].all()), value.maker
    if entry is None or entry.primitive not in COMPARISONS:
        label = case.label(value)
        shown = {label: met(value, mask)} if label else {}
        name = case.name(value) or "the condition "
        return f"{name}{first(mask)} is {holds}", shown
    sides, places, shown = [], [], {}
    for operand in entry.operands[:2]:
        elements, label = met(operand, mask), case.label(operand)
        number_ = number(elements.reshape(-1)[0].item(), 6)
        if _is_constant(operand) or not label:
            sides.append(number_)
            continue
        shown[label] = elements
        sides.append(case.name(operand) or "a value")
        whole = np.shape(operand.array) == mask.shape
        places.append(f"{case.name(operand)}{first(mask) if whole else ''} = {number_}")
    left, right = sides
    sign, at = COMPARISONS[entry.primitive], ", ".join(places)
    return f"{left} {sign} {right} is {holds}{f' ({at})' if at else ''}", shown


def _is_constant(value: Value) -> bool:
    while value.maker is not None and value.maker.operands:
        if value.maker.primitive not in (*MOVING, "convert_element_type"):
            return False
        value = value.maker.operands[0]
    return value.kind in ("literal", "constant") and np.size(value.array) == 1


def _conditions(value: Value, mask: np.ndarray) -> Iterator[Condition]:
    """The comparisons and masks that decided the elements `mask` of a condition."""
    if np.shape(value.array) == ():
        mask = np.ones((), bool)
    entry = value.maker
    if np.shape(value.array) != mask.shape:
        return
    if entry is not None and entry.primitive in MOVING:
        yield from _conditions(entry.inputs[0], _moved(entry, mask))
    elif entry is not None and entry.primitive in LOGICAL:
        for operand in entry.inputs:
            decisive = mask
            if len(entry.inputs) > 1:
                decisive = mask & (np.asarray(operand.array) == np.asarray(value.array))
            if decisive.any():
                yield from _conditions(operand, decisive)
    else:
        yield Condition(value, mask)


def _moved(entry: Entry, mask: np.ndarray) -> np.ndarray:
    """Where the elements `mask` of a moved array come from."""
    source = entry.inputs[0].array
    numbers = jnp.arange(np.size(source)).reshape(np.shape(source))
    (moved,) = entry.function(numbers)
    placed = np.zeros(np.size(source), bool)
    placed[np.asarray(moved)[mask]] = True
    return placed.reshape(np.shape(source))
