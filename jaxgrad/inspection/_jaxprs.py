"""How jaxprs are built: the only file that uses `jax.extend.core`.

A jaxpr is JAX's list of primitive equations. It is no stable interface: what differs
between the versions of JAX stands here, and the other files work with what these
functions return.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax.extend.core
import jax.numpy as jnp

Kind = Literal["call", "jit", "remat", "scan", "cond", "while"]

# Names of the primitives whose bodies can be entered, in any version of JAX.
ENTERED: dict[str, Kind] = {
    "jit": "jit",
    "pjit": "jit",
    "closed_call": "jit",
    "core_call": "jit",
    "remat2": "remat",
    "checkpoint": "remat",
    "remat": "remat",
    "scan": "scan",
    "cond": "cond",
}
# No derivative passes these: their results do not depend on the arguments, and a
# perturbed operand would be an error in some.
OPAQUE = frozenset(
    "while pure_callback io_callback debug_callback debug_print ffi_call "
    "custom_linear_solve_opaque infeed outfeed".split()
)
FLAT = frozenset(("stop_gradient", "floor", "ceil", "round", "sign", "nextafter"))


def open_jaxpr(closed: Any) -> Any:
    """The jaxpr with its equations; since JAX 0.12 a closed jaxpr is one itself."""
    return getattr(closed, "jaxpr", closed)


def without_constants(closed: Any) -> Any:
    """The open jaxpr of a closed one, free of the arrays it closes over."""
    jaxpr = open_jaxpr(closed)
    return jaxpr.replace(constvars=list(jaxpr.constvars))


def is_jaxpr(value: Any) -> bool:
    """Whether a parameter is a jaxpr, open or closed."""
    kinds = (jax.extend.core.Jaxpr, jax.extend.core.ClosedJaxpr)
    return isinstance(value, kinds)


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
    return jax.extend.core.jaxpr_as_fun(closed)(*arguments)


def bind_rule(equation: Any, arguments: Sequence[Any]) -> list[Any]:
    """Bind a `custom_jvp_call` so that its rule keeps the lines it is written in.

    `run_jaxpr` gives whatever is traced inside the line of the equation.
    """
    given = iter(arguments)
    operands = [a.val if is_literal(a) else next(given) for a in equation.invars]
    params = equation.primitive.get_bind_params(equation.params)
    functions, params = params if isinstance(params, tuple) else ((), params)
    return equation.primitive.bind(*functions, *operands, **params)


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


def scan_parts(equation: Any) -> tuple[int, int, int]:
    """How many constants, carries and sliced inputs a scan has.

    Its parameters are named differently from version to version, but a sliced
    input and a stacked result have one axis more outside than in the body.
    """
    body = open_jaxpr(bodies_of(equation)[0])
    inputs = zip(equation.invars, body.invars, strict=True)
    results = zip(equation.outvars, body.outvars, strict=True)
    sliced = sum(_axes(outer) != _axes(inner) for outer, inner in inputs)
    carries = sum(_axes(outer) == _axes(inner) for outer, inner in results)
    return len(equation.invars) - sliced - carries, carries, sliced


def _axes(atom: Any) -> int:
    return len(getattr(atom.aval, "shape", ()))


def name_in(equation: Any) -> str:
    """What an equation calls itself: of a helper the function, else the primitive."""
    name = equation.params.get("name")
    if not isinstance(name, str):
        name = helper_in(equation) or equation.primitive.name
    return name.split(" ")[0].split(".")[-1].strip("_<>") or equation.primitive.name


def helper_in(equation: Any) -> str:
    """The function behind a helper's equation: `name at file:line`, or ""."""
    body = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    info = getattr(open_jaxpr(body), "debug_info", None) if body is not None else None
    return getattr(info, "func_src_info", None) or ""


def is_literal(atom: Any) -> bool:
    """Whether an operand stands in the equation itself."""
    return isinstance(atom, jax.extend.core.Literal)


def is_floating(aval: Any) -> bool:
    """Whether values of this type have gradients: floating or complex."""
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)
