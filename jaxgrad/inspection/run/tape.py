"""The tape of a run: every operation, and what made each value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad._types import Array
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Builder, CallSite, Item
from jaxgrad.inspection.run.shards import Shards


@dataclass(eq=False)
class Value:
    """An array of the run."""

    array: Any
    maker: "Entry | None" = None  # None for an input or a constant
    label: str = ""  # Path of an input, or the constant's text
    kind: str = "made"  # Where it comes from
    active: bool = False  # Whether a derivative passes through it
    # The entries that read it, each with the cotangent that it sent back
    parts: list[tuple["Entry | None", Array]] = field(default_factory=list)

    def bad(self) -> np.ndarray:
        """Which elements are NaN or infinite."""
        return nonfinite(self.array)


@dataclass(eq=False)
class Entry:
    """One operation that was run."""

    number: tuple[int, ...]  # Position on the tape; inside a stretch after its own
    primitive: str  # Name of the operation
    function: Callable[..., list[Any]]  # From the inputs' arrays to a list of results
    inputs: list[Value]
    outputs: list[Value]
    slot: int  # The step that it belongs to
    site: CallSite | None  # Where it comes from, as precisely as is known
    iteration: tuple[int, ...]  # The iterations of the loops around it, outermost first
    # In JAX's order, with the literals of the equation; empty for stack and unstack
    operands: list[Value] = field(default_factory=list)
    shards: Shards | None = None  # The shards along the first axis of its values
    compiled: bool = False  # Whether the function is compiled, also for the way back
    item: Item | None = None  # The operation in the program; None for moves
    # Of a stretch of a loop: puts its passes between its inputs and its outputs
    open: Callable[[], list["Entry"]] | None = None
    places: tuple[int | slice, ...] = ()  # Of a move, where each row is in the whole

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters of the operation: axes, modes, a fixed power."""
        return self.item.equation.params if self.item else {}

    @property
    def own_site(self) -> CallSite | None:
        """Where exactly it was traced, which may be inside a library's helper."""
        return self.item.site if self.item else self.site

    @property
    def moves(self) -> bool:
        """Whether it only takes a loop's inputs apart or puts its results together."""
        # JAX has primitives named stack and unstack, which have no places.
        return bool(self.places)

    @property
    def rows(self) -> list[Value]:
        """The rows of a move: what one pass, or a stretch of them, reads or returns."""
        return self.outputs if self.primitive == "unstack" else self.inputs

    def place(self, value: Value) -> int | slice | None:
        """Where a row is in the whole array of a move; None for the whole itself."""
        rows = zip(self.rows, self.places, strict=True)
        return next((place for row, place in rows if row is value), None)

    def shard_of(self, mask: np.ndarray) -> str:
        """The first shard of a `shard_map` or `pmap` with a marked element, or ""."""
        if self.shards is None or mask.shape[:1] != (self.shards.count,):
            return ""
        return self.shards.shard_of(int(np.argwhere(mask)[0][0]))


def nonfinite(array: Any) -> np.ndarray:
    """Which elements are NaN or infinite; none of an integer array."""
    if not jaxprs.is_floating(array):
        return np.zeros(np.shape(array), bool)
    return np.asarray(~jnp.isfinite(array))


@dataclass(frozen=True)
class Tape:
    """The operations and results of a run."""

    builder: Builder  # Knows which loops are the user's
    entries: list[Entry] = field(default_factory=list)
    # What the user sees of each step, by slot and iteration
    results: dict[tuple[int, tuple[int, ...]], Any] = field(default_factory=dict)
    # The branches taken, by the slot of the branching
    taken: dict[int, set[int]] = field(default_factory=dict)
    number: tuple[int, ...] = ()  # Of the stretch whose passes these are


def first_made(entries: Sequence[Entry]) -> Entry | None:
    """The first operation in the user's source that made a NaN from finite numbers."""
    for entry in entries:
        users = entry.site is not None and entry.site.user is not None
        if users and any(value.bad().any() for value in entry.outputs):
            if not any(value.bad().any() for value in entry.inputs):
                return entry
    return None
