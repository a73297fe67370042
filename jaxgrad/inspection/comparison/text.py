"""A comparison as text: the verdict in a few lines, then the aligned table."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jaxgrad.inspection.comparison.result import (
    Difference,
    Findings,
    Input,
    Matched,
)
from jaxgrad.inspection.report.data import Argument, Step
from jaxgrad.inspection.report.format import (
    columns_of,
    cut,
    location,
    number,
    padded,
    plain,
    prose,
)

COLUMNS = ("theirs", "line", "ours", "line", "value", "gradient", "")
LEGEND = "value, gradient: the difference in units of what rounding explains"
MOST = 28  # The width of a name
ROWS = 60  # More rows are left out around the first difference


class Row(NamedTuple):
    """A row of the table as short texts."""

    theirs: str
    their_line: str
    ours: str
    our_line: str
    value: str
    gradient: str
    mark: str


def text(found: Findings, width: int | None = None) -> str:
    """The verdict, and the table of the corresponding steps."""
    width = width or shutil.get_terminal_size((100, 24)).columns
    return "\n".join([*verdict(found, width), "", *_table(found, width)])


def verdict(found: Findings, width: int = 88) -> list[str]:
    """What differs first, both lines, by how much, and the guess."""
    first = found.first
    names = f"{plain(found.theirs.name)} and {plain(found.ours.name)}"
    if first is None:
        pairs = sum(m.value is not None for m in found.matched)
        return [f"{names} agree: rounding explains all differences ({pairs} pairs)."]
    lines = [f"{names} part: {headline(first)}"]
    for who, thing in (("theirs", first.theirs), ("ours", first.ours)):
        lines += _thing(who, thing)
    lines.append(f"  {amount(first)}")
    guess = textwrap.wrap(prose(first.guess), width - 2, break_on_hyphens=False)
    return [*lines, *(f"  {line}" for line in guess)]


def headline(first: Difference) -> str:
    """What differs, in a few words."""
    subject = "gradient" if first.what == "gradient" else "value"
    argument = isinstance(first.theirs or first.ours, Input)
    what = f"an argument differs in its {subject}" if argument else f"first {subject}"
    part = f" (its {first.part})" if first.part else ""
    times = [i for i in first.iteration if i]
    turn = f", iteration {', '.join(map(str, times[0]))}" if times else ""
    return f"{what} that differs{part}{turn}" if not argument else what


def amount(first: Difference) -> str:
    """By how much the two differ."""
    if first.difference == float("inf"):
        return "only one side has it"
    size = number(first.difference, 3)
    relative = number(first.relative, 2)
    return f"{size} times what rounding explains (relative {relative})"


def _thing(who: str, thing: Step | Input | None) -> list[str]:
    if thing is None:
        return [f"  {who}: no such step"]
    name = thing.name if thing.name == thing.operation else _named(thing)
    source = thing.source
    where = source.place or "line not known"
    return [f"  {who}: {plain(name)}, {where}", f"    {plain(source.text)}"]


def _named(thing: Step | Input) -> str:
    return f"{thing.name} = {thing.operation}"


def rows(found: Findings) -> list[Row]:
    """All rows of the table."""
    return [row_of(m, found.first) for m in found.matched]


def row_of(m: Matched, first: Difference | None) -> Row:
    """A row of the table."""
    mark = "<- first" if is_first(m, first) else ""
    theirs, ours = _cells(m.theirs), _cells(m.ours)
    return Row(*theirs, *ours, _times(m.value), _times(m.gradient), mark)


def is_first(m: Matched, first: Difference | None) -> bool:
    """Whether a row holds a step or argument of the first difference."""
    if first is None:
        return False
    pairs = ((m.theirs, first.theirs), (m.ours, first.ours))
    named = [(a, b) for a, b in pairs if b is not None]
    return all(
        a is not None and type(b) in (type(a), Input) and a.index == b.index
        for a, b in named
    )


def _cells(thing: Step | Argument | None) -> tuple[str, str]:
    if thing is None:
        return "-", ""
    if isinstance(thing, Argument):
        return cut(plain(thing.path), MOST), ""
    name = (
        thing.name
        if thing.name == thing.operation
        else f"{thing.name} = {thing.operation}"
    )
    return cut(plain(name), MOST), location(thing.source).rpartition(":")[2]


def _times(excess: float | None) -> str:
    if excess is None:
        return ""
    return "ok" if excess <= 1 else number(excess, 2)


def _table(found: Findings, width: int) -> Iterator[str]:
    table = _shown(rows(found))
    columns = zip(COLUMNS, *table, strict=True)
    widths = [max(map(columns_of, column)) for column in columns]
    for row in (COLUMNS, tuple("-" * w for w in widths), *table):
        cells = [*map(padded, row, widths)]
        yield cut("  ".join(cells).rstrip(), width)
    yield from textwrap.wrap(LEGEND, width)


def _shown(table: Sequence[Row]) -> list[Row]:
    """At most `ROWS` rows: those around the first difference, or the first ones."""
    if len(table) <= ROWS:
        return list(table)
    marked = next((i for i, row in enumerate(table) if row.mark), 0)
    start = max(min(marked - ROWS // 2, len(table) - ROWS), 0)
    left_out = Row("...", "", "...", "", "", "", "")
    before = [left_out] if start else []
    after = [left_out] if start + ROWS < len(table) else []
    return [*before, *table[start : start + ROWS], *after]
