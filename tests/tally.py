"""Counts agreements over many tests, for the last lines of pytest's report."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class Tally:
    """The number of comparisons of each kind, and the number that agreed."""

    def __init__(self):
        self.begun: Counter[str] = Counter()
        self.agreed: Counter[str] = Counter()

    @contextmanager
    def __call__(self, kind: str) -> Iterator[None]:
        """Count one comparison; the body raises if it does not agree."""
        self.begun[kind] += 1
        yield
        self.agreed[kind] += 1


def lines(reports: Iterable[Any]) -> list[str]:
    """A line for each kind, summed over the reports of all tests."""
    begun: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == "tally" and report.when == "teardown":
                kind, good, total = value
                begun[kind] += total
                agreed[kind] += good
    return [f"{kind}: {agreed[kind]} of {begun[kind]}" for kind in sorted(begun)]
