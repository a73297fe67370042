"""Which variable got which tensor of `mu, logvar = self.encode(x)`.

The source does not tell in which order a function returns what it computes. The
variables of the frame do, as soon as the assignment is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from jaxgrad.inspection.program.frames import Frame
from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.program.names import Assignment, assignment_of
from jaxgrad.inspection.torch_run.stack import Site

# By the number of the last record and the assignment's node: where each name's value
# comes from.
Unpacked = dict[tuple[int, int], dict[str, Origin]]


@dataclass(eq=False)
class Unpacking:
    """The assignments to several variables."""

    found: Unpacked = field(default_factory=dict)
    # By frame: the assignment that it makes now, and the last record inside
    _pending: dict[FrameType, tuple[Assignment, int]] = field(default_factory=dict)

    def note(self, number: int, stack: Sequence[FrameType], site: Site) -> None:
        """Remember the assignments that a record helps to compute."""
        for frame, user in zip(stack, site.users, strict=True):
            assignment = _assignment(frame) if user else None
            if assignment is not None and assignment.unpacks:
                self._pending[frame] = assignment, number

    def read(
        self, stack: Sequence[FrameType], origin: Callable[[Any], Origin | None]
    ) -> None:
        """Read the variables of the assignments that have been made by now."""
        for frame, (assignment, number) in [*self._pending.items()]:
            now = _assignment(frame) if frame in stack else None
            if now is None or now.node is not assignment.node:
                del self._pending[frame]
                values = frame.f_locals
                names = [name for name in assignment.names if name in values]
                known = {name: origin(values[name]) for name in names}
                origins = {name: each for name, each in known.items() if each}
                self.found[number, id(assignment.node)] = origins


def _assignment(frame: FrameType) -> Assignment | None:
    return assignment_of(Frame(frame.f_code, frame.f_lasti))
