"""Run the cells of a lesson one after the other, as Jupyter does, for their text.

The output of a cell is what it prints, and the repr of its last expression, unless
Jupyter would show that as a picture or a table.
"""

import ast
import contextlib
import io
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from docs.lessons.cells import Cell


def run_cells(cells: Iterable[Cell], path: Path) -> dict[str, str]:
    """The output of each cell by its id; `path` is the file that holds the cells."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    return {cell.id: run_cell(cell, path, namespace) for cell in cells}


def run_cell(cell: Cell, path: Path, namespace: dict[str, Any]) -> str:
    """The output of one cell; what it defines goes into the namespace."""
    body = ast.parse("\n" * (cell.line - 1) + cell.code, str(path)).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pictures_closed():
        exec(compile(ast.Module(body, []), str(path), "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(
                compile(ast.Expression(last.value), str(path), "eval"), namespace
            )
            if value is not None and not hasattr(value, "_repr_html_"):
                print(repr(value))
    return printed.getvalue().rstrip()


@contextlib.contextmanager
def pictures_closed() -> Iterator[None]:
    """Let `plt.show()` pass without a screen, and close what it would have shown."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
        yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
