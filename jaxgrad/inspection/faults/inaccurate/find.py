"""The fault of lost digits: its entry point, and the search in a program."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgrad._checks import check_callable
from jaxgrad._guards import undisturbed
from jaxgrad._numerics import usual_error
from jaxgrad.inspection.faults.describe import Describer
from jaxgrad.inspection.faults.grouping import listed
from jaxgrad.inspection.faults.inaccurate.blame import in_library, user_of, write
from jaxgrad.inspection.faults.inaccurate.cause import (
    ROUNDING,
    SUMS,
    Cause,
    cause_of,
    is_log_softmax,
)
from jaxgrad.inspection.faults.inaccurate.outputs import ZERO, Output, Outputs
from jaxgrad.inspection.faults.inaccurate.path import walk, worst
from jaxgrad.inspection.faults.inaccurate.twin import Pair
from jaxgrad.inspection.faults.zero.cause import Cause as Zero
from jaxgrad.inspection.faults.zero.hints import hint as zero_hint
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.call import Call, bind
from jaxgrad.inspection.program.failures import (
    InspectionWarning,
    NotEntered,
    own_failure,
)
from jaxgrad.inspection.program.program import (
    Program,
    take_apart,
    trace_to_replay,
)
from jaxgrad.inspection.report.explanation import Blame, Blames
from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.run.replay import replay

# Roundings that add up over a long program in float64, and leave digits enough.
GRADUAL = 1e-9
ILL_CONDITIONED = (
    "is ill-conditioned in its inputs: their own rounding changes it as much as the "
    "rounding of the program does; this may not be a fault."
)
SHARDED = "The digits inside of shard_map and pmap were not checked."


class Losses(NamedTuple):
    """The inaccurate numbers of a call."""

    findings: tuple[Blame, ...]
    remarks: tuple[str, ...] = ()  # About lost digits that may not be a fault
    skipped: str = ""  # What was not looked at, and why
    zeros: tuple[Blame, ...] = ()  # Gradients that are zero but for rounding


def find_inaccurate(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., Blames]:
    """Which gradients, or whether the value, lost their digits: at which step, and why.

    Runs the function and its gradient in its own precision and in float64, with the
    same decisions (comparisons, orders, roundings, random numbers). There is one
    finding for the value and for each array among the differentiated arguments whose
    error, relative to its largest element, is far larger than rounding explains: 1000
    units in the last place, or half of the digits in 16 bits. It names the operation
    that made the relative error large, not the roundings before it. Its `reason` is

    - "cancellation": a difference of nearly equal numbers;
    - "variance": the mean of the squares minus the square of the mean;
    - "absorbed": a small number was added to a large one;
    - "accumulated": a long sum, one addition after another;
    - "matmul": a matrix product in fewer digits than its result has;
    - "overflow", "underflow": an intermediate number leaves the range of its dtype;
    - "amplified": an operation that is steep enlarges the rounding of its operands.

    Where a change of the inputs by one unit in the last place changes the true result
    as much, no rearrangement helps, and nothing is reported: sin(1e8) in float32.
    float64 is compared with itself under random rounding of the last bit, because JAX
    has no wider type; which operations are exact is known by compensated arithmetic.

    Args:
        f: The function, which may be jitted; it returns a floating scalar.
        argnums: The arguments to differentiate, as in `jax.value_and_grad`.
        has_aux: Whether `f` returns a pair of the scalar and further results.

    Returns:
        A function of the arguments of `f` that returns a tuple of `Blame`: the value
        first (its `argument` is None), then the gradients.

    Warns:
        InspectionWarning: If a part of the program is not looked at, and why.

    Raises:
        TypeError: If `f` is not callable; on the call, if a differentiated argument is
            not floating, the result is not a floating scalar, or an argument is traced.
        Exception: On the call, what `jax.value_and_grad` raises.

    Examples:
        >>> import jax.numpy as jnp
        >>> def step(x):
        ...     after, before = jnp.sqrt(x + 1), jnp.sqrt(x)
        ...     return after - before
        >>> value, gradient = find_inaccurate(step)(1e8)
        >>> gradient.argument, gradient.phase, gradient.reason, gradient.source.line
        ('x', 'backward', 'cancellation', 3)
        >>> find_inaccurate(lambda x: 1 / (jnp.sqrt(x + 1) + jnp.sqrt(x)))(1e8)
        ()

    References: Sanchez-Stern et al., "Finding root causes of floating point error"
    (Herbgrind), 2018; Parker, "Monte Carlo arithmetic", 1997.
    """
    check_callable("find_inaccurate", "f", f)

    def found(*args: Any, **kwargs: Any) -> Blames:
        with undisturbed():
            call = bind("find_inaccurate", f, args, kwargs, argnums)
            losses = in_call(call, has_aux)
        if losses.skipped:
            _warn(losses.skipped)
        return Blames(losses.findings)

    return found


def _warn(skipped: str) -> None:
    warnings.warn(f"find_inaccurate: {skipped}", InspectionWarning, stacklevel=3)


def search(program: Program) -> Losses:
    """The inaccurate numbers of a program."""
    outputs = Outputs(program)
    assert outputs.inputs  # in the dtypes that they have without x64
    with jax.enable_x64(True):
        wrong = outputs.inaccurate()
        findings = [(o, i) for i, o in wrong if not o.ill_conditioned]
        remarks = tuple(_remarks([o for _, o in wrong if o.ill_conditioned]))
        zeros = outputs.cancelled()
        alone = len(zeros) == len(outputs.labels) - 1
        if zeros and not alone:
            remarks += (_shift([outputs.labels[i] for i in zeros]),)
        if not findings and not alone:
            return Losses((), remarks)
        pairs = outputs.run()
        known = ((o, pairs[i], _cause(outputs, pairs[i])) for o, i in findings)
        causes = [(o, pair, cause) for o, pair, cause in known if cause is not None]
        made = ((i, cause_of(walk(pairs[i]))) for i in zeros if alone)
        nothing = [
            (Output(outputs.labels[i], 1.0), pairs[i], cause)
            for i, cause in made
            if cause
        ]
        if all(_in_library(cause) for *_, cause in causes):
            remarks += tuple(_of_library([o for o, *_ in causes]))
            causes = []
            if not nothing:
                return Losses((), remarks)
    run = replay(program, stretches=True)
    names = Describer(program.drafts, run.tape)
    assert run.backward
    with jax.enable_x64(True):
        blames = tuple(write(names, *each, pairs[0]) for each in causes)
        zero = tuple(_as_zero(write(names, *each, pairs[0])) for each in nothing)
    return Losses(_mended_alike(blames), remarks, zeros=zero)


def _as_zero(blame: Blame) -> Blame:
    """A gradient of which only rounding is left."""
    advice = zero_hint(Zero("cancelled"), "", "")
    because = f", because of {blame.step.name}" if blame.step else ""
    rest = "is zero but for rounding (cancelled)"
    summary = f"The gradient of {blame.argument} {rest}{because}"
    return replace(blame, kind="zero", reason="cancelled", hint=advice, summary=summary)


def _shift(paths: Sequence[str]) -> str:
    return (
        f"The gradient of {listed(paths)} is zero but for rounding: its parts "
        "cancel wherever the arguments are moved, as for a bias before a "
        "normalisation; this may not be a fault."
    )


def _mended_alike(blames: tuple[Blame, ...]) -> tuple[Blame, ...]:
    """A step that loses the digits of the value and of a gradient has one remedy."""
    steps = {b.step.index: b.hint for b in blames if b.phase == "forward" and b.step}
    hints = (b.step and steps.get(b.step.index) for b in blames)
    return tuple(
        replace(b, hint=h or b.hint) for b, h in zip(blames, hints, strict=True)
    )


def in_call(call: Call, has_aux: bool) -> Losses:
    """The inaccurate numbers of a call."""
    with jax.disable_jit(False), undisturbed():
        return _in_call(call, has_aux)


def _in_call(call: Call, has_aux: bool) -> Losses:
    try:
        traced = trace_to_replay(call, has_aux)
    except NotEntered as reason:
        return Losses((), skipped=f"The digits were not checked: {reason}.")
    try:
        losses = search(take_apart(call, traced))
    except Exception as fault:
        reason = own_failure(call.function, call.f, fault)
        return Losses((), skipped=f"The digits were not checked: {reason}.")
    sharded = "shard_map" in jaxprs.primitives_in(traced.jaxpr)
    return losses._replace(skipped=SHARDED if sharded else "")


def _cause(outputs: Outputs, pair: Pair) -> Cause | None:
    """The cause of a wrong output; None if it is only as coarse as its parts."""
    if worst(pair).error == 0:
        return None
    cause = cause_of(walk(pair))
    if cause is None or cause.reason == "matmul":
        return cause
    if not outputs.noise and _is_zero(cause):
        return None
    if outputs.noise and cause.reason == "accumulated" and worst(pair).error < GRADUAL:
        return None
    coarsest = max(outputs.dtypes, key=lambda dtype: float(jnp.finfo(dtype).eps))
    return cause if worst(pair).error > usual_error(coarsest) / 4 else None


def _is_zero(cause: Cause) -> bool:
    """Whether the true result of a sum is zero, but for the rounding of float64."""
    place, operation = cause.stage.place, cause.stage.operation
    if cause.reason not in ("cancellation", "variance") or operation.name not in SUMS:
        return False
    terms = max(float(jnp.abs(pair.true).max(initial=0)) for pair in operation.inputs)
    unit = float(jnp.finfo(jnp.float64).eps) * terms
    return float(jnp.abs(place.pair.true[place.index])) <= ZERO * unit


def _in_library(cause: Cause) -> bool:
    """Whether a formula is to blame that is a library's own, or as good as that."""
    if cause.reason not in ROUNDING:
        return False
    return in_library(user_of(cause)) or is_log_softmax(cause.stage.operation)


def _of_library(outputs: Sequence[Output]) -> Iterator[str]:
    if outputs:
        names = ", ".join(o.label or "the value" for o in outputs)
        error = max(o.error for o in outputs)
        yield (
            "Digits are lost inside a library's function or a log_softmax "
            f"(in {names}: a relative error of up to {number(error, 2)}), as in a loss "
            "near its minimum; this may not be a fault."
        )


def _remarks(outputs: Sequence[Output]) -> Iterator[str]:
    gradients = [output.label for output in outputs if output.label]
    if len(gradients) < len(outputs):
        yield f"The value {ILL_CONDITIONED}"
    if gradients:
        yield f"The gradient of {listed(gradients)} {ILL_CONDITIONED}"
