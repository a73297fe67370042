"""The end of notebook 003: its six exercises and its wrong statements.

The tensor of the exercises is int64. Without x64 JAX makes it int32, so they run inside
`with jax.enable_x64(True):`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from experiments._arrays.copying import transposed
from experiments._section import Section, also
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
    """The last exercise's function, 2x^3 - 3x^2 - 12x + 1."""
    x = jnp.asarray(x)
    return 2 * x**3 - 3 * x**2 - 12 * x + 1


def cubic_slope_by_hand(x: ArrayLike) -> jax.Array:
    """Its derivative by calculus, 6x^2 - 6x - 12 = 6 (x - 2)(x + 1).

    Examples:
        >>> [cubic_slope_by_hand(x).item() for x in (1.0, 2.0, -1.0)]
        [-12.0, 0.0, 0.0]
    """
    x = jnp.asarray(x)
    return 6 * x**2 - 6 * x - 12


WHY_3 = (
    "Problem 3, t[:, -1, :]: the first colon keeps all four blocks, and the last colon "
    "keeps both columns. -1 counts from the end of the middle axis: it is row 2, the "
    "last of each block. It is an integer, so the axis disappears: (4, 3, 2) becomes "
    "(4, 2). The slice -1: would choose the same numbers and keep the axis: (4, 1, 2)."
)
WHY_4 = (
    "Problem 4, t[:-1:]: without a comma this indexes only the first axis, the blocks, "
    "and keeps the other two whole. It is a slice start:stop:step without start and "
    "step, so these are 0 and 1, as problem 5 writes out. A slice ends before its "
    "stop, here the last block: blocks 0, 1 and 2 remain, (3, 3, 2)."
)


def exercises() -> Section:
    """All six answers, in int64 and float64 as in the notebook."""
    with jax.enable_x64(True):
        t = blocks()
        last_rows, without_last, in_full = t[:, -1, :], t[:-1:], t[0:-1:1]
        slope, value = derivative(cubic)(1.0), cubic(1.0)
        by_hand = cubic_slope_by_hand(1.0)
        others = {"3": last_rows, "4": without_last, "6": slope}
        same_as_5 = [n for n, a in others.items() if jnp.array_equal(a, in_full)]
        row_2, kept = bool(jnp.array_equal(last_rows, t[:, 2, :])), t[:, -1:, :].shape
        three = bool(jnp.array_equal(without_last, jnp.stack([t[0], t[1], t[2]])))
        filled_in = slice(None, -1, None).indices(len(t))
    named = {"t": t, "t[:, -1, :]": last_rows, "t[:-1:] and t[0:-1:1]": in_full}
    answers = (f"{name} =\n{np.asarray(answer)}" for name, answer in named.items())
    return Section(
        "Exercises 1 to 6 of notebook 003",
        "Indexing is written the same way in torch, NumPy and JAX: a colon keeps an "
        "axis, -1 counts from the end, an integer drops its axis. Only the size has "
        "another name: t.size() is t.shape; JAX's t.size is the number of elements. "
        "The answers are printed in full below the table, with the reasons.",
        [
            ("torch.tensor([[[1, 2], ...", "jnp.stack([b, -b, 10 * b, ...", t),
            ("t.size()", "t.shape", t.shape),
            ("t[:, -1, :].size()", "t[:, -1, :].shape", last_rows.shape),
            also("equal to t[:, 2, :]", row_2),
            also("t[:, -1:, :].shape", kept),
            ("t[:-1:].size()", "t[:-1:].shape", without_last.shape),
            also("equal to t[0], t[1], t[2], stacked", three),
            also("slice(None, -1, None).indices(4)", filled_in),
            ("y = f(x); y.backward()", "derivative(f)(1.0)", slope),
            ("f(x)", "f(1.0)", value),
            also("6x^2 - 6x - 12 at 1", by_hand),
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
        note="\n\n".join([*answers, WHY_3, WHY_4]),
    )


def corrections(measured: Mapping[str, Any]) -> Section:
    """Compare the notebook's wrong statements with the rows of the other sections."""
    from sklearn.datasets import load_digits  # slow to import

    digits: Any = load_digits()
    pixels = [*digits.images.shape[1:], digits.data.shape[1]]
    signed = "NumPy's types of torch.int16, int32, int64"
    sharing = {"after b *= 2": False, "after b = b * 2": False}
    copying = {"contiguous": True, "transposed": True}
    larger = {"bytes": ["24", "more"], "one memory": False}
    claims = {
        "3.C1": ("sides and pixels of scikit-learn's digits", [8, 3, 64]),
        "3.C2": ("mean and variance of rand", [0.0, 1.0]),
        "3.C3": (signed, ["uint16", "uint32", "uint64"]),
        "3.C5": ("does b still share memory with a?", sharing),
        "3.C6": ("name of the GPU platform", "gpu"),
        "3.C7": ("does NumPy's (and torch's) reshape copy?", copying),
        "3.C15": ("np.array([[0, 1, 2]]) and its .T", larger),
        "3.C10": ("which problem has the result of problem 5?", ["6"]),
    }
    own = {"3.C1": pixels, "3.C15": transposed()}
    found = own | dict(measured)
    return Section(
        "Wrong statements in notebook 003",
        "Each is a slip or a simplification. The platform is measured without a GPU: "
        "it is the one for which a Cholesky factor is lowered to a call of NVIDIA's "
        "cuSOLVER. The notebook explains that [[0], [1], [2]] is made of three arrays "
        "and larger than [0, 1, 2]: it is the same 24 bytes, read in another order.",
        [(what, said, found[row]) for row, (what, said) in claims.items()],
        own,
        ("question", "notebook", "measured"),
    )
