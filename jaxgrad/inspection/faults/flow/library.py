"""Loops inside a library, such as `flax.linen.RNN`: the line that calls them is named.

A report has one step for what a library computes. Where a library loops over its own
function, a second report has the steps inside.
"""

from dataclasses import replace
from typing import Any

from jaxgrad.inspection.faults.flow.find import Flows, flows_of
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Builder
from jaxgrad.inspection.program.call import Call, trace_at_best
from jaxgrad.inspection.program.failures import NotEntered
from jaxgrad.inspection.program.frames import home_of
from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.explanation import Blame


def has_library_loops(call: Call) -> bool:
    """Whether a program has a loop that only a library wrote something in."""
    try:
        traced = trace_at_best(call)
    except NotEntered:
        return False
    home = home_of(call.f)
    return _loops(traced.jaxpr, Builder("user", home), Builder("library", home))


def _loops(closed: Any, user: Builder, library: Builder) -> bool:
    return any(
        _loops(body, user, library)
        or (equation.primitive.name == "scan" and _of_library(equation, user, library))
        for equation in jaxprs.open_jaxpr(closed).eqns
        for body in jaxprs.bodies_of(equation)
    )


def _of_library(equation: Any, user: Builder, library: Builder) -> bool:
    return library.knows(equation) and not user.knows(equation)


def with_library(flows: Flows, report: Report, inside: Report) -> Flows:
    """The flows of a report, and those through time of the report with libraries."""
    more = flows_of(inside)
    known = {_place(finding) for finding in flows.findings}
    loops = [f for f in more.findings if f.reason == "time"]
    new = [_as_seen(report, f) for f in loops if _place(f) not in known]
    remarks = dict.fromkeys((*flows.remarks, *more.remarks))
    converging = flows.converging | more.converging
    return Flows((*flows.findings, *new), tuple(remarks), converging)


def _place(finding: Blame) -> Any:
    source = finding.source
    return finding.kind, source and (source.file, source.line)


def _as_seen(report: Report, finding: Blame) -> Blame:
    """A finding inside a library, at the report's step that calls it."""
    _, place = _place(finding)
    calls = (s for s in report.steps if (s.source.file, s.source.line) == place)
    return replace(finding, step=next(calls, None))
