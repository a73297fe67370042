"""The form of jaxprs: the only file that uses `jax.extend`.

A jaxpr is JAX's list of primitive equations. It is not a stable interface. Whatever
differs between versions of JAX is in this file, and so is every name that JAX gives to
a primitive or to one of its own functions (checked with jax 0.9, 0.10 and 0.12).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.extend.core
import jax.numpy as jnp
from jax.extend import source_info_util

Kind = Literal["equations", "jit", "remat", "scan", "cond", "while", "shard_map"]

# Primitives whose bodies can be entered, by every name that a version of JAX uses.
ENTERED: dict[str, Kind] = {"scan": "scan", "cond": "cond", "while": "while"}
ENTERED |= {"shard_map": "shard_map"}  # `pmap` is one
ENTERED |= dict.fromkeys(("jit", "pjit", "closed_call", "core_call"), "jit")
ENTERED |= dict.fromkeys(("remat2", "checkpoint", "remat"), "remat")
# JAX refuses a reverse derivative through these, so their results have no cotangent.
NOT_REVERSIBLE = frozenset(
    "while pure_callback io_callback debug_callback debug_print ffi_call "
    "infeed outfeed".split()
)
# The derivative is zero everywhere, so it ends here.
FLAT = frozenset(("stop_gradient", "floor", "ceil", "round", "sign", "nextafter"))
PRINTING = frozenset(("debug_callback", "debug_print"))
# Functions with a derivative of their own, which stay whole.
CUSTOM_RULES = frozenset(
    ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin")
)
# Operations that run functions of the user, apart from control flow.
RUNNING = CUSTOM_RULES | {"custom_linear_solve"}
# JAX's functions inside which a gradient is taken: jax.grad, value_and_grad, vjp ...
DIFFERENTIATING = frozenset(
    "grad_f grad_f_aux value_and_grad_f value_and_grad_f_aux vjp _vjp linearize "
    "jacfun _vjp3_callable _vjp3_bwd".split()
)
# JAX's functions that begin a trace; frames outside them belong to another trace.
TRACING = frozenset(
    "trace_to_jaxpr trace_to_jaxpr_nounits trace_to_jaxpr_dynamic "
    "trace_to_jaxpr_dynamic2 trace_to_jaxpr_final".split()
)
# Operations that change only over which axes of a mesh JAX takes a value to vary.
VARYING = frozenset(("pvary", "pcast"))
_Transform = type(source_info_util.new_name_stack().transform("jvp").stack[0])


def open_jaxpr(closed: Any) -> Any:
    """The jaxpr with its equations; since JAX 0.12 a closed jaxpr is one itself."""
    return getattr(closed, "jaxpr", closed)


def constants_of(closed: Any) -> Sequence[Any]:
    """The values of a jaxpr's constant variables."""
    return getattr(closed, "consts", ())


def jaxpr_of(
    equations: Sequence[Any], reads: Sequence[Any], writes: Sequence[Any], like: Any
) -> Any:
    """The closed jaxpr of some of the equations of the jaxpr `like`."""
    jaxpr = open_jaxpr(like).replace(
        constvars=[],
        invars=list(reads),
        outvars=list(writes),
        eqns=list(equations),
        effects=frozenset().union(*(equation.effects for equation in equations)),
    )
    return jax.extend.core.ClosedJaxpr(jaxpr, [])


def run_jaxpr(closed: Any, arguments: Sequence[Any]) -> list[Any]:
    """Run a closed jaxpr by binding its primitives: a custom derivative is kept."""
    return jax.extend.core.jaxpr_as_fun(_keeping_lines_of_rules(closed))(*arguments)


def _keeping_lines_of_rules(closed: Any) -> Any:
    """Drop the source lines of calls with rules: JAX would give them to the rules."""
    jaxpr = open_jaxpr(closed)
    if not any(e.primitive.name == "custom_jvp_call" for e in jaxpr.eqns):
        return closed
    equations = [
        e.replace(
            source_info=source_info_util.SourceInfo(None, e.source_info.name_stack)
        )
        if e.primitive.name == "custom_jvp_call"
        else e
        for e in jaxpr.eqns
    ]
    without = jaxpr.replace(eqns=equations)
    return jax.extend.core.ClosedJaxpr(without, constants_of(closed))


def keeping_lines_of_rules(closed: Any) -> Any:
    """A jaxpr whose backward rules, also in bodies, keep the lines of their own code.

    JAX gives all operations of a rule the line of the call.
    """
    jaxpr = open_jaxpr(closed)
    new = jaxpr.replace(eqns=[_with_own_lines(equation) for equation in jaxpr.eqns])
    if jaxpr is closed:
        return new
    return jax.extend.core.ClosedJaxpr(new, constants_of(closed))


def _with_own_lines(equation: Any) -> Any:
    params = dict(equation.params)
    if equation.primitive.name == "custom_vjp_call":
        params["bwd"] = _OwnLines(params["bwd"])
    elif not bodies_of(equation):
        return equation
    for name in {"jaxpr", "call_jaxpr", "cond_jaxpr", "body_jaxpr"} & set(params):
        params[name] = keeping_lines_of_rules(params[name])
    if "branches" in params:
        params["branches"] = tuple(map(keeping_lines_of_rules, params["branches"]))
    return equation.replace(params=params)


class _OwnLines:
    """JAX's wrapper of a backward rule; it runs as if no equation was being read."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def wrap(self, *transformation: Any) -> "_OwnLines":
        return _OwnLines(self.wrapped.wrap(*transformation))

    def call_wrapped(self, *arguments: Any) -> Any:
        names = source_info_util.current_name_stack()
        with source_info_util.user_context(_Nowhere(), name_stack=names):
            return self.wrapped.call_wrapped(*arguments)


class _Nowhere:
    """A traceback that is false: JAX then takes that of the running code."""

    def __bool__(self) -> bool:
        return False

    def as_python_traceback(self) -> None:
        return None


def run_backward_rule(
    equation: Any, operands: Sequence[Any], active: Sequence[bool], cotangents: Any
) -> list[Any]:
    """What the backward rule of a `custom_vjp_call` returns for the active operands."""
    # Like JAX's own `process_custom_vjp_call`, which would give all the rule's
    # operations the line of the call.
    params = equation.primitive.get_bind_params(equation.params)
    functions, params = params if isinstance(params, tuple) else ((), params)
    _, forward, backward = params.get("subfuns", functions)
    pairs = zip(operands, active, strict=True)
    results = forward.call_wrapped(*(x for pair in pairs for x in pair))
    _, tree, forwarded = params["out_trees"]()
    kept = iter(results[: tree.num_leaves - sum(f is not None for f in forwarded)])
    residuals = [next(kept) if f is None else operands[f] for f in forwarded]
    sent = backward.call_wrapped(*residuals, *cotangents)
    sent = sent[0] if isinstance(sent, tuple) else sent  # since JAX 0.12 with a log
    return [x for x, wanted in zip(sent, active, strict=True) if wanted]


def bodies_of(equation: Any) -> list[Any]:
    """The jaxprs that an equation runs as they are, or []; of `while` test and body."""
    params = equation.params
    if "branches" in params:
        return list(params["branches"])
    if equation.primitive.name == "while":
        return [params["cond_jaxpr"], params["body_jaxpr"]]
    if equation.primitive.name not in ENTERED:
        return []
    return [params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]]


def run_by(equation: Any) -> tuple[Any, Sequence[Any]]:
    """The jaxpr that one of `RUNNING` runs for its results, and its operands."""
    params = equation.params
    if equation.primitive.name != "custom_linear_solve":
        body = next(params[n] for n in ("call_jaxpr", "fun_jaxpr") if n in params)
        return body, equation.invars
    lengths, operands = params["const_lengths"], equation.invars
    first = lengths.matvec + lengths.vecmat
    constants = operands[first : first + lengths.solve]
    right_sides = operands[sum(lengths) :]
    return params["jaxprs"].solve, [*constants, *right_sides]


def primitives_in(closed: Any) -> set[str]:
    """The names of all primitives in a jaxpr and in the bodies that it runs."""
    found: set[str] = set()
    for equation in open_jaxpr(closed).eqns:
        found.add(equation.primitive.name)
        found.update(*map(primitives_in, bodies_of(equation)))
    return found


class ScanOperands(NamedTuple):
    """The operands of a `scan`: loop constants, first carry, arrays to slice."""

    constants: list[Any]
    carry: list[Any]
    sliced: list[Any]


def scan_operands(equation: Any, operands: Sequence[Any]) -> ScanOperands:
    """Split the operands of a `scan`."""
    # Its parameters are named differently from version to version, but a sliced
    # input and a stacked result have one more axis outside than in the body.
    body = open_jaxpr(bodies_of(equation)[0])
    inputs = zip(equation.invars, body.invars, strict=True)
    results = zip(equation.outvars, body.outvars, strict=True)
    sliced = sum(_axes(outer) != _axes(inner) for outer, inner in inputs)
    carries = sum(_axes(outer) == _axes(inner) for outer, inner in results)
    last = len(operands) - sliced
    parts = operands[: last - carries], operands[last - carries : last], operands[last:]
    return ScanOperands(*map(list, parts))


class WhileOperands(NamedTuple):
    """The operands of a `while`: constants of the test and of the body, first carry."""

    of_test: list[Any]
    of_body: list[Any]
    carry: list[Any]


def while_operands(equation: Any, operands: Sequence[Any]) -> WhileOperands:
    """Split the operands of a `while`."""
    tests = equation.params["cond_nconsts"]
    first = tests + equation.params["body_nconsts"]
    parts = operands[:tests], operands[tests:first], operands[first:]
    return WhileOperands(*map(list, parts))


class ShardParameters(NamedTuple):
    """How a `shard_map` divides its operands and joins its results."""

    mesh: Any
    axes: tuple[str, ...]  # Those of the mesh that it divides, in the mesh's order
    sizes: tuple[int, ...]  # Their lengths
    in_specs: tuple[Any, ...]
    out_specs: tuple[Any, ...]
    checked: bool  # Whether JAX tracks on which axes a value varies


def shard_parameters(equation: Any) -> ShardParameters:
    """The parameters of a `shard_map`."""
    params = equation.params
    mesh = params["mesh"]
    divided = params.get("newly_manual_axes", params.get("manual_axes"))
    sizes = {axis: mesh.shape[axis] for axis in mesh.axis_names if axis in divided}
    specs = tuple(params["in_specs"]), tuple(params["out_specs"])
    return ShardParameters(
        mesh, tuple(sizes), tuple(sizes.values()), *specs, params["check_vma"]
    )


def shard_mapped(
    f: Any, of: ShardParameters, in_specs: Any, out_specs: Any, checked: bool
) -> Any:
    """`f` on the shards of a `shard_map` with other operands and results."""
    options: Any = {"mesh": of.mesh, "axis_names": set(of.axes), "check_vma": checked}
    return jax.shard_map(f, in_specs=in_specs, out_specs=out_specs, **options)


def as_varying(x: Any, axes: Sequence[str]) -> Any:
    """A value of a `shard_map` that JAX takes to vary over all of some axes."""
    varying = varying_axes(jax.typeof(x))
    missing = tuple(axis for axis in axes if axis not in varying)
    return jax.lax.pcast(x, missing, to="varying") if missing else x


def varying_axes(aval: Any) -> Any:
    """The axes of a mesh on which a value of this type varies."""
    known = getattr(aval, "manual_axis_type", None)  # Since JAX 0.10, before: `vma`
    return getattr(aval, "vma", ()) if known is None else known.varying


def has_varying_rule(equations: Sequence[Any]) -> bool:
    """Whether a `custom_jvp_call` among them, or in a body, has a result that varies.

    JAX compares the type of its rule's result with that of the first trace.
    """
    return any(
        (
            e.primitive.name == "custom_jvp_call"
            and any(varying_axes(v.aval) for v in e.outvars)
        )
        or any(has_varying_rule(open_jaxpr(body).eqns) for body in bodies_of(e))
        for e in equations
    )


def names_axis(equations: Sequence[Any], axes: Sequence[str]) -> bool:
    """Whether an equation, or one in a body that it runs, names an axis of a mesh."""
    return any(
        _names_any(list(equation.params.values()), axes)
        or any(names_axis(open_jaxpr(b).eqns, axes) for b in bodies_of(equation))
        for equation in equations
    )


def _names_any(parameter: Any, axes: Sequence[str]) -> bool:
    if isinstance(parameter, tuple | list | frozenset | set):
        return any(_names_any(each, axes) for each in parameter)
    return isinstance(parameter, str) and parameter in axes


def _axes(atom: Any) -> int:
    return len(getattr(atom.aval, "shape", ()))


def name_in(equation: Any) -> str:
    """The name of an equation: of a helper its function, else the primitive."""
    name = equation.params.get("name")
    if not isinstance(name, str):
        name = helper_in(equation) or equation.primitive.name
    return name.split(" ")[0].split(".")[-1].strip("_<>") or equation.primitive.name


def helper_in(equation: Any) -> str:
    """The function behind a helper's equation: `name at file:line`, or ""."""
    body = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    info = getattr(open_jaxpr(body), "debug_info", None) if body is not None else None
    return getattr(info, "func_src_info", None) or ""


def transforms_of(equation: Any) -> tuple[str, ...]:
    """The transformations that made an equation, outermost first: ("jvp",)."""
    stack = equation.source_info.name_stack.stack
    return tuple(entry.name for entry in stack if isinstance(entry, _Transform))


def scope_of(equation: Any) -> str:
    """The named scopes and Flax modules around an equation: `MLP/Dense_0`."""
    stack = equation.source_info.name_stack.stack
    names = (entry.name for entry in stack if not isinstance(entry, _Transform))
    return "/".join(re.sub(r"^\w+\((.*)\)$", r"\1", name) for name in names if name)


def is_literal(atom: Any) -> bool:
    """Whether an operand is written into the equation itself."""
    return isinstance(atom, jax.extend.core.Literal)


def variables(atoms: Iterable[Any]) -> list[Any]:
    """The operands that are variables, without the literals."""
    return [atom for atom in atoms if not is_literal(atom)]


def has_derivative(primitive: str) -> bool:
    """Whether a reverse derivative passes through a primitive."""
    return primitive not in NOT_REVERSIBLE and primitive not in FLAT


def perturbed(closed: Any, given: Sequence[bool]) -> list[bool]:
    """Which results of a jaxpr of one `custom_jvp_call` depend on tangents.

    Its rule may return a constant: that of a quantizer is zero. `given` says which of
    its inputs have a tangent.
    """
    avals = closed.in_avals
    chosen = [i for i, active in enumerate(given) if active and is_floating(avals[i])]

    def tangents(sent: list[Any], inputs: list[Any]) -> list[Any]:
        def f(*some: Any) -> list[Any]:
            new = dict(zip(chosen, some, strict=True))
            return run_jaxpr(closed, [new.get(i, x) for i, x in enumerate(inputs)])

        return jax.jvp(f, [inputs[i] for i in chosen], sent)[1]

    try:
        traced = jax.make_jaxpr(tangents)([avals[i] for i in chosen], list(avals))
    except Exception:  # the rule raises, here as later where JAX runs it
        return [True] * len(closed.out_avals)
    jaxpr = open_jaxpr(traced)
    reached = set(jaxpr.invars[: len(chosen)])
    for each in jaxpr.eqns:
        if reached.intersection(variables(each.invars)):
            reached.update(each.outvars)
    return [not is_literal(v) and v in reached for v in jaxpr.outvars]


def is_floating(aval: Any) -> bool:
    """Whether values of this type have gradients: floating or complex arrays."""
    dtype = getattr(aval, "dtype", None)
    inexact = dtype is not None and jnp.issubdtype(dtype, jnp.inexact)
    return inexact and not is_reference(aval)


def is_reference(aval: Any) -> bool:
    """Whether it is a reference to a mutable array, which has no value of its own."""
    return hasattr(aval, "inner_aval")


def has_references(closed: Any) -> bool:
    """Whether a jaxpr, or a body that it runs, makes or reads a mutable array."""
    return any(
        any(is_reference(v.aval) for v in (*equation.invars, *equation.outvars))
        or any(map(has_references, bodies_of(equation)))
        for equation in open_jaxpr(closed).eqns
    )
