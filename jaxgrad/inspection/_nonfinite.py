"""`find_nonfinite`: run once with a tape, and blame what is not finite."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgrad._checks import check_callable
from jaxgrad.inspection._activity import mark_active
from jaxgrad.inspection._assemble import constant_name, whole_step
from jaxgrad.inspection._blame import Backward, Finding, blame_forward, total
from jaxgrad.inspection._describe import Origin, describe
from jaxgrad.inspection._frames import home_of
from jaxgrad.inspection._graph import Builder
from jaxgrad.inspection._jaxprs import constants_of
from jaxgrad.inspection._tape import Recorder, Value, nonfinite
from jaxgrad.inspection._trace import (
    CONCRETE,
    Call,
    NotEntered,
    Traced,
    bind_all,
    entering,
    is_floating,
    needs_value,
    positions_of,
    trace,
    trace_at_best,
    undisturbed,
)
from jaxgrad.inspection._verdict import Verdict
from jaxgrad.inspection.report.explanation import Blame

# The positions of the arguments to differentiate; None for all that are floating.
Chosen = Sequence[int] | None


def find_nonfinite(
    f: Callable[..., Any],
    has_aux: bool = False,
    argnums: int | Sequence[int] | None = None,
) -> Callable[..., Blame | None]:
    """Which step makes the first NaN or Inf that reaches a result or a gradient.

    The function is run operation by operation, with jitted functions opened; where it
    returns a scalar, so is its backward pass, for all floating arguments or for those
    of `argnums`. What does not reach a result is no fault: a NaN that `where` discards
    in both directions, or one in the derivative by the data where only that by the
    parameters is asked for.

    Args:
        f: The function, which may be jitted. It may return any arrays; only a
            floating scalar (with more beside it under `has_aux`) is differentiated.
        has_aux: Whether `f` returns a pair of the scalar and further results.
        argnums: The arguments whose gradients have to be finite, as in
            `jax.value_and_grad`; None for all that are floating.

    Returns:
        A function of the arguments of `f` that returns a `Blame`, or None.

    Raises:
        TypeError: If `f` is no function; on the call, if `argnums` is neither an int
            nor a sequence of ints, or an argument is traced.
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
        call = bind_all("find_nonfinite", f, args, kwargs)
        chosen = None
        if argnums is not None:
            chosen = positions_of("find_nonfinite", argnums, args)
        with jax.disable_jit(False), undisturbed():
            return blame_of(call, has_aux, chosen)

    return found


def blame_of(call: Call, has_aux: bool, chosen: Chosen = None) -> Blame | None:
    """The blame of a call, or None if all that it gives is finite."""
    try:
        return _entered(call, has_aux, chosen)
    except NotEntered as fault:
        return _whole(call, has_aux, chosen, fault)


def _entered(call: Call, has_aux: bool, chosen: Chosen) -> Blame | None:
    try:
        call, traced = _traced(call)
    except CONCRETE as fault:
        raise needs_value(fault) from fault
    with entering(call.f):
        return _blame(call, traced, has_aux, chosen)


def _blame(call: Call, traced: Traced, has_aux: bool, chosen: Chosen) -> Blame | None:
    builder = Builder("user", home_of(call.f))
    block = builder.program(traced.jaxpr)
    leaves = (*call.differentiated, *traced.others)
    inputs = [
        Value(jnp.asarray(leaf.value), label=leaf.path, kind="input") for leaf in leaves
    ]
    for value, leaf in zip(inputs, leaves, strict=True):
        value.active = value.floating and (chosen is None or leaf.argument in chosen)
    constants = [
        Value(jnp.asarray(c), label=constant_name(call.f, c), kind="constant")
        for c in constants_of(traced.jaxpr)
    ]
    mark_active(block, [value.active for value in (*inputs, *constants)])
    recorder = Recorder(builder)
    outputs = recorder.run(block, [*inputs, *constants])
    finding = _find(traced, has_aux, recorder, inputs, outputs)
    if finding is None:
        return None
    origins = [Origin("argument", i, label=v.label) for i, v in enumerate(inputs)]
    origins += [Origin("constant", i, label=v.label) for i, v in enumerate(constants)]
    drafts, _ = describe(block, origins)
    return Verdict(drafts, recorder).blame(finding)


def _traced(call: Call) -> tuple[Call, Traced]:
    """The trace, if need be with Python's floats as they are."""
    try:
        return call, trace_at_best(call)
    except CONCRETE:
        kept = call.with_numbers_kept()
        if not kept.differentiated:
            raise
        return kept, trace(kept, concrete=True)


def _find(
    traced: Traced,
    has_aux: bool,
    recorder: Recorder,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
) -> Finding | None:
    for output in outputs:
        if output.bad().any():
            return blame_forward(output)
    if not traced.scalar or (traced.tree.num_leaves > 1 and not has_aux):
        return None
    backward = Backward(recorder.tape)
    backward.run(outputs[0])
    for value in inputs:
        gradient = total(value) if value.active else None
        if gradient is not None and nonfinite(gradient).any():
            return backward.blame(value, nonfinite(gradient))
    return None


def _whole(
    call: Call, has_aux: bool, chosen: Chosen, fault: NotEntered
) -> Blame | None:
    """The function as one step, which JAX runs."""
    args, kwargs = call.arguments
    outputs = jax.tree.leaves(call.f(*args, **kwargs))
    phase, bad = "forward", _count(outputs)
    if not bad and outputs and jnp.shape(outputs[0]) == ():
        positions = range(len(args)) if chosen is None else chosen
        positions = [i for i in positions if _differentiable(args[i])]
        gradients = jax.grad(call.f, positions, has_aux)(*args, **kwargs)
        phase, bad = "backward", _count(jax.tree.leaves(gradients))
    if not bad:
        return None
    return Blame(
        phase=phase,
        step=whole_step(call, outputs[0], fault.source),
        argument=None,
        iteration=None,
        count=bad,
        operands={},
        hint=f"The function could not be entered: {fault}.",
        source=fault.source,
    )


def _differentiable(argument: Any) -> bool:
    leaves = jax.tree.leaves(argument)
    return bool(leaves) and all(map(is_floating, leaves))


def _count(leaves: Sequence[Any]) -> int:
    arrays = [jnp.asarray(leaf) for leaf in leaves if not isinstance(leaf, str)]
    return sum(int(nonfinite(array).sum()) for array in arrays)
