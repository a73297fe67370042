"""One operation in twice the precision: float64, or float64 with random rounding.

JAX has no wider type than float64. An operation that is float64 already is computed in
float64, and the result is moved by one unit in the last place, up or down, unless it is
exact (Monte Carlo arithmetic). The difference between two such runs shows how many
digits are lost. Sums, products, quotients and roots are known to be exact by
compensated arithmetic: the error terms of TwoSum and TwoProduct.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._types import Array
from jaxgrad.inspection.program import jaxprs

# These only move elements, or choose among them.
MOVING = frozenset(
    "reshape broadcast_in_dim transpose squeeze expand_dims slice dynamic_slice "
    "dynamic_update_slice concatenate pad rev gather scatter select_n stack unstack "
    "copy copy_p convert_element_type neg abs max min clamp reduce_max reduce_min sort "
    "cummax cummin stop_gradient optimization_barrier real imag conj tile split "
    "reduce_precision iota select_and_gather_add pvary pcast".split()
)
# Their results are taken as they came out, like all integers and decisions.
CHOICES = frozenset("floor ceil round sign nextafter bitcast_convert_type".split())
ADDING = frozenset(("add", "sub", "add_any"))
SIMPLIFIED = ADDING | frozenset(("mul", "exp", "integer_pow", "square"))
ORDERING = frozenset(("sort", "top_k", "approx_top_k"))
COMPARISONS = frozenset("eq ne lt le gt ge is_finite".split())

Function = Callable[..., list[Any]]


def widened(array: Any) -> Any:
    """An array in float64 or complex128; anything else as it is."""
    return array.astype(_wide(array.dtype)) if jaxprs.is_floating(array) else array


def rounded(name: str, array: Any) -> Any:
    """A result as rounded, which a compiled program may leave out.

    XLA takes (x + 1) - 1, sqrt(x * x) and log(exp(x)) for x, and keeps more digits
    than 16 bits have.
    """
    if name in SIMPLIFIED:
        array = jax.lax.optimization_barrier(array)
    if not jnp.issubdtype(array.dtype, jnp.floating) or array.dtype.itemsize > 2:
        return array
    info = jnp.finfo(array.dtype)
    return jax.lax.reduce_precision(array, info.nexp, info.nmant)


def wide_function(
    equation: Any, reads: Sequence[Any], writes: Sequence[Any]
) -> Function:
    """An operation as a function of wide arrays, from `reads` to `writes`."""
    params = {name: _wide_parameter(p) for name, p in equation.params.items()}
    if "precision" in params:
        params["precision"] = jax.lax.Precision.HIGHEST
    several = equation.primitive.multiple_results

    def function(*arrays: Any) -> list[Any]:
        known = dict(zip(reads, arrays, strict=True))
        operands = [
            widened(literal(atom)) if jaxprs.is_literal(atom) else known[atom]
            for atom in equation.invars
        ]
        if equation.primitive.name in ("reduce_precision", "convert_element_type"):
            if all(map(jaxprs.is_floating, (operands[0], equation.outvars[0].aval))):
                if jnp.iscomplexobj(operands[0]) == _is_complex(equation.outvars[0]):
                    return operands
        results = equation.primitive.bind(*operands, **params)
        results = list(results) if several else [results]
        made = dict(zip(equation.outvars, results, strict=True))
        return [made[variable] for variable in writes]

    return function


def literal(atom: Any) -> Array:
    """A number that is written into an equation, in its dtype."""
    return jnp.asarray(atom.val, atom.aval.dtype)


def decided(name: str, own: Sequence[Any], result: Any, true: Any) -> Any:
    """The decision to follow: the run's own, unless it was made from an overflow."""
    if name not in COMPARISONS:
        return result
    floating = [x for x in own if jaxprs.is_floating(x)]
    finite = jnp.ones((), bool)
    for x in floating:
        finite = finite & jnp.isfinite(x)
    return jnp.where(finite, result, true)


def in_the_order_of(
    equation: Any, own: Sequence[Any], true: Sequence[Any]
) -> list[Any]:
    """The wide results of a sort or a selection, in the order of the narrow ones."""
    params = equation.params
    if equation.primitive.name != "sort":
        axis = params.get("reduction_dimension", params.get("axis", -1))
        _, order = equation.primitive.bind(*own, **params)
        return [jnp.take_along_axis(true[0], order, axis), order]
    axis, shape = params["dimension"], own[0].shape
    number = jax.lax.broadcasted_iota(jnp.int32, shape, axis)
    options = {"dimension": axis, "num_keys": params["num_keys"], "is_stable": True}
    *_, order = jax.lax.sort([*own, number], **options)
    return [jnp.take_along_axis(x, order, axis) for x in true]


def randomly_rounded(name: str, operands: Sequence[Any], result: Any) -> Any:
    """A result with its last bit moved up or down, unless it is exact."""
    if name in MOVING:
        return result
    result = rounded(name, result)
    inexact = ~_exact(name, operands, result)
    size = jnp.abs(result)
    bits = jax.lax.bitcast_convert_type(size.astype(jnp.float64), jnp.uint64)
    mixed = (bits ^ (bits >> 31)) * jnp.uint64(0x9E3779B97F4A7C15)
    sign = jnp.where(mixed >> 63 == 1, 1.0, -1.0)
    return result * jnp.where(inexact, 1 + sign * 2.0**-53 * 1.5, 1.0)


def _exact(name: str, operands: Sequence[Any], result: Any) -> Any:
    """Which elements of a result have no rounding error, as far as that is known."""
    if any(map(jnp.iscomplexobj, operands)):
        return jnp.zeros((), bool)
    zero = result == 0
    if name in ADDING and len(operands) == 2:
        a, b = operands
        b = -b if name == "sub" else b
        high = rounded(name, result - a)
        return (a - rounded(name, result - high)) + (b - high) == 0
    if name == "mul" and len(operands) == 2:
        return _product_error(operands[0], operands[1], result) == 0
    if name == "div":
        return _product_error(result, operands[1], operands[0]) == 0
    if name == "sqrt":
        return _product_error(result, result, operands[0]) == 0
    return zero


def _product_error(a: Any, b: Any, product: Any) -> Any:
    """The rounding error of `product` as a * b, by Dekker's splitting."""
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(x: Any) -> tuple[Any, Any]:
    scaled = 134217729.0 * x
    high = scaled - (scaled - x)
    return high, x - high


def _wide(dtype: Any) -> Any:
    complex_ = jnp.issubdtype(dtype, jnp.complexfloating)
    return jnp.dtype(jnp.complex128 if complex_ else jnp.float64)


def _is_complex(variable: Any) -> bool:
    return bool(jnp.issubdtype(variable.aval.dtype, jnp.complexfloating))


def _wide_parameter(parameter: Any) -> Any:
    """A parameter of an equation with its floating dtypes widened, also in bodies."""
    if isinstance(parameter, np.dtype) or isinstance(parameter, type):
        try:
            floating = jnp.issubdtype(parameter, jnp.inexact)
        except TypeError:
            return parameter
        return _wide(parameter) if floating else parameter
    opened = jaxprs.open_jaxpr(parameter)
    if hasattr(opened, "eqns"):
        return _wide_body(parameter, opened)
    return parameter


def _wide_body(body: Any, opened: Any) -> Any:
    """A body such as the update of a scatter, for wide operands."""

    def run(*arrays: Any) -> list[Any]:
        known = dict(zip(opened.invars, arrays, strict=True))
        known |= dict(zip(opened.constvars, jaxprs.constants_of(body), strict=True))
        for each in opened.eqns:
            reads = list(dict.fromkeys(jaxprs.variables(each.invars)))
            results = wide_function(each, reads, each.outvars)(
                *(known[v] for v in reads)
            )
            known.update(zip(each.outvars, results, strict=True))
        return [
            widened(literal(v)) if jaxprs.is_literal(v) else known[v]
            for v in opened.outvars
        ]

    blanks = (jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in opened.invars)
    wide = [
        jax.ShapeDtypeStruct(b.shape, _wide(b.dtype)) if jaxprs.is_floating(b) else b
        for b in blanks
    ]
    closed = jax.make_jaxpr(run)(*wide)
    return closed if opened is not body else jaxprs.open_jaxpr(closed)
