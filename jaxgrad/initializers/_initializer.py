"""What every initialiser shares: its form, its dtype, the checks of its shape."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import check_range
from jaxgrad._types import Array, DTypeLike, PRNGKey

Initializer = Callable[..., Array]
Shape = tuple[int, ...]


def initializer(
    function: str, draw: Initializer, check: Callable[[Shape], None] = lambda _: None
) -> Initializer:
    """`draw` behind the checks of shape and dtype, in float32 or wider."""

    def init(
        key: PRNGKey, shape: Sequence[int], dtype: DTypeLike | None = None
    ) -> Float[Array, "..."]:
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{function}: expected dtype to be floating, got {dtype} instead."
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
    """ValueError unless `shape` is that of a kernel, with two axes or `ndims`."""
    if ndims and len(shape) not in ndims:
        counts = " or ".join(map(str, ndims))
        raise ValueError(
            f"{function}: expected shape with {counts} axes, got {shape} instead."
        )
    if len(shape) < 2:
        raise ValueError(
            f"{function}: expected shape with at least 2 axes (outputs and inputs), "
            f"got {shape} instead."
        )
    for name, axis in (("in_axis", in_axis), ("out_axis", out_axis)):
        check_range(function, name, axis, -len(shape), len(shape) - 1)
    if (in_axis - out_axis) % len(shape) == 0:
        raise ValueError(
            f"{function}: expected in_axis and out_axis to differ for shape {shape}, "
            f"got {in_axis} and {out_axis} instead."
        )
