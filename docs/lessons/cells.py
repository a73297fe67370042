"""The sources of a lesson: cells of code, as `# %% id [seed:number] title`.

A seed is one of the five PyTorch notebooks, its number counts its code cells from 1.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent
HEADER = re.compile(
    r"# %% (?P<id>[a-z0-9-]+)( \[(?P<seeds>.*)\] (?P<title>.+)|(?P<differs> differs))?"
)


@dataclass(frozen=True)
class Cell:
    """A cell of code."""

    id: str
    code: str
    line: int  # of the first line of code in the file, from 1
    seeds: tuple[tuple[str, int], ...] = ()  # the seeds' cells that it re-creates
    title: str = ""
    differs: bool = False  # of a cell in PyTorch: whether our numbers are others


@dataclass(frozen=True)
class Lesson:
    """A lesson: its cells here and in PyTorch, and PyTorch's stored outputs."""

    folder: Path
    cells: tuple[Cell, ...]
    torch: dict[str, Cell]
    outputs: dict[str, str]

    @property
    def name(self) -> str:
        """The name of the folder and of the notebooks."""
        return self.folder.name

    def prose(self, language: str) -> str:
        """The text with a `{{id}}` for every cell."""
        return (self.folder / f"{language}.md").read_text(encoding="utf-8")


def lessons() -> list[Lesson]:
    """All lessons in the order in which they are read."""
    return [read_lesson(path.parent) for path in sorted(ROOT.glob("*/jax_cells.py"))]


def read_lesson(folder: Path) -> Lesson:
    """The lesson of a folder; outputs that are not stored yet are missing."""
    torch = read_cells(folder / "torch_cells.py")
    stored = folder / "torch_outputs.json"
    outputs = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    return Lesson(
        folder,
        tuple(read_cells(folder / "jax_cells.py")),
        {cell.id: cell for cell in torch},
        outputs,
    )


def read_cells(path: Path) -> Iterator[Cell]:
    """The cells of a file in percent format."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("# %%")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        header = HEADER.fullmatch(lines[start])
        if header is None:
            raise ValueError(f"{path}:{start + 1}: expected '# %% id [seed:number]'")
        code = "\n".join(lines[start + 1 : end]).strip("\n")
        seeds = tuple(_seed_cells(header["seeds"] or ""))
        title, differs = header["title"] or "", header["differs"] is not None
        yield Cell(header["id"], code, start + 2, seeds, title, differs)


def _seed_cells(text: str) -> Iterator[tuple[str, int]]:
    for seed, number in re.findall(r"(\d{3}):(\d+)", text):
        yield seed, int(number)
