"""Findings with one cause as one finding, the cause before what follows from it."""

from collections.abc import Sequence
from dataclasses import replace

from jaxgrad.inspection.report.data import Finding
from jaxgrad.inspection.report.explanation import Blame

# How many further arguments a sentence names.
NAMED = 4


def grouped(findings: Sequence[Blame]) -> tuple[Blame, ...]:
    """The findings, those of one cause together.

    Gradients that are too small for their dtype because a gradient vanishes from layer
    to layer belong to that finding.
    """
    vanishing = next((f for f in findings if f.kind == "vanishing"), None)
    too_small = [f for f in findings if f.kind == "zero" and f.reason == "underflow"]
    if vanishing is not None and too_small:
        rest = [f for f in findings if f is not vanishing and f not in too_small]
        paths = _listed([_path(f) for f in too_small])
        summary = f"{vanishing.summary}. It is too small for the dtype in {paths}"
        findings = [replace(vanishing, summary=summary), *rest]
    groups: dict[object, list[Blame]] = {}
    for finding in findings:
        groups.setdefault(_cause(finding), []).append(finding)
    return tuple(_together(group) for group in groups.values())


def _cause(finding: Blame) -> object:
    source = finding.source
    if finding.kind != "zero" or source is None or finding.reason == "unconnected":
        return id(finding)
    step = finding.step.name if finding.step else ""
    line = source.file, source.line
    return finding.reason, step, line, finding.argument == _path(finding)


def _together(group: Sequence[Blame]) -> Blame:
    first, *others = group
    if not others:
        return first
    paths = _listed([_path(finding) for finding in others])
    return replace(first, summary=f"{first.summary}; so is that of {paths}")


def _path(finding: Finding) -> str:
    """The argument of a finding, or the part of it."""
    words = finding.summary.removeprefix("The gradient of ").split(" (")[0]
    return words.split(" is zero")[0] if words else str(finding.argument)


def _listed(paths: Sequence[str]) -> str:
    named = ", ".join(paths[:NAMED])
    more = len(paths) - NAMED
    return f"{named} and {more} more" if more > 0 else named
