"""How far a function is from PyTorch's golden values, over the table of cases."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from docs.ledger._table import rounded
from tests import golden
from tests.cases import Case

GOLDEN = golden.load("activations") | golden.load("losses")
Calls = Iterable[tuple[Case, Callable[..., Any]]]


class Difference(NamedTuple):
    """The largest distance to the golden values; NaN if only one of them is NaN."""

    value: float
    gradient: float

    def __str__(self) -> str:
        return f"{rounded(self.value)}, {rounded(self.gradient)}"


def largest(calls: Calls) -> Difference | None:
    """The largest difference over cases, each with a function of its arrays."""
    pairs = [difference(case, call) for case, call in calls]
    if not pairs:
        return None
    values, gradients = zip(*pairs, strict=True)
    return Difference(float(np.max(values)), float(np.max(gradients)))


def difference(case: Case, call: Callable[..., Any]) -> Difference:
    expected = GOLDEN[case.id]
    arrays = {name: jnp.asarray(array) for name, array in case.arrays.items()}

    # Compilation takes almost all of the time, so keep it cheap.
    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def both(arrays: Mapping[str, jax.Array]) -> tuple[jax.Array, Any]:
        value, pull_back = jax.vjp(lambda arrays: call(**arrays), arrays)
        weights = jnp.asarray(golden.cotangent(value.shape), value.dtype)
        return value, *pull_back(weights)

    value, gradients = both(arrays)
    distances = [_distance(gradients[n], g) for n, g in expected.gradients.items()]
    return Difference(_distance(value, expected.value), max(distances))


def _distance(actual: Any, expected: np.ndarray) -> float:
    """Relative above 1; 0 between equal infinities or NaNs, NaN between others."""
    actual = np.asarray(actual)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distance = np.abs(actual - expected) / np.maximum(1, np.abs(expected))
    return float(np.max(np.where(same, 0, distance), initial=0))
