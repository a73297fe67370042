"""Derivatives by calculus, by JAX and by differences, side by side.

    python -m experiments.derivatives

Every derivative of the notebooks: functions of one variable up to the third order,
partial derivatives, a chain that ends in a mean. Each is compared with its closed form
and with differences of two function values, with the noise that float32 adds to them.
At the end: what replaces PyTorch's `requires_grad`, `retain_graph`, `create_graph`,
`grad_fn` and `detach` when a derivative is a function, and what `eval`, `no_grad` and
`set_grad_enabled` change.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments._command import run_as_script
from experiments._derivatives.calculus import (
    EXAMPLES,
    PARTIALS,
    Function,
    calc,
    calc_gradient,
)
from experiments._derivatives.modes import modes
from experiments._derivatives.torch_switches import mean_chain, switches
from experiments._frame import Sections, Yielded, complete, experiment, require
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._options import Derivatives as Config
from experiments._section import Section
from jaxgrad import derivatives, plots
from jaxgrad.differentiation import numerical_derivative

DTYPES = ("float32", "float64")


def sections(config: Config) -> Yielded:
    """Compute everything, under x64: each dtype is named where it is used."""
    delta = config.delta
    require(0 < delta < math.inf, "--delta", "a positive number", delta)
    with jax.enable_x64(True):
        yield "orders", orders()
        yield "differences", differences(delta)
        yield "partials", partials(config.seed)
        yield "calc", calc_section(delta)
        yield "chain", mean_chain()
        yield "switches", switches()
        yield "modes", modes(jax.random.key(config.seed))


def orders() -> Section:
    """f, f', f'', f''' at each point; the data: by calculus, in float32 and float64.

    The table shows the float32 numbers and both errors, relative to max(1, |exact|).
    """
    found = {}
    for formula, example in EXAMPLES.items():
        tower = jax.jit(derivatives(example.f, 3))
        for x in example.points:
            both = [[y.item() for y in tower(jnp.asarray(x, d))] for d in DTYPES]
            found[formula, x] = example.calculus(x), *both

    single = {at: values for at, (_, values, _) in found.items()}
    slope = {at: values[1] for at, values in single.items()}
    root, exp = found["(sqrt x + 1)^3", 2.0], found["exp x", 2.0]
    return Section(
        "Every order at once: jaxgrad.derivatives",
        "Value and first three derivatives in float32, and the largest of their four "
        "errors relative to calculus, in float32 and in float64.",
        entries=[
            (formula, x, *values, *(_error(exact, each) for each in (values, double)))
            for (formula, x), (exact, values, double) in found.items()
        ],
        rows={
            "1.1": [slope[at] for at in (("2x", 1), ("2x", 3), ("x^2", 3), ("x^3", 3))],
            "1.2": single["x^2 + 2x + 2", 3][:2],
            "1.4": single["x^3 + x^2 + x + 1", 2],
            "1.5": single["exp x", 1],
            "1.6": single["sin x", 3.141],
            "3.23": [exp[1][1], exp[2][1]],
            "3.24": {"float32": root[1][:2], "float64": root[2][:2]},
            "4.2": {
                "x^2": slope["x^2", 2],
                "exp x": slope["exp x", 2],
                "sin x": slope["sin x", math.pi],
                "(x - 4)(x^2 + 6)": single["(x - 4)(x^2 + 6)", 0][:2],
                "(sqrt x + 1)^3": slope["(sqrt x + 1)^3", 2],
            },
        },
        header=(
            *("f", "at", "f(x)", "f'", "f''", "f'''"),
            *("error in float32", "error in float64"),
        ),
        data=found,
    )


def _error(calculus: Sequence[float], computed: list[float]) -> str:
    """The largest error, relative to max(1, |exact|)."""
    exact = np.array(calculus)
    return f"{np.max(abs(computed - exact) / np.maximum(1, abs(exact))):.1e}"


def forward_difference(f: Function, step: Any) -> Function:
    """(f(x + h) - f(x)) / h, the notebook's way to check a gradient.

    Its error falls like h, the central difference's like h^2.
    """
    return lambda x: (f(x + step) - f(x)) / step


DIFFERENCES: dict[str, Callable[[Function, Any], Function]] = {
    "forward": forward_difference,
    "central": numerical_derivative,
    "best step": lambda f, step: numerical_derivative(f),
}
LABELLED = {
    f"{kind}, {dtype}": (make, dtype)
    for kind, make in DIFFERENCES.items()
    for dtype in DTYPES
}


def differences(delta: float) -> Section:
    """The first derivative from two values; the data are relative errors by step."""
    entries = [
        (
            formula,
            x,
            float(example.calculus(x)[1]),
            *(
                make(example.f, delta)(jnp.asarray(x, dtype)).item()
                for make, dtype in LABELLED.values()
            ),
        )
        for formula, example in EXAMPLES.items()
        for x in example.points
    ]
    return Section(
        "f' from two values: the notebook's check",
        f"Forward is (f(x + h) - f(x)) / h, central (f(x + h) - f(x - h)) / 2h, both "
        f"with h = {delta:g}; best step is central with an h that suits the dtype. A "
        "small h cancels digits: in float32 few are left.",
        entries=entries,
        header=("f", "at", "calculus", *LABELLED),
        data=errors_by_step(np.logspace(-12, 0, 97)),
    )


def errors_by_step(steps: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The steps, and the errors of the derivative of (sqrt x + 1)^3, all at once."""
    example = EXAMPLES["(sqrt x + 1)^3"]
    (x,) = example.points
    exact = example.calculus(x)[1]

    def error(make, dtype):
        slope = jax.vmap(lambda step: make(example.f, step)(jnp.asarray(x, dtype)))
        slopes = slope(jnp.asarray(steps, dtype))
        return abs(np.asarray(slopes, np.float64) / exact - 1)

    return steps, {
        label: error(make, dtype)
        for label, (make, dtype) in LABELLED.items()
        if not label.startswith("best step")
    }


def value_and_gradient(f: Function, args: Sequence[Any], dtype: str) -> list[float]:
    """The value and all partial derivatives: `argnums` replaces `requires_grad`."""
    value_and_grad = jax.value_and_grad(f, argnums=tuple(range(len(args))))
    y, slopes = value_and_grad(*(jnp.array(x, dtype) for x in args))
    return [y.item(), *(number for g in slopes for number in g.ravel().tolist())]


def partials(seed: int) -> Section:
    """Partial derivatives by calculus and in both dtypes."""
    entries, single = [], []
    for formula, example in PARTIALS.items():
        for point in example.points:
            by_dtype = [value_and_gradient(example.f, point, d) for d in DTYPES]
            single.append(by_dtype[0])
            slopes = list(example.calculus(*point)), *(found[1:] for found in by_dtype)
            entries.append((formula, point, by_dtype[1][0], *map(str, slopes)))
    line, line_of_2, square_of_sum = single
    # sum(a * a) for a as torch.randn(2, 2) draws it.
    a = jax.random.normal(jax.random.key(seed), (2, 2), jnp.float32)
    value, gradient = jax.value_and_grad(lambda a: (a * a).sum())(a)
    return Section(
        "Partial derivatives: argnums",
        "PyTorch differentiates what has requires_grad; JAX what argnums lists. The "
        "last three columns are the derivatives, in the order of the arguments.",
        entries=entries,
        rows={
            "3.20": {"b": value, "gradient minus 2a": gradient - 2 * a},
            "3.21": line,
            "3.25": square_of_sum,
            "3.C4": a.mean(),
            "4.1": line_of_2,
            "4.2": {"(x + 2y)^2": square_of_sum[1:]},
            "4.C1": line_of_2[0],
        },
        header=("f", "point", "value", "calculus", "JAX float32", "JAX float64"),
        data=(a, value, gradient),
    )


def calc_section(delta: float) -> Section:
    """The gradient of `calc` at [1, 2, 3] by calculus, by JAX, and by differences."""
    exact = calc_gradient([1.0, 2.0, 3.0])
    found = {d: value_and_gradient(calc, ([1.0, 2.0, 3.0],), d) for d in DTYPES}
    value = {dtype: y for dtype, (y, *_) in found.items()}
    gradient = {dtype: slopes for dtype, (_, *slopes) in found.items()}
    by_difference = {
        label: calc_slopes(make, delta, dtype)
        for label, (make, dtype) in LABELLED.items()
    }
    by_jax = {f"JAX, {dtype}": slopes for dtype, slopes in gradient.items()}
    return Section(
        "mean of s / (s + 2), s = (2x + 1)^2, at [1, 2, 3]",
        "The value is "
        + " and ".join(f"{y:.9g} in {dtype}" for dtype, y in value.items())
        + ". JAX differentiates exactly; differences lose up to half of the digits.",
        [
            (label, *slopes, float(np.max(abs(np.divide(slopes, exact) - 1))))
            for label, slopes in ({"calculus": exact} | by_jax | by_difference).items()
        ],
        {"3.26": {"value": value, "gradient": gradient}, "3.27": by_difference},
        ("gradient by", "d/dx1", "d/dx2", "d/dx3", "largest relative error"),
        data=value,
    )


def calc_slopes(
    make: Callable[[Function, Any], Function], step: float, dtype: str
) -> list[float]:
    """The slopes of `calc` at [1, 2, 3], moving one variable at a time."""
    x = jnp.array([1.0, 2.0, 3.0], dtype)
    moved = [lambda t, i=i: calc(x.at[i].set(t)) for i in range(3)]
    return [make(f, step)(x[i]).item() for i, f in enumerate(moved)]


def figures(result: Sections) -> dict[str, Figure]:
    """The error of the differences against the step."""
    steps, by_difference = result["differences"].data
    errors = plots.curves(
        {
            # A logarithmic axis cannot show an error of 0.
            label: np.where(error > 0, error, np.nan)
            for label, error in by_difference.items()
        },
        x=steps,
        xlabel="step h",
        ylabel="relative error of f'",
        title="(sqrt x + 1)^3 at 2: rounding to the left, truncation to the right",
        log=True,
    )
    errors.axes[0].set_xscale("log")
    return {"step_errors": errors}


run = complete(sections)
main = experiment("derivatives", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
