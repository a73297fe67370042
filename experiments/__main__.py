"""Reproduce every number of the five notebooks: `python -m experiments`.

Runs the experiments, compares what they compute with what the notebooks state
(`seed_results.toml`), and writes the figures, `reproduction.json`, and what each
experiment prints (`report.txt`). The exit code is 1 if a number is not reproduced, or
if an experiment has stopped early.
"""

import contextlib
import importlib
import io
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from experiments._command import at_least, parse, require, run_as_script, write_whole
from experiments._options import EXPERIMENTS, HOW_TO_GET_MNIST, DataSet, Name, Options
from experiments._terminal import console, progress, table, wrapped


@dataclass(frozen=True)
class Config(Options):
    """Reproduce every number of the five notebooks, on real MNIST if available."""

    only: tuple[Name, ...] = ()
    """Run these experiments only."""
    list: bool = False
    """Name the experiments and exit."""
    verbose: bool = False
    """Print everything that the experiments print."""
    serve: bool = False
    """Serve the results page on 127.0.0.1 at the end, until Ctrl-C."""
    dataset: DataSet = "auto"
    """Data set of the MLP. auto: MNIST if a folder, the cache or the network provides
    it, otherwise scikit-learn's digits."""
    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    epochs: int = 20
    """Epochs of the MLP; the notebook's accuracy needs 20."""
    lr: float | None = None
    """Learning rate of the MLP; the notebook's numbers need its 0.01."""
    output_dir: Path = Path("results")
    """Folder for all results."""


class Outcome(NamedTuple):
    """What became of an experiment."""

    name: str
    result: Any  # what its `main` returned, or None
    text: str  # what it printed
    computed: dict[str, Any]  # its rows of seed_results.toml
    stopped: str  # why it stopped early, or ""
    seconds: float


def run(config: Config) -> list[Outcome]:
    """Run the experiments one after another, with a line for each.

    One that ends with a message, such as a training whose loss is NaN, does not end the
    others.
    """
    names, outcomes = config.only or tuple(EXPERIMENTS), []
    with progress() as bars:
        every = bars.add_task("experiments", total=len(names), note="")
        for name in names:
            bars.update(every, description=name)
            outcomes.append(_run_one(name, config))
            _print_outcome(outcomes[-1], verbose=config.verbose)
            bars.update(every, advance=1, note=f"{len(outcomes)} of {len(names)}")
    return outcomes


def _run_one(name: str, config: Config) -> Outcome:
    start, printed, stopped = time.perf_counter(), io.StringIO(), ""
    result, computed = None, {}
    experiment = importlib.import_module(f"experiments.{name}")
    try:
        with contextlib.redirect_stdout(printed):
            result = experiment.main(_options(name, config))
            computed = experiment.reproduced(result)
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        stopped = end.code
    write_whole(config.output_dir / name / "report.txt", printed.getvalue())
    seconds = time.perf_counter() - start
    return Outcome(name, result, printed.getvalue(), computed, stopped, seconds)


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


def _print_outcome(outcome: Outcome, *, verbose: bool) -> None:
    from experiments._reproduction import agreed, compare

    if verbose:
        console().print(outcome.text)
    if outcome.stopped:
        print(f"{outcome.name}: {outcome.stopped}", file=sys.stderr, flush=True)
        return
    rows = compare(outcome.computed, [outcome.name])
    was_run = [row for row in rows if row.agrees is not None]
    good = f"{sum(map(agreed, was_run))} of {len(was_run)} rows as expected, "
    seconds = f"{good if rows else ''}{outcome.seconds:.1f} s"
    console().print(f"{outcome.name:<13}  {seconds}")


def main(argv: Sequence[str] | None = None) -> list[Any]:
    """Run, compare, write the rows, and print the verdict."""
    config = parse(Config, argv, "")
    if config.list:
        lessons = [(name, of.__doc__) for name, of in EXPERIMENTS.items()]
        console().print(table(("name", "what it shows"), lessons))
        return []
    at_least(config, epochs=1)
    lr = config.lr
    require(lr is None or 0 < lr < math.inf, "--lr", "a positive number", lr)
    return _report(config, _has_mnist(config), run(config))


def _has_mnist(config: Config) -> bool:
    """Name the data, which must be there before the work; whether they are MNIST."""
    from jaxgrad.datasets import load

    dataset = load(config.dataset, config.data_dir)
    told = (
        f"{dataset}\n"
        if dataset.name == "mnist"
        else f"{dataset}\n{HOW_TO_GET_MNIST}\n"
    )
    print(wrapped(told), flush=True)
    return dataset.name == "mnist"


def _report(config: Config, mnist: bool, outcomes: list[Outcome]) -> list[Any]:
    from experiments._reproduction import compare, write_rows
    from experiments._verdict import print_files, print_verdict

    computed = {row: value for of in outcomes for row, value in of.computed.items()}
    rows = compare(computed, config.only or None)
    write_rows(rows, config.output_dir / "reproduction.json")
    stopped = {of.name: of.stopped for of in outcomes if of.stopped}
    print_verdict(rows, stopped, digits=not mnist)
    print_files(config.output_dir, [of.name for of in outcomes])
    _show_page(config)
    if stopped:
        sys.exit(1)
    return rows


def _show_page(config: Config) -> None:
    page = config.output_dir / "index.html"
    if not config.serve:
        print(f"\n{page}", flush=True)
        return
    from experiments._serve import serve, server

    at = server(config.output_dir)
    host, port = at.server_address[:2]
    print(f"\nhttp://{host!s}:{port}/index.html (Ctrl-C ends it)", flush=True)
    serve(at)


def _script() -> None:
    from experiments._reproduction import agreed

    if not all(map(agreed, main())):
        sys.exit(1)


if __name__ == "__main__":
    run_as_script(_script)
