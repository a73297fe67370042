"""What the experiments print: sections, tables that fit the terminal, and progress.

Everything fits into `columns()`. Colours and moving bars appear only on a terminal, and
NO_COLOR switches the colours off.
"""

import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import Box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

MOST_COLUMNS = 100
GAP = 2  # between columns
WORDS = 24  # a column of words may become as narrow as this
NUMBER = re.compile(r"[-+]?(\d[\d,]*\.?\d*(e[-+]?\d+)?|inf|nan)%?|-|\.|")
RULE = Box(
    "    \n    \n -- \n    \n    \n    \n    \n    \n",
    ascii=True,
)


def columns() -> int:
    """The width of the output: COLUMNS, or that of the terminal up to 100."""
    width = shutil.get_terminal_size((MOST_COLUMNS, 24)).columns
    return max(20, width if "COLUMNS" in os.environ else min(width, MOST_COLUMNS))


class Plain(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `run_as_script`, as if `print` had written."""
        raise


def console(file: Any = None) -> Console:
    """A console on `file`, by default on what is stdout now; text is taken as it is."""
    options: Any = {"markup": False, "highlight": False, "emoji": False}
    colours = None if os.environ.get("NO_COLOR") else "auto"
    return Plain(file=file, width=columns(), color_system=colours, **options)


def wrapped(text: str) -> str:
    """The text with each of its lines broken to fit; paths and options stay whole."""
    options: Any = {"break_long_words": False, "break_on_hyphens": False}
    return "\n".join(
        line if len(line) <= columns() else textwrap.fill(line, columns(), **options)
        for line in text.splitlines()
    )


def section(title: str, body: str = "") -> None:
    """Print one titled block."""
    heading(title)
    if body:
        print(wrapped(body), flush=True)


def heading(title: str) -> None:
    """Print the underlined title of a block."""
    to = console()
    with to.capture() as bold:
        to.print(f"\n{title}\n{'=' * min(len(title), to.width)}", style="bold")
    print(bold.get(), end="", flush=True)  # `print` writes above the bars, if any


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A text table, numbers right, words left and wrapped.

    Columns for which the terminal is too narrow follow below, with the first one again.
    """
    cells = [[_text(entry) for entry in row] for row in (header, *rows)]
    described = list(map(list, zip(*cells, strict=True)))
    first, blocks = described[0], [[described[0]]]
    for column in described[1:]:
        needed = sum(_least(c) + GAP for c in (*blocks[-1], column)) - GAP
        if needed > columns() and len(blocks[-1]) > 1:
            blocks.append([first])
        blocks[-1].append(column)
    return "\n\n".join(map(_block, blocks))


def _block(described: list[list[str]]) -> str:
    drawn = Table(box=RULE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for (title, *entries), width in zip(described, _widths(described), strict=True):
        justify = "right" if _numbers(entries) else "left"
        drawn.add_column(title, justify=justify, width=width, overflow="fold")
    for row in zip(*(entries for _, *entries in described), strict=True):
        drawn.add_row(*map(_indented, row))
    console(text := io.StringIO()).print(drawn)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _indented(entry: str) -> Text | Padding:
    """The entry; if it begins with spaces, all of its lines are indented by them."""
    words = entry.lstrip()
    text = Text(words, overflow="fold")
    indent = len(entry) - len(words)
    return Padding(text, (0, 0, 0, indent)) if indent else text


def _widths(described: list[list[str]]) -> list[int]:
    """The width of each column, the widest ones narrowed until all fit."""
    widths = [max(map(len, column)) for column in described]
    least = [*map(_least, described)]
    while sum(widths) + GAP * (len(widths) - 1) > columns():
        spare = [w * (w > most) for w, most in zip(widths, least, strict=True)]
        if not any(spare):
            break
        widths[spare.index(max(spare))] -= 1
    return widths


def _least(column: Sequence[str]) -> int:
    """How narrow a column may be: numbers and the words of titles are not broken."""
    title, *entries = column
    longest = max(map(len, entries), default=0)
    words = max(map(len, title.split()), default=0)
    return max(words, longest if _numbers(entries) else min(longest, WORDS))


def _numbers(entries: Sequence[str]) -> bool:
    return any(entries) and all(NUMBER.fullmatch(entry.strip()) for entry in entries)


def _text(entry: Any) -> str:
    if isinstance(entry, bool) or not isinstance(entry, float):
        return str(entry)
    return f"{entry:.7g}"


_running: list[Progress] = []


def shows_bars() -> bool:
    """Whether this process shows bars now."""
    return any(not bars.disable for bars in _running)


@contextmanager
def progress() -> Iterator[Progress]:
    """The bars of this process: one display, which shows nothing without a terminal."""
    if _running:
        yield _running[-1]
        return
    to = console(sys.stdout)  # also while stdout is redirected
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=to,
        transient=True,
        disable=not (to.is_interactive and to.file.isatty()),
    )
    with bars:
        _running.append(bars)
        try:
            yield bars
        finally:
            _running.remove(bars)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is being done whose length is not known."""
    with progress() as bars:
        task = bars.add_task(what, total=None, note="")
        yield
        bars.remove_task(task)
