"""Which calls belong to one pass of a function's body.

The frames that run are known by identity, so only a loop inside one frame has to be
told from its instructions: one that runs again begins a new pass.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from jaxgrad.inspection.program.frames import loops

_Place = tuple[FrameType, int]  # A running frame and its instruction


@dataclass(eq=False)
class Turns:
    """Numbers for the passes of the frames of a stack."""

    _places: list[_Place] = field(default_factory=list)
    _numbers: tuple[int, ...] = ()
    _fresh: itertools.count = field(default_factory=itertools.count)

    def next(self, stack: Sequence[FrameType]) -> tuple[int, ...]:
        """The pass of each frame of the next call."""
        places = [(frame, frame.f_lasti) for frame in stack]
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
    apart = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
    if apart < len(pairs) and before[apart][0] is now[apart][0]:
        return apart + (now[apart][1] > before[apart][1])
    # The same instruction ran again: in a loop, or of a C function such as `map`.
    if apart:
        frame, offset = now[apart - 1]
        return apart - loops(frame.f_code, offset)
    return apart
