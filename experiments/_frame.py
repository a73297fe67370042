"""The common structure of the experiments: options, run, report, figures, main.

An experiment is one module. It defines

    Config              its options, a dataclass that extends `Options`
    run(config)         computes everything; prints nothing and writes nothing
    report(result)      prints the tables
    figures(result)     draws the figures, by file name
    reproduced(result)  returns the computed value of its rows of seed_results.toml
    main                what `experiment` returns; `python -m experiments.name` runs it

If the result is a dictionary of sections, `report` and `reproduced` come from this
file. Other parts of an experiment are in the private package `experiments/_name`.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from experiments._command import Picture, parse, save_figures, section
from experiments._reproduction import compare
from experiments._section import Section

Result = TypeVar("Result")
Sections: TypeAlias = dict[str, Section]  # in the order in which they are printed


@dataclass(frozen=True)
class Options:
    output_dir: Path = Path("results")
    """Folder for the figures."""

    @property
    def formats(self) -> tuple[str, ...]:
        return ("png",)


def experiment(
    name: str,
    config: type[Options],
    run: Callable[[Any], Result],
    report: Callable[[Result], None],
    figures: Callable[[Result], Mapping[str, Picture]],
) -> Callable[..., Result]:
    """Return the experiment's `main`: parse, run, report, save the figures.

    `main(argv)` takes a list of options, by default the command line's, and returns
    the result.
    """

    def main(argv: list[str] | None = None) -> Result:
        options = parse(config, argv, name)
        result = run(options)
        report(result)
        save_figures(figures(result), options.output_dir, options.formats)
        if argv is None:  # a script of its own, not a part of `python -m experiments`
            print(f"page: {_write_page(name, options, result)}")
        return result

    return main


def _write_page(name: str, options: Options, result: Any) -> Path:
    """The results page of a single experiment, in the folder of its figures."""
    from experiments._results.page import write  # Jinja2 is not needed for --help

    module = importlib.import_module(f"experiments.{name}")
    rows = compare(module.reproduced(result))
    folder, data = options.output_dir, getattr(result, "dataset", None)
    given = vars(getattr(result, "config", options))
    return write(folder, {name: folder}, rows, options=given, dataset=data)


def report(result: Sections) -> None:
    for part in result.values():
        section(part.title, part.text())


def reproduced(result: Sections) -> dict[str, Any]:
    """The computed value of each row; two sections may share a row."""
    rows: dict[str, Any] = {}
    for part in result.values():
        for row, value in part.rows.items():
            rows[row] = rows[row] | value if row in rows else value
    return rows


def at_least(config: Any, **least: int) -> None:
    for name, smallest in least.items():
        value, option = getattr(config, name), "--" + name.replace("_", "-")
        require(value >= smallest, option, f"at least {smallest}", value)


def require(holds: bool, option: str, expected: str, got: Any) -> None:
    if not holds:
        raise ValueError(f"{option}: expected {expected}, got {got} instead.")
