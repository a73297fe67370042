"""The fault of a gradient that is zero: its entry point, and the search in a run."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgrad._checks import check_callable
from jaxgrad._guards import undisturbed
from jaxgrad.inspection.faults.describe import Describer
from jaxgrad.inspection.faults.zero.argument import Causes
from jaxgrad.inspection.faults.zero.blame import write
from jaxgrad.inspection.faults.zero.cause import ORDER
from jaxgrad.inspection.faults.zero.units import units_of
from jaxgrad.inspection.program.call import (
    Call,
    bind,
)
from jaxgrad.inspection.program.failures import (
    NotEntered,
    naming_the_line,
    own_failure,
)
from jaxgrad.inspection.program.program import take_apart, trace_to_replay
from jaxgrad.inspection.report.explanation import Blame, Blames
from jaxgrad.inspection.run.replay import Replay, replay


class Zeros(NamedTuple):
    """The faults, and the zero gradients that are not a fault."""

    findings: tuple[Blame, ...]  # The most serious first
    # Stationary points (`reason` is "stationary"), shifts that a normalisation
    # removes ("cancelled"), units that are off in this batch ("dead"), and what a layer
    # that starts at zero multiplies ("multiplied")
    remarks: tuple[Blame, ...]


def find_zero(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., Blames]:
    """Which arguments have a gradient of zero, at which step, and why.

    Runs the function operation by operation, forward and backward. There is one finding
    for each array among the differentiated arguments whose gradient is zero everywhere.
    Its `reason` is

    - "unconnected": the result does not depend on the array;
    - "stopped": `stop_gradient` ends the derivative;
    - "integer": it passes through an integer, a comparison, argmax, round, floor, sign;
    - "branch": `where`, `cond` or `max` took something else;
    - "multiplied": a factor is zero, also in a matrix product;
    - "saturated": a sigmoid, tanh, softmax or clip is exactly flat in this dtype;
    - "dead": a relu or a similar function gets only negative numbers;
    - "underflow": the gradient is too small for the dtype;
    - "rule": a custom derivative returns zero although the function changes;
    - "cancelled": parts that are not zero add up to zero, wherever the array is moved.

    If only some rows, columns or elements of a gradient are zero, the units that cannot
    recover are reported after the others: saturated, cut by a custom rule, or dead and
    far from the kink. Rows that are not in the batch, features that are zero in the
    data, and units that are off in one batch are normal. So is a stationary point: the
    minimum of a loss, the square at 0; and a factor of zero that is trained itself, as
    the last layer of LoRA in its first step.

    Args:
        f: The function, which may be jitted; it returns a floating scalar.
        argnums: The arguments to differentiate, as in `jax.value_and_grad`.
        has_aux: Whether `f` returns a pair of the scalar and further results.

    Returns:
        A function of the arguments of `f` that returns a tuple of `Blame`, the most
        serious first; it is empty if nothing is wrong.

    Raises:
        TypeError: If `f` is not callable; on the call, if a differentiated argument is
            not floating, the result is not a floating scalar, or an argument is traced.
        Exception: On the call, what `jax.value_and_grad` raises.

    Examples:
        >>> import jax.numpy as jnp
        >>> def loss(w, b):
        ...     hidden = jax.nn.relu(w - 100)
        ...     return jnp.sum(hidden) + b
        >>> (blame,) = find_zero(loss)(jnp.ones(3), 1.0)
        >>> blame.argument, blame.reason, blame.step.name, blame.source.line
        ('w', 'dead', 'hidden', 2)
        >>> find_zero(loss, argnums=1)(jnp.ones(3), 1.0)
        ()
    """
    check_callable("find_zero", "f", f)

    def found(*args: Any, **kwargs: Any) -> Blames:
        with undisturbed():
            call = bind("find_zero", f, args, kwargs, argnums)
            return Blames(in_call(call, has_aux).findings)

    return found


def search(replay: Replay, names: Describer) -> Zeros:
    """The arguments of a run whose gradient is zero."""
    causes = Causes(replay)
    whole, parts, remarks = [], [], []
    for value, gradient in replay.gradients():
        zero = np.asarray(np.asarray(gradient) == 0)
        if zero.size and zero.all():
            cause = causes.why(value, zero)
            found = remarks if cause.normal else whole
            found.append(write(names, value, zero, cause))
        elif zero.any():
            for units in units_of(causes, value, zero):
                found = parts if units.hopeless else remarks
                found.append(write(names, value, units.mask, units.cause, units.path))
    whole.sort(key=lambda blame: ORDER.index(blame.reason))
    return Zeros((*whole, *parts), tuple(remarks))


def in_call(call: Call, has_aux: bool) -> Zeros:
    """The zero gradients of a call; a function that cannot be entered is one step."""
    with jax.disable_jit(False), undisturbed():
        return _in_call(call, has_aux)


def _in_call(call: Call, has_aux: bool) -> Zeros:
    try:
        traced = trace_to_replay(call, has_aux)
    except NotEntered as reason:
        return _as_one_step(call, has_aux, reason)
    try:
        program = take_apart(call, traced)
        run = replay(program)
        return search(run, Describer(program.drafts, run.tape))
    except Exception as fault:
        return _as_one_step(call, has_aux, own_failure(call.function, call.f, fault))


def _as_one_step(call: Call, has_aux: bool, reason: NotEntered) -> Zeros:
    """The arguments whose gradient is zero, of a function that JAX runs as a whole."""
    with naming_the_line(call.function):
        _, gradients = call.value_and_grad(call.differentiated, has_aux)
    hint = f"The function could not be entered: {reason}."
    found = (
        Blame(
            *("backward", None, leaf.path, None, int(np.size(gradient)), {}, hint),
            source=reason.source,
            kind="zero",
            summary=f"The gradient of {leaf.path} is zero",
        )
        for leaf, gradient in zip(call.differentiated, gradients, strict=True)
        if np.size(gradient) and not np.any(np.asarray(gradient))
    )
    return Zeros(tuple(found), ())
