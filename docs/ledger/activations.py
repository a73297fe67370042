"""The activations in the ledger: names in PyTorch and jax.nn, and differences.

A function of jax.nn that lacks an option is compared on the cases without it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from docs.ledger._golden import Difference, largest
from docs.ledger._table import Table, code
from jaxgrad.activations import CATALOGUE
from tests.cases import FAMILIES, Case, in_jaxgrad

HEADER = (
    "jaxgrad",
    "torch.nn.functional",
    "jax.nn",
    "what jax.nn does differently",
    "cases",
    "jaxgrad - torch",
    "jax.nn - torch",
)


class Line(NamedTuple):
    """A function and its counterparts in PyTorch and jax.nn."""

    name: str
    torch: str
    jax_name: str
    differs: str
    jax_nn: Callable[..., Any] | None = None


CURVES = [
    Line(name, name, entry.jax_name, entry.differs, entry.jax_nn)
    for name, entry in CATALOGUE.items()
]
OTHERS = [
    Line(
        "softmax",
        "softmax",
        "softmax",
        "has a default axis; no 0-d arrays",
        jax.nn.softmax,
    ),
    Line(
        "log_softmax",
        "log_softmax",
        "log_softmax",
        "has a default axis; no 0-d arrays",
        jax.nn.log_softmax,
    ),
    Line("softmin", "softmin", "-", "not in jax.nn"),
    Line("softmax2d", "nn.Softmax2d", "-", "not in jax.nn"),
    Line(
        "gumbel_softmax", "gumbel_softmax", "-", "not in jax.nn; random: see the tests"
    ),
    Line("glu", "glu", "glu", "", jax.nn.glu),
    Line(
        "scaled_dot_product_attention",
        "scaled_dot_product_attention",
        "dot_product_attention",
        "has the length axis before the heads axis; no dropout",
    ),
    Line(
        "multi_head_attention",
        "multi_head_attention_forward",
        "-",
        "not in jax.nn, but in Flax",
    ),
]


def tables() -> list[Table]:
    """The measured tables."""
    return [
        Table("Activations of one variable", HEADER, _lines(CURVES)),
        Table("Activations of an axis, and attention", HEADER, _lines(OTHERS)),
    ]


def measure(line: Line) -> tuple[int, Difference | None, Difference | None]:
    """The number of finite cases; jaxgrad's and jax.nn's differences from PyTorch."""
    cases = [
        case
        for case in FAMILIES["activations"]
        if case.function == line.name and _is_finite(case)
    ]
    ours = largest((case, in_jaxgrad(case)) for case in cases)
    function = line.jax_nn
    if function is None:
        return len(cases), ours, None
    theirs = largest(
        (case, _called(function, case)) for case in cases if _in_jax_nn(case)
    )
    return len(cases), ours, theirs


def _lines(lines: Sequence[Line]) -> list[Sequence[Any]]:
    return [
        (
            *map(code, (line.name, line.torch, line.jax_name)),
            line.differs,
            *("-" if figure in (0, None) else figure for figure in measure(line)),
        )
        for line in lines
    ]


def _in_jax_nn(case: Case) -> bool:
    """Whether jax.nn has the case: no options, except an axis of arrays with axes."""
    has_axis = all(np.ndim(array) for array in case.arrays.values())
    return set(case.options) <= ({"axis"} if has_axis else set())


def _called(function: Callable[..., Any], case: Case) -> Callable[..., Any]:
    return lambda **arrays: function(*arrays.values(), **case.options)


def _is_finite(case: Case) -> bool:
    return all(np.isfinite(array).all() for array in case.arrays.values())
