"""The six exercises at the end of notebook 003, solved in JAX.

The notebook's tensor is int64: without double precision JAX makes it int32, so the
experiment runs the exercises inside `with jax.enable_x64(True):`.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from experiments._facts import Fact, Section
from jaxgrad.differentiation import derivative


def blocks() -> jax.Array:
    """Problem 1: the tensor of four 3 x 2 blocks B, -B, 10 B and -10 B.

    Returns:
        Integers of shape (4, 3, 2); int64 under x64, else int32.

    Examples:
        >>> blocks()[2].tolist()
        [[10, 20], [40, 50], [70, 80]]
    """
    block = jnp.array([[1, 2], [4, 5], [7, 8]])
    return jnp.stack([block, -block, 10 * block, -10 * block])


def size(t: jax.Array) -> tuple[int, ...]:
    """Problem 2: what `t.size()` gives in torch is the attribute `shape` in JAX.

    Examples:
        >>> size(blocks()), blocks().size
        ((4, 3, 2), 24)
    """
    return t.shape


def last_rows(t: jax.Array) -> jax.Array:
    """Problem 3: `t[:, -1, :]`, the last row of every block.

    A colon keeps an axis whole, -1 counts from the end, and an integer index drops
    its axis: of (4, 3, 2) remains (4, 2).

    Examples:
        >>> last_rows(blocks()).tolist()
        [[7, 8], [-7, -8], [70, 80], [-70, -80]]
    """
    return t[:, -1, :]


def without_last_block(t: jax.Array) -> jax.Array:
    """Problem 4: `t[:-1:]`, every block up to the last, which is left out.

    Examples:
        >>> without_last_block(blocks()).shape
        (3, 3, 2)
    """
    return t[:-1:]


def without_last_block_in_full(t: jax.Array) -> jax.Array:
    """Problem 5: the same with two numbers written in, start 0 and step 1.

    Examples:
        >>> bool((without_last_block_in_full(blocks()) == blocks()[:3]).all())
        True
    """
    return t[0:-1:1]


def cubic(x: ArrayLike) -> jax.Array:
    """Problem 6: the function 2x^3 - 3x^2 - 12x + 1.

    Examples:
        >>> cubic(1.0).item()
        -12.0
    """
    x = jnp.asarray(x)
    return 2 * x**3 - 3 * x**2 - 12 * x + 1


def cubic_slope(x: ArrayLike) -> jax.Array:
    """Problem 6: its derivative, by automatic differentiation.

    Examples:
        >>> cubic_slope(1.0).item()
        -12.0
    """
    return derivative(cubic)(x)


def cubic_slope_by_hand(x: ArrayLike) -> jax.Array:
    """Problem 6: its derivative on paper, 6x^2 - 6x - 12 = 6 (x - 2)(x + 1).

    Examples:
        >>> [cubic_slope_by_hand(x).item() for x in (1.0, 2.0, -1.0)]
        [-12.0, 0.0, 0.0]
    """
    x = jnp.asarray(x)
    return 6 * x**2 - 6 * x - 12


def exercises() -> Section:
    """All six answers, in int64 and float64 as in the notebook's wording."""
    with jax.enable_x64(True):
        t = blocks()
        in_full = without_last_block_in_full(t)
        entries = {
            "1": Fact("torch.tensor([[[1, 2], ...", "jnp.stack([b, -b, 10 * b, ...", t),
            "2": Fact("t.size()", "t.shape", size(t)),
            "3": Fact("t[:, -1, :]", "t[:, -1, :]", last_rows(t)),
            "4": Fact("t[:-1:]", "t[:-1:]", without_last_block(t)),
            "5": Fact("t[0:-1:1]", "t[0:-1:1]", in_full),
            "6": Fact("y = f(x); y.backward()", "derivative(f)(1.0)", cubic_slope(1.0)),
            "6 value": Fact("f(x)", "f(1.0)", cubic(1.0)),
            "6 hand": Fact("", "6x^2 - 6x - 12 at 1", cubic_slope_by_hand(1.0)),
        }
    return Section(
        "Exercises 1 to 6 of notebook 003",
        "Indexing is the same language in torch, NumPy and JAX. Only the size is "
        "spelled otherwise: t.size() is t.shape, and JAX's t.size is the number of "
        "elements.",
        entries,
    )
