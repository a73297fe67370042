"""A table of the elementwise activations, their kinks and `jax.nn`'s counterparts.

The plots, the parity ledger and the tests iterate over it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

from jaxgrad._types import Array


def _no_kinks(**options: Any) -> tuple[float, ...]:
    return ()


@dataclass(frozen=True)
class Activation:
    title: str  # its name in PyTorch's documentation
    kinks: Callable[..., tuple[float, ...]] = _no_kinks  # for given options
    jax_nn: Callable[[Array], Array] | None = None  # the function of jax.nn, if any
    jax_name: str = "-"  # the name in jax.nn
    differs: str = ""  # what jax.nn does differently
    # Values of the arguments without a default, for the plots.
    options: Mapping[str, float] = field(default_factory=dict)


def _at_0(**options: Any) -> tuple[float, ...]:
    return (0.0,)


def _gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


_BEND = "gradient at NaN: NaN; second derivative at 0: not 0"

CATALOGUE: Mapping[str, Activation] = {
    "threshold": Activation(
        "Threshold",
        lambda threshold, value: (threshold,),
        differs="not in jax.nn",
        options={"threshold": 1.0, "value": -1.0},
    ),
    "relu": Activation("ReLU", _at_0, jax.nn.relu, "relu", "gradient at NaN: 0"),
    "relu6": Activation(
        "ReLU6", lambda: (0.0, 6.0), jax.nn.relu6, "relu6", "gradient at NaN: 0"
    ),
    "hardtanh": Activation(
        "Hardtanh",
        lambda min_val=-1.0, max_val=1.0: (min_val, max_val),
        jax.nn.hard_tanh,
        "hard_tanh",
        "no min_val, max_val; gradient at the bounds: 1",
    ),
    "hardsigmoid": Activation(
        "Hardsigmoid",
        lambda: (-3.0, 3.0),
        jax.nn.hard_sigmoid,
        "hard_sigmoid",
        "1/6 in float64, where PyTorch's is rounded to float32",
    ),
    "hardswish": Activation(
        "Hardswish",
        lambda: (-3.0, 3.0),
        jax.nn.hard_swish,
        "hard_swish",
        "gradient at NaN: NaN",
    ),
    "leaky_relu": Activation(
        "LeakyReLU", _at_0, jax.nn.leaky_relu, "leaky_relu", "gradient at 0: 1"
    ),
    "prelu": Activation(
        "PReLU", _at_0, differs="not in jax.nn", options={"weight": 0.25}
    ),
    "rrelu": Activation("RReLU", _at_0, differs="not in jax.nn"),
    "hardshrink": Activation(
        "Hardshrink", lambda lambd=0.5: (-lambd, lambd), differs="not in jax.nn"
    ),
    "softshrink": Activation(
        "Softshrink", lambda lambd=0.5: (-lambd, lambd), differs="not in jax.nn"
    ),
    "elu": Activation("ELU", _at_0, jax.nn.elu, "elu", _BEND),
    "celu": Activation("CELU", _at_0, jax.nn.celu, "celu", _BEND),
    "selu": Activation("SELU", _at_0, jax.nn.selu, "selu", _BEND),
    "softplus": Activation(
        "Softplus",
        lambda beta=1.0, threshold=20.0: (threshold / beta,),
        jax.nn.softplus,
        "softplus",
        "no beta, threshold: never linear",
    ),
    "logsigmoid": Activation(
        "LogSigmoid", jax_nn=jax.nn.log_sigmoid, jax_name="log_sigmoid"
    ),
    "sigmoid": Activation("Sigmoid", jax_nn=jax.nn.sigmoid, jax_name="sigmoid"),
    "tanh": Activation("Tanh", jax_nn=jax.nn.tanh, jax_name="tanh"),
    "tanhshrink": Activation("Tanhshrink", differs="not in jax.nn"),
    "softsign": Activation("Softsign", jax_nn=jax.nn.soft_sign, jax_name="soft_sign"),
    "silu": Activation("SiLU", jax_nn=jax.nn.silu, jax_name="silu"),
    "mish": Activation("Mish", jax_nn=jax.nn.mish, jax_name="mish"),
    "gelu": Activation(
        "GELU",
        jax_nn=_gelu,
        jax_name="gelu(approximate=False)",
        differs="its default is the tanh form, whose gradient is NaN at large x",
    ),
}
