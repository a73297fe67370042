"""`checked_value_and_grad`: a training step that names its first NaN and stops."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxgrad._checks import check_callable, check_not_traced
from jaxgrad._guards import undisturbed
from jaxgrad._modules import changing, objects_in, pack, split_objects, unpack
from jaxgrad._types import Array, PyTree
from jaxgrad.inspection.faults.nonfinite import find_nonfinite
from jaxgrad.inspection.program.call import flatten
from jaxgrad.inspection.program.frames import name_of
from jaxgrad.inspection.report.explanation import Blame

# Leaves with at most SMALL elements are checked together, CHUNK at a time.
SMALL, CHUNK = 4096, 32


class NonFiniteError(FloatingPointError):
    """A value or a gradient is NaN or infinite; `blame` says which step made it.

    Attributes:
        blame: The blame, or None if the function could not be run again, or is finite
            when it runs operation by operation.
    """

    def __init__(self, message: str, blame: Blame | None = None) -> None:
        super().__init__(message)
        self.blame = blame


def checked_value_and_grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    donate_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
) -> Callable[..., tuple[PyTree, PyTree]]:
    """`jax.jit(jax.value_and_grad(f))` that raises where its result is not finite.

    The check is part of the compiled program. If it fails, the function runs once more
    to find the step to blame. Call it from Python, not under `jax.jit`.

    Equinox and Flax NNX modules are differentiated as by `eqx.filter_value_and_grad`
    and `nnx.value_and_grad`: what `f` changes in an NNX module (statistics, keys) is
    changed after the call, unless it raises.

    Args:
        f: As for `jax.value_and_grad`.
        argnums: Which arguments to differentiate.
        has_aux: Whether `f` returns a pair of the scalar and further results.
        donate_argnums: Which arguments' memory may be reused, as for `jax.jit`. Then
            an error has no blame, because the arguments are gone.
        static_argnames: The arguments that are not arrays (a flag, a number of layers),
            as for `jax.jit`.

    Returns:
        A function of the arguments of `f` that returns the value and the gradients.

    Raises:
        NonFiniteError: On the call, if the value or a gradient is not finite.
        TypeError: On the call, under `jax.jit` or `jax.vmap`, or if a differentiated
            argument has no inexact array.

    Examples:
        >>> def loss(w):
        ...     return jnp.log(w).sum()
        >>> value, gradient = checked_value_and_grad(loss)(jnp.ones(2))
        >>> value.item(), gradient.tolist()
        (0.0, [1.0, 1.0])
        >>> checked_value_and_grad(loss)(jnp.zeros(1))
        Traceback (most recent call last):
        ...
        jaxgrad.inspection...NonFiniteError: loss is not finite: log made ...
    """
    check_callable("checked_value_and_grad", "f", f)
    traced = changing(f, has_aux)

    @wraps(f)  # jax.jit reads the names of the arguments from its signature
    def fused(*args: Any, **kwargs: Any) -> tuple[PyTree, PyTree, Any, Array]:
        args, kwargs = tuple(map(unpack, args)), {k: unpack(kwargs[k]) for k in kwargs}
        call = flatten("checked_value_and_grad", traced, args, kwargs, argnums)
        result, gradients = call.value_and_grad(call.differentiated, has_aux=True)
        value, (aux, changes) = result
        finite = _all_finite([value, *gradients])
        gradients = call.as_arguments(gradients, argnums)
        return (value, aux) if has_aux else value, gradients, changes, finite

    options: Any = {"static_argnames": static_argnames}
    compiled = jax.jit(fused, donate_argnums=donate_argnums, **options)

    def checked(*args: Any, **kwargs: Any) -> tuple[PyTree, PyTree]:
        given, named = split_objects((args, kwargs))
        given, named = map(pack, given), {name: pack(named[name]) for name in named}
        with jax.debug_nans(False), jax.debug_infs(False):
            result, gradients, changes, finite = compiled(*given, **named)
        hint = "use jax.value_and_grad there"
        check_not_traced("checked_value_and_grad", [finite], hint)
        if not jax.device_get(finite):
            raise _error(f, has_aux, argnums, args, kwargs)
        objects = objects_in((args, kwargs)) if changes else ()
        for node, change in zip(objects, changes, strict=True):
            change.write_to(node)
        return result, gradients

    return checked


def _all_finite(leaves: Sequence[Array]) -> Array:
    # XLA's time to compile grows with the number of reductions, and faster than the
    # square of the number of scalars that are concatenated: keep both small.
    alike: dict[Any, list[Array]] = {}
    for leaf in leaves:
        alike.setdefault(jnp.result_type(leaf), []).append(_few(leaf))
    chunks = [
        jnp.concatenate(arrays[i : i + CHUNK])
        for arrays in alike.values()
        for i in range(0, len(arrays), CHUNK)
    ]
    return jnp.stack([jnp.sum(x - x) == 0 for x in chunks]).all()


def _few(leaf: Array) -> Array:
    """A vector that is finite if the leaf is: its elements, or sums of them."""
    # x - x is 0 if x is finite, else NaN. Summing its columns is faster than
    # `isfinite(x).all()`, which goes through the elements one by one.
    return jnp.ravel(leaf if jnp.size(leaf) <= SMALL else jnp.sum(leaf - leaf, axis=0))


def _error(f: Callable[..., Any], has_aux: bool, argnums, args, kwargs):
    message = f"{name_of(f)} is not finite: "
    leaves = jax.tree.leaves((args, kwargs))
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return NonFiniteError(
            message + "it is called under jax.grad, where it cannot be run again to "
            "find the step; call it from Python."
        )
    if any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in leaves):
        return NonFiniteError(
            message
            + "the arguments were donated, so it cannot be run again to find the "
            "step; call jaxgrad.find_nonfinite on a copy made before, or do not donate."
        )
    with undisturbed():
        blame = find_nonfinite(f, has_aux, argnums)(*args, **kwargs)
        text = str(blame)
    if blame is None:
        return NonFiniteError(
            message + "but it is finite operation by operation: the compiled program "
            "rounds differently, so a value near the largest number may overflow."
        )
    return NonFiniteError(message + text, blame)
