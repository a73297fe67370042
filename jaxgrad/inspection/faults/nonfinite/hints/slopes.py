"""The hints for a derivative that is not finite, and for the values it reads.

An infinite derivative is not a fault by itself. Often the cotangent is 0, and the
product is NaN; then the remedy depends on what made the cotangent 0.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.nonfinite.culprit import ELEMENTWISE
from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint, met
from jaxgrad.inspection.faults.nonfinite.hints.choices import infinite_factor
from jaxgrad.inspection.faults.nonfinite.hints.library import library_line, zero_epsilon
from jaxgrad.inspection.faults.nonfinite.hints.logsumexp import masked_row
from jaxgrad.inspection.faults.nonfinite.hints.matrices import (
    coinciding,
    rank_deficient,
)
from jaxgrad.inspection.faults.nonfinite.hints.points import (
    DERIVATIVES,
    VALUES,
    Fact,
    fact_at,
)
from jaxgrad.inspection.faults.nonfinite.hints.range import (
    Excess,
    grown,
    summed,
    swallowed,
)
from jaxgrad.inspection.faults.nonfinite.hints.zeros import Reason, zero_reason
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.frames import Frame
from jaxgrad.inspection.run.backward import Backward
from jaxgrad.inspection.run.tape import Entry, Value, nonfinite

Rule = Callable[[Case], Hint | None]

# The user's words for a primitive whose derivative is infinite somewhere.
SPELLED = {
    "divide": "div",
    "power": "pow",
    **{f"arc{name}": f"a{name}" for name in ("cos", "sin", "cosh", "tanh")},
    **dict.fromkeys(("norm", "std", "safe_norm", "global_norm"), "sqrt"),
}
WAYS: dict[Reason, str] = {
    "deselected": "The branch is not selected, but 0 * {what} = NaN passes a `where`: "
    "use it twice, where(ok, f(where(ok, x, 1)), 0), so that f never sees the bad x",
    "factor": "A factor of 0 makes the cotangent 0, but 0 * {what} = NaN: guard the "
    "argument, f(where(ok, x, 1)), so that f never sees the bad x",
    "dropped": "The element is not used later, but its cotangent of 0 makes 0 * {what} "
    "= NaN: drop it before this step, or guard the argument, f(where(ok, x, 1))",
    "other": "The cotangent is 0, but 0 * {what} = NaN: guard the argument, "
    "f(where(ok, x, 1)), so that f never sees the bad x",
}


def passed_on(forward: Sequence[Rule]) -> Rule:
    """The rule for a value of the forward pass that only a derivative read.

    Its reason comes from the rules `forward`.
    """

    def rule(case: Case) -> Hint | None:
        if case.culprit.passed is None or (way := _way(case)) is None:
            return None
        hint = next(filter(None, (each(case) for each in forward)), None)
        if hint is None:
            return None
        excess = swallowed(case)
        if excess is not None:
            return Hint(_of_excess(case, excess), hint.shown)
        reason = hint.text.partition(": ")[0]
        return Hint(f"{way}; here {reason}", hint.shown)

    return rule


def out_of_range(case: Case) -> Hint | None:
    """A result that overflows, and shows only in the derivative: 1 / (1 + inf)."""
    excess = swallowed(case)
    return None if excess is None else Hint(_of_excess(case, excess))


def _of_excess(case: Case, excess: Excess) -> str:
    """An overflow, and where the infinity became NaN."""
    way = _way(case)
    if way is not None and _zero_reason(case) != "other":
        return f"{way}; here {excess.fact}"
    product = "" if way is None else ", and the derivative makes 0 * inf = NaN"
    return f"{excess.fact}{product}: {excess.remedy}"


def at_a_norm(case: Case) -> Hint | None:
    """The root in a norm, a standard deviation or a variance."""
    base = case.operation.removesuffix(" (backward)")
    fact = _fact(case)
    if base not in ("norm", "std", "var", "global_norm") or fact is None:
        return None
    if case.operands()[0].any():
        return None
    return Hint(
        f"{base} at 0: {fact.sentence}; add an epsilon under the root, or use where "
        "twice (optax.safe_norm does)"
    )


def epsilon_at_a_pole(case: Case) -> Hint | None:
    """An epsilon of 0 in an operand that is at a pole."""
    fact, hint = _fact(case), zero_epsilon(case)
    if fact is None or hint is None:
        return None
    return Hint(f"{_capital(fact.sentence)}; {hint.text}", hint.shown)


def at_a_pole(case: Case) -> Hint | None:
    """An operand where the derivative is infinite or NaN."""
    fact = _fact(case)
    if fact is None:
        return None
    if (way := _way(case, fact.nan)) is not None:
        return Hint(f"{way}; here {fact.sentence}")
    return Hint(
        f"{_capital(fact.sentence)}: keep the argument away from that point, or guard "
        "it, where(ok, f(where(ok, x, 1)), 0)"
    )


def steep(case: Case) -> Hint | None:
    """A derivative that is out of range by itself, away from any pole."""
    way = _way(case)
    if way is None or not _is_infinite(case):
        return None
    range_ = f"the derivative of {case.operation} leaves the range of {case.dtype}"
    return Hint(f"{way}; here {range_}")


def _is_infinite(case: Case) -> bool:
    """Whether the derivative is also infinite for a cotangent of 1."""
    entry, value = case.entry, case.culprit.value
    ones = [jnp.ones_like(v.array) if v.active else None for v in entry.outputs]
    position = next(i for i, v in enumerate(entry.inputs) if v is value)
    sent = Backward([]).pull(entry, [v.array for v in entry.inputs], ones)
    return bool(np.isinf(np.asarray(sent[position]))[case.culprit.mask].all())


def custom_rule(case: Case) -> Hint | None:
    """A rule that the user or a library wrote."""
    if case.entry.primitive not in jaxprs.CUSTOM_RULES:
        return None
    return Hint("The rule of a custom derivative returned it: check the rule")


def no_slope(case: Case) -> Hint | None:
    """Any other derivative."""
    return Hint(f"The derivative of {case.entry.primitive} is not finite here")


def nested_norm(case: Case) -> Hint | None:
    """`at_a_norm` for a gradient taken inside the user's function."""
    return _of_twin(case, at_a_norm)


def nested_pole(case: Case) -> Hint | None:
    """`at_a_pole` for a gradient taken inside the user's function."""
    return _of_twin(case, at_a_pole)


def nested_product(case: Case) -> Hint | None:
    """An infinity in a second derivative that is multiplied by 0."""
    way = _way(case)
    fact = fact_at(VALUES.get(case.entry.primitive, ()), case.operands())
    if way is None or fact is None:
        return None
    return Hint(f"{way}; here {fact.sentence}")


def _of_twin(case: Case, rule: Rule) -> Hint | None:
    """A rule applied to the operation of the forward pass that is differentiated."""
    mask, zero = case.culprit.mask, case.culprit.zero or _zero_numerator(case)
    for twin in _twins(case):
        if np.shape(twin.outputs[0].array) != mask.shape:
            continue
        hint = rule(replace(case, culprit=replace(case.culprit, entry=twin, zero=zero)))
        if hint is not None:
            made = [v for v in twin.operands if v.kind != "literal"]
            names = (
                case.label(v) or f"operand {i} of {twin.primitive}"
                for i, v in enumerate(made)
            )
            return Hint(
                hint.text, {n: met(v, mask) for n, v in zip(names, made, strict=True)}
            )
    return None


def _zero_numerator(case: Case) -> tuple[Value, np.ndarray] | None:
    """The cotangent of 0 that a derivative divides by 0."""
    if case.entry.primitive != "div":
        return None
    cotangent, mask = case.entry.operands[0], case.culprit.mask
    if np.shape(cotangent.array) != mask.shape or met(cotangent, mask).any():
        return None
    return cotangent, mask


def _twins(case: Case) -> Iterator[Entry]:
    """The operations of the expression whose derivative the culprit belongs to."""
    base, here = case.operation.removesuffix(" (backward)"), _expression(case.entry)
    if here is None:
        return
    for twin in _read(case.entry, case.culprit.mask.shape):
        if _expression(twin) == here:
            yield twin
    primitive = SPELLED.get(base, base)
    for twin in case.tape.entries:
        near = twin.primitive == primitive and twin.iteration == case.entry.iteration
        if near and twin is not case.entry and _expression(twin) == here:
            yield twin


def _read(entry: Entry, shape: tuple[int, ...], far: int = 4) -> Iterator[Entry]:
    """The operations of that shape whose results an operation reads, nearest first."""
    for value in entry.operands:
        maker = value.maker
        if maker is not None and maker.operands and np.shape(value.array) == shape:
            yield maker
            if far:
                yield from _read(maker, shape, far - 1)


def _expression(entry: Entry) -> Frame | None:
    """The user's expression that an operation belongs to."""
    site = entry.site
    return site.frames[site.user] if site and site.user is not None else None


def _fact(case: Case) -> Fact | None:
    return fact_at(DERIVATIVES.get(case.entry.primitive, ()), _operands(case))


def _operands(case: Case) -> list[np.ndarray]:
    """The operands at the bad elements.

    Of a value that is broadcast, only where its own part of the sum is bad.
    """
    entry, mask = case.entry, case.culprit.mask
    cotangents, shape = case.culprit.cotangents, np.shape(entry.outputs[0].array)
    if entry.primitive not in ELEMENTWISE or mask.shape == shape or not cotangents:
        return case.operands()
    arrays = [jnp.broadcast_to(v.array, shape) for v in entry.inputs]
    position = next(i for i, v in enumerate(entry.inputs) if v is case.culprit.value)
    parts = nonfinite(Backward([]).pull(entry, arrays, cotangents)[position])
    return [met(value, parts) for value in entry.operands]


def _way(case: Case, nan: bool | None = None) -> str | None:
    """What made the zero that multiplies the infinity, and what to do; or None."""
    if case.culprit.zero is None:
        return None
    reason = _zero_reason(case)
    if nan is None:
        nan = case.culprit.phase == "forward" and bool(np.isnan(case.bad).all())
    way = WAYS[reason].format(what="NaN" if nan else "inf")
    if _reachable(case):
        return way
    return f"{way.partition(': ')[0]}: guard what goes into {case.operation}"


def _zero_reason(case: Case) -> Reason:
    """Why the factor or the cotangent that met the infinity is 0."""
    culprit = case.culprit
    assert culprit.zero is not None
    backward = culprit.phase == "backward" or culprit.passed is not None
    return zero_reason(*culprit.zero, backward)


def _reachable(case: Case) -> bool:
    """Whether the user can guard the operand: it does not belong to a library."""
    return library_line(case.entry) is None or any(map(case.label, case.entry.operands))


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


DERIVATIVE: tuple[Rule, ...] = (
    custom_rule,
    infinite_factor,
    coinciding,
    rank_deficient,
    masked_row,
    at_a_norm,
    epsilon_at_a_pole,
    at_a_pole,
    out_of_range,
    steep,
    summed,
    grown,
    no_slope,
)
NESTED: tuple[Rule, ...] = (nested_norm, nested_pole, nested_product)
