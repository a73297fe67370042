"""Argument checks and the builders of their errors.

Every error reads "<function>: expected <what>, got <what> instead." The checks run
while the function is traced: a wrong type or dtype raises TypeError, a wrong shape or
choice ValueError.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgrad._types import Array, ArrayLike, DTypeLike


def wrong_value(
    function: str, expected: str, got: object, hint: str = ""
) -> ValueError:
    return ValueError(_message(function, expected, got, hint))


def wrong_type(function: str, expected: str, got: object, hint: str = "") -> TypeError:
    return TypeError(_message(function, expected, got, hint))


def _message(function: str, expected: str, got: object, hint: str) -> str:
    ending = f"; {hint}." if hint else "."
    return f"{function}: expected {expected}, got {got} instead{ending}"


def check_floating(function: str, argument: str, value: ArrayLike) -> Array:
    """Return `value` as an array; TypeError unless its dtype is floating."""
    array = as_array(function, argument, value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise wrong_type(function, f"{argument} of a floating dtype", array.dtype)
    return array


def check_integer(function: str, argument: str, value: ArrayLike) -> Array:
    """Return `value` as an array; TypeError unless its dtype is integer."""
    array = as_array(function, argument, value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise wrong_type(function, f"{argument} of an integer dtype", array.dtype)
    return array


def check_floating_dtype(function: str, dtype: DTypeLike) -> jnp.dtype:
    """Return the argument `dtype`; TypeError unless it is floating."""
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise wrong_type(function, "dtype to be floating", dtype)
    return dtype


def as_array(function: str, argument: str, value: ArrayLike) -> Array:
    """Return `value` as an array; TypeError unless it is an array or a number."""
    if not isinstance(value, (jax.Array, bool, int, float, complex)) and not hasattr(
        value, "__array__"
    ):
        kind = type(value).__name__
        raise wrong_type(function, f"{argument} to be an array or a number", kind)
    if not isinstance(value, (jax.Array, bool, float, complex)):
        _check_not_cut(function, argument, np.asarray(value))
    return jnp.asarray(value)


def _check_not_cut(function: str, argument: str, value: np.ndarray) -> None:
    """ValueError if JAX would truncate the 64-bit integers of `value`."""
    narrow = jax.dtypes.canonicalize_dtype(value.dtype)
    if value.dtype.kind in "iu" and narrow != value.dtype and value.size:
        least, most = np.iinfo(narrow).min, np.iinfo(narrow).max
        bad = value[(value < least) | (value > most)]
        if bad.size:
            what = f"{argument} in [{least}, {most}] (jax_enable_x64 is off)"
            raise wrong_value(function, what, bad[0])


def check_number(function: str, argument: str, value: Any) -> Any:
    """Return `value`; TypeError unless it is a number, or an array of numbers.

    A NumPy scalar becomes a Python number, which does not change an array's dtype.
    """
    if not isinstance(value, (int, float, jax.Array)) and not hasattr(
        value, "__array__"
    ):
        kind = type(value).__name__
        raise wrong_type(function, f"{argument} to be a number", kind)
    return value.item() if isinstance(value, np.generic) else value


def check_flag(function: str, argument: str, value: object) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise wrong_type(function, f"{argument} to be True or False", repr(value))


def check_shape(
    function: str, argument: str, array: Any, expected: tuple[int, ...], why: str = ""
) -> None:
    """ValueError unless `array.shape == expected`; the message quotes `why`."""
    if array.shape != expected:
        reason = f" ({why})" if why else ""
        raise wrong_value(
            function, f"{argument} of shape {expected}{reason}", f"shape {array.shape}"
        )


def check_broadcast(
    function: str, argument: str, array: Array, other: str, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the broadcast shape of `array` and the argument `other`, or ValueError."""
    try:
        return jnp.broadcast_shapes(array.shape, shape)
    except ValueError:
        theirs = f"the shape {shape} of {other}"
        what = f"{argument} of a shape that broadcasts against {theirs}"
        raise wrong_value(function, what, f"shape {array.shape}") from None


def check_ndim(function: str, argument: str, array: Array, least: int) -> None:
    if array.ndim < least:
        axes = "axis" if least == 1 else "axes"
        what = f"{argument} with at least {least} {axes}"
        raise wrong_value(function, what, f"shape {array.shape}")


def check_axis(function: str, value: SupportsIndex, ndim: int) -> int:
    """Return `value` in [0, ndim). As in PyTorch, a 0-d array has axes -1 and 0."""
    value = check_int(function, "axis", value)
    axes = max(ndim, 1)
    if not -axes <= value < axes:
        raise wrong_value(function, f"axis in [{-axes}, {axes - 1}]", value)
    return value % axes


def check_int(
    function: str, argument: str, value: SupportsIndex, least: int | None = None
) -> int:
    """Return `value` as an int, ValueError if it is below `least`.

    NumPy's integers and integer arrays of one number count as ints; any other type,
    including bool, is a TypeError.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise wrong_type(function, f"{argument} to be an int", type(value).__name__)
    if least is not None and number < least:
        raise wrong_value(function, f"{argument} >= {least}", number)
    return number


def check_callable(function: str, argument: str, value: Callable[..., Any]) -> None:
    if not callable(value):
        kind = type(value).__name__
        raise wrong_type(function, f"{argument} to be a function", kind)


def check_not_traced(function: str, leaves: Iterable[Any], hint: str = "") -> None:
    # Inside a trace, even what is computed without arguments is traced.
    inside = jax.lax.iota(jnp.int32, 1)
    if any(isinstance(leaf, Tracer) for leaf in (inside, *leaves)):
        call = "a call under a transformation (jit, grad, vmap)"
        raise wrong_type(function, "to be called from Python", call, hint)


def check_choice(
    function: str, argument: str, value: str, choices: Sequence[str]
) -> None:
    if value not in choices:
        names = ", ".join(repr(c) for c in choices)
        raise wrong_value(function, f"{argument} to be one of {names}", repr(value))


def check_range(
    function: str,
    argument: str,
    value: Any,
    least: Any = -float("inf"),
    most: Any = float("inf"),
) -> Any:
    """Return `value` as in `check_number`; ValueError outside [least, most]."""
    value = check_number(function, argument, value)
    if not least <= value <= most:
        if most == float("inf"):
            bounds = f">= {least}"
        elif least == -float("inf"):
            bounds = f"<= {most}"
        else:
            bounds = f"in [{least}, {most}]"
        raise wrong_value(function, f"{argument} {bounds}", value)
    return value


def check_positive(function: str, argument: str, value: Any) -> Any:
    """Return `value` as in `check_number`; ValueError unless it is > 0."""
    value = check_number(function, argument, value)
    if not value > 0:
        raise wrong_value(function, f"{argument} > 0", value)
    return value


def check_entries(
    function: str, argument: str, array: Any, least: int, most: int
) -> None:
    """ValueError unless all entries of an array lie in [least, most]; NaN raises."""
    for extreme in (array.min(initial=least), array.max(initial=least)):
        check_range(function, argument, extreme, least, most)
