"""The table of tolerances: the allowed distance from the float64 result, by dtype."""

import jax.numpy as jnp
import numpy as np

RTOL = {"float64": 1e-9, "float32": 2e-6, "bfloat16": 2e-2, "float16": 2e-3}
ATOL = {"float64": 1e-9, "float32": 1e-6, "bfloat16": 1e-2, "float16": 1e-3}
DTYPES = tuple(RTOL)


def assert_close(actual, expected, dtype="float64", err_msg="", factor=1.0):
    """Assert equality within `factor` times the tolerance of `dtype`; NaN is NaN."""
    np.testing.assert_allclose(
        np.asarray(actual, np.float64),
        np.asarray(expected, np.float64),
        rtol=factor * RTOL[jnp.dtype(dtype).name],
        atol=factor * ATOL[jnp.dtype(dtype).name],
        err_msg=err_msg,
    )
