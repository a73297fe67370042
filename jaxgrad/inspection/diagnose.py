"""`diagnose`: what is wrong with a gradient, where, why, and what to write instead."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxgrad._checks import check_callable
from jaxgrad._guards import undisturbed
from jaxgrad.inspection.explain import report_of
from jaxgrad.inspection.faults import flow, inaccurate, zero
from jaxgrad.inspection.faults.grouping import grouped, remarks_of
from jaxgrad.inspection.program.call import Call, bind
from jaxgrad.inspection.report.data import Argument
from jaxgrad.inspection.report.explanation import Diagnosis, Explanation

LOOKED_FOR = (
    "NaN and infinity",
    "gradients that are zero",
    "gradients that vanish or explode through layers or iterations",
    "digits lost to rounding",
)


def diagnose(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., Diagnosis]:
    """What is wrong with a function's gradients: NaN, zero, vanishing, inaccurate ...

    Runs `explain`, and looks for every fault that jaxgrad knows. A finding names what
    is wrong (`kind`), the argument, the step and its line, why (`reason`), the numbers
    that prove it, and what to write instead. It is about one call: the same function
    may be healthy at other arguments.

    Args:
        f: A function that returns a floating scalar (and more, with `has_aux`).
        argnums: Which arguments to differentiate, as in `jax.value_and_grad`.
        has_aux: Whether `f` returns a pair of the scalar and further results.

    Returns:
        A function of the arguments of `f` that returns a `Diagnosis`; its `findings`
        are empty if nothing is wrong. More than three arguments without a gradient for
        the same reason at the same line are one finding: `argument` is the first. What
        is often meant is a remark, such as the gradient behind a factor that starts at
        zero and is trained.

    Raises:
        TypeError: As `explain`.
        Exception: On the call, what `jax.value_and_grad` raises.

    Examples:
        >>> import jax.numpy as jnp
        >>> def loss(w, x):
        ...     on = jnp.round(w * x)
        ...     return jnp.sum(on)
        >>> (finding,) = diagnose(loss)(jnp.ones(3), jnp.ones(3)).findings
        >>> finding.kind, finding.argument, finding.reason, finding.source.text
        ('zero', 'w', 'integer', 'on = jnp.round(w * x)')
    """
    check_callable("diagnose", "f", f)

    def diagnosed(*args: Any, **kwargs: Any) -> Diagnosis:
        with undisturbed():
            call = bind("diagnose", f, args, kwargs, argnums)
            return _diagnosis(call, argnums, has_aux)

    return diagnosed


def _diagnosis(call: Call, argnums: int | Sequence[int], has_aux: bool) -> Diagnosis:
    report = report_of(call, argnums, has_aux)
    blame = report.nonfinite
    if blame is not None:
        rest = "Nothing else was looked for, because these numbers are not finite."
        return Diagnosis(report, (blame,), (), LOOKED_FOR[:1], (rest,))
    # It runs operation by operation, which takes long in a long loop.
    zeros = zero.Zeros((), ())
    if any(map(_has_zeros, report.arguments)):
        zeros = zero.in_call(call, has_aux)
    flows = flow.flows_of(report)
    if not report.note and flow.has_library_loops(call):
        inside = report_of(call, argnums, has_aux, depth="library")
        flows = flow.with_library(flows, report, inside)
    losses = inaccurate.in_call(call, has_aux)
    # Where an iteration converges, the gradient of its start is zero, or rounding.
    nothing = (*zeros.findings, *losses.zeros)
    found = (*nothing, *flows.findings, *losses.findings)
    findings = grouped([each for each in found if not flows.explains(each)])
    known = {finding.argument for finding in findings}
    normal = [each for each in zeros.remarks if each.argument not in known]
    remarks = (*remarks_of(normal), *flows.remarks, *losses.remarks)
    remarks = tuple(dict.fromkeys(remarks))
    # A function that is not taken apart is not searched by either, for one reason.
    skipped = _skipped(report) or tuple(filter(None, [losses.skipped]))
    return Diagnosis(report, findings, remarks, LOOKED_FOR, skipped)


def _has_zeros(argument: Argument) -> bool:
    """Whether a gradient, or a slice of it along an axis, is zero as a whole."""
    if argument.gradient is None:
        return False
    none = np.atleast_1d(np.asarray(argument.gradient) == 0)
    return any(True for _ in zero.zero_slices(none))


def _skipped(report: Explanation) -> tuple[str, ...]:
    if not report.note:
        return ()
    return (f"Checked the function only as a whole: {report.note}.",)
