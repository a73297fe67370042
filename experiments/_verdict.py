"""What `python -m experiments` prints at the end: verdict, what is missing, files."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from experiments._command import section, table
from experiments._mnist_mlp.digits import HOW_TO_GET_MNIST
from experiments._reproduction import (
    KINDS,
    Row,
    agreed,
    closing_line,
    experiments_of_rows,
)

FULL_RUN = "They need real MNIST and the notebook's 20 epochs at --lr 0.01."


def print_verdict(rows: list[Row], stopped: Collection[str], digits: bool) -> None:
    """Print the counts, the rows that disagree and those not run in full."""
    counts = [_count(kind, rows) for kind in KINDS if kind in {r.kind for r in rows}]
    header = ("kind of row", "as expected", "run", "rows", "what is expected")
    reproduced, *_ = closing_line(rows).split(" (")  # the rest is below
    section("Verdict", f"{table(header, counts)}\n\n{reproduced}")
    failed = [row for row in rows if not agreed(row)]
    if failed:
        header = ("row", "quantity", "expected", "computed")
        section(f"Not reproduced: {len(failed)}", table(header, _lines(failed)))
    missing = [row for row in rows if row.agrees is None]
    if missing:
        section(f"Not run in full: {len(missing)}", _missing(missing, stopped, digits))


def _count(kind: str, rows: list[Row]) -> tuple[Any, ...]:
    of_kind = [row for row in rows if row.kind == kind]
    was_run = [row for row in of_kind if row.agrees is not None]
    return kind, sum(map(agreed, was_run)), len(was_run), len(of_kind), KINDS[kind]


def _lines(failed: list[Row]) -> list[tuple[str, ...]]:
    return [
        (row.row, row.quantity, short(row.printed), short(row.computed))
        for row in failed
    ]


def _missing(rows: list[Row], stopped: Collection[str], digits: bool) -> str:
    of_row, by_name = experiments_of_rows(), {}
    for row in rows:
        by_name.setdefault(of_row[row.row], []).append(row.row)
    lines = [
        f"{name}{', stopped early' * (name in stopped)}: {', '.join(numbers)}"
        for name, numbers in by_name.items()
    ]
    if "mnist_mlp" in set(by_name) - set(stopped):
        lines += [FULL_RUN, *[HOW_TO_GET_MNIST] * digits]
    return "\n".join(lines)


def print_files(folder: Path, names: list[str]) -> None:
    """Print how many files each experiment has written, and where."""
    counts = [
        (name, sum(p.is_file() for p in (folder / name).iterdir())) for name in names
    ]
    section("Written", f"{folder}\n\n{table(('folder', 'files'), counts)}")


def short(value: Any, width: int = 80) -> str:
    """`value` in at most `width` characters, with six digits for numbers."""
    text = "" if value is None else _digits(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def _digits(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_digits, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_digits(entry)}" for key, entry in value.items())
    return str(value)
