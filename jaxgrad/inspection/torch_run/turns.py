"""Which calls belong to one pass of a function's body.

The frames that run are known by identity, so only a loop inside one frame has to be
told from its instructions: one that runs again begins a new pass.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NamedTuple

from jaxgrad.inspection.program.frames import loops


class _Place(NamedTuple):
    """A running frame and its instruction."""

    frame: FrameType
    offset: int


@dataclass(eq=False)
class Turns:
    """Numbers for the passes of the frames of a stack."""

    _places: list[_Place] = field(default_factory=list)
    _numbers: tuple[int, ...] = ()
    _fresh: itertools.count = field(default_factory=itertools.count)

    def next(self, stack: Sequence[FrameType]) -> tuple[int, ...]:
        """The pass of each frame of the next call."""
        places = [_Place(frame, frame.f_lasti) for frame in stack]
        kept = _kept(self._places, places)
        numbers = self._numbers[:kept]
        self._numbers = numbers + tuple(next(self._fresh) for _ in places[kept:])
        self._places = places
        return self._numbers

    def forget(self) -> None:
        """Let go of the frames, which keep their variables alive."""
        self._places = []


def _kept(before: Sequence[_Place], now: Sequence[_Place]) -> int:
    """How many of the outer frames are still in the pass they were in."""
    pairs = [*zip(before, now, strict=False)]
    apart = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])
    if apart < len(pairs) and before[apart].frame is now[apart].frame:
        return apart + (now[apart].offset > before[apart].offset)
    # The same instruction ran again: in a loop, or of a C function such as `map`.
    if apart and loops(now[apart - 1].frame.f_code, now[apart - 1].offset):
        return apart - 1
    return apart
