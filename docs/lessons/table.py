"""The table of the seeds' code cells, each with its counterpart in a lesson."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from docs.ledger._table import Table
from docs.lessons.cells import Cell, Lesson
from experiments._results.notebooks import NOTEBOOKS

SEED_CELLS = {"000": 15, "001": 18, "002": 1, "003": 90, "004": 15}
HEADER = ("cell", "what it does", "lesson", "cell of the lesson")
Counterparts: TypeAlias = dict[tuple[str, int], list[tuple[Lesson, Cell]]]
HEAD = """# Every code cell of the five notebooks

Written by `python -m docs.lessons.build`; do not edit. {found} of {total} cells have a
counterpart. The number counts the code cells of a notebook from 1.

"""


def counterparts(lessons: Sequence[Lesson]) -> Counterparts:
    """The cells that re-create each cell of a seed, by seed and number."""
    found: Counterparts = {
        (seed, number): []
        for seed, count in SEED_CELLS.items()
        for number in range(1, count + 1)
    }
    for lesson in lessons:
        for cell in lesson.cells:
            for seed_cell in cell.seeds:
                found[seed_cell].append((lesson, cell))
    return found


def page(lessons: Sequence[Lesson]) -> str:
    """The table of each seed, as Markdown."""
    cells = counterparts(lessons)
    head = HEAD.format(found=sum(map(bool, cells.values())), total=len(cells))
    tables = [
        Table(f"{seed}: {NOTEBOOKS[seed].title}", HEADER, list(rows(cells, seed)))
        for seed in SEED_CELLS
    ]
    return head + "\n".join(map(str, tables))


def rows(cells: Counterparts, seed: str) -> Iterator[Sequence[str]]:
    """A row for each cell of a seed."""
    for (of, number), found in cells.items():
        if of == seed:
            what = "; ".join(cell.title for _, cell in found)
            where = dict.fromkeys(
                f"[{lesson.name}](notebooks/en/{lesson.name}.ipynb)"
                for lesson, _ in found
            )
            ids = ", ".join(f"`{cell.id}`" for _, cell in found)
            yield str(number), what, ", ".join(where), ids
