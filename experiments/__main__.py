"""Reproduce every number of the five notebooks: `python -m experiments`.

Runs all experiments, compares what they compute with what the notebooks state
(`seed_results.toml`), writes `reproduction.json` and the figures, and ends with
"N of N seed results reproduced". The exit code is 1 if any is not, or if an experiment
has stopped early.
"""

import importlib
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments._command import parse, run_as_script, section, table
from experiments._frame import Options, at_least, require
from experiments._reproduction import (
    KINDS,
    Row,
    agreed,
    closing_line,
    compare,
    write_rows,
)
from experiments._results.page import write
from jaxgrad.datasets import load

EXPERIMENTS = (
    "arrays derivatives backprop activations optimizers cross_entropy two_layer_net "
    "mnist_mlp explain port"
).split()


@dataclass(frozen=True)
class Config(Options):
    """Reproduce every number of the five notebooks, on real MNIST if available."""

    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """Data set of the MLP. auto: MNIST if a folder, the cache or the network provides
    it, otherwise scikit-learn's digits."""
    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    epochs: int = 20
    """Epochs of the MLP; the notebook's accuracy needs 20."""
    lr: float | None = None
    """Learning rate of the MLP; the notebook's numbers need its 0.01."""
    output_dir: Path = Path("results")
    """Folder for the figures and reproduction.json."""


def run(config: Config) -> tuple[list[Row], list[str]]:
    """Run every experiment, compare its numbers, and report rows, counts and times.

    One that ends with a message, such as a training whose loss is NaN, does not end the
    others: its rows are not run, and its name is returned beside the rows.
    """
    computed: dict[str, Any] = {}
    seconds: list[tuple[str, float]] = []
    stopped: list[str] = []
    for name in EXPERIMENTS:
        print(f"\n\n######## {name}", flush=True)
        experiment = importlib.import_module(f"experiments.{name}")
        start = time.perf_counter()
        try:
            computed |= experiment.reproduced(experiment.main(_options(name, config)))
        except SystemExit as end:
            if not isinstance(end.code, str):
                raise
            print(end.code, file=sys.stderr, flush=True)
            stopped.append(name)
        seconds.append((name, time.perf_counter() - start))
    rows = compare(computed)
    _report(rows)
    print(f"\n{table(('experiment', 'seconds'), seconds)}")
    return rows, stopped


def _options(name: str, config: Config) -> list[str]:
    options = ["--output-dir", str(config.output_dir / name)]
    if name in ("mnist_mlp", "explain"):
        options += ["--dataset", config.dataset]
        if name == "mnist_mlp":
            options += ["--epochs", str(config.epochs)]
            options += [] if config.lr is None else ["--lr", str(config.lr)]
        if config.data_dir is not None:
            options += ["--data-dir", str(config.data_dir)]
    return options


def _report(rows: list[Row]) -> None:
    """Print all numbers, the wrong statements, and the counts."""
    stated = [_cells(row) for row in rows if row.kind != "corrected"]
    header = ("row", "quantity", "kind", "notebook", "computed", "agrees")
    section("Every number of the notebooks", table(header, stated))
    wrong = [
        (row.row, _short(row.quantity, 80), _short(row.printed), _short(row.computed))
        for row in rows
        if row.kind == "corrected" and row.agrees is not None
    ]
    header = ("row", "quantity", "notebook", "measured")
    title = "Wrong statements of the notebooks (not counted)"
    section(title, table(header, wrong))
    header = ("kind", "agree", "run", "rows")
    counts = table(header, [_count(kind, rows) for kind in KINDS])
    section("Counts and times", counts)


def _cells(row: Row) -> tuple[str, ...]:
    agrees = {True: "yes", False: "NO", None: "not run"}[row.agrees]
    quantity, printed = _short(row.quantity, 60), _short(row.printed)
    return row.row, quantity, row.kind, printed, _short(row.computed), agrees


def _count(kind: str, rows: list[Row]) -> tuple[str, int, int, int]:
    of_kind = [row for row in rows if row.kind == kind]
    was_run = [row for row in of_kind if row.agrees is not None]
    return kind, sum(bool(row.agrees) for row in was_run), len(was_run), len(of_kind)


def _short(value: Any, width: int = 36) -> str:
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


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Parse the options, run all experiments, and write the rows."""
    config = parse(Config, argv, "")
    at_least(config, epochs=1)
    lr = config.lr
    require(lr is None or 0 < lr < math.inf, "--lr", "a positive number", lr)
    dataset = load(config.dataset, config.data_dir)  # fails if the data are missing
    print(dataset)
    (rows, stopped), path = run(config), config.output_dir / "reproduction.json"
    write_rows(rows, path)
    page = write(
        config.output_dir,
        {name: config.output_dir / name for name in EXPERIMENTS},
        rows,
        options=vars(config),
        dataset=dataset,
        stopped=stopped,
    )
    print(f"\nwritten: {path}, {page}\n{closing_line(rows)}")
    if stopped:
        sys.exit(f"stopped early: {', '.join(stopped)}")
    return rows


def _script() -> None:
    if not all(map(agreed, main())):
        sys.exit(1)


if __name__ == "__main__":
    run_as_script(_script)
