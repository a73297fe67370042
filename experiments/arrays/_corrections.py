"""What notebook 003 says of tensors and is not so, beside the measurement."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments._facts import Section
from experiments.arrays._devices import nvidia_platform
from experiments.arrays._exercises import (
    blocks,
    cubic_slope,
    last_rows,
    without_last_block,
    without_last_block_in_full,
)


class Correction(NamedTuple):
    """A sentence of notebook 003 that is not so, beside the measurement."""

    what: str
    notebook: Any
    measured: Any


def corrections(drawing: Section, dtypes: Section) -> Section:
    """What notebook 003 says of tensors, and what is so."""
    # Imported here: it takes longer than all else in this experiment.
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    x = np.arange(16.0).reshape(4, 4)
    reshaped = {
        "contiguous": not np.shares_memory(x.reshape(16), x),
        "transposed": not np.shares_memory(x.T.reshape(16), x),
    }
    entries = {
        "digits": Correction(
            "sides and pixels of scikit-learn's digits",
            [8, 3, 64],
            [*digits.images.shape[1:], digits.data.shape[1]],
        ),
        "rand": Correction(
            "mean and variance of rand",
            [0.0, 1.0],
            [round(m, 3) for m in drawing.shows("rand moments").tolist()],
        ),
        "types": Correction(
            "NumPy's types of torch.int16, int32, int64",
            ["uint16", "uint32", "uint64"],
            [dtypes.entries[f"int{bits}"].numpy for bits in (16, 32, 64)],
        ),
        "sharing": Correction(
            "does b still share memory with a?",
            {"after b *= 2": False, "after b = b * 2": False},
            _still_shared(),
        ),
        "device": Correction("name of the GPU platform", "gpu", nvidia_platform()),
        "reshape": Correction(
            "does NumPy's (and torch's) reshape copy?",
            {"contiguous": True, "transposed": True},
            reshaped,
        ),
        "problem 5": Correction(
            "whose result does problem 5 repeat?", ["6"], _same_as_problem_5()
        ),
    }
    return Section(
        "Said in notebook 003, but not so",
        "Each of these is a slip of the pen or a simplification; the measurement "
        "stands beside it. The platform is measured without a GPU: the program of a "
        "Cholesky factor that calls NVIDIA's cuSOLVER is the one lowered for it.",
        entries,
    )


def _still_shared() -> dict[str, bool]:
    a = np.ones(5)
    b = a.view()
    b *= 2
    in_place = np.shares_memory(a, b)
    b = b * 2
    return {"after b *= 2": in_place, "after b = b * 2": np.shares_memory(a, b)}


def _same_as_problem_5() -> list[str]:
    """The problems, by number, whose result is that of problem 5."""
    t = blocks()
    candidates = {"3": last_rows(t), "4": without_last_block(t), "6": cubic_slope(1.0)}
    answer = without_last_block_in_full(t)
    return [n for n, other in candidates.items() if jnp.array_equal(other, answer)]
