"""Write the page of limitations: `python -m docs.generate_limitations [--check]`.

Every row of its tables is a program in `docs/limits/`, which runs to find out what
becomes of it. `--check` only compares; the exit code is 1 if the page is not current.
"""

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from docs.generated import write_or_check
from docs.ledger._table import Table
from docs.limits import entered, refused, whole
from jaxgrad import explain, explain_torch
from jaxgrad.inspection import Explanation, InspectionWarning

PAGE = Path(__file__).with_name("limitations.md")
HEAD = """# Limitations

What `explain` and `explain_torch` enter, what they keep whole, and what they refuse. A
step that is kept whole hides only its inside: the value and the gradients are still
those of `jax.value_and_grad`.

`diagnose` searches the same program. It says so at the end of its report if it could
check a function only as a whole, and if it did not look for lost digits because the
function changes arrays in place.

Numbers that are not PyTorch's are listed under [Parity with PyTorch](parity.md), the
faults on which `diagnose` falls short under [Field tests](field.md).

Written by `python -m docs.generate_limitations` with JAX {version}; do not edit. Each
row is a program in `docs/limits/`, which the tests run.
"""
Call = partial[Any]
Explain = Callable[..., Any]
STEPS = "operations in the report"


def explained(call: Call, by: Explain = explain) -> Explanation:
    """The report of a program."""
    with warnings.catch_warnings(), jax.numpy_dtype_promotion("standard"):
        warnings.simplefilter("ignore")  # pmap is deprecated, LazyLinear experimental
        warnings.simplefilter("error", InspectionWarning)
        return by(call.func)(*call.args)


def is_entered(report: Explanation) -> bool:
    """Whether a step comes from a line of the function `inside`."""
    return any(s.source and s.source.function == "inside" for s in report.steps)


def steps_of(call: Call, by: Explain = explain, enters: bool = True) -> str:
    """The steps of a program, which must be entered or kept whole as expected."""
    report = explained(call, by)
    if is_entered(report) != enters:
        raise ValueError(f"{call.func.__name__}: is_entered is {not enters}")
    if report.note.startswith("not entered"):
        return re.sub(r"line \d+ of \w+", "line ... of ...", report.note.split(" (")[0])
    operations = dict.fromkeys(step.operation or step.name for step in report.steps)
    return ", ".join(f"`{operation}`" for operation in operations)


def refusal(call: Call, by: Explain = explain) -> str:
    """The error of a program, which must raise one."""
    try:
        explained(call, by)
    except Exception as fault:
        first = str(fault).partition("\n")[0].partition(". ")[0]
        return f"{type(fault).__name__}: {first.rstrip('.')}"
    raise ValueError(f"{call.func.__name__}: explained")


def table(
    title: str, column: str, calls: Sequence[Call], cell: Callable[[Call], str]
) -> Table:
    """A row for each program."""
    rows = [[call.func.__doc__, cell(call)] for call in calls]
    return Table(title, ["what", column], rows)


def tables() -> list[Table]:
    """The tables of `explain`."""
    kept = partial(steps_of, enters=False)
    return [
        table("explain enters", STEPS, entered.CALLS, steps_of),
        table("explain keeps whole", STEPS, whole.CALLS, kept),
        table("explain refuses", "the error", refused.CALLS, refusal),
    ]


def torch_tables() -> list[Table]:
    """The tables of `explain_torch`, which need torch."""
    from docs.limits import torch_programs as programs

    enters = partial(steps_of, by=explain_torch)
    keeps = partial(steps_of, by=explain_torch, enters=False)
    refuses = partial(refusal, by=explain_torch)
    return [
        table("explain_torch enters", STEPS, programs.ENTERED, enters),
        table("explain_torch keeps whole", STEPS, programs.WHOLE, keeps),
        table("explain_torch refuses", "the error", programs.REFUSED, refuses),
    ]


def page() -> str:
    """The whole page, as Markdown."""
    parts = [HEAD.format(version=jax.__version__), *tables(), *torch_tables()]
    return "\n".join(map(str, parts))


def main(argv: Sequence[str]) -> int:
    """Write the page, or compare it with --check; return the exit code."""
    return write_or_check(PAGE, page, argv, "python -m docs.generate_limitations")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
