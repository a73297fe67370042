"""What every experiment's command line shares: options, tables, pictures, errors."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import tyro
from matplotlib.figure import Figure

Config = TypeVar("Config")
# Bytes that an experiment writes at least.
ROOM = 2**16


def parse(config: type[Config], argv: Sequence[str] | None, name: str) -> Config:
    """The options of `python -m experiments.<name>`, as a frozen dataclass.

    Raises:
        OSError: If `output_dir` is nothing to write in; better now than after the work.
    """
    prog = f"python -m experiments.{name}" if name else "python -m experiments"
    options: Any = tyro.cli(config, args=argv, prog=prog)
    _check_writable(options.output_dir)
    return options


def _check_writable(folder: Path) -> None:
    """OSError unless the folder can be written in, or be made; it is not made yet."""
    try:
        whole = folder.absolute()
        nearest = next(each for each in (whole, *whole.parents) if each.exists())
        with TemporaryFile(dir=nearest) as file:
            file.write(bytes(ROOM))  # a full disk lets empty files be made
    except OSError as fault:
        raise OSError(
            f"--output-dir: expected a folder to write in, got {folder} instead "
            f"({fault.strerror})."
        ) from fault


def run_as_script(main: Callable[[], Any]) -> None:
    """Run `main`; bad input ends in one clear line and exit code 2."""
    try:
        main()
    except (ValueError, OSError, ImportError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An aligned text table: numbers to the right, words to the left."""
    cells = [list(header), *([_text(entry) for entry in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [
        all(isinstance(row[i], int | float) for row in rows) and bool(rows)
        for i in range(len(header))
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def section(title: str, body: str) -> None:
    """Print one titled block."""
    print(f"\n{title}\n{'=' * len(title)}\n{body}")


def save_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Save each figure as `<name>.png` in `folder` and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=120)
        print(f"picture: {path}")


def _text(entry: Any) -> str:
    if isinstance(entry, bool) or not isinstance(entry, float):
        return str(entry)
    return f"{entry:.7g}"
