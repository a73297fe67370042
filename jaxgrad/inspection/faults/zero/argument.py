"""From the elements of an argument without a gradient to the cause.

The walk over the tape gives the operations that block, each with a reason; the most
serious one counts. Some reasons are confirmed by running the whole program with the
argument moved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from jaxgrad.inspection.faults.zero.blocks import Block, nonzero, search_blocks
from jaxgrad.inspection.faults.zero.cause import ORDER, Cause
from jaxgrad.inspection.faults.zero.dependence import dependence
from jaxgrad.inspection.faults.zero.moved import Moving
from jaxgrad.inspection.faults.zero.products import EXPONENTIALS
from jaxgrad.inspection.faults.zero.reasons import cause_of
from jaxgrad.inspection.run.backward import total
from jaxgrad.inspection.run.replay import Replay, backward_from
from jaxgrad.inspection.run.tape import Entry, Value

# What is known of blocks, by their place on the tape.
Known = Mapping[Any, Cause]
NOTHING: Known = {}
# A gradient smaller than this, relative to its parts, is rounding.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Causes:
    """Finds causes in a run."""

    replay: Replay

    @cached_property
    def _moving(self) -> Moving:
        return Moving(self.replay)

    def why(self, value: Value, mask: np.ndarray, known: Known = NOTHING) -> Cause:
        """Why the elements `mask` of an argument have no gradient."""
        causes, missing = self.all_of(value, mask, known)
        if not causes:
            return missing
        best = min(causes, key=self._rank)
        return self._confirmed(best, causes, value, mask)

    def all_of(
        self, value: Value, mask: np.ndarray, known: Known = NOTHING
    ) -> tuple[list[Cause], Cause]:
        """The causes on all paths to the result, and the one if there is no path."""
        walk = search_blocks(self.replay, value, mask)
        causes = []
        for alike in _grouped(walk.blocks):
            block, *_ = alike
            cause = known.get(place(block)) or cause_of(block)
            if cause is not None:
                found = {"block": block, "entry": block.entry, "alike": tuple(alike)}
                causes.append(replace(cause, **found))
        if causes or walk.connected:
            return causes, Cause("unconnected", entry=walk.last)
        return [], self._without_path(value, mask)

    def _without_path(self, value: Value, mask: np.ndarray) -> Cause:
        """The cause if only a branch not taken, or a condition, uses the argument."""
        inputs = enumerate(self.replay.inputs)
        position = next(i for i, each in inputs if each is value)
        sources, met = dependence(self.replay.program.block)
        ways = {source.way for source in sources if source.position == position}
        if not ways:  # it may still be used, but not for the result
            walk = search_blocks(self.replay, value, mask, everywhere=True)
            return Cause("unconnected", entry=walk.last)
        entry = _branching(met[position]) if position in met else None
        if "value" in ways:
            return Cause("branch", entry=entry)
        blocks = search_blocks(self.replay, value, mask, everywhere=True).blocks
        pairs = ((block, cause_of(block)) for block in blocks)
        causes = [replace(cause, entry=block.entry) for block, cause in pairs if cause]
        cutting = [c for c in causes if c.reason in ("integer", "stopped")]
        inside = [c for c in cutting if self._library_stops(c)]
        own = [c for c in cutting if c not in inside]
        return next(iter([*own, *inside]), Cause("integer", entry=entry))

    def _rank(self, cause: Cause) -> tuple[bool, int, bool, bool]:
        """The gravest first, and a weight of zero before a residual that happens to be.

        What a library function stops inside, such as the maximum in a softmax, is last.
        """
        by_weight = cause.zero is not None and cause.zero.active
        order = cause.reason
        if order == "multiplied" and by_weight:
            order = "stationary"
        site = cause.entry and cause.entry.site
        derived = bool(site and site.derivative)  # of a gradient that f takes
        return self._library_stops(cause), ORDER.index(order), not by_weight, derived

    def _library_stops(self, cause: Cause) -> bool:
        """Whether a stop_gradient is not the user's."""
        drafts = self.replay.program.drafts
        entry = cause.entry
        if cause.reason != "stopped" or entry is None:
            return False
        names = {d.operation for d in drafts if d.item.slot == entry.slot}
        return bool(names) and "stop_gradient" not in names

    def _confirmed(
        self, best: Cause, causes: list[Cause], value: Value, mask: np.ndarray
    ) -> Cause:
        """The cause, confirmed with the argument moved where that is needed."""
        cancelled = [c for c in causes if c.reason == "cancelled"]
        softmax = any(map(_is_exponential, cancelled))
        flat = best.reason == "saturated" and not best.clips and not softmax
        if best.reason == "stationary":
            return self._stationary(best, value, mask)
        if best.reason == "multiplied" and best.zero and _is_trained(best.zero):
            return replace(best, normal=True)
        if best.reason != "cancelled" and not (flat and (cancelled or best.unbounded)):
            return best
        least = ROUNDING * max(map(_size, cancelled), default=0.0)
        moved = self._moving.elsewhere(value, mask, least)
        if best.reason == "cancelled" and not (moved.near or moved.far):
            return replace(best, normal=_is_shift(best))
        if best.reason == "cancelled" and not moved.near and moved.one_sided:
            # As (x + |x|) / 2, which is a relu.
            return replace(best, reason="dead")
        if moved.near or not (moved.lower or softmax):
            return replace(best, reason="stationary", normal=True)
        return replace(best, reason="saturated")

    def _stationary(self, best: Cause, value: Value, mask: np.ndarray) -> Cause:
        """A stationary point, unless nothing passes beside it either."""
        block, normal = best.block, replace(best, normal=True)
        if block is None or block.value is value:
            return normal
        if self._moving.elsewhere(value, mask, 0.0).near:
            return normal
        # As a relu that is off before a square: search what leads to the square.
        with backward_from(self.replay, block.value) as before:
            passes = bool((nonzero(total(value), mask.shape) & mask).any())
            return normal if passes else Causes(before).why(value, mask)


def place(block: Block | None) -> tuple[Any, ...]:
    """Where a block is on the tape."""
    return (block.entry.number, block.position, id(block.value)) if block else ()


def _branching(slot: int) -> Entry:
    """An entry for a branching, which is not on the tape itself."""
    return Entry((), "cond", lambda *_: [], [], [], slot, None, ())


def _grouped(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks, with those of the same operation in different iterations together."""
    seen: dict[Any, int] = {}
    groups: dict[Any, list[Block]] = {}
    for block in blocks:
        entry = block.entry
        key = entry.slot, entry.primitive, block.position
        number = seen[key, entry.iteration] = seen.get((key, entry.iteration), -1) + 1
        groups.setdefault((key, number), []).append(block)
    return list(groups.values())


def _size(cause: Cause) -> float:
    """The largest part that cancels."""
    assert cause.block is not None
    block = cause.block
    sent = [part for _, part in block.value.parts]
    if block.position is not None:
        sent = [c for c in map(total, block.entry.outputs) if c is not None]
    return max(
        (float(np.abs(np.asarray(part)).max(initial=0)) for part in sent), default=0
    )


def _is_trained(zero: Value) -> bool:
    """Whether a gradient reaches an argument through a factor that is zero.

    As the last layer of LoRA or ReZero, which is not zero after the first step.
    """
    if zero.kind == "input" or zero.maker is None:
        return bool(nonzero(total(zero), np.shape(zero.array)).any())
    return any(
        any(reader is zero.maker and np.any(part) for reader, part in operand.parts)
        and _is_trained(operand)
        for operand in zero.maker.inputs
    )


def _is_exponential(cause: Cause) -> bool:
    """Whether an exponential is divided by the sum of all, as in softmax."""
    maker = cause.block and cause.block.value.maker
    return maker is not None and maker.primitive in EXPONENTIALS


def _is_shift(cause: Cause) -> bool:
    """Whether the argument is only added to values that other arguments reach."""
    block = cause.block
    if block is None or block.entry.primitive != "broadcast_in_dim":
        return False
    (output,) = block.entry.outputs
    readers = [reader for reader, _ in output.parts if reader is not None]
    return bool(readers) and all(
        reader.primitive in ("add", "sub")
        and any(v.active and v is not output for v in reader.inputs)
        for reader in readers
    )
