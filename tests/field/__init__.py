"""Programs with wrong gradients from public bug reports, in our own words."""

from tests.field import (
    attention,
    branches,
    cut,
    digits,
    distributions,
    flat,
    layers,
    loops,
    losses,
    matrices,
    norms,
    optimizers,
    powers,
    precision,
    rollouts,
)
from tests.field.case import Case as Case

FAMILIES = (
    norms,
    powers,
    distributions,
    losses,
    attention,
    matrices,
    loops,
    optimizers,
    precision,
    cut,
    flat,
    branches,
    layers,
    rollouts,
    digits,
)
CASES = tuple(case for family in FAMILIES for case in family.CASES)
