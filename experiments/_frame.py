"""The frame that every experiment fits into: options, run, report, figures, main.

An experiment is one module. It defines

    Config              its options, a dataclass that extends `Options`
    run(config)         computes everything; prints nothing and writes nothing
    report(result)      prints the tables
    figures(result)     draws the pictures, by file name
    reproduced(result)  returns the computed value of its rows of seed_results.toml

and ends with

    main = experiment("name", Config, run, report, figures)

    if __name__ == "__main__":
        run_as_script(main)

so that `python -m experiments.name` runs it. Its parts, if it has any, are in the
private package `experiments/_name`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from experiments._command import Picture, parse, save_figures

Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """The options that every experiment has."""

    output_dir: Path
    """Folder for the pictures."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The file formats of the pictures."""
        return ("png",)


def experiment(
    name: str,
    config: type[Options],
    run: Callable[[Any], Result],
    report: Callable[[Result], None],
    figures: Callable[[Result], Mapping[str, Picture]],
) -> Callable[..., Result]:
    """Return the experiment's `main`: parse, run, report, save the pictures.

    `main(argv)` takes a list of options, by default the command line's, and returns
    the result.
    """

    def main(argv: list[str] | None = None) -> Result:
        options = parse(config, argv, name)
        result = run(options)
        report(result)
        save_figures(figures(result), options.output_dir, options.formats)
        return result

    return main


def at_least(config: Any, **least: int) -> None:
    """Check options against their smallest allowed values.

    Raises:
        ValueError: If an option is smaller.

    Examples:
        >>> at_least(config, epochs=1)  # doctest: +SKIP
        ValueError: --epochs: expected at least 1, got 0 instead.
    """
    for name, smallest in least.items():
        value = getattr(config, name)
        if value < smallest:
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"{option}: expected at least {smallest}, got {value} instead."
            )
