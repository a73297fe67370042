"""Why a gradient is zero: the reason in one word, and what shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from jaxgrad.inspection.faults.zero.blocks import Block
from jaxgrad.inspection.run.tape import Entry, Value

Reason = Literal[
    "rule",
    "saturated",
    "dead",
    "underflow",
    "stationary",
    "multiplied",
    "branch",
    "cancelled",
    "stopped",
    "integer",
    "unconnected",
]
# Of several reasons the first is reported.
ORDER: Sequence[Reason] = get_args(Reason)


@dataclass(frozen=True, eq=False)
class Cause:
    """Why a gradient is zero, and the block; None if nothing leads to the result."""

    reason: Reason
    block: Block | None = None
    entry: Entry | None = None  # The operation to name
    zero: Value | None = None  # For a product, the factor that is zero
    edge: float | None = None  # Where a flat part ends at a kink
    unbounded: bool = False  # Whether a saturated function has one flat side only
    normal: bool = False  # Whether it is not a fault
    alike: tuple[Block, ...] = ()  # The same operation in all iterations

    @property
    def clips(self) -> bool:
        """Whether the cause is a bound."""
        return self.reason == "saturated" and self.edge is not None
