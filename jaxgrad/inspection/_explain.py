"""`explain`: trace, run once, and put every step together with its numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import jax

from jaxgrad._checks import check_callable, check_choice
from jaxgrad.inspection._activity import mark_active
from jaxgrad.inspection._assemble import (
    arguments_of,
    constant_name,
    steps_of,
    whole_step,
)
from jaxgrad.inspection._cotangents import Mode
from jaxgrad.inspection._describe import Draft, Origin, describe
from jaxgrad.inspection._frames import home_of, name_of
from jaxgrad.inspection._graph import Builder, Depth
from jaxgrad.inspection._jaxprs import constants_of
from jaxgrad.inspection._nonfinite import find_nonfinite
from jaxgrad.inspection._programs import Ahead, Equations, Started, program
from jaxgrad.inspection._trace import (
    CONCRETE,
    Call,
    NotEntered,
    Traced,
    bind,
    disabled_jit,
    entering,
    is_floating,
    needs_value,
    positions_of,
    trace_at_best,
    undisturbed,
)
from jaxgrad.inspection.report.explanation import Explanation


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
    step, and a function with a custom derivative keeps its rule. It is compiled once
    for each set of equations and shapes, and runs op by op under `jax.disable_jit`.

    Args:
        f: A function that returns a floating scalar (and more, with `has_aux`).
        argnums: Which arguments to differentiate, as in `jax.value_and_grad`.
        has_aux: Whether `f` returns a pair of the scalar and further results.
        depth: "user": a step is a call or an operator in the user's source.
            "library": the lines of Optax, Flax and `jax.nn` are steps as well.
            "primitive": every equation of the jaxpr is a step.
        keep: "arrays" keeps all values and gradients; "summary" computes a `Summary`
            of each inside the program and keeps nothing else of the steps.

    Returns:
        A function of the arguments of `f` that returns an `Explanation`.

    Raises:
        TypeError: If `f` is no function; on the call, if a differentiated argument is
            not floating, the result is no floating scalar, or an argument is traced.
        ValueError: If `depth` or `keep` is unknown.

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

    asked = _Asked(argnums, has_aux, depth, keep == "summary")

    def explained(*args: Any, **kwargs: Any) -> Explanation:
        call = _bind(f, argnums, args, kwargs)
        try:
            report = _entered(asked, call)
        except NotEntered as fault:
            report = _whole(asked, call, fault)
        blame = find_nonfinite(f, has_aux, argnums)
        return replace(report, _blame=lambda: blame(*args, **kwargs))

    return explained


@dataclass(frozen=True)
class _Asked:
    """What `explain` was asked for, and what the last call leaves for the next."""

    argnums: int | Sequence[int]
    has_aux: bool
    depth: Depth
    summary: bool
    ahead: Ahead = field(default_factory=Ahead)
    graphs: "list[_Graph]" = field(default_factory=list)


class _Graph(NamedTuple):
    """An explanation before its numbers are known.

    Attributes:
        equations: The trace that it was made from.
        inputs: What the arguments and the constants are called.
        drafts: The steps.
        result: Where the value comes from.
        run: The program that gives the numbers.
    """

    equations: Equations
    inputs: Sequence[Origin]
    drafts: Sequence[Draft]
    result: tuple[Origin, ...]
    run: Callable[..., Any]


def _bind(f: Callable[..., Any], argnums, args: Sequence[Any], kwargs) -> Call:
    chosen = positions_of("explain", argnums, args)
    call = bind("explain", f, args, kwargs, lambda key, _: key in chosen)
    for leaf in call.differentiated:
        if not is_floating(leaf.value):
            kind = getattr(leaf.value, "dtype", type(leaf.value).__name__)
            raise TypeError(
                f"explain: expected {leaf.path} of a floating dtype to differentiate "
                f"by, got {kind} instead; choose other arguments with argnums."
            )
    return call


def _entered(asked: _Asked, call: Call) -> Explanation:
    with undisturbed():
        started = asked.ahead.start(call)
    try:
        traced = trace_at_best(call)
    except CONCRETE as fault:
        raise needs_value(fault) from fault
    _check_result(traced, asked.has_aux)
    with entering(call.f):
        return _explanation(asked, call, traced, started)


def _check_result(traced: Traced, has_aux: bool) -> None:
    result = jax.tree.unflatten(traced.tree, range(traced.tree.num_leaves))
    pair = isinstance(result, tuple) and len(result) == 2
    if has_aux and not (pair and result[0] == 0):
        raise TypeError(
            "explain: expected f to return a pair (value, aux) under has_aux, "
            f"got {traced.description} instead."
        )
    if not traced.scalar or (not has_aux and traced.tree.num_leaves != 1):
        mend = "reduce it, for example by a sum"
        if pair and traced.scalar:
            mend = "with has_aux=True the second may be anything"
        raise TypeError(
            "explain: expected f to return one floating scalar, got "
            f"{traced.description} instead; {mend}."
        )


def _explanation(
    asked: _Asked, call: Call, traced: Traced, started: Started | None
) -> Explanation:
    leaves = [*call.differentiated, *traced.others]
    mode = Mode(asked.summary, op_by_op=disabled_jit())
    with undisturbed():
        graph = _graph(asked, call, traced, mode)
        outputs = asked.ahead.outputs(started, call, traced, graph.run)
    value, more, gradients, records, cotangents = outputs
    steps, result = steps_of(graph.drafts, graph.result, records, cotangents, mode)
    return Explanation(
        name=name_of(call.f),
        value=traced.result([value, *more]),
        gradients=_gradients(call, asked.argnums, gradients),
        arguments=arguments_of(leaves, gradients),
        steps=steps,
        result=result,
    )


def _graph(asked: _Asked, call: Call, traced: Traced, mode: Mode) -> _Graph:
    """The graph of a trace: that of the last call, if it was traced to the same."""
    equations = Equations.of(traced.jaxpr)
    inputs = _inputs(call, traced)
    for last in asked.graphs:
        known = last.inputs == inputs and not mode.op_by_op
        if known and last.equations.same(equations, lines=True):
            return last
    block = Builder(asked.depth, home_of(call.f)).program(traced.jaxpr)
    mark_active(block, [i < len(call.differentiated) for i in range(len(block.inputs))])
    drafts, outputs = describe(block, inputs)
    run = program(equations, block, mode)
    graph = _Graph(equations, inputs, drafts, outputs[0], run)
    asked.graphs[:] = [] if mode.op_by_op else [graph]
    return graph


def _inputs(call: Call, traced: Traced) -> list[Origin]:
    """The arguments, then what the function closes over."""
    leaves = [*call.differentiated, *traced.others]
    constants = enumerate(constants_of(traced.jaxpr))
    return [
        *(Origin("argument", i, label=leaf.path) for i, leaf in enumerate(leaves)),
        *(Origin("constant", i, label=constant_name(call.f, c)) for i, c in constants),
    ]


def _gradients(call: Call, argnums, gradients: Sequence[Any]) -> Any:
    """The gradients in the structure that `jax.value_and_grad` returns."""
    given = iter(gradients)
    leaves = [next(given) if leaf.differentiated else None for leaf in call.leaves]
    args, _ = jax.tree.unflatten(call.tree, leaves)
    if isinstance(argnums, Sequence):
        return tuple(args[position] for position in argnums)
    return args[argnums]


def _whole(asked: _Asked, call: Call, fault: NotEntered) -> Explanation:
    """The function as one step, with the numbers that JAX gives."""
    args, kwargs = call.arguments
    value, gradients = jax.value_and_grad(call.f, asked.argnums, asked.has_aux)(
        *args, **kwargs
    )
    result = value[0] if asked.has_aux else value
    arguments = arguments_of(call.differentiated, jax.tree.leaves(gradients))
    return Explanation(
        name=name_of(call.f),
        value=value,
        gradients=gradients,
        arguments=arguments,
        steps=(whole_step(call, result, fault.source),),
        result=0,
        note=f"not entered: {fault}",
    )
