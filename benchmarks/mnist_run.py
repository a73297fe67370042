"""The notebook's 20 epochs as whole processes: from their start to the accuracy.

    python -m benchmarks.mnist_run --data-dir FOLDER [--epochs 20] [--turns 3]

On one side the notebook's program in PyTorch (`benchmarks.mnist_notebook`), on the
other `python -m experiments.mnist_mlp --no-side-runs`, which also assesses the network
class by class and draws its pictures. Both take turns, and their times include imports,
reading the files and compilation. Measure on an idle machine.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import tyro

from benchmarks._timing import machine, ratio, take_turns
from experiments._command import run_as_script, section, table
from jaxgrad.datasets import DATA_DIR_VARIABLE


@dataclass(frozen=True)
class Config:
    """The notebook's 20 epochs as whole processes."""

    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    epochs: int = 20
    """Epochs of each."""
    turns: int = 3
    """Number of runs of each."""


class Result(NamedTuple):
    """Seconds of each process, and the accuracy that its last run printed."""

    config: Config
    seconds: dict[str, list[float]]
    accuracy: dict[str, float]


def notebook(options: list[str]) -> float:
    """Run the notebook's program; the accuracy that it prints."""
    printed = _process("benchmarks.mnist_notebook", *options)
    return float(printed.split("accuracy: ")[1])


def jaxgrad(options: list[str]) -> float:
    """Run the experiment; the accuracy that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        options = [*options, "--no-side-runs", "--output-dir", folder]
        _process("experiments.mnist_mlp", "--dataset", "mnist", *options)
        last = (
            Path(folder, "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        )
        return json.loads(last)["test_accuracy"]


def run(config: Config) -> Result:
    """Run both in turns."""
    folder = config.data_dir or os.environ.get(DATA_DIR_VARIABLE)
    if folder is None:
        raise ValueError(
            f"expected --data-dir or {DATA_DIR_VARIABLE}, the folder of MNIST"
        )
    if min(config.epochs, config.turns) < 1:
        raise ValueError("expected --epochs and --turns of at least 1")
    options = ["--data-dir", str(folder), "--epochs", str(config.epochs)]
    accuracy: dict[str, float] = {}

    def note(name: str) -> None:
        accuracy[name] = {"notebook": notebook, "jaxgrad": jaxgrad}[name](options)

    works = {name: partial(note, name) for name in ("notebook", "jaxgrad")}
    return Result(config, take_turns(works, config.turns), accuracy)


def report(result: Result) -> None:
    """Print the machine, the times and their ratio."""
    config, seconds = result.config, result.seconds
    rows = [
        (
            name,
            f"{statistics.median(times):.1f}",
            f"{min(times):.1f}",
            f"{max(times):.1f}",
            f"{result.accuracy[name]:8.2%}",
        )
        for name, times in seconds.items()
    ]
    header = ("", "median", "least", "most", "accuracy")
    section(
        f"{config.epochs} epochs of MNIST, seconds of a process, n = {config.turns}",
        f"{machine('torch', 'jax', 'flax', 'optax')}\n\n{table(header, rows)}\n"
        "jaxgrad / notebook: "
        f"{ratio(seconds['jaxgrad'], seconds['notebook']):.2f} (median of the turns)",
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Run both and report."""
    config = tyro.cli(Config, args=argv, prog="python -m benchmarks.mnist_run")
    result = run(config)
    report(result)
    return result


def _process(module: str, *options: str) -> str:
    """The output of a module that runs as a program; its failure is a ValueError."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{module} ended with exit code {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    run_as_script(main)
