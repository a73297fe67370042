"""Reproduce every number of the five notebooks: `python -m experiments`.

Runs all experiments, compares what they computed with what the notebooks state
(`seed_results.toml`), writes `reproduction.json` and the pictures, and ends with
"N of N seed results reproduced"; the exit code is 1 if one is not.
"""

import importlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from experiments._command import parse, run_as_script, section, table
from experiments._reproduction import (
    KINDS,
    Row,
    agreed,
    closing_line,
    compare,
    write_rows,
)
from jaxgrad.datasets import load

EXPERIMENTS = (
    "arrays",
    "derivatives",
    "backprop",
    "activations",
    "optimizers",
    "cross_entropy",
    "two_layer_net",
    "mnist_mlp",
    "explain",
)


@dataclass(frozen=True)
class Config:
    """Reproduce every number of the five notebooks, on real MNIST if there is."""

    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """What the MLP learns; auto is MNIST if a directory, the cache or the network
    gives it, else scikit-learn's digits."""
    data_dir: Path | None = None
    """Directory of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    epochs: int = 20
    """Epochs of the MLP; the notebook's accuracy needs its 20."""
    output_dir: Path = Path("results")
    """Where the pictures and reproduction.json go."""


class Result(NamedTuple):
    """What the main job found."""

    rows: list[Row]
    seconds: dict[str, float]
    """Wall-clock seconds of each experiment."""


def run(config: Config) -> Result:
    """Run every experiment, printing as it goes, and judge what it computed."""
    computed: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for name in EXPERIMENTS:
        print(f"\n\n######## {name}", flush=True)
        experiment = importlib.import_module(f"experiments.{name}")
        start = time.perf_counter()
        computed |= experiment.reproduced(experiment.main(_options(name, config)))
        seconds[name] = time.perf_counter() - start
    return Result(compare(computed), seconds)


def report(result: Result) -> None:
    """Print the closing table, the corrected claims and the time of each part."""
    rows = [row for row in result.rows if row.kind != "corrected"]
    section(
        "Every number of the notebooks",
        table(
            ("row", "quantity", "kind", "notebook", "computed", "agrees"),
            [_cells(row) for row in rows],
        ),
    )
    section(
        "Stated in a notebook, but not so (not counted)",
        table(
            ("row", "quantity", "claim", "measured"),
            [
                (
                    row.row,
                    _short(row.quantity, 80),
                    _short(row.printed),
                    _short(row.computed),
                )
                for row in result.rows
                if row.kind == "corrected" and row.agrees is not None
            ],
        ),
    )
    section(
        "Count and time",
        table(
            ("kind", "agree", "run", "rows"),
            [_count(kind, result.rows) for kind in KINDS],
        )
        + "\n\n"
        + table(("experiment", "seconds"), list(result.seconds.items())),
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Parse the options, run all experiments, report, and write the rows."""
    config = parse(Config, argv, "")
    if config.epochs < 1:
        raise ValueError(f"expected --epochs >= 1, got {config.epochs} instead")
    print(load(config.dataset, config.data_dir))  # bad input ends the job here
    result = run(config)
    report(result)
    path = config.output_dir / "reproduction.json"
    write_rows(result.rows, path)
    print(f"\nwritten: {path}\n{closing_line(result.rows)}")
    return result


def _options(name: str, config: Config) -> list[str]:
    options = ["--output-dir", str(config.output_dir / name)]
    if name in ("mnist_mlp", "explain"):
        options += ["--dataset", config.dataset]
        if name == "mnist_mlp":
            options += ["--epochs", str(config.epochs)]
        if config.data_dir is not None:
            options += ["--data-dir", str(config.data_dir)]
    return options


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "yes", False: "NO", None: "not run"}[row.agrees]
    return (
        row.row,
        _short(row.quantity, 60),
        row.kind,
        _short(row.printed),
        _short(row.computed),
        verdict,
    )


def _count(kind: str, rows: list[Row]) -> tuple[str, int, int, int]:
    of_kind = [row for row in rows if row.kind == kind]
    was_run = [row for row in of_kind if row.agrees is not None]
    return kind, sum(bool(row.agrees) for row in was_run), len(was_run), len(of_kind)


def _short(value: Any, width: int = 36) -> str:
    """One line of at most `width` characters, numbers to six digits."""
    if value is None:
        return ""
    text = _digits(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def _digits(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_digits, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_digits(entry)}" for key, entry in value.items())
    return str(value)


def _exit_with_verdict() -> None:
    if not all(map(agreed, main().rows)):
        sys.exit(1)


if __name__ == "__main__":
    run_as_script(_exit_with_verdict)
