"""Write the parity ledger: `python -m docs.generate_parity [--check]`.

`--check` only compares; the exit code is 1 if the page is not current.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from docs.ledger import activations, losses, optimizers

PAGE = Path(__file__).with_name("parity.md")
FAMILIES = (activations, losses, optimizers)
HEAD = """# Parity with PyTorch

Written by `python -m docs.generate_parity`; do not edit. PyTorch 2.13.0 in float64 is
the reference. For activations and losses, each column gives the largest difference of
the value, then of the gradient, over a table of cases with kinks and extreme inputs
(absolute; relative for numbers above 1). For optimizers, it is the largest difference
of a parameter within 60 steps.
"""


def page() -> str:
    """The whole page, as Markdown."""
    # Optax's functions fail under strict dtype promotion.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        tables = [table for family in FAMILIES for table in family.tables()]
    return "\n".join([HEAD, *map(str, tables)])


def main(argv: Sequence[str]) -> int:
    """Write the page, or compare it with --check; return the exit code."""
    if argv not in ([], ["--check"]):
        print(f"error: expected no option or --check, got {' '.join(argv)}")
        return 2
    text = page()
    if not argv:
        PAGE.write_text(text, encoding="utf-8")
        print(f"written: {PAGE}")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        print(f"{PAGE.name} is current")
        return 0
    print(f"{PAGE.name} is not current: python -m docs.generate_parity")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
