"""What a comparison of two trainings returns, and how it looks."""

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from jaxgrad._display import fields_html, short_repr
from jaxgrad.inspection.report.explanation import data_of
from jaxgrad.inspection.report.files import page_style, template
from jaxgrad.inspection.report.format import cut, number, plain, prose
from jaxgrad.inspection.report.notebook import cell_style
from jaxgrad.inspection.report.page import framed
from jaxgrad.inspection.report.saving import save
from jaxgrad.inspection.trajectories.leaves import Leaf

COLUMNS = ("step", "loss theirs", "loss ours", "apart", "in float64", "own", "")
LEGEND = (
    "apart: the distance of the parameters after the step, relative to their size; in "
    "float64: the same in double precision; own: of theirs to itself from a start that "
    "is moved by one unit in the last place"
)
ROWS = 24
What = Literal["loss", "gradient", "update", "parameter"]


@dataclass(frozen=True, eq=False)
class TrainingDifference:
    """The first difference of two trainings that rounding does not explain.

    Attributes:
        step: The step in which it shows, counted from 0.
        what: What differs: the loss before the update, a gradient, an update, or a
            parameter at the start.
        leaf: The parameter, as a pair of names `theirs` and `ours`; None for a loss.
        difference: How far the two are apart, in units of what rounding explains.
        relative: How far they are apart, relative to the size of theirs.
        guess: The probable cause in one sentence; empty if none was found.
        cause: The same in one word or a few.
        leaves: All parameters that differ so in this step.
    """

    step: int
    what: What
    leaf: Leaf | None
    difference: float
    relative: float
    guess: str = ""
    cause: str = ""
    leaves: Sequence[Leaf] = ()

    __repr__ = short_repr
    _repr_html_ = fields_html


class Row(NamedTuple):
    """A step: both losses, and distances of the parameters after it.

    A distance is None if it was not measured.
    """

    step: int
    theirs: float
    ours: float
    apart: float | None
    double: float | None
    own: float | None


@dataclass(frozen=True, eq=False, repr=False)
class TrainingComparison:
    """Two trainings, step by step.

    Attributes:
        first: The first real difference; None if rounding explains all of them.
        verdict: "real", or "rounding that grows" if the trainings part although
            rounding explains it, or "agree".
        rows: The losses and distances of each step.
        leaves: The corresponding parameters.
        unmatched: The names of parameters that only theirs has, and only ours.
        note: How the verdict was found, and what could not be done.
    """

    first: TrainingDifference | None
    verdict: Literal["agree", "rounding that grows", "real"]
    rows: Sequence[Row]
    leaves: Sequence[Leaf] = ()
    unmatched: tuple[Sequence[str], Sequence[str]] = ((), ())
    note: str = ""

    def __repr__(self) -> str:
        where = "" if self.first is None else f", {headline(self.first)}"
        return f"<TrainingComparison of {len(self.rows)} steps: {self.verdict}{where}>"

    def __str__(self) -> str:
        width = shutil.get_terminal_size((100, 24)).columns
        return "\n".join([*verdict(self, width), "", *_table(self, width)])

    def _repr_html_(self) -> str:
        return self._html(cell_style())

    def _html(self, style: str) -> str:
        return template("training.html").substitute(
            style=style,
            verdict=escape("\n".join(verdict(self))),
            head="".join(f'<th scope="col">{c}</th>' for c in COLUMNS),
            rows="\n".join(_html_row(self, row) for row in shown(self)),
            legend=escape(f"{LEGEND}."),
        )

    def save(self, path: str | Path) -> None:
        """Write the verdict and the table in the format of the path's suffix.

        .html: one page that needs no other file. .json: the rows and the difference.

        Raises:
            ValueError: If the suffix is another; the message lists these.
        """
        save(path, {".html": self._page, **data_of(self)})

    def _page(self) -> str:
        return framed("Two trainings compared", self._html(page_style()))


def headline(first: TrainingDifference) -> str:
    """What differs first, in a few words."""
    what = "parameter at the start" if first.what == "parameter" else first.what
    return f"{what} of step {first.step}" + (
        f", {_name(first.leaf)}" if first.leaf else ""
    )


def verdict(found: TrainingComparison, width: int = 88) -> list[str]:
    """The verdict in a few lines."""
    first, steps = found.first, len(found.rows)
    if first is None:
        growing = found.verdict == "rounding that grows"
        more = "; they part by rounding that grows" if growing else ""
        lines = [f"The trainings agree over {steps} steps: no real difference{more}."]
    else:
        times, relative = number(first.difference, 3), number(first.relative, 2)
        lines = [
            f"The trainings part: the {headline(first)} (real, not rounding).",
            f"  {times} times what rounding explains (relative {relative})",
        ]
        if len(first.leaves) > 1:
            count, of = len(first.leaves), len(found.leaves)
            lines.append(f"  it differs in {count} of {of} parameters")
    guess = prose(first.guess) if first is not None else ""
    for paragraph in (guess, found.note, _only(found)):
        lines += [
            f"  {line}" for line in textwrap.wrap(plain(paragraph, 2000), width - 2)
        ]
    return lines


def _only(found: TrainingComparison) -> str:
    sides = zip(("theirs", "ours"), found.unmatched, strict=True)
    parts = [f"only {who} has {', '.join(names)}" for who, names in sides if names]
    return f"Not compared: {'; '.join(parts)}." if parts else ""


def _name(leaf: Leaf) -> str:
    same = leaf.theirs == leaf.ours
    return plain(leaf.theirs if same else f"{leaf.theirs} ({leaf.ours})")


def shown(found: TrainingComparison) -> list[Row]:
    """The rows of the table: the first steps, those around the difference, the last."""
    rows = list(found.rows)
    if len(rows) <= ROWS:
        return rows
    first = 0 if found.first is None else found.first.step
    near = {i for i in range(first - 3, first + 4) if 0 <= i < len(rows)}
    spread = np.linspace(0, len(rows) - 1, ROWS - len(near)).round().astype(int)
    return [rows[i] for i in sorted(near | {*spread.tolist()})]


def cells(found: TrainingComparison, row: Row) -> list[str]:
    """A row as texts."""
    losses = (f"{x:.8g}" for x in (row.theirs, row.ours))
    apart = (
        "" if x is None else number(x, 2) for x in (row.apart, row.double, row.own)
    )
    here = found.first is not None and found.first.step == row.step
    return [str(row.step), *losses, *apart, "<- first" if here else ""]


def _table(found: TrainingComparison, width: int) -> list[str]:
    table = [[*COLUMNS], *(cells(found, row) for row in shown(found))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table
    ]
    return [
        *(cut(line.rstrip(), width) for line in lines),
        *textwrap.wrap(LEGEND, width),
    ]


def _html_row(found: TrainingComparison, row: Row) -> str:
    data = "".join(f"<td>{escape(cell)}</td>" for cell in cells(found, row))
    here = found.first is not None and found.first.step == row.step
    return f'<tr class="{"blamed" if here else "step"}">{data}</tr>'
