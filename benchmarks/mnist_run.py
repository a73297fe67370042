"""The notebook's 20 epochs as whole processes, from start to accuracy.

    python -m benchmarks.mnist_run --data-dir FOLDER [--epochs 20] [--turns 3]

Compares the notebook's PyTorch program (`benchmarks.mnist_notebook`) with `python -m
experiments.mnist_mlp --no-side-runs`, which also assesses the network class by class
and draws its figures. Both take turns, and their times include imports, reading the
files and compilation. Measure on an idle machine.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import _frame as frame
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
    """Seconds of each process, and the accuracy of its last run."""

    seconds: frame.Seconds
    accuracy: dict[str, float]


def notebook(options: list[str]) -> float:
    """Run the notebook's program; return the accuracy that it prints."""
    printed = _process("benchmarks.mnist_notebook", *options)
    return float(printed.split("accuracy: ")[1])


def jaxgrad(options: list[str]) -> float:
    """Run the experiment; return the accuracy that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        options = [*options, "--no-side-runs", "--output-dir", folder]
        _process("experiments.mnist_mlp", "--dataset", "mnist", *options)
        metrics = Path(folder, "metrics.jsonl").read_text(encoding="utf-8")
        return json.loads(metrics.splitlines()[-1])["test_accuracy"]


def run(config: Config) -> Result:
    """Run both in turns."""
    frame.at_least(config, epochs=1, turns=1)
    folder = config.data_dir or os.environ.get(DATA_DIR_VARIABLE)
    if folder is None:
        expected = f"the MNIST folder, or {DATA_DIR_VARIABLE} to be set"
        raise ValueError(f"--data-dir: expected {expected}, got neither instead.")
    options = ["--data-dir", str(folder), "--epochs", str(config.epochs)]
    accuracy: dict[str, float] = {}
    works = {
        "notebook": lambda: accuracy.update(notebook=notebook(options)),
        "jaxgrad": lambda: accuracy.update(jaxgrad=jaxgrad(options)),
    }
    seconds = frame.take_turns(works, config.turns)
    title = f"{config.epochs} epochs of MNIST as a process"
    frame.heading(title, f"{config.turns} turns", "torch", "jax", "flax", "optax")
    printed = {name: f"{value:.2%}" for name, value in accuracy.items()}
    frame.section("Time", frame.times(seconds, more={"accuracy": printed}))
    print(frame.ratio_line("jaxgrad", "notebook", seconds))
    return Result(seconds, accuracy)


def _process(module: str, *options: str) -> str:
    """The output of a module run as a program; ValueError if it fails."""
    command, root = [sys.executable, "-m", module, *options], Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True)
    if code := done.returncode:
        raise ValueError(f"{module}: expected exit code 0, got {code} instead.")
    return done.stdout


main = frame.benchmark("mnist_run", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
