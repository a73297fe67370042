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
from experiments._mnist_mlp.digits import HOW_TO_GET_MNIST
from experiments._options import EXPERIMENTS, DataSet, Name, Options
from experiments._terminal import progress, table, wrapped

WITH_DATA = ("mnist_mlp", "explain")  # they learn, or explain, MNIST or the digits


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
    (
        "Data set of the MLP. auto: MNIST if a folder, the cache or the network "
        "provides it, otherwise scikit-learn's digits."
    )
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
    text: str  # what it printed
    computed: dict[str, Any]  # its rows of seed_results.toml
    stopped: str  # why it stopped early, or ""
    seconds: float


def run(config: Config) -> list[Outcome]:
    """Run the experiments one after another, with a line for each.

    One that ends with a message, such as a training whose loss is NaN, does not end the
    others.
    """
    names, outcomes = tuple(dict.fromkeys(config.only)) or tuple(EXPERIMENTS), []
    with progress() as bars:
        every = bars.add_task("experiments", total=len(names), note="")
        for name in names:
            outcomes.append(_run_one(name, config))
            _print_outcome(outcomes[-1], verbose=config.verbose)
            bars.update(every, advance=1, note=f"{len(outcomes)} of {len(names)}")
    return outcomes


def _run_one(name: str, config: Config) -> Outcome:
    start, printed, stopped = time.perf_counter(), io.StringIO(), ""
    computed: dict[str, Any] = {}
    experiment = importlib.import_module(f"experiments.{name}")
    try:
        with contextlib.redirect_stdout(printed):
            computed = experiment.reproduced(experiment.main(_options(name, config)))
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        stopped = end.code
    write_whole(config.output_dir / name / "report.txt", printed.getvalue())
    seconds = time.perf_counter() - start
    return Outcome(name, printed.getvalue(), computed, stopped, seconds)


def _options(name: str, config: Config) -> list[str]:
    options = ["--output-dir", str(config.output_dir / name)]
    if name in WITH_DATA:
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
        print(outcome.text, flush=True)
    if outcome.stopped:
        print(f"{outcome.name}: {outcome.stopped}", file=sys.stderr, flush=True)
        return
    rows = compare(outcome.computed, [outcome.name])
    was_run = [row for row in rows if row.agrees is not None]
    good = f"{sum(map(agreed, was_run))} of {len(was_run)} rows as expected, "
    seconds = f"{good if rows else ''}{outcome.seconds:.1f} s"
    print(f"{outcome.name:<13}  {seconds}", flush=True)


def main(argv: Sequence[str] | None = None) -> list[Any]:
    """Run, compare, write the rows, and print the verdict."""
    config = parse(Config, argv, "")
    if config.list:
        described = [(name, of.__doc__) for name, of in EXPERIMENTS.items()]
        print(table(("name", "what it shows"), described))
        return []
    at_least(config, epochs=1)
    lr = config.lr
    require(lr is None or 0 < lr < math.inf, "--lr", "a positive number", lr)
    return _report(config, _load(config), run(config))


def _load(config: Config) -> Any:
    """Load and name the data, which must be there before the work that needs them."""
    if config.only and not set(config.only) & set(WITH_DATA):
        return None
    from jaxgrad.datasets import load

    dataset = load(config.dataset, config.data_dir)
    without_mnist = [] if dataset.name == "mnist" else [HOW_TO_GET_MNIST]
    print(wrapped("\n".join([str(dataset), *without_mnist])), end="\n\n", flush=True)
    return dataset


def _report(config: Config, dataset: Any, outcomes: list[Outcome]) -> list[Any]:
    """Write the rows and the page; print the verdict, the files and the page."""
    from experiments._reproduction import compare, write_rows
    from experiments._results.page import write
    from experiments._verdict import print_files, print_verdict

    computed = {row: value for of in outcomes for row, value in of.computed.items()}
    rows, folder = compare(computed, config.only or None), config.output_dir
    write_rows(rows, folder / "reproduction.json")
    stopped = [of.name for of in outcomes if of.stopped]
    page = write(
        folder,
        {of.name: folder / of.name for of in outcomes},
        rows,
        options=vars(config),
        dataset=dataset,
        seconds={of.name: of.seconds for of in outcomes},
        stopped=stopped,
    )
    print_verdict(rows, stopped, digits=getattr(dataset, "name", "") == "digits")
    print_files(folder, [of.name for of in outcomes])
    _show(page, serve=config.serve)
    if stopped:
        sys.exit(1)
    return rows


def _show(page: Path, *, serve: bool) -> None:
    """Name the page in the last line; with `serve`, answer requests until Ctrl-C."""
    if not serve:
        print(f"\n{page}", flush=True)
        return
    from experiments import _serve

    server = _serve.server(page.parent)
    host, port = server.server_address[:2]
    address = f"http://{host!s}:{port}/{page.name}"
    print(f"\n{address} shows the results until Ctrl-C", flush=True)
    _serve.serve(server)


def _script() -> None:
    from experiments._reproduction import agreed

    if not all(map(agreed, main())):
        sys.exit(1)


if __name__ == "__main__":
    run_as_script(_script)
