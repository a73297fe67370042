"""The page: `write` gathers what has run and fills the template.

Everything is inside one file: pictures as data URIs, reports as frames, style sheet and
scripts. The files of an experiment are read from its folder, so the page shows what the
run has written.
"""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiments._command import write_whole
from experiments._mnist_mlp.digits import HOW_TO_GET_MNIST
from experiments._reproduction import KINDS, Row, agreed, closing_line, seed_results
from experiments._results import pictures, values
from experiments._results.notebooks import NOTEBOOKS

FOLDER = Path(__file__).parent
PACKAGES = "jaxgrad jax jaxlib optax flax numpy scikit-learn matplotlib".split()


def write(
    folder: Path,
    ran: Mapping[str, Path],
    rows: Iterable[Row] = (),
    *,
    options: Mapping[str, Any] | None = None,
    dataset: Any = None,
    seconds: Mapping[str, float] | None = None,
    stopped: Sequence[str] = (),
) -> Path:
    """Write `index.html` into a folder, and return its path.

    Args:
        folder: Where to write it.
        ran: The experiments that have run, and the folder of each.
        rows: What `_reproduction.compare` returns. Rows of experiments that have not
            run are left out.
        options: The options of the run, by name.
        dataset: The data set that the perceptron has learned.
        seconds: How long each experiment took.
        stopped: The experiments that have stopped early.
    """
    sections = [pictures.shown(name, ran[name]) for name in _in_order(ran)]
    covered = _covered(rows, ran)
    on_digits = "mnist_mlp" in ran and getattr(dataset, "name", "") == "digits"
    text = _template().render(
        verdict=_verdict(covered),
        good=all(map(agreed, covered)) and not stopped,
        faults=[row for row in covered if not agreed(row)],
        missing=[row for row in covered if row.agrees is None],
        stopped=stopped,
        without_mnist=HOW_TO_GET_MNIST if on_digits else "",
        notebooks=NOTEBOOKS,
        kinds=_counts(covered),
        verdicts=list(dict.fromkeys(map(values.verdict, covered))),
        rows=covered,
        experiments=[part for part in sections if part.pictures],
        explained=[part for part in sections if part.reports],
        printed=[part for part in sections if part.printed],
        race=_race(ran),
        facts=_facts(options or {}, dataset, seconds or {}),
    )
    path = folder / "index.html"
    write_whole(path, text)
    return path


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"LONG": values.LONG, "file": _file}
    environment.filters |= {
        "whole": values.whole,
        "numbers": values.numbers,
        "verdict": values.verdict,
    }
    return environment.get_template("index.html")


def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _in_order(names: Iterable[str]) -> list[str]:
    """The experiments in the order of the captions, then the others."""
    known = list(pictures.captions())
    return sorted(names, key=lambda n: known.index(n) if n in known else len(known))


def _covered(rows: Iterable[Row], ran: Mapping[str, Path]) -> list[Row]:
    owners = {result["row"]: result["experiment"] for result in seed_results()}
    return [r for r in rows if owners.get(r.row) in ran or r.agrees is not None]


def _verdict(rows: list[Row]) -> str:
    """The closing line without the list of the rows that were not run."""
    return closing_line(rows).partition(" (")[0] if rows else "No row was compared"


def _counts(rows: list[Row]) -> list[tuple[str, str, int, int, int]]:
    """Each kind, its meaning, and how many rows are as expected, run, and listed."""
    counts = []
    for kind in KINDS:
        of_kind = [row for row in rows if row.kind == kind]
        run = [row for row in of_kind if row.agrees is not None]
        if of_kind:
            good = sum(map(agreed, run))
            counts.append((kind, KINDS[kind], good, len(run), len(of_kind)))
    return counts


def _race(ran: Mapping[str, Path]) -> str:
    """The recording of the race as JSON that a script element can hold, or ''."""
    path = ran["optimizers"] / "race.json" if "optimizers" in ran else None
    if path is None or not path.exists():
        return ""
    return json.dumps(json.loads(path.read_text(encoding="utf-8"))).replace(
        "<", "\\u003c"
    )


def _facts(
    options: Mapping[str, Any], dataset: Any, seconds: Mapping[str, float]
) -> dict[str, dict[str, str]]:
    """Tables of two columns: options, versions, times."""
    given = {f"--{name.replace('_', '-')}": str(options[name]) for name in options}
    given |= {"data": str(dataset)} if dataset is not None else {}
    times = {name: f"{taken:.1f} s" for name, taken in seconds.items()}
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = {"written": now, "Python": platform.python_version()}
    machine |= {name: _version(name) for name in PACKAGES}
    machine |= {"platform": platform.platform(), "device": str(jax.devices()[0])}
    tables = {"Options": given, "Versions": machine, "Times": times}
    return {title: table for title, table in tables.items() if table}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
