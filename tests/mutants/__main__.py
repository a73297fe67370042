"""Plant every fault, or those named: `python -m tests.mutants [NAME ...]`.

A NAME is the name of a fault or of an experiment. First each experiment runs unchanged.
The exit code is 0 only if the last line is "M of M faults noticed". A fault counts as
noticed if a row disagrees, not if the experiment raises an error.
"""

import sys
from collections.abc import Sequence

from tests.mutants.checking import Verdict, judge, unchanged
from tests.mutants.faults import FAULTS, UNNOTICED
from tests.mutants.planting import Fault


def check(faults: Sequence[Fault], unnoticed: Sequence[tuple[Fault, str]] = ()) -> bool:
    """Judge the faults, print a line for each, and return whether all was as expected.

    `unnoticed` are faults that no row can notice, with the reason; they do not count.
    """
    reasons = dict(unnoticed)
    experiments = dict.fromkeys(fault.experiment for fault in (*faults, *reasons))
    controls, noticed, right = [unchanged(name) for name in experiments], 0, True
    for fault, verdict in judge([*controls, *faults, *reasons]):
        print(f"{fault.experiment:14} {fault.name:42} {_text(fault, verdict, reasons)}")
        found = bool(verdict.rows) and not verdict.error
        noticed += found and fault in faults
        right &= not verdict.error and found == (fault in faults)
    print(f"{noticed} of {len(faults)} faults noticed", flush=True)
    return right


def _text(fault: Fault, verdict: Verdict, reasons: dict[Fault, str]) -> str:
    if verdict.error:
        return f"ERROR: {verdict.error}"
    if verdict.rows:
        return f"rows {', '.join(verdict.rows)}"
    if fault.name == "unchanged":
        return "every row agrees"
    return f"not counted: {reasons[fault]}" if fault in reasons else "NOT NOTICED"


def chosen(names: Sequence[str]) -> tuple[list[Fault], list[tuple[Fault, str]]]:
    """The faults of these names or experiments; all if there are none.

    Raises:
        ValueError: If a name is unknown.
    """
    known = {
        word for f in (*FAULTS, *dict(UNNOTICED)) for word in (f.name, f.experiment)
    }
    if unknown := set(names) - known:
        got = ", ".join(sorted(unknown))
        raise ValueError(f"NAME: expected a fault or an experiment, got {got} instead.")

    def wanted(fault: Fault) -> bool:
        return not names or fault.name in names or fault.experiment in names

    return (
        [fault for fault in FAULTS if wanted(fault)],
        [(fault, reason) for fault, reason in UNNOTICED if wanted(fault)],
    )


if __name__ == "__main__":
    try:
        wanted = chosen(sys.argv[1:])
    except ValueError as fault:
        sys.exit(f"error: {fault}")
    sys.exit(0 if check(*wanted) else 1)
