"""Shared by the initializers: the signature, the dtype and the shape checks."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import check_floating_dtype, check_range, wrong_value
from jaxgrad._types import Array, DTypeLike, PRNGKey

Initializer = Callable[..., Array]
Shape = tuple[int, ...]


def initializer(
    function: str, draw: Initializer, check: Callable[[Shape], None] = lambda _: None
) -> Initializer:
    """An initializer that checks shape and dtype, and draws in float32 or wider."""

    def init(
        key: PRNGKey, shape: Sequence[int], dtype: DTypeLike | None = None
    ) -> Float[Array, "..."]:
        dtype = check_floating_dtype(
            function, jnp.result_type(float) if dtype is None else dtype
        )
        shape = tuple(shape)
        check(shape)
        if 0 in shape:
            return jnp.zeros(shape, dtype)
        wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
        return draw(key, shape, wide).astype(dtype)

    return init


def check_kernel(
    function: str,
    shape: Shape,
    in_axis: int = 1,
    out_axis: int = 0,
    ndims: Sequence[int] = (),
) -> None:
    """ValueError unless `shape` has `ndims` axes, or at least two."""
    if ndims and len(shape) not in ndims:
        counts = " or ".join(map(str, ndims))
        raise wrong_value(function, f"shape with {counts} axes", shape)
    if len(shape) < 2:
        what = "shape with at least 2 axes (outputs and inputs)"
        raise wrong_value(function, what, shape)
    for name, axis in (("in_axis", in_axis), ("out_axis", out_axis)):
        check_range(function, name, axis, -len(shape), len(shape) - 1)
    if (in_axis - out_axis) % len(shape) == 0:
        what = f"in_axis and out_axis to differ for shape {shape}"
        raise wrong_value(function, what, f"{in_axis} and {out_axis}")
