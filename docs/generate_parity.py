"""Write the ledger of parity: `python -m docs.generate_parity [--check]`.

One line per function: its names in PyTorch and in JAX, what differs, and the largest
difference of value and gradient to PyTorch's golden values over the rows of the table
of cases that the function of JAX can run: those without options, finite, in float64.
With `--check` nothing is written; the exit code is 1 if the page is not current.

To add a family, add a `Section` with its functions.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.activations import CATALOGUE
from tests import golden
from tests.cases import FAMILIES, Case, in_jaxgrad

PAGE = Path(__file__).with_name("parity.md")
HEAD = """# Parity with PyTorch

Written by `python -m docs.generate_parity`; do not edit. PyTorch 2.13.0 in float64 is
the reference. Each difference is the largest one over a table of cases with kinks and
extreme, but finite inputs (absolute; relative for numbers above 1): first of the value,
then of the gradient. What JAX has without PyTorch's options is compared without them.
"""


class Line(NamedTuple):
    """One function of the ledger."""

    name: str
    torch: str
    other: str
    """Its name in JAX or Optax, "-" if there is none."""
    differs: str
    other_function: Callable[..., Any] | None = None


class Section(NamedTuple):
    """One table of the page."""

    title: str
    other: str
    """The library beside jaxgrad."""
    family: str
    """The golden file."""
    lines: Sequence[Line]


class Difference(NamedTuple):
    """The largest distance to the golden values."""

    value: float
    gradient: float

    def __str__(self) -> str:
        return f"{_rounded(self.value)}, {_rounded(self.gradient)}"


def sections() -> list[Section]:
    """What the page shows."""
    return [
        Section(
            "Activations of one variable",
            "jax.nn",
            "activations",
            [
                Line(name, name, entry.jax_name, entry.differs, entry.jax_nn)
                for name, entry in CATALOGUE.items()
            ],
        ),
        Section(
            "Activations of an axis, and attention",
            "jax.nn",
            "activations",
            [
                Line("softmax", "softmax", "softmax", "default axis"),
                Line("log_softmax", "log_softmax", "log_softmax", "default axis"),
                Line("softmin", "softmin", "-", "not in jax.nn"),
                Line("softmax2d", "nn.Softmax2d", "-", "not in jax.nn"),
                Line("glu", "glu", "glu", ""),
                Line(
                    "scaled_dot_product_attention",
                    "scaled_dot_product_attention",
                    "dot_product_attention",
                    "length before heads; no dropout",
                ),
            ],
        ),
    ]


def page() -> str:
    """The whole page, as Markdown."""
    with jax.enable_x64(True):
        return "\n".join([HEAD, *map(section_text, sections())])


def section_text(section: Section) -> str:
    """One table of the page."""
    expected = golden.load(section.family)
    header = [
        "jaxgrad",
        "torch.nn.functional",
        section.other,
        f"what {section.other} does differently",
        "cases",
        "jaxgrad - torch",
        f"{section.other} - torch",
    ]
    rows = [header, ["---"] * len(header)]
    for line in section.lines:
        cases = [c for c in FAMILIES[section.family] if c.function == line.name]
        finite = [c for c in cases if _is_finite(c)]
        plain = [c for c in finite if not c.options]
        ours = differences(finite, expected, in_jaxgrad)
        other = line.other_function
        theirs = (
            str(differences(plain, expected, lambda case, f=other: _call(case, f)))
            if other
            else "-"
        )
        names = [f"`{line.name}`", f"`{line.torch}`", f"`{line.other}`"]
        rows.append([*names, line.differs, str(len(finite)), str(ours), theirs])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"## {section.title}\n", *lines, ""])


def differences(
    cases: Sequence[Case],
    expected: Mapping[str, golden.Golden],
    function_of: Callable[[Case], Callable[..., Any]],
) -> Difference:
    """The largest difference of value and gradient over `cases`."""
    pairs = [difference(function_of(case), case, expected[case.id]) for case in cases]
    return Difference(
        max((pair.value for pair in pairs), default=0.0),
        max((pair.gradient for pair in pairs), default=0.0),
    )


def difference(
    function: Callable[..., Any], case: Case, expected: golden.Golden
) -> Difference:
    """The largest difference of one case; NaN where only one of both is NaN."""
    arrays = {name: jnp.asarray(array) for name, array in case.arrays.items()}
    value, pull_back = jax.vjp(lambda arrays: function(**arrays), arrays)
    weights = jnp.asarray(golden.cotangent(value.shape))
    (gradients,) = pull_back(weights)
    return Difference(
        _distance(value, expected.value),
        max(_distance(gradients[name], g) for name, g in expected.gradients.items()),
    )


def _call(case: Case, function: Callable[..., Any]) -> Callable[..., Any]:
    del case
    return lambda **arrays: function(*arrays.values())


def _is_finite(case: Case) -> bool:
    return all(np.isfinite(array).all() for array in case.arrays.values())


def _distance(actual: Any, expected: np.ndarray) -> float:
    """Relative to numbers above 1, as a huge one has no digits behind the point."""
    scale = np.maximum(1, np.abs(expected))
    return float(np.max(np.abs(np.asarray(actual) - expected) / scale, initial=0))


def _rounded(number: float) -> str:
    """One digit, and nothing below 1e-14: rounding differs between machines."""
    if np.isnan(number):
        return "NaN"
    return "< 1e-14" if number < 1e-14 else f"{number:.0e}"


def main(argv: Sequence[str]) -> int:
    """Write the page, or with --check compare it; the exit code."""
    if argv not in ([], ["--check"]):
        print(f"error: expected no option or --check, got {' '.join(argv)}")
        return 2
    text = page()
    if not argv:
        PAGE.write_text(text, encoding="utf-8")
        print(f"written: {PAGE}")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.name} is not current: python -m docs.generate_parity")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
