"""The cell of a notebook, or of an IPython terminal, that a line of code comes from.

IPython compiles a cell under a made-up file name, and puts its text into `linecache`
under that name. So the cell is the latest one in the history with the same text. That
holds for every front end and version of IPython, which is not imported here: where it
runs, it is imported already.
"""

import functools
import linecache
import sys
from pathlib import Path
from typing import Any


def in_cell(file: str, line: int) -> tuple[str, int]:
    """`cell 3` and the line in it, if the file is a cell; else both unchanged."""
    history = _history()
    if history is None or not file:
        return file, line
    found = _cell(file, len(history.input_hist_parsed))
    return (file, line) if found is None else (f"cell {found[0]}", line + found[1])


def _history() -> Any:
    """The history of the running IPython, or None."""
    ipython = sys.modules.get("IPython")
    shell = ipython and getattr(ipython, "get_ipython", lambda: None)()
    return getattr(shell, "history_manager", None)


@functools.lru_cache(maxsize=256)
def _cell(file: str, cells: int) -> tuple[int, int] | None:
    """The number of a cell, and how many lines of it IPython removed at its top.

    `cells` is the length of the history, with which the answer can change.
    """
    text = "".join(linecache.getlines(file)).rstrip("\n")
    if not text or Path(file).exists():
        return None
    history = _history()
    for i in reversed(range(cells)):
        raw = history.input_hist_raw[i].rstrip("\n")
        if text in (history.input_hist_parsed[i].rstrip("\n"), _body(raw)):
            return i, _lines_removed(raw, text)
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
