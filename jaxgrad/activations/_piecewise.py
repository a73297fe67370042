"""Activations that are linear between kinks.

At a kink the derivative is a choice, and PyTorch's choice is part of each
function's contract: it stands under "Derivative" and in a test.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import check_floating
from jaxgrad._types import Array, ArrayLike


def relu(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Rectified linear unit.

    $$ f(x) = \max(x, 0) $$

    Args:
        x: Any floating array, shape `(*shape)`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1 for x > 0, 0 for x < 0 and, as in PyTorch, 0 at x = 0; 1 at NaN.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> import jax
        >>> relu(jnp.array([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 2.0]
        >>> jax.grad(relu)(0.0).item()
        0.0

    Torch: `torch.nn.functional.relu`.
    """
    return _relu(check_floating("relu", "x", x))


@jax.custom_jvp
def _relu(x: Array) -> Array:
    return jnp.maximum(x, 0)


@_relu.defjvp
def _relu_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    # "not x <= 0" and not "x > 0": PyTorch lets the cotangent through at NaN.
    return _relu(x), jnp.where(x <= 0, jnp.zeros_like(dx), dx)
