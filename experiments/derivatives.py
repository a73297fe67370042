"""Derivatives by calculus, by JAX and by differences, side by side.

    python -m experiments.derivatives

Every derivative of the notebooks: functions of one variable up to the third order,
partial derivatives, a chain that ends in a mean. Each stands beside the closed form and
beside differences of two function values, with the noise that float32 adds to them.
At the end: what PyTorch's `requires_grad`, `retain_graph`, `create_graph`, `grad_fn`
and `detach` become when a derivative is a function.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments._command import run_as_script, section, table
from experiments._comparison import Section
from experiments._derivatives.calculus import (
    EXAMPLES,
    PARTIALS,
    Example,
    Function,
    calc,
    calc_gradient,
)
from experiments._derivatives.torch_switches import mean_chain, switches
from experiments._frame import Options, experiment
from jaxgrad import derivatives, plots
from jaxgrad.differentiation import numerical_derivative

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Config(Options):
    """Derivatives by calculus, by JAX and by differences, side by side."""

    delta: float = 0.001
    """Step of the differences; the notebook's is 0.001."""
    seed: int = 0
    """Seed of the one random matrix."""
    output_dir: Path = Path("results/derivatives")
    """Folder for the picture."""


def forward_difference(f: Function, step: Any) -> Function:
    """(f(x + h) - f(x)) / h, the notebook's way to check a gradient.

    Its error falls as h, that of the central difference as h^2.
    """
    return lambda x: (f(x + step) - f(x)) / step


DIFFERENCES: dict[str, Callable[[Function, Any], Function]] = {
    "forward": forward_difference,
    "central": numerical_derivative,
    "best step": lambda f, step: numerical_derivative(f),
}


class Orders(NamedTuple):
    """f, f', f'', f''' at one point, and f' by differences."""

    calculus: tuple[float, ...]
    float32: list[float]
    float64: list[float]
    differences: dict[str, float]


class Gradient(NamedTuple):
    """A value and a gradient by dtype, and the gradient by calculus."""

    calculus: list[float]
    value: dict[str, float]
    gradient: dict[str, list[float]]


class Square(NamedTuple):
    """sum(a * a) for a random matrix a."""

    a: jax.Array
    value: jax.Array
    gradient: jax.Array


class Result(NamedTuple):
    """Everything the experiment computes."""

    examples: dict[tuple[str, float], Orders]
    partials: dict[tuple[str, tuple[float, ...]], Gradient]
    calc: Gradient
    slopes: dict[str, list[float]]
    """The three slopes of `calc` by each kind of difference."""
    chain: Section
    switches: Section
    square: Square
    steps: np.ndarray
    step_errors: dict[str, np.ndarray]
    """Relative error of the derivative of (sqrt x + 1)^3, by step."""


def run(config: Config) -> Result:
    """Compute everything, under x64: each dtype is named where it is used."""
    if not 0 < config.delta < math.inf:
        raise ValueError(
            f"--delta: expected a positive number, got {config.delta} instead."
        )
    steps = np.logspace(-12, 0, 97)
    with jax.enable_x64(True):
        return Result(
            examples={
                (formula, x): orders(example, x, config.delta)
                for formula, example in EXAMPLES.items()
                for x in example.points
            },
            partials={
                (formula, point): gradient(example.f, point, example.calculus)
                for formula, example in PARTIALS.items()
                for point in example.points
            },
            calc=gradient(calc, ([1.0, 2.0, 3.0],), calc_gradient),
            slopes=by_difference(calc_slopes, config.delta),
            chain=mean_chain(),
            switches=switches(),
            square=random_square(config.seed),
            steps=steps,
            step_errors=errors_by_step(EXAMPLES["(sqrt x + 1)^3"], steps),
        )


def orders(example: Example, x: float, delta: float) -> Orders:
    """All orders by JAX in both dtypes, f' by differences."""
    tower = jax.jit(derivatives(example.f, 3))
    float32, float64 = (
        [y.item() for y in tower(jnp.asarray(x, dtype))] for dtype in DTYPES
    )
    differences = by_difference(
        lambda make, step, dtype: make(example.f, step)(jnp.asarray(x, dtype)).item(),
        delta,
    )
    return Orders(example.calculus(x), float32, float64, differences)


def by_difference(compute: Callable[..., Any], delta: float) -> dict[str, Any]:
    """`compute(make, step, dtype)` for every kind of difference and every dtype."""
    return {
        f"{kind}, {dtype}": compute(make, delta, dtype)
        for kind, make in DIFFERENCES.items()
        for dtype in DTYPES
    }


def gradient(f: Function, args: Sequence[Any], calculus: Any) -> Gradient:
    """All partial derivatives at once: `argnums` replaces `requires_grad`."""
    value_and_grad = jax.value_and_grad(f, argnums=tuple(range(len(args))))
    value, gradient = {}, {}
    for dtype in DTYPES:
        y, slopes = value_and_grad(*(jnp.array(x, dtype) for x in args))
        value[dtype] = y.item()
        gradient[dtype] = [number for g in slopes for number in g.ravel().tolist()]
    return Gradient(list(calculus(*args)), value, gradient)


def calc_slopes(
    make: Callable[[Function, Any], Function], step: float, dtype: str
) -> list[float]:
    """The slopes of `calc` at [1, 2, 3], one variable moved at a time."""
    x = jnp.array([1.0, 2.0, 3.0], dtype)
    moved = [lambda t, i=i: calc(x.at[i].set(t)) for i in range(3)]
    return [make(f, step)(x[i]).item() for i, f in enumerate(moved)]


def random_square(seed: int) -> Square:
    """sum(a * a) and its gradient, for `a` as `torch.randn(2, 2)` draws it."""
    a = jax.random.normal(jax.random.key(seed), (2, 2), jnp.float32)
    return Square(a, *jax.value_and_grad(lambda a: (a * a).sum())(a))


def errors_by_step(example: Example, steps: np.ndarray) -> dict[str, np.ndarray]:
    """The relative error of f' by differences, for all steps at once."""
    (x,) = example.points
    exact = example.calculus(x)[1]

    def error(make, dtype):
        slope = jax.vmap(lambda step: make(example.f, step)(jnp.asarray(x, dtype)))
        slopes = slope(jnp.asarray(steps, dtype))
        return abs(np.asarray(slopes, np.float64) / exact - 1)

    return {
        f"{kind}, {dtype}": error(DIFFERENCES[kind], dtype)
        for kind in ("forward", "central")
        for dtype in DTYPES
    }


def report(result: Result) -> None:
    """Print the tables."""
    section("Every order at once: jaxgrad.derivatives", _orders_table(result))
    section("f' from two values: the notebook's check", _differences_table(result))
    section("Partial derivatives: argnums", _partials_table(result))
    section("mean of s / (s + 2), s = (2x + 1)^2, at [1, 2, 3]", _calc_table(result))
    for part in (result.chain, result.switches):
        section(part.title, part.text())


def _orders_table(result: Result) -> str:
    """The float32 numbers and both errors, relative to max(1, |exact|)."""
    rows = []
    for (formula, x), found in result.examples.items():
        exact = np.array(found.calculus)
        errors = [
            float(np.max(abs(np.array(computed) - exact) / np.maximum(1, abs(exact))))
            for computed in (found.float32, found.float64)
        ]
        rows.append((formula, x, *found.float32, *errors))
    header = ("f", "at", "f(x)", "f'", "f''", "f'''", "error float32", "float64")
    return table(header, rows)


def _differences_table(result: Result) -> str:
    rows = [
        (formula, x, float(found.calculus[1]), *found.differences.values())
        for (formula, x), found in result.examples.items()
    ]
    return table(("f", "at", "calculus", *result.slopes), rows)


def _partials_table(result: Result) -> str:
    rows = [
        (formula, point, y.value["float64"], y.calculus, *y.gradient.values())
        for (formula, point), y in result.partials.items()
    ]
    return table(
        ("f", "point", "value", "calculus", "JAX float32", "JAX float64"), rows
    )


def _calc_table(result: Result) -> str:
    exact = np.array(result.calc.calculus)
    rows = {"calculus": result.calc.calculus}
    rows |= {f"JAX, {dtype}": g for dtype, g in result.calc.gradient.items()}
    rows |= result.slopes
    values = ", ".join(f"{y} ({dtype})" for dtype, y in result.calc.value.items())
    return f"value: {values}\n" + table(
        ("gradient by", "d/dx1", "d/dx2", "d/dx3", "largest relative error"),
        [
            (label, *slopes, float(np.max(abs(np.array(slopes) / exact - 1))))
            for label, slopes in rows.items()
        ],
    )


def figures(result: Result) -> dict[str, Figure]:
    """The error of the differences against the step."""
    errors = plots.curves(
        {
            # A logarithmic axis cannot show an error of 0.
            label: np.where(error > 0, error, np.nan)
            for label, error in result.step_errors.items()
        },
        x=result.steps,
        xlabel="step h",
        ylabel="relative error of f'",
        title="(sqrt x + 1)^3 at 2: rounding to the left, truncation to the right",
        log=True,
    )
    errors.axes[0].set_xscale("log")
    return {"step_errors": errors}


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of each row."""
    orders = {at: found.float32 for at, found in result.examples.items()}
    slope = {at: values[1] for at, values in orders.items()}
    line, line_of_2, square_of_sum = (
        [p.value["float32"], *p.gradient["float32"]] for p in result.partials.values()
    )
    root, exp = result.examples["(sqrt x + 1)^3", 2.0], result.examples["exp x", 2.0]
    square = result.square
    return {
        **result.chain.rows,
        **result.switches.rows,
        "1.1": [slope[at] for at in (("2x", 1), ("2x", 3), ("x^2", 3), ("x^3", 3))],
        "1.2": orders["x^2 + 2x + 2", 3][:2],
        "1.4": orders["x^3 + x^2 + x + 1", 2],
        "1.5": orders["exp x", 1],
        "1.6": orders["sin x", 3.141],
        "3.20": {
            "b": square.value,
            "gradient minus 2a": square.gradient - 2 * square.a,
        },
        "3.21": line,
        "3.23": [exp.float32[1], exp.float64[1]],
        "3.24": {"float32": root.float32[:2], "float64": root.float64[:2]},
        "3.25": square_of_sum,
        "3.26": {"value": result.calc.value, "gradient": result.calc.gradient},
        "3.27": result.slopes,
        "3.C4": square.a.mean(),
        "4.1": line_of_2,
        "4.2": {
            "x^2": slope["x^2", 2],
            "exp x": slope["exp x", 2],
            "sin x": slope["sin x", math.pi],
            "(x - 4)(x^2 + 6)": orders["(x - 4)(x^2 + 6)", 0][:2],
            "(sqrt x + 1)^3": slope["(sqrt x + 1)^3", 2],
            "(x + 2y)^2": square_of_sum[1:],
        },
        "4.C1": line_of_2[0],
    }


main = experiment("derivatives", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
