"""Every activation of one variable where formulas fail, compared with torch.

At 0, -0, the kinks, tiny and huge numbers, infinities and NaN, value and gradient equal
PyTorch's in float64, rounded to the dtype. Some of PyTorch's are NaN at an infinity;
those are counted apart, and jaxgrad's equal the mathematical limit there.
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
    """Value and gradient in float64."""
    import torch

    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    if name == "prelu":
        options = {"weight": torch.tensor(options["weight"], dtype=torch.float64)}
    value = getattr(torch.nn.functional, name)(x, **options)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach().numpy(), gradient.numpy()


def limits(name, points):
    """The limits of value and gradient at the infinities among the points."""
    ends = LIMITS.get(name, ((NAN, NAN), (NAN, NAN)))
    return [np.where(points < 0, low, high) for low, high in zip(*ends, strict=True)]


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
    points = np.asarray(x, np.float64)
    with tally("activations at the extremes of a dtype, where PyTorch defines them"):
        exact = by_torch(name, options, points)
        undefined = [np.isinf(points) & np.isnan(result) for result in exact]
        for what, *results, skipped in zip(
            ("value", "gradient"), ours, exact, undefined, strict=True
        ):
            actual, expected = (
                np.asarray(rounded(result, dtype), np.float64)[~skipped]
                for result in results
            )
            np.testing.assert_allclose(
                actual,
                expected,
                rtol=float(4 * jnp.finfo(dtype).eps),
                # Near 1, 1 - y**2 and 1 + erf lose digits, as in PyTorch.
                atol=2 * float(min(jnp.finfo(dtype).eps, jnp.finfo("float32").eps)),
                err_msg=f"{what} of {call} at {points[~skipped]}",
            )
    for result, limit, here in zip(ours, limits(name, points), undefined, strict=True):
        for i in np.flatnonzero(here):
            with tally("numbers at +-inf where PyTorch's is NaN: the limit"):
                assert float(result[i]) == limit[i], f"{call} at {points[i]}"
