"""A value that a fused step computes on the way."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Inputs = Sequence[Array | None]


class Part(NamedTuple):
    """A value on the way: its name, kind of operation, numbers, and what it reads."""

    name: str
    kind: str
    value: Array
    reads: tuple[int, ...] = (0,)  # By the numbers of the inputs
    after: tuple[str, ...] = ()  # Earlier parts that it reads


Parts = Iterator[Part]
