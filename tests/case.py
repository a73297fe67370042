"""The type of a case, and the numbers in the cases.

All numbers are short binary fractions, exact in every dtype, so that a float16
result can be compared with PyTorch's float64 result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.tolerances import DTYPES

NAN, INF = float("nan"), float("inf")
NO_SECOND = {"hardsigmoid"}  # not implemented in PyTorch


@dataclass(frozen=True, eq=False)
class Case:
    """One call: `function(*arrays.values(), **options)`, first array by position."""

    function: str
    note: str
    arrays: Mapping[str, np.ndarray]  # floating; differentiated
    options: Mapping[str, Any] = field(default_factory=dict)  # all that is not
    second: bool = True  # False where PyTorch has no second derivative, or none is
    dtypes: tuple[str, ...] = DTYPES  # those that represent the numbers exactly

    @property
    def id(self) -> str:
        return f"{self.function}: {self.note}"


def numbers(*shape: int, start: int = 0) -> np.ndarray:
    """Quarters in [-2, 2], in no particular order."""
    count = np.arange(start, start + int(np.prod(shape)))
    return (((7 * count + 3) % 17 - 8) / 4).reshape(shape)


def positive(*shape: int, start: int = 0) -> np.ndarray:
    """Eighths in (0, 2]."""
    return np.abs(numbers(*shape, start=start)) * 0.75 + 0.125


def shares(*shape: int) -> np.ndarray:
    """Eighths in [0, 1), including zeros; they do not sum to one."""
    return (5 * np.arange(int(np.prod(shape))) % 8 / 8).reshape(shape)


def rows(functions: str, note: str, arrays: Mapping[str, np.ndarray], **more: Any):
    """The same call of several functions, named in one string."""
    cases = []
    for function in functions.split():
        second = more.get("second", True) and function not in NO_SECOND
        own: dict[str, Any] = {**more, "second": second}
        cases.append(Case(function, note, arrays, **own))
    return cases
