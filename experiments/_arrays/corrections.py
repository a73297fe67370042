"""What notebook 003 says about tensors and is wrong, with the measurement."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments._comparison import Section


class Correction(NamedTuple):
    """A wrong statement of notebook 003, and the measurement."""

    question: str
    notebook: Any
    measured: Any


def corrections(measured: Mapping[str, Any]) -> Section:
    """Compare the notebook's wrong statements with the rows of the other sections."""
    from sklearn.datasets import load_digits  # slow to import

    digits: Any = load_digits()
    pixels = [*digits.images.shape[1:], digits.data.shape[1]]
    signed = "NumPy's types of torch.int16, int32, int64"
    sharing = {"after b *= 2": False, "after b = b * 2": False}
    copying = {"contiguous": True, "transposed": True}
    claims = {
        "3.C1": ("sides and pixels of scikit-learn's digits", [8, 3, 64]),
        "3.C2": ("mean and variance of rand", [0.0, 1.0]),
        "3.C3": (signed, ["uint16", "uint32", "uint64"]),
        "3.C5": ("does b still share memory with a?", sharing),
        "3.C6": ("name of the GPU platform", "gpu"),
        "3.C7": ("does NumPy's (and torch's) reshape copy?", copying),
        "3.C10": ("which problem has the result of problem 5?", ["6"]),
    }
    found = {"3.C1": pixels} | dict(measured)
    return Section(
        "Wrong statements in notebook 003",
        "Each is a slip or a simplification. The platform is measured without a GPU: "
        "it is the one for which a Cholesky factor is lowered to a call of NVIDIA's "
        "cuSOLVER.",
        [Correction(what, said, found[row]) for row, (what, said) in claims.items()],
        {"3.C1": pixels},
    )
