"""The local derivatives of a step: what JAX computes for it alone, and the formula.

Numbers are given where they fit: one per element for an elementwise step, the gradient
of a step with a scalar result, the Jacobian of a small one. Formulas are given for
steps of one primitive operation, in the terms of their operands.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.labels import constant_label
from jaxgrad.inspection.report.data import Form
from jaxgrad.inspection.run.gradients import Slopes

# A Jacobian of at most this many elements is computed.
SMALL = 36
# Steps that run any of these are not differentiated once more.
COSTLY = jaxprs.NOT_REVERSIBLE | {"scan", "cond", "custom_linear_solve", "shard_map"}
# Only these change an element by the other operands' elements at the same place.
ELEMENTWISE = frozenset(
    "add add_any sub mul div neg abs sign exp exp2 expm1 log log1p sqrt rsqrt cbrt "
    "square integer_pow pow tanh logistic sin cos tan asin acos atan atan2 sinh cosh "
    "asinh acosh atanh erf erfc erf_inv lgamma digamma max min select_n clamp rem "
    "lt le gt ge eq ne and or not xor is_finite copy convert_element_type "
    "bitcast_convert_type floor ceil round stop_gradient jit pjit custom_jvp_call "
    "broadcast_in_dim".split()
)
# They keep the numbers: an operation with one of them before it stays the same.
COPYING = frozenset("convert_element_type copy broadcast_in_dim".split())


def slopes_of(block: Block, reads: Mapping[int, Sequence[bool]]) -> dict[int, Slopes]:
    """The derivatives to compute, by the slots of the steps."""
    found = {}
    for item in _outside_shards(block):
        forms = forms_of(item, reads.get(item.slot, ()))
        if any(forms) and not jaxprs.primitives_in(item.jaxpr) & COSTLY:
            avals = [_aval(item, i, form) for i, form in enumerate(forms) if form]
            found[item.slot] = Slopes(partial(_slopes, item, forms), avals)
    return found


def _outside_shards(block: Block) -> Iterator[Item]:
    for item in block.items:
        for body in item.bodies if item.kind != "shard_map" else ():
            yield from _outside_shards(body)
        yield item


def forms_of(item: Item, wanted: Sequence[bool]) -> tuple[Form, ...]:
    """In which form the derivative for each operand fits; empty if in none."""
    alone = item.kind == "equations" and len(item.shown) == 1 and item.visible
    if not alone or item.jaxpr.effects:
        return ("",) * len(wanted)
    result = item.writes[item.shown[0]].aval
    elementwise = jaxprs.primitives_in(item.jaxpr) <= ELEMENTWISE

    def form(aval: Any, on: bool) -> Form:
        if not on or jnp.issubdtype(aval.dtype, jnp.complexfloating):
            return ""
        if result.shape == ():
            return "gradient"
        if elementwise and aval.shape == result.shape:
            return "elements"
        return "jacobian" if 0 < aval.size * result.size <= SMALL else ""

    return tuple(form(v.aval, on) for v, on in zip(item.reads, wanted, strict=False))


def _aval(item: Item, i: int, form: Form) -> jax.ShapeDtypeStruct:
    result, aval = item.writes[item.shown[0]].aval, item.reads[i].aval
    shape = result.shape + aval.shape if form == "jacobian" else aval.shape
    return jax.ShapeDtypeStruct(shape, aval.dtype)


def _slopes(item: Item, forms: Sequence[Form], operands: Sequence[Any]) -> list[Any]:
    """The local derivatives at the operands, which are taken as constants."""
    fixed = [jax.lax.stop_gradient(x) for x in operands]
    chosen = [i for i, form in enumerate(forms) if form]

    def run(*some: Any) -> Any:
        new = dict(zip(chosen, some, strict=True))
        given = [new.get(i, x) for i, x in enumerate(fixed)]
        return jaxprs.run_jaxpr(item.jaxpr, given)[item.shown[0]]

    result, back = jax.vjp(run, *(fixed[i] for i in chosen))
    of_ones = back(jnp.ones_like(result))
    if "jacobian" not in forms:
        return list(of_ones)
    basis = jnp.eye(result.size, dtype=result.dtype)
    rows = jax.vmap(back)(basis.reshape(result.size, *result.shape))
    return [
        row.reshape(result.shape + x.shape) if forms[i] == "jacobian" else x
        for i, row, x in zip(chosen, rows, of_ones, strict=True)
    ]


class _Main(NamedTuple):
    """The one operation of a step, its operands as numbers of reads or literals."""

    equation: Any
    operands: Sequence[Any]


def formulas_of(item: Item, labels: Sequence[str]) -> tuple[str, ...]:
    """The formula of the derivative for each operand; empty if there is no short one.

    `labels` are what the source calls the operands.
    """
    found = [""] * len(labels)
    if item.kind != "equations" or len(item.writes) != 1:
        return tuple(found)
    main = _main(item)
    rule = main and FORMULAS.get(main.equation.primitive.name)
    if main is None or not rule:
        return tuple(found)
    names = [labels[x] if isinstance(x, int) else str(x) for x in main.operands]
    formulas = rule(main.equation, names)
    for x, formula in zip(main.operands, formulas, strict=False):
        if isinstance(x, int):
            found[x] = f"{found[x]} + {formula}" if found[x] else formula
    result = main.equation.outvars[0].aval.shape
    for i, variable in enumerate(item.reads):
        spread = main.equation.primitive.name in ELEMENTWISE
        if found[i] and spread and variable.aval.shape != result:
            found[i] += ", summed over the axes that were broadcast"
    return tuple(found)


def _main(item: Item) -> _Main | None:
    """The operation of a step of one operation, apart from copies of its operands."""
    known: dict[Any, Any] = {v: i for i, v in enumerate(item.jaxpr.jaxpr.invars)}
    main = None
    for equation in _inlined(item.jaxpr, known):
        inputs = [_source(atom, known) for atom in equation.invars]
        if equation.primitive.name in COPYING and equation is not item.equation:
            known[equation.outvars[0]] = inputs[0]
        elif main is not None or None in inputs:
            return None
        else:
            main = _Main(equation, inputs)
    return main


def _source(atom: Any, known: Mapping[Any, Any]) -> Any:
    """The number of a read, the text of a literal, or None for anything else."""
    if not jaxprs.is_literal(atom):
        return known.get(atom)
    return None if atom.aval.shape else constant_label(atom.val)


def _inlined(closed: Any, known: dict[Any, Any]) -> Iterator[Any]:
    """The equations of a jaxpr, those of jitted helpers instead of their calls."""
    for equation in jaxprs.open_jaxpr(closed).eqns:
        if jaxprs.ENTERED.get(equation.primitive.name) != "jit":
            yield equation
            continue
        (body,) = jaxprs.bodies_of(equation)
        inside = jaxprs.open_jaxpr(body)
        for inner, outer in zip(inside.invars, equation.invars, strict=True):
            known[inner] = _source(outer, known)
        yield from _inlined(body, known)
        for inner, outer in zip(inside.outvars, equation.outvars, strict=True):
            known[outer] = _source(inner, known)


Rule = Callable[[Any, Sequence[str]], Sequence[str]]


def _of(*formulas: str) -> Rule:
    """A rule in the names a, b of the operands."""

    def rule(equation: Any, names: Sequence[str]) -> list[str]:
        del equation
        given = dict(zip("ab", names, strict=False))
        return [formula.format(**given) for formula in formulas]

    return rule


def _every(formula: str) -> Rule:
    return lambda equation, names: [formula for _ in names]


def _integer_power(equation: Any, names: Sequence[str]) -> list[str]:
    n = equation.params["y"]
    (a,) = names
    return [f"2 {a}" if n == 2 else f"{n} {a}^{n - 1}"]


# By the ranks of the operands of `a @ b`
PRODUCTS: Mapping[tuple[int, int], Rule] = {
    (1, 1): _of("{b}", "{a}"),
    (1, 2): _of("{b} @ cotangent", "outer({a}, cotangent)"),
    (2, 1): _of("outer(cotangent, {b})", "{a}.T @ cotangent"),
    (2, 2): _of("cotangent @ {b}.T", "{a}.T @ cotangent"),
}


def _product(equation: Any, names: Sequence[str]) -> Sequence[str]:
    (contracted, batch), (a, b) = equation.params["dimension_numbers"], names
    one, other = (len(v.aval.shape) for v in equation.invars)
    known = PRODUCTS.get((one, other))
    if known and contracted == ((one - 1,), (0,)) and not any(batch):
        return known(equation, names)
    return [f"the cotangent contracted with {name}" for name in (b, a)]


FORMULAS: Mapping[str, Rule] = {
    "add": _every("1"),
    "add_any": _every("1"),
    "sub": _of("1", "-1"),
    "mul": _of("{b}", "{a}"),
    "div": _of("1 / {b}", "-{a} / {b}^2"),
    "neg": _of("-1"),
    "square": _of("2 {a}"),
    "integer_pow": _integer_power,
    "pow": _of("{b} {a}^({b} - 1)", "{a}^{b} log({a})"),
    "sqrt": _of("1 / (2 sqrt({a}))"),
    "rsqrt": _of("-1 / (2 {a} sqrt({a}))"),
    "exp": _of("exp({a})"),
    "log": _of("1 / {a}"),
    "log1p": _of("1 / (1 + {a})"),
    "expm1": _of("exp({a})"),
    "tanh": _of("1 - tanh({a})^2"),
    "logistic": _of("sigmoid({a}) (1 - sigmoid({a}))"),
    "sin": _of("cos({a})"),
    "cos": _of("-sin({a})"),
    "abs": _of("sign({a})"),
    "max": _of("1 where {a} > {b}, 1/2 if equal", "1 where {b} > {a}, 1/2 if equal"),
    "min": _of("1 where {a} < {b}, 1/2 if equal", "1 where {b} < {a}, 1/2 if equal"),
    "select_n": _every("1 where it is chosen, else 0"),
    "dot_general": _product,
    "reduce_sum": _of("1 for every element of the sum"),
    "reduce_max": _of("1 at the maximum, else 0"),
    "reduce_min": _of("1 at the minimum, else 0"),
    "broadcast_in_dim": _of("1, summed over the copies"),
    "reshape": _of("1, in the shape of {a}"),
    "squeeze": _of("1, in the shape of {a}"),
    "expand_dims": _of("1, in the shape of {a}"),
    "transpose": _of("1, with the axes moved back"),
    "rev": _of("1, in the order of {a}"),
    "slice": _of("1 where it was read, else 0"),
    "dynamic_slice": _of("1 where it was read, else 0"),
    "gather": _of("1 where it was read, summed if read twice; else 0"),
    "concatenate": _every("1: its part of the cotangent"),
    "convert_element_type": _of("1, in the dtype of {a}"),
    "copy": _of("1"),
}
