"""The format of the numbers in figures, and titles that fit above them."""

import textwrap
from typing import Any

import numpy as np


def number(value: Any, digits: int = 6) -> str:
    """A number with at most so many digits, and commas between thousands.

    A list of numbers becomes its numbers; any other value is written as it is.

    Examples:
        >>> number(0.1), number(12345), number(1e-7), number([1.0, 2.5]), number("tanh")
        ('0.1', '12,345', '1e-07', '1, 2.5', 'tanh')
    """
    if isinstance(value, str | bool | None):
        return str(value)
    return ", ".join(f"{entry:,.{digits}g}" for entry in np.ravel(value).tolist())


def wrapped(title: str, width: int) -> str:
    """The title in lines of at most `width` characters."""
    return "\n".join(textwrap.wrap(title, width))
