"""The six exercises at the end of notebook 003, solved in JAX.

The notebook's tensor is int64. Without x64 JAX makes it int32, so the exercises run
inside `with jax.enable_x64(True):`.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from experiments._comparison import Fact, Section
from jaxgrad.differentiation import derivative


def blocks() -> jax.Array:
    """The notebook's tensor of four 3 x 2 blocks B, -B, 10 B and -10 B.

    Examples:
        >>> blocks()[2].tolist()
        [[10, 20], [40, 50], [70, 80]]
    """
    block = jnp.array([[1, 2], [4, 5], [7, 8]])
    return jnp.stack([block, -block, 10 * block, -10 * block])


def cubic(x: ArrayLike) -> jax.Array:
    """The function of the last exercise, 2x^3 - 3x^2 - 12x + 1."""
    x = jnp.asarray(x)
    return 2 * x**3 - 3 * x**2 - 12 * x + 1


def cubic_slope_by_hand(x: ArrayLike) -> jax.Array:
    """Its derivative on paper, 6x^2 - 6x - 12 = 6 (x - 2)(x + 1).

    Examples:
        >>> [cubic_slope_by_hand(x).item() for x in (1.0, 2.0, -1.0)]
        [-12.0, 0.0, 0.0]
    """
    x = jnp.asarray(x)
    return 6 * x**2 - 6 * x - 12


def exercises() -> Section:
    """All six answers, in int64 and float64 as in the notebook."""
    with jax.enable_x64(True):
        t = blocks()
        last_rows, without_last, in_full = t[:, -1, :], t[:-1:], t[0:-1:1]
        slope, value = derivative(cubic)(1.0), cubic(1.0)
        by_hand = cubic_slope_by_hand(1.0)
        others = {"3": last_rows, "4": without_last, "6": slope}
        same_as_5 = [n for n, a in others.items() if jnp.array_equal(a, in_full)]
    return Section(
        "Exercises 1 to 6 of notebook 003",
        "Indexing is written the same way in torch, NumPy and JAX: a colon keeps an "
        "axis, -1 counts from the end, an integer drops its axis. Only the size has "
        "another name: t.size() is t.shape; JAX's t.size is the number of elements.",
        [
            Fact("torch.tensor([[[1, 2], ...", "jnp.stack([b, -b, 10 * b, ...", t),
            Fact("t.size()", "t.shape", t.shape),
            Fact("t[:, -1, :]", "t[:, -1, :]", last_rows),
            Fact("t[:-1:]", "t[:-1:]", without_last),
            Fact("t[0:-1:1]", "t[0:-1:1]", in_full),
            Fact("y = f(x); y.backward()", "derivative(f)(1.0)", slope),
            Fact("f(x)", "f(1.0)", value),
            Fact("", "6x^2 - 6x - 12 at 1", by_hand),
        ],
        {
            "3.43": {"t": t, "size": t.shape, "dtype": t.dtype.name},
            "3.44": {
                "t[:, -1, :]": last_rows,
                "t[:-1:]": without_last,
                "t[0:-1:1]": in_full,
            },
            "3.45": {"slope": slope, "by hand": by_hand, "value": value},
            "3.C10": same_as_5,
        },
    )
