"""Write the page of field tests: `python -m docs.generate_field [--check]`.

`--check` only compares; the exit code is 1 if the page is not current.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import jax

from docs.generated import write_or_check
from docs.ledger._table import Table
from tests.field import CASES, FAMILIES, Case
from tests.field.judge import Verdict, checkify_says, debug_nans, judge

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

jaxgrad is right in {right} of {total} cases, names the line in {lines}, and raises
{alarms} false alarms on the twins. The guilty line is in the traceback of
jax_debug_nans in {debug}, in that of checkify in {checkify}.
"""
HEADER = ["case", "report", "jaxgrad", "fixed", "jax_debug_nans", "checkify"]


def page() -> str:
    """The whole page, as Markdown."""
    verdicts = {case.name: judge(case) for case in CASES}
    debug = {case.name: debug_nans(case) for case in CASES}
    checked = {case.name: checkify_says(case) for case in CASES}
    columns = (verdicts, debug, checked)
    head = HEAD.format(
        version=jax.__version__,
        total=len(CASES),
        right=sum(verdict.right for verdict in verdicts.values()),
        lines=sum(verdict.line for verdict in verdicts.values()),
        alarms=sum(not verdict.quiet for verdict in verdicts.values()) or "no",
        debug=sum(", line" in said for said in debug.values()),
        checkify=sum(", line" in said for said in checked.values()),
    )
    tables = [str(table(family, *columns)) for family in FAMILIES]
    return "\n".join([head, *tables, *shortcomings()])


def table(
    family: ModuleType,
    verdicts: dict[str, Verdict],
    debug: dict[str, str],
    checked: dict[str, str],
) -> Table:
    """The cases of one file."""
    title = (family.__doc__ or "").strip().rstrip(".")
    lines = [
        [
            case.name,
            case.source,
            answer(case, verdicts[case.name]),
            yes(verdicts[case.name].hint and verdicts[case.name].quiet),
            debug[case.name],
            checked[case.name],
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
