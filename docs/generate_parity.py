"""Write the parity ledger: `python -m docs.generate_parity [--check]`.

`--check` only compares; the exit code is 1 if the page is not current.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from docs.generated import write_or_check
from docs.ledger import activations, arguments, losses, optimizers, schedules

PAGE = Path(__file__).with_name("parity.md")
FAMILIES = (activations, losses, optimizers, schedules, arguments)
HEAD = """# Parity with PyTorch

Written by `python -m docs.generate_parity`; do not edit. PyTorch 2.13.0 in float64 is
the reference. For activations and losses, each column gives the largest difference of
the value, then of the gradient, over a table of cases with kinks and extreme inputs
(absolute; relative for numbers above 1). For optimizers, it is the largest difference
of a parameter within 60 steps.
"""
FOOT = """## Where the numbers are not PyTorch's

- **Subnormal numbers.** On the CPU, XLA treats numbers below the smallest normal one
  (1.2e-38 in float32) as 0. The activations with a kink at 0, and the sign of `rprop`,
  still distinguish them from 0. Elsewhere a result can be 0 where PyTorch's is
  subnormal; so the derivative of a loss at a subnormal *error* is the one at 0.
- **Labels under `jax.jit`.** Without x64, JAX truncates 64-bit arguments of a jitted
  function to 32 bits before the function sees them: the label 2**32 arrives as 0, and
  the loss is finite and wrong. Called from Python, or with labels that the jitted
  function closes over, jaxgrad sees the original numbers and raises an error.
- **Infinity.** At +-inf PyTorch's value or gradient is NaN for `gelu`, `silu`, `mish`,
  `softsign` and `hardswish`; jaxgrad returns the limit. `soft_margin_loss` overflows in
  PyTorch, not in jaxgrad.
- **Complex parameters.** `jax.grad` returns the conjugate of PyTorch's gradient: give
  `jnp.conj` of it to the optimizers. `adafactor` and `muon` refuse complex parameters,
  as in PyTorch.
- **Integer targets.** PyTorch negates uint8 modulo 256 (`soft_margin_loss`,
  `margin_ranking_loss`), and computes the logarithm of integer counts in float32
  (`poisson_nll_loss` with `full`). jaxgrad does neither.
- **Half precision** is computed in float32 and rounded once.
- **Weights.** Where PyTorch has no derivative with respect to class weights, jaxgrad
  computes it.
"""


def page() -> str:
    """The whole page, as Markdown."""
    # Optax's functions fail under strict dtype promotion.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        tables = [table for family in FAMILIES for table in family.tables()]
    return "\n".join([HEAD, *map(str, tables), FOOT])


def main(argv: Sequence[str]) -> int:
    """Write the page, or compare it with --check; return the exit code."""
    return write_or_check(PAGE, page, argv, "python -m docs.generate_parity")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
