"""Checks of arguments, all with one form of message.

"<function>: expected <argument> <what>, got <what> instead." A fault in the
structure of an argument (dtype, shape, choice) raises when the function is
traced: TypeError for the wrong type or dtype, ValueError for the rest.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxgrad._types import Array, ArrayLike


def check_floating(function: str, argument: str, value: ArrayLike) -> Array:
    """Return `value` as an array; TypeError unless its dtype is floating."""
    array = as_array(function, argument, value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{function}: expected {argument} of a floating dtype, "
            f"got {array.dtype} instead."
        )
    return array


def check_integer(function: str, argument: str, value: ArrayLike) -> Array:
    """Return `value` as an array; TypeError unless its dtype is integer."""
    array = as_array(function, argument, value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(
            f"{function}: expected {argument} of an integer dtype, "
            f"got {array.dtype} instead."
        )
    return array


def as_array(function: str, argument: str, value: ArrayLike) -> Array:
    """Return `value` as an array; TypeError if it is no array or number."""
    if not isinstance(value, (jax.Array, bool, int, float, complex)) and not hasattr(
        value, "__array__"
    ):
        raise TypeError(
            f"{function}: expected {argument} to be an array or a number, "
            f"got {type(value).__name__} instead."
        )
    return jnp.asarray(value)


def check_number(function: str, argument: str, value: object) -> None:
    """TypeError unless `value` is a number, or an array of them."""
    if not isinstance(value, (int, float, jax.Array)) and not hasattr(
        value, "__array__"
    ):
        raise TypeError(
            f"{function}: expected {argument} to be a number, "
            f"got {type(value).__name__} instead."
        )


def check_flag(function: str, argument: str, value: object) -> None:
    """TypeError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(
            f"{function}: expected {argument} to be True or False, "
            f"got {value!r} instead."
        )


def check_shape(
    function: str, argument: str, array: Array, expected: tuple[int, ...], why: str = ""
) -> None:
    """ValueError unless `array.shape == expected`; `why` names the reason."""
    if array.shape != expected:
        reason = f" ({why})" if why else ""
        raise ValueError(
            f"{function}: expected {argument} of shape {expected}{reason}, "
            f"got shape {array.shape} instead."
        )


def check_ndim(function: str, argument: str, array: Array, least: int) -> None:
    """ValueError unless `array` has at least `least` axes."""
    if array.ndim < least:
        raise ValueError(
            f"{function}: expected {argument} with at least {least} "
            f"{'axis' if least == 1 else 'axes'}, got shape {array.shape} instead."
        )


def check_axis(function: str, value: int, ndim: int) -> int:
    """Return `value` in [0, ndim); a 0-d array has, as in torch, axes -1 and 0."""
    check_int(function, "axis", value)
    axes = max(ndim, 1)
    if not -axes <= value < axes:
        raise ValueError(
            f"{function}: expected axis in [{-axes}, {axes - 1}], got {value} instead."
        )
    return value % axes


def check_int(
    function: str, argument: str, value: int, least: int | None = None
) -> None:
    """TypeError unless `value` is an int, ValueError if it is below `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            f"{function}: expected {argument} to be an int, "
            f"got {type(value).__name__} instead."
        )
    if least is not None and value < least:
        raise ValueError(
            f"{function}: expected {argument} >= {least}, got {value} instead."
        )


def check_callable(function: str, argument: str, value: Callable[..., Any]) -> None:
    """TypeError unless `value` can be called."""
    if not callable(value):
        raise TypeError(
            f"{function}: expected {argument} to be a function, "
            f"got {type(value).__name__} instead."
        )


def check_not_traced(function: str, leaves: Iterable[Any], instead: str = "") -> None:
    """TypeError if a leaf is traced: what needs values runs under no transformation."""
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        raise TypeError(
            f"{function}: expected to be called from Python, got a call under a "
            f"transformation (jit, grad, vmap) instead{instead}."
        )


def check_choice(
    function: str, argument: str, value: str, choices: Sequence[str]
) -> None:
    """ValueError unless `value` is one of `choices`."""
    if value not in choices:
        names = ", ".join(repr(c) for c in choices)
        raise ValueError(
            f"{function}: expected {argument} to be one of {names}, "
            f"got {value!r} instead."
        )


def check_range(
    function: str,
    argument: str,
    value: int | float,
    least: int | float = -float("inf"),
    most: int | float = float("inf"),
) -> None:
    """ValueError unless `least <= value <= most`."""
    check_number(function, argument, value)
    if not least <= value <= most:
        if most == float("inf"):
            expected = f">= {least}"
        elif least == -float("inf"):
            expected = f"<= {most}"
        else:
            expected = f"in [{least}, {most}]"
        raise ValueError(
            f"{function}: expected {argument} {expected}, got {value} instead."
        )
