"""Write the page of field tests: `python -m docs.generate_field [--check]`.

`--check` only compares; the exit code is 1 if the page is not current. Where
brainstate or TorchLens is not installed, its column and its version are taken from the
stored page.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import jax

from docs.generated import write_or_check
from docs.ledger._table import Table
from tests.field import CASES, FAMILIES, Case
from tests.field.judge import Verdict, checkify_says, debug_nans, judge
from tests.field.others import brainstate_says, torchlens_says

PAGE = Path(__file__).with_name("field.md")
HEAD = """# Field tests

Written by `python -m docs.generate_field` with JAX {version}; do not edit. Each case
is a program with a wrong gradient from a public bug report, rewritten in our own words
in `tests/field/`, with a corrected twin. The answers that fall short are listed at the
end.

- **jaxgrad**: the kind of fault it reports, the phase or the reason, and whether it
  names the guilty line.
- **fixed**: whether its hint leads to the twin, and no fault is found in the twin.
- **jax_debug_nans** and **checkify** (float checks), on `jax.grad`: the operation that
  they name, and whether the guilty line is in the traceback.
- **brainstate** {brainstate} (`debug_nan`), on `jax.grad`: what it names, and whether
  its source location is the guilty line.
- **TorchLens** {torchlens} (`find_nan` of the values, `bisect_nan_backward` of the
  gradients): the same, of a translation into PyTorch; "-" where there is none.

jaxgrad is right in {right} of {total} cases, names the line in {lines}, and raises
{alarms} false alarms on the twins. The guilty line is in the traceback of
jax_debug_nans in {debug}, in that of checkify in {checkify}; brainstate names it in
{by_brainstate}, TorchLens in {by_torchlens} of the {translated} in PyTorch.
"""
HEADER = ["case", "report", "jaxgrad", "fixed"]
HEADER += ["jax_debug_nans", "checkify", "brainstate", "TorchLens"]
Says = Callable[[Case], str]


def page() -> str:
    """The whole page, as Markdown."""
    verdicts = {case.name: judge(case) for case in CASES}
    brainstate, by_brainstate = other_tool("brainstate", brainstate_says)
    torchlens, by_torchlens = other_tool("TorchLens", torchlens_says)
    said = [
        {case.name: debug_nans(case) for case in CASES},
        {case.name: checkify_says(case) for case in CASES},
        by_brainstate,
        by_torchlens,
    ]
    lines = [sum(", line" in cell for cell in column.values()) for column in said]
    head = HEAD.format(
        version=jax.__version__,
        total=len(CASES),
        right=sum(verdict.right for verdict in verdicts.values()),
        lines=sum(verdict.line for verdict in verdicts.values()),
        alarms=sum(not verdict.quiet for verdict in verdicts.values()) or "no",
        brainstate=brainstate,
        torchlens=torchlens,
        translated=sum(cell != "-" for cell in by_torchlens.values()),
        **dict(
            zip(
                ("debug", "checkify", "by_brainstate", "by_torchlens"),
                lines,
                strict=True,
            )
        ),
    )
    tables = [str(table(family, verdicts, said)) for family in FAMILIES]
    return "\n".join([head, *tables, *shortcomings()])


def other_tool(name: str, says: Says) -> tuple[str, dict[str, str]]:
    """The version of a package and its column; of the stored page if it is missing."""
    try:
        return version(name.lower()), {case.name: says(case) for case in CASES}
    except (PackageNotFoundError, ImportError):
        return stored_version(name), stored_column(name)


def stored_version(name: str) -> str:
    """The version of a package with which the stored page was written."""
    found = re.search(rf"\*\*{name}\*\* ([\w.]+) ", PAGE.read_text(encoding="utf-8"))
    return found.group(1) if found else "(not run)"


def stored_column(name: str) -> dict[str, str]:
    """A column of the stored page, by case; cases that it lacks were not run."""
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [row.strip("| ").split(" | ") for row in rows if row.startswith("| ")]
    at = HEADER.index(name)
    known = {row[0]: row[at] for row in cells if len(row) == len(HEADER)}
    return {case.name: known.get(case.name, "not run") for case in CASES}


def table(
    family: ModuleType,
    verdicts: dict[str, Verdict],
    said: Sequence[dict[str, str]],
) -> Table:
    """The cases of one file."""
    title = (family.__doc__ or "").strip().rstrip(".")
    lines = [
        [
            case.name,
            case.source,
            answer(case, verdicts[case.name]),
            yes(verdicts[case.name].hint and verdicts[case.name].quiet),
            *(column[case.name] for column in said),
        ]
        for case in family.CASES
    ]
    return Table(title, HEADER, lines)


def answer(case: Case, verdict: Verdict) -> str:
    """What jaxgrad reports, in a cell."""
    if not verdict.kind:
        return "nothing"
    cause = "" if verdict.cause else ", wrong cause"
    line = "argument" if case.line is None else "line"
    return f"{case.kind}{cause}, {line if verdict.line else 'wrong line'}"


def yes(condition: bool) -> str:
    """A condition as a word."""
    return "yes" if condition else "no"


def shortcomings() -> Iterator[str]:
    """What is wrong with jaxgrad's answers, one line for each case."""
    yield "## Where the answer falls short\n"
    for case in CASES:
        if case.shortcoming:
            yield f"- {case.name} ({case.source}): {case.shortcoming}."
    yield ""


def main(argv: Sequence[str]) -> int:
    """Write the page, or compare it with --check; return the exit code."""
    return write_or_check(PAGE, page, argv, "python -m docs.generate_field")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
