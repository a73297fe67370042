"""`explain`: every intermediate value of a function, its gradient and its line."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import jax

from jaxgrad._checks import check_callable, check_choice, wrong_type
from jaxgrad._guards import CONFIGURED, undisturbed
from jaxgrad.inspection.faults import nonfinite
from jaxgrad.inspection.program import failures
from jaxgrad.inspection.program.blocks import Depth
from jaxgrad.inspection.program.call import (
    Call,
    Traced,
    bind,
    refusal,
    trace_at_best,
)
from jaxgrad.inspection.program.frames import name_of
from jaxgrad.inspection.program.program import Program, take_apart
from jaxgrad.inspection.report.data import ChainRule, Report
from jaxgrad.inspection.report.explanation import Explanation
from jaxgrad.inspection.run.cache import compiled
from jaxgrad.inspection.run.chain import chain_rule
from jaxgrad.inspection.run.gradients import value_and_cotangents
from jaxgrad.inspection.run.steps import arguments_of, build_steps, whole_step


def explain(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    depth: Depth = "user",
    keep: Literal["arrays", "summary"] = "arrays",
) -> Callable[..., Explanation]:
    """Every intermediate value of a function, its gradient, and its source line.

    Takes what `jax.value_and_grad` takes, and returns a function of the same
    arguments. What the user wrote becomes a step; a library's function stays one
    step, and a function with a custom derivative keeps its rule. The function is
    traced again on every call; it runs compiled, or op by op under `jax.disable_jit`.
    Floats and NumPy arrays enter the trace as arrays, as under `jax.jit`: a function
    that asks for their type, or computes with NumPy, gets what it gets there.

    The inexact arrays of an Equinox module and the `nnx.Param`s of a Flax NNX module
    are differentiated; everything else in them stays as it is. In a tree that
    `jax.value_and_grad` refuses, only the inexact arrays are differentiated. An NNX
    module is not changed.

    In `shard_map` and `pmap` a step's value has one leading axis: the shards, in the
    order of the mesh. A value that is equal on all shards is shown once for each, with
    the cotangent that JAX computes on that shard.

    Args:
        f: A function that returns a floating scalar (and more, with `has_aux`).
        argnums: Which arguments to differentiate, as in `jax.value_and_grad`.
        has_aux: Whether `f` returns a pair of the scalar and further results.
        depth: "user": a step is a call or an operator in the user's source.
            "library": the lines of Optax, Flax and `jax.nn` are steps as well.
            "primitive": every equation of the jaxpr is a step.
        keep: "arrays" keeps all values and gradients; "summary" replaces each by a
            `Summary` before it returns, so the report holds no array of the steps.

    Returns:
        A function of the arguments of `f` that returns an `Explanation`. Its
        `chain_rule`, and a page or JSON file that it saves, say what every step sends
        back along each edge; for that the program is compiled and run once more.

    Raises:
        TypeError: If `f` is not callable; on the call, if a differentiated argument
            has no inexact arrays, the result is not a floating scalar, an argument is
            traced, or it is called inside a trace.
        ValueError: If `depth` or `keep` is unknown.
        Exception: On the call, what `jax.value_and_grad` raises, with a note that
            names the user's line.

    Examples:
        >>> def loss(w1, b1, w2, b2, x):
        ...     h1 = w1 * x + b1
        ...     y = w2 * h1 + b2
        ...     return y
        >>> report = explain(loss, argnums=(0, 1, 2, 3))(2.0, -10.0, 4.0, 7.0, 3.0)
        >>> report.value.item(), [g.item() for g in report.gradients]
        (-9.0, [12.0, 4.0, -4.0, 1.0])
        >>> report["h1"].value.item(), report["h1"].gradient.item()
        (-4.0, 4.0)

    Torch: `retain_grad()` on every intermediate tensor before `backward()`.
    """
    check_callable("explain", "f", f)
    check_choice("explain", "depth", depth, ("user", "library", "primitive"))
    check_choice("explain", "keep", keep, ("arrays", "summary"))

    def explained(*args: Any, **kwargs: Any) -> Explanation:
        with undisturbed():
            call = bind("explain", f, args, kwargs, argnums)
            return report_of(call, argnums, has_aux, depth, keep == "summary")

    return explained


def report_of(
    call: Call,
    argnums: int | Sequence[int],
    has_aux: bool,
    depth: Depth = "user",
    summary: bool = False,
) -> Explanation:
    """The report of a call, for the entry point that the call names in its errors."""
    report = _report(call, argnums, has_aux, depth, summary)
    # JAX's options and the arguments may change later.
    found = report.nonfinite
    return replace(report, _find=lambda _: found)


def _report(
    call: Call, argnums: Any, has_aux: bool, depth: Depth, summary: bool
) -> Explanation:
    try:
        traced = trace_at_best(call)
    except failures.NotEntered as reason:
        return _as_one_step(call, argnums, has_aux, reason)
    _check_result(call.function, traced, has_aux)
    try:
        program = take_apart(call, traced, depth)
        return _explanation(program, argnums, has_aux, summary)
    except Exception as fault:
        # If JAX refuses the function, its own error is raised here.
        whole = _value_and_grad(call, has_aux)
        reason = _why_it_failed(call, traced, fault)
        return _as_one_step(call, argnums, has_aux, reason, whole)


def _check_result(function: str, traced: Traced, has_aux: bool) -> None:
    result = jax.tree.unflatten(traced.tree, range(traced.tree.num_leaves))
    pair = isinstance(result, tuple) and len(result) == 2
    if has_aux and not (pair and result[0] == 0):
        expected = "f to return a pair (value, aux) under has_aux"
        raise wrong_type(function, expected, traced.description)
    if not traced.scalar or (not has_aux and traced.tree.num_leaves != 1):
        remedy = "reduce it, for example with a sum"
        if pair and traced.scalar:
            remedy = "with has_aux=True the second may be anything"
        expected = "f to return one floating scalar"
        raise wrong_type(function, expected, traced.description, remedy)


def _explanation(
    program: Program, argnums: Any, has_aux: bool, summary: bool
) -> Explanation:
    call, traced = program.call, program.traced
    op_by_op = CONFIGURED.jax_disable_jit
    constants = [value for _, value in program.constants]

    def run(differentiated: list[Any], others: list[Any]) -> Any:
        rest = [*others, *constants]
        return value_and_cotangents(program.block, differentiated, rest, op_by_op)

    inputs = call.differentiated, traced.others
    arrays = tuple([leaf.value for leaf in leaves] for leaves in inputs)
    numbers = run(*arrays) if op_by_op else compiled(run, arrays)(*arrays)
    value, more, gradients, records, cotangents = numbers
    drafts = program.drafts, program.result
    steps, result = build_steps(*drafts, records, cotangents, summary)
    return Explanation(
        name=name_of(call.f),
        value=traced.result([value, *more]),
        gradients=call.as_arguments(gradients, argnums),
        arguments=arguments_of(program.leaves, gradients),
        steps=steps,
        result=result,
        _find=lambda report: nonfinite.in_report(program, report, has_aux),
        _chain=lambda report: chain_rule(program, report, op_by_op, summary),
    )


def _value_and_grad(call: Call, has_aux: bool) -> tuple[Any, list[Any]]:
    with failures.naming_the_line(call.function):
        return call.value_and_grad(call.differentiated, has_aux)


def _why_it_failed(call: Call, traced: Traced, fault: Exception) -> failures.NotEntered:
    """Why a function that JAX differentiates cannot be taken apart."""
    leaves = call.leaves_of(traced)
    refused = refusal(traced, leaves, [leaf.differentiated for leaf in leaves])
    if refused is not None:  # the end of a loop is known to Python, not to a trace
        return failures.refused_in_a_trace(refused, call.f)
    return failures.own_failure(call.function, call.f, fault)


def _as_one_step(
    call: Call,
    argnums: Any,
    has_aux: bool,
    reason: failures.NotEntered,
    whole: tuple[Any, list[Any]] | None = None,
) -> Explanation:
    """The function as one step, with the numbers that JAX gives."""
    value, gradients = whole or _value_and_grad(call, has_aux)
    return Explanation(
        name=name_of(call.f),
        value=value,
        gradients=call.as_arguments(gradients, argnums),
        arguments=arguments_of(call.differentiated, gradients),
        steps=(whole_step(call, value[0] if has_aux else value, reason.source),),
        result=0,
        note=f"not entered: {reason}",
        _find=lambda report: _nonfinite(call, has_aux, report),
        _chain=lambda _: ChainRule((), "the function was not entered"),
    )


def _nonfinite(call: Call, has_aux: bool, report: Report) -> Any:
    if not nonfinite.count([report.value, report.gradients]):
        return None
    return nonfinite.in_call(call, has_aux, must_reverse=True)
