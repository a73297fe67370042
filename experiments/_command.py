"""Shared by the command lines: options, tables, figures and errors."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeAlias, TypeVar

import tyro
from matplotlib.figure import Figure

from experiments._optimizers.recording import Recording
from experiments._results.saving import save_figure
from jaxgrad.inspection import Comparison, Explanation

Config = TypeVar("Config")
Picture: TypeAlias = Figure | Explanation | Comparison | Recording
MIN_FREE_BYTES = 2**16


def parse(config: type[Config], argv: Sequence[str] | None, name: str) -> Config:
    """Parse the options of `python -m experiments.<name>` into a frozen dataclass.

    Raises:
        OSError: If `output_dir` is not writable; raised before the work starts.
    """
    prog = f"python -m experiments.{name}" if name else "python -m experiments"
    make: Any = config
    default = make(output_dir=Path("results") / name)
    options: Any = tyro.cli(config, args=argv, prog=prog, default=default)
    _check_writable(options.output_dir)
    return options


def _check_writable(folder: Path) -> None:
    """Raise OSError unless the folder is writable or can be created."""
    try:
        absolute = folder.absolute()
        nearest = next(p for p in (absolute, *absolute.parents) if p.exists())
        with TemporaryFile(dir=nearest) as file:
            file.write(bytes(MIN_FREE_BYTES))  # a full disk still creates empty files
    except OSError as error:
        raise OSError(
            f"--output-dir: expected a folder to write in, got {folder} instead "
            f"({error.strerror})."
        ) from error


def run_as_script(main: Callable[[], Any]) -> None:
    """Run `main`. Bad input prints one line and exits with code 2."""
    try:
        main()
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a text table with numbers aligned right and words left."""
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


def _text(entry: Any) -> str:
    if isinstance(entry, bool) or not isinstance(entry, float):
        return str(entry)
    return f"{entry:.7g}"


def section(title: str, body: str) -> None:
    """Print one titled block."""
    print(f"\n{title}\n{'=' * len(title)}\n{body}")


def save_figures(
    pictures: Mapping[str, Picture], folder: Path, formats: Sequence[str] = ("png",)
) -> None:
    """Save figures in every format, reports as a page; print the paths.

    An explanation's graph is saved as SVG too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if isinstance(picture, Figure):
            for path in save_figure(picture, folder / name, formats):
                print(f"figure: {path}")
            continue
        path = folder / f"{name}.html"
        picture.save(path)
        print(f"page: {path}")
        if isinstance(picture, Explanation):
            graph = path.with_suffix(".svg")
            graph.write_text(picture.to_svg(), encoding="utf-8")
            print(f"graph: {graph}")
