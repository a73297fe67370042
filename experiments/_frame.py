"""The common structure of the experiments: sections one by one, figures, main.

An experiment is one module. It defines

    Config              its options, from `experiments._options`
    sections(config)    computes the sections, and yields each with its name when it is
                        done; prints nothing and writes nothing
    run                 `complete(sections)`: all of them, as a dictionary
    figures(result)     draws the figures, by file name
    reproduced(result)  returns the computed value of its rows of seed_results.toml
    main                what `experiment` returns; `python -m experiments.name` runs it

`report` and `reproduced` come from this file. Other parts of an experiment are in the
private package `experiments/_name`.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from matplotlib.figure import Figure

from experiments._command import at_least as at_least
from experiments._command import parse
from experiments._command import require as require
from experiments._command import require_finite as require_finite
from experiments._optimizers.recording import Recording
from experiments._options import Options
from experiments._reproduction import compare
from experiments._results.saving import save_figure
from experiments._section import Section
from experiments._terminal import section, working
from jaxgrad.inspection import Comparison, Explanation

Sections: TypeAlias = dict[str, Section]  # in the order in which they are printed
Yielded: TypeAlias = Iterator[tuple[str, Section]]
Picture: TypeAlias = Figure | Explanation | Comparison | Recording


def experiment(
    name: str,
    config: type[Options],
    sections: Callable[[Any], Yielded],
    figures: Callable[[Sections], Mapping[str, Picture]],
) -> Callable[..., Sections]:
    """Return the experiment's `main`: parse, print each section, save the figures.

    `main(argv)` takes a list of options, by default the command line's, and returns
    the sections.
    """

    def main(argv: list[str] | None = None) -> Sections:
        options = parse(config, argv, name)
        result: Sections = {}
        with working(name):
            for key, part in sections(options):
                result[key] = part
                report({key: part})
            save_figures(figures(result), options.output_dir)
        if argv is None:  # a script of its own, not a part of `python -m experiments`
            print_page(name, options, result)
        return result

    return main


def complete(sections: Callable[[Any], Yielded]) -> Callable[[Any], Sections]:
    """The function that computes all sections and returns them as a dictionary."""
    return lambda config: dict(sections(config))


def print_page(name: str, options: Options, result: Any) -> None:
    """Write the results page of a single experiment next to its figures; name it."""
    from experiments._results.page import write  # Jinja2 is not needed for --help

    module = importlib.import_module(f"experiments.{name}")
    rows = compare(module.reproduced(result), [name])
    folder, data = options.output_dir, getattr(result, "dataset", None)
    given = vars(getattr(result, "config", options))
    print(write(folder, {name: folder}, rows, options=given, dataset=data))


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


def save_figures(pictures: Mapping[str, Picture], folder: Path) -> None:
    """Save figures as pictures, reports as pages; print how many.

    An explanation's graph is saved as SVG too. The recording of a race is for the
    results page only, and not counted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if isinstance(picture, Figure):
            save_figure(picture, folder / name)
            continue
        picture.save(folder / f"{name}.html")
        if isinstance(picture, Explanation):
            graph = folder / f"{name}.svg"
            graph.write_text(picture.to_svg(), encoding="utf-8")
    written = [p for p in pictures.values() if not isinstance(p, Recording)]
    of_figures = all(isinstance(p, Figure) for p in written)
    kind = ("figure" if of_figures else "page") + "s" * (len(written) != 1)
    print(f"\n{len(written)} {kind} written to {folder}", flush=True)
