"""What a run has recorded: one record for each call, one result for each tensor."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.torch_run.stack import Site
from jaxgrad.inspection.torch_run.unpacking import Unpacked


@dataclass(eq=False)
class Result:
    """One tensor that a call has made."""

    shape: tuple[int, ...]
    dtype: Any
    value: Any
    active: bool = False  # Whether a derivative passes through it
    gradient: Any = None
    viewed: Any = None  # The storage of the tensor that it is a view of
    overwritten: bool = False  # Whether a later step has changed that

    @property
    def follows(self) -> bool:
        """Whether a gradient belongs to it: not if only a later write read it."""
        return self.active and not (self.overwritten and self.gradient is None)


@dataclass(eq=False)
class Record:
    """One call."""

    operation: str
    inputs: tuple[Origin, ...]
    site: Site
    turns: tuple[int, ...]  # For each frame, its pass
    cuts: bool  # Whether a derivative reaches its operands
    results: list[Result] = field(default_factory=list)
    names: dict[int, list[str]] = field(default_factory=dict)  # By result, inner first


def compact(
    records: Sequence[Record], result: Origin, unpacked: Unpacked
) -> tuple[list[Record], Origin, Unpacked]:
    """Only the records that have results, numbered anew."""
    kept = [number for number, record in enumerate(records) if record.results]
    numbers = {old: new for new, old in enumerate(kept)}

    def renumbered(origin: Origin) -> Origin:
        if origin.kind != "step":
            return origin
        return origin._replace(number=numbers[origin.number])

    for number in kept:
        records[number].inputs = tuple(map(renumbered, records[number].inputs))
    names = {
        (numbers[number], node): {n: renumbered(o) for n, o in found.items()}
        for (number, node), found in unpacked.items()
        if number in numbers
    }
    return [records[number] for number in kept], renumbered(result), names
