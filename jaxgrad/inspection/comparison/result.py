"""What a comparison returns, without its rendering."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jaxgrad._display import fields_html, short_repr
from jaxgrad.inspection.report.data import Argument, Report, Source, Step

NOWHERE = Source("", 0, "")


@dataclass(frozen=True, eq=False)
class Input(Argument):
    """An argument that differs, with the line that reads it first.

    Attributes:
        source: The user's line that reads it first.
    """

    source: Source = NOWHERE

    @property
    def name(self) -> str:
        """Its path, as a step has a name."""
        return self.path

    @property
    def operation(self) -> str:
        """The word for an argument, as a step has an operation."""
        return "argument"


@dataclass(frozen=True, eq=False)
class Difference:
    """The first place where two programs part.

    Attributes:
        what: Whether values differ, or gradients of equal values.
        theirs: Their step or argument; None if only ours has one.
        ours: Our step or argument; None if only theirs has one.
        difference: How far they are apart, in units of what rounding explains.
        relative: How far they are apart, relative to the size of the elements.
        guess: The probable cause in one sentence; empty if none was found.
        cause: The same in one word.
        iteration: The iteration of the loops around the step, on each side.
        part: What the fused step computes on the way, if that differs.
    """

    what: Literal["value", "gradient"]
    theirs: Step | Input | None
    ours: Step | Input | None
    difference: float
    relative: float
    guess: str = ""
    cause: str = ""
    iteration: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    part: str = ""

    __repr__ = short_repr
    _repr_html_ = fields_html


@dataclass(frozen=True, eq=False)
class Matched:
    """A row of the table: corresponding arrays, or one that only one side has.

    Attributes:
        theirs: Their step or argument, or None.
        ours: Our step or argument, or None.
        value: How far the values are apart in units of what rounding explains; None
            if they were not compared.
        gradient: The same of the gradients.
    """

    theirs: Step | Argument | None
    ours: Step | Argument | None
    value: float | None = None
    gradient: float | None = None

    __repr__ = short_repr
    _repr_html_ = fields_html


@dataclass(frozen=True, eq=False)
class Findings:
    """Two reports side by side, and where they part first.

    Attributes:
        theirs: The one report.
        ours: The other report.
        first: The first difference; None if rounding explains all of them.
        matched: The aligned arrays in the order of execution.
    """

    theirs: Report
    ours: Report
    first: Difference | None
    matched: Sequence[Matched] = field(default_factory=tuple)


def with_source(argument: Argument, steps: Sequence[Step]) -> Input:
    """The argument with the line of the first step that reads it."""
    read = (
        step.source
        for step in steps
        for o in step.inputs
        if o.kind == "argument" and o.index == argument.index
    )
    values: dict[str, Any] = {
        name: getattr(argument, name)
        for name in ("index", "path", "shape", "dtype", "value", "gradient", "why")
    }
    return Input(**values, source=next(read, NOWHERE))


def with_guess(difference: Difference, cause: str, guess: str) -> Difference:
    """The difference with its probable cause."""
    return replace(difference, cause=cause, guess=guess)
