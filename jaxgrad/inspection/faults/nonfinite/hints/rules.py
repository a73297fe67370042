"""From a culprit to advice: a table of rules, each of which says only what it checked.

A rule looks at the concrete operands, results and cotangents of a `Case` and returns
None unless they show what its sentence says. The first rule that holds gives the hint;
the last rules of each list give a short hint where no other rule holds.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint
from jaxgrad.inspection.faults.nonfinite.hints.choices import (
    added_mask,
    chosen_constant,
)
from jaxgrad.inspection.faults.nonfinite.hints.indices import out_of_bounds
from jaxgrad.inspection.faults.nonfinite.hints.library import zero_epsilon
from jaxgrad.inspection.faults.nonfinite.hints.logsumexp import masked_row
from jaxgrad.inspection.faults.nonfinite.hints.matrices import (
    not_positive_definite,
    singular,
)
from jaxgrad.inspection.faults.nonfinite.hints.points import REMEDIES, VALUES, fact_at
from jaxgrad.inspection.faults.nonfinite.hints.range import (
    added_up,
    exponential,
    overflow,
)
from jaxgrad.inspection.faults.nonfinite.hints.slopes import (
    DERIVATIVE,
    NESTED,
    passed_on,
)
from jaxgrad.inspection.faults.nonfinite.hints.variance import negative_root
from jaxgrad.inspection.faults.nonfinite.hints.zeros import selects_for_user
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.failures import warn_of_own_failure

Rule = Callable[[Case], Hint | None]


def advise(case: Case) -> Hint:
    """The first hint that holds."""
    for rule in rules_of(case):
        try:
            hint = rule(case)
        except Exception as fault:
            warn_of_own_failure("find_nonfinite", fault, "A hint is left out.")
            continue
        if hint is not None:
            return hint._replace(text=f"{hint.text}.")
    return Hint("")


def rules_of(case: Case) -> Sequence[Rule]:
    """The rules for where a culprit was found, the most specific first."""
    if case.culprit.phase == "input":
        return (given,)
    if case.culprit.phase == "forward":
        nested = case.entry.site is not None and case.entry.site.derivative
        return (passed_on(FORWARD), *(NESTED if nested else ()), *FORWARD)
    if case.culprit.phase == "backward":
        return (added_up, *DERIVATIVE)
    return CONSTANT


def given(case: Case) -> Hint | None:
    """An argument that was not finite when it was passed."""
    del case
    return Hint(
        "This argument was already non-finite: look at the data, or, for a parameter, "
        "at the previous update"
    )


def nan_constant(case: Case) -> Hint | None:
    """A NaN constant of the program."""
    if not jnp.isnan(case.culprit.value.array).any():
        return None
    chosen = case.culprit.chosen
    if chosen is not None and not selects_for_user(chosen[0]):
        return Hint(f"{case.operation} gives NaN here: it is undefined for this input")
    return Hint("The function contains a NaN constant")


def empty_segment(case: Case) -> Hint | None:
    """The initial value of a maximum or minimum over an empty segment."""
    if not case.operation.startswith("segment_"):
        return None
    return Hint("A segment is empty: its maximum is -inf, its minimum inf")


def infinite_constant(case: Case) -> Hint | None:
    """Any other infinite constant of the program."""
    del case
    return Hint(
        "An infinite constant reaches the result: use a large finite number instead"
    )


def zero_times_log(case: Case) -> Hint | None:
    """X * log(x) at 0."""
    if case.entry.primitive != "log" or (case.operands()[0] != 0).any():
        return None
    if case.culprit.zero is None or case.culprit.passed is not None:
        return None
    return Hint(
        "0 * log(0) is NaN: jax.scipy.special.xlogy(x, y) is 0 at x = 0, and so is "
        "entr(x), which is -x * log(x)"
    )


def empty_mean(case: Case) -> Hint | None:
    """The sum of no elements, divided by 0."""
    if case.entry.primitive != "div":
        return None
    total, count = case.entry.operands
    while total.maker is not None and total.maker.primitive in (
        "convert_element_type",
    ):
        total = total.maker.operands[0]
    maker = total.maker
    if maker is None or maker.primitive != "reduce_sum" or np.any(count.array):
        return None
    if np.size(maker.operands[0].array):
        return None
    return Hint("the mean of an empty array is NaN", {"count": np.zeros(1)})


def outside_domain(case: Case) -> Hint | None:
    """An operand at a pole of the operation, or outside its domain."""
    points = VALUES.get(case.entry.primitive, ())
    fact = fact_at(points, case.operands())
    if fact is None:
        return None
    return Hint(f"{fact.sentence}: {REMEDIES[case.entry.primitive]}")


def infinite(case: Case) -> Hint | None:
    """Any other infinity."""
    if not np.isinf(case.bad).all():
        return None
    return Hint(
        f"{case.operation or case.entry.primitive} is infinite here, or leaves the "
        f"range of {case.dtype}: keep the argument away from this point"
    )


def custom_rule(case: Case) -> Hint | None:
    """A function with a custom derivative, recorded as one entry."""
    if case.entry.primitive not in jaxprs.CUSTOM_RULES:
        return None
    return Hint("a function with a custom derivative returned it: check its definition")


def no_value(case: Case) -> Hint | None:
    """Any other operation."""
    return Hint(f"{case.entry.primitive} has no finite value for these operands")


CONSTANT: tuple[Rule, ...] = (
    nan_constant,
    empty_segment,
    chosen_constant,
    added_mask,
    infinite_constant,
)
FORWARD: tuple[Rule, ...] = (
    out_of_bounds,
    exponential,
    masked_row,
    zero_times_log,
    empty_mean,
    not_positive_definite,
    singular,
    zero_epsilon,
    negative_root,
    outside_domain,
    overflow,
    infinite,
    custom_rule,
    no_value,
)
