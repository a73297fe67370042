"""The cell of a notebook, or of an IPython terminal, that a line of code comes from.

IPython compiles a cell under a made-up file name, and puts its text into `linecache`
under that name. So the cell is the latest one in the history with the same text. That
holds for every front end and version of IPython, which is not imported here: where it
runs, it is imported already. All cells with `%%time` have one file name and no text in
`linecache`: the cell is the latest one that compiles to the same code.
"""

import functools
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

TIMED = ("<timed exec>", "<timed eval>")


class Cell(NamedTuple):
    """A cell: its number, how many lines IPython removed at its top, and the others."""

    number: int
    above: int
    text: str


def in_cell(code: CodeType, line: int) -> tuple[str, int]:
    """`cell 3` and the line in it, if the code is of a cell; else its file and line."""
    cell = _cell_of(code)
    if cell is None:
        return code.co_filename, line
    return f"cell {cell.number}", line + cell.above


def lines_of(code: CodeType) -> list[str]:
    """The lines of the file or cell that the code is written in."""
    if code.co_filename not in TIMED:
        return linecache.getlines(code.co_filename)
    cell = _cell_of(code)
    return cell.text.splitlines(keepends=True) if cell else []


def _cell_of(code: CodeType) -> Cell | None:
    history = _history()
    if history is None or not code.co_filename:
        return None
    # The length of the history, with which the answer can change.
    cells = len(history.input_hist_parsed)
    if code.co_filename in TIMED:
        return _timed_cell(code, cells)
    return _cell(code.co_filename, cells)


def _history() -> Any:
    """The history of the running IPython, or None."""
    ipython = sys.modules.get("IPython")
    shell = ipython and getattr(ipython, "get_ipython", lambda: None)()
    return getattr(shell, "history_manager", None)


@functools.lru_cache(maxsize=256)
def _cell(file: str, cells: int) -> Cell | None:
    """The cell with the text that `linecache` has for a file."""
    text = "".join(linecache.getlines(file)).rstrip("\n")
    if not text or Path(file).exists():
        return None
    history = _history()
    for i in reversed(range(cells)):
        raw = history.input_hist_raw[i].rstrip("\n")
        if text in (history.input_hist_parsed[i].rstrip("\n"), _body(raw)):
            return Cell(i, _lines_removed(raw, text), text)
    return None


def _body(raw: str) -> str:
    """A cell without its first line, if that is a magic such as `%%capture`."""
    first, _, rest = raw.lstrip().partition("\n")
    return rest if first.startswith("%%") else raw


def _lines_removed(raw: str, text: str) -> int:
    """Empty lines at the top, and the line of a magic."""
    if raw.endswith(text):
        return raw.removesuffix(text).count("\n")
    return raw.removesuffix(raw.lstrip()).count("\n")


@functools.lru_cache(maxsize=256)
def _timed_cell(code: CodeType, cells: int) -> Cell | None:
    """The cell with `%%time` that compiles to the code."""
    history = _history()
    for i in reversed(range(cells)):
        raw = history.input_hist_raw[i].rstrip()
        _, magic, body = raw.rpartition("%%time\n")
        text = history.shell.transform_cell(body).rstrip() if magic else ""
        if magic and code in _codes(text, code.co_filename):
            return Cell(i, raw.count("\n") - text.count("\n"), text)
    return None


def _codes(text: str, file: str) -> list[CodeType]:
    """The code of a text and of every function in it."""
    try:
        return [*_nested(compile(text, file, "exec", dont_inherit=True))]
    except (SyntaxError, ValueError):
        return []


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)
