"""The fault of a NaN or an Inf: its entry points, and the run that is searched."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import check_callable
from jaxgrad._guards import undisturbed
from jaxgrad.inspection.faults.describe import Describer
from jaxgrad.inspection.faults.nonfinite.blame import BlameWriter
from jaxgrad.inspection.faults.nonfinite.culprit import blame_backward, blame_forward
from jaxgrad.inspection.program.call import (
    Call,
    Traced,
    bind,
    refusal,
    trace,
    trace_at_best,
)
from jaxgrad.inspection.program.failures import NotEntered, naming_the_line, own_failure
from jaxgrad.inspection.program.frames import definition_of
from jaxgrad.inspection.program.jaxprs import has_references
from jaxgrad.inspection.program.program import Program, take_apart
from jaxgrad.inspection.report.data import Phase, Report, Step
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.run.replay import replay
from jaxgrad.inspection.run.steps import whole_step
from jaxgrad.inspection.run.tape import nonfinite

NUMBERS = (jax.Array, np.ndarray, np.generic, float, complex)
ONLY_COMPILED = (
    "Only the compiled program gives this; the result is finite if the program runs "
    "operation by operation. It depends on rounding: look for a difference of nearly "
    "equal numbers, or a pole that is only just missed."
)


def find_nonfinite(
    f: Callable[..., Any],
    has_aux: bool = False,
    argnums: int | Sequence[int] | None = None,
) -> Callable[..., Blame | None]:
    """Which step makes the first NaN or Inf that reaches a result or a gradient.

    Runs the function operation by operation, with jitted functions opened. If it
    returns a scalar, the backward pass runs in the same way, for all floating arguments
    or for those of `argnums`. A NaN that reaches no result is not reported: one that
    `where` discards in both directions, or one in the derivative with respect to the
    data if only the parameters are differentiated.

    Only the parameters of an Equinox or Flax NNX module are differentiated. In
    `shard_map` and `pmap` the blame also names the shard.

    Args:
        f: The function, which may be jitted. It may return any arrays; only a
            floating scalar (with further results under `has_aux`) is differentiated.
        has_aux: Whether `f` returns a pair of the scalar and further results.
        argnums: The arguments whose gradients have to be finite, as in
            `jax.value_and_grad`; None for all that are floating.

    Returns:
        A function of the arguments of `f` that returns a `Blame`, or None.

    Raises:
        TypeError: If `f` is not callable; on the call, if `argnums` is neither an int
            nor a sequence of ints, an argument is traced, or it is called in a trace.
        ValueError: On the call, if `argnums` chooses an argument that is not given.
        RuntimeError: On the call, if an argument was donated or deleted.

    Examples:
        >>> import jax.numpy as jnp
        >>> def distance(x):
        ...     squares = jnp.sum(x**2)
        ...     return jnp.sqrt(squares)
        >>> find_nonfinite(distance)(jnp.ones(3)) is None
        True
        >>> blame = find_nonfinite(distance)(jnp.zeros(3))
        >>> blame.phase, blame.step.operation, blame.source.text
        ('backward', 'sqrt', 'return jnp.sqrt(squares)')
    """
    check_callable("find_nonfinite", "f", f)

    def found(*args: Any, **kwargs: Any) -> Blame | None:
        with undisturbed():
            call = bind("find_nonfinite", f, args, kwargs, argnums)
            return in_call(call, has_aux, must_reverse=argnums is not None)

    return found


def in_call(call: Call, has_aux: bool, must_reverse: bool) -> Blame | None:
    """The blame of a call, or None if all its results are finite.

    If JAX refuses to differentiate, its error is raised; without `must_reverse`, only
    the values are checked.
    """
    with jax.disable_jit(False), undisturbed():
        return _in_call(call, has_aux, must_reverse)


def _in_call(call: Call, has_aux: bool, must_reverse: bool) -> Blame | None:
    whole = call
    try:
        call, traced = _traced(call)
    except NotEntered as reason:
        return _as_one_step(call, has_aux, reason)
    if has_references(traced.jaxpr):
        reason = NotEntered("it changes arrays in place", definition_of(call.f))
        return _as_one_step(call, has_aux, reason)
    try:
        program = take_apart(call, traced)
        blame = _blame(program, has_aux, must_reverse)
        if blame is not None or call is whole:
            return blame
        # The gradients for the numbers that had to stay Python's were not checked.
        return _as_one_step(whole, has_aux)
    except Exception as fault:
        # Errors of JAX and of the function are raised again here.
        blame = _as_one_step(call, has_aux)
        leaves = call.leaves_of(traced)
        active = [leaf.differentiated for leaf in leaves]
        if refusal(traced, leaves, active) is None:
            own_failure("find_nonfinite", call.f, fault)
        return blame


def in_report(program: Program, report: Report, has_aux: bool) -> Any:
    """The blame of a report, in terms of its own steps; None if it is finite."""
    results = zip(jax.tree.leaves(report.value), program.traced.outputs, strict=True)
    computed = [leaf for leaf, constant in results if constant is None]
    if not count([computed, report.gradients]):
        return None
    if has_references(program.traced.jaxpr):
        return _from_numbers(report, "The function changes arrays in place.")
    with jax.disable_jit(False), undisturbed():
        try:
            blame = _blame(program, has_aux, report=report)
        except Exception as fault:
            own_failure("explain", program.call.f, fault)
            return _from_numbers(report, "The search for the operation failed.")
    return blame or _from_numbers(report, ONLY_COMPILED)


def count(tree: Any) -> int:
    """How many elements of a tree's arrays and numbers are NaN or infinite."""
    leaves = (x for x in jax.tree.leaves(tree) if isinstance(x, NUMBERS))
    return sum(int(nonfinite(jnp.asarray(leaf)).sum()) for leaf in leaves)


def _traced(call: Call) -> tuple[Call, Traced]:
    """The trace; if it needs them, with Python's floats left as they are."""
    try:
        return call, trace_at_best(call)
    except NotEntered:
        kept = call.with_numbers_kept()
        if not kept.differentiated:
            raise
        return kept, trace(kept, concrete=True)


def _blame(
    program: Program,
    has_aux: bool,
    must_reverse: bool = True,
    report: Report | None = None,
) -> Blame | None:
    """Run the program on a tape, and blame what is not finite.

    If JAX has no derivative, its error is raised; without `must_reverse`, only the
    values are checked. The blame names the steps of `report`, if there is one.
    """
    run = replay(program, stretches=True)
    writer = BlameWriter(Describer(program.drafts, run.tape, report))
    for output in run.outputs:
        if output.bad().any():
            return writer.write(blame_forward(output))
    scalar = program.traced.scalar
    if not scalar or (program.traced.tree.num_leaves > 1 and not has_aux):
        return None
    if report is None:
        refused = refusal(program.traced, program.leaves, program.active)
        if refused is not None and must_reverse:
            raise refused
        if refused is not None:
            return None
    for value, gradient in run.gradients():
        if nonfinite(gradient).any():
            mask = nonfinite(gradient)
            return writer.write(blame_backward(run.backward, value, mask))
    return None


def _as_one_step(
    call: Call, has_aux: bool, reason: NotEntered | None = None
) -> Blame | None:
    """The blame of the function as a whole, which JAX runs."""
    with naming_the_line("find_nonfinite"):
        outputs = jax.tree.leaves(call.with_values([], []))
        phase: Phase = "forward"
        bad = count(outputs)
        if not bad and outputs and jnp.shape(outputs[0]) == ():
            _, gradients = call.value_and_grad(call.differentiated, has_aux)
            phase, bad = "backward", count(gradients)
    if not bad:
        return None
    source = reason.source if reason else definition_of(call.f)
    step = whole_step(call, outputs[0], source)
    hint = f"The function could not be entered{f': {reason}' if reason else ''}."
    return Blame(phase, step, None, None, bad, {}, hint, source=source)


def _from_numbers(report: Report, hint: str) -> Blame:
    """The first step that is not finite by the report's own numbers."""
    for step in report.steps:
        for value, _ in step.summaries:
            if value and value.nonfinite:
                return _in_step("forward", step, value.nonfinite, hint)
    for step in reversed(report.steps):
        for _, gradient in step.summaries:
            if gradient and gradient.nonfinite:
                return _in_step("backward", step, gradient.nonfinite, hint)
    return _in_step("backward", None, count([report.value, report.gradients]), hint)


def _in_step(phase: Phase, step: Step | None, bad: int, hint: str) -> Blame:
    return Blame(phase, step, None, None, bad, {}, hint, source=step and step.source)
