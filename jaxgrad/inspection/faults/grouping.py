"""Findings with one cause as one finding, the cause before what follows from it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from jaxgrad.inspection.report.data import Finding
from jaxgrad.inspection.report.explanation import Blame

# Numbers below it are near the smallest of float32.
SMALLEST = 1e-34
# Up to this many findings of one cause stay apart, as of a weight and its bias.
FEW = 3
# How many further arguments a sentence names.
NAMED = 4


def grouped(findings: Sequence[Blame]) -> tuple[Blame, ...]:
    """The findings, those of one cause together.

    Gradients that are too small for their dtype because a gradient vanishes from layer
    to layer belong to that finding.
    """
    findings = _one_for_each_zero(findings)
    vanishing = next((f for f in findings if f.kind == "vanishing"), None)
    too_small = [f for f in findings if _too_small(f)]
    if vanishing is not None and too_small:
        rest = [f for f in findings if f is not vanishing and f not in too_small]
        paths = listed([_path(f) for f in too_small])
        summary = f"{vanishing.summary}. It is too small for the dtype in {paths}"
        findings = [replace(vanishing, summary=summary), *rest]
    groups: dict[object, list[Blame]] = {}
    for finding in findings:
        groups.setdefault(_cause(finding), []).append(finding)
    return tuple(each for group in groups.values() for each in _together(group))


def remarks_of(zeros: Sequence[Blame]) -> Iterator[str]:
    """A sentence for all gradients that are zero for one reason, but not a fault."""
    groups: dict[object, list[Blame]] = {}
    for blame in zeros:
        groups.setdefault((blame.reason, blame.hint), []).append(blame)
    for group in groups.values():
        (blame,) = _together(group, few=1)
        yield f"{blame.summary}; this may not be a fault. {blame.hint}"


def _one_for_each_zero(findings: Sequence[Blame]) -> list[Blame]:
    """Without what two searches say about one gradient.

    Whether parts really cancel, only the run in float64 knows. Of any other zero, the
    search for zeros knows the reason.
    """
    lossy = {f.argument for f in findings if f.kind == "inaccurate"} - {None}
    lost = [f for f in findings if f.reason == "cancelled" and f.argument in lossy]
    rest = [f for f in findings if f not in lost]
    zeros = {f.argument for f in rest if f.kind == "zero"}
    return [f for f in rest if f.kind != "inaccurate" or f.argument not in zeros]


def _too_small(finding: Blame) -> bool:
    """Whether numbers are zero, or lack digits, since they are near the smallest."""
    if finding.kind == "inaccurate":
        sizes = [np.abs(np.asarray(a, float)) for a in finding.operands.values()]
        return any(size.max(initial=0) < SMALLEST for size in sizes)
    return finding.kind == "zero" and finding.reason == "underflow"


def _cause(finding: Blame) -> object:
    source = finding.source
    if finding.kind != "zero" or source is None or finding.reason == "unconnected":
        return id(finding)
    step = finding.step.name if finding.step else ""
    line = source.file, source.line
    return finding.reason, step, line, finding.argument == _path(finding)


def _together(group: Sequence[Blame], few: int = FEW) -> Sequence[Blame]:
    if len(group) <= few:
        return group
    first, *others = group
    paths = listed([_path(finding) for finding in others])
    return [replace(first, summary=f"{first.summary}; so is that of {paths}")]


def _path(finding: Finding) -> str:
    """The argument of a finding, or the part of it."""
    words = finding.summary.removeprefix("The gradient of ").split(" (")[0]
    return words.split(" is zero")[0] if words else str(finding.argument)


def listed(paths: Sequence[str]) -> str:
    """Some paths by name, and how many more there are."""
    named = ", ".join(paths[:NAMED])
    more = len(paths) - NAMED
    return f"{named} and {more} more" if more > 0 else named
