"""Every activation of one variable where formulas fail, compared with torch.

At 0, -0, the kinks, tiny and huge numbers, infinities and NaN, value and gradient equal
PyTorch's in float64, rounded to the dtype. Where PyTorch's are NaN at an infinity, they
equal the mathematical limit.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import activations
from jaxgrad.activations import CATALOGUE
from tests.tolerances import DTYPES

pytestmark = pytest.mark.parity

INF, NAN = math.inf, math.nan
SIZES = (0.0, 1e-30, 0.5, 1.0, 3.0, 6.0, 20.0, 88.8, 1e4, 1e30, INF)
POINTS = (*SIZES, *(-size for size in SIZES), NAN)
CALLS = {name: (name, dict(entry.options)) for name, entry in CATALOGUE.items()}
CALLS |= {
    "gelu, tanh": ("gelu", {"approximate": "tanh"}),
    "hardtanh, bounds": ("hardtanh", {"min_val": -0.5, "max_val": 3.0}),
    "leaky_relu, steep": ("leaky_relu", {"negative_slope": 0.5}),
    "elu, alpha": ("elu", {"alpha": 0.5}),
    "celu, alpha": ("celu", {"alpha": 2.0}),
    "hardshrink, wide": ("hardshrink", {"lambd": 1.0}),
    "softshrink, none": ("softshrink", {"lambd": 0.0}),
    "softplus, beta": ("softplus", {"beta": 2.0, "threshold": 6.0}),
    "threshold, at 1": ("threshold", {"threshold": 1.0, "value": 20.0}),
}
# Where PyTorch is NaN: value and gradient at -inf, and at inf.
LIMITS: dict[str, Any] = dict.fromkeys(
    ("hardswish", "silu", "mish", "gelu"), ((0, 0), (INF, 1))
)
LIMITS |= {"softsign": ((-1, 0), (1, 0))}


def by_torch(name, options, points):
    """Value and gradient in float64, with limits instead of NaN at an infinity."""
    import torch

    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    if name == "prelu":
        options = {"weight": torch.tensor(options["weight"], dtype=torch.float64)}
    value = getattr(torch.nn.functional, name)(x, **options)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    results = [value.detach().numpy(), gradient.numpy()]
    for i, result in enumerate(results):
        for end, infinity in enumerate((-INF, INF)):
            here = (points == infinity) & np.isnan(result)
            if here.any():
                result[here] = LIMITS[name][end][i]
    return results


def rounded(numbers, dtype):
    """As an array of `dtype`; too large numbers become infinite."""
    with np.errstate(over="ignore"):
        return jnp.asarray(np.asarray(numbers, np.float64).astype(jnp.dtype(dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("call", CALLS)
def test_at_the_extremes(call, dtype, x64, tally):
    name, options = CALLS[call]
    function = functools.partial(getattr(activations, name), **options)
    x = rounded(POINTS, dtype)
    ours = function(x), jax.vmap(jax.grad(function))(x)
    with tally("activations at the extremes of a dtype"):
        for what, actual, exact in zip(
            ("value", "gradient"),
            ours,
            by_torch(name, options, np.asarray(x, np.float64)),
            strict=True,
        ):
            np.testing.assert_allclose(
                np.asarray(actual, np.float64),
                np.asarray(rounded(exact, dtype), np.float64),
                rtol=float(4 * jnp.finfo(dtype).eps),
                # Near 1, 1 - y**2 and 1 + erf lose digits, as in PyTorch.
                atol=2 * float(min(jnp.finfo(dtype).eps, jnp.finfo("float32").eps)),
                err_msg=f"{what} of {call} at {POINTS}",
            )
