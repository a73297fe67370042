"""NumPy's scalars act like Python's numbers, wherever an argument takes a number."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import losses, optimizers
from tests.cases import CASES, in_jaxgrad

AS_NUMPY = {bool: np.bool_, int: np.int64, float: np.float64}
SCALAR = [
    case
    for case in CASES
    if any(type(option) in AS_NUMPY for option in case.options.values())
    and "float32" in case.dtypes
]


@pytest.mark.parametrize("case", SCALAR, ids=lambda case: case.id)
def test_options_of_functions(case, x64):
    """With x64, a float64 scalar would widen float32 arrays."""
    arrays = {name: jnp.asarray(array, "float32") for name, array in case.arrays.items()}
    numpy = {
        name: AS_NUMPY.get(type(option), lambda option: option)(option)
        for name, option in case.options.items()
    }
    expected = in_jaxgrad(case)(**arrays)
    actual = in_jaxgrad(case._replace_options(numpy))(**arrays)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
