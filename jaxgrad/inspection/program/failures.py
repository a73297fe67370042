"""Whose failure it is: the user's function, JAX's refusal, or this package.

A function that needs a concrete value cannot be taken apart (`NotEntered`). What JAX
refuses to differentiate is refused with JAX's own error and the user's line. Anything
else is a defect of jaxgrad: it is reported as an `InspectionWarning`, never as if the
user's program were to blame.
"""

import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from jaxgrad.inspection.program.frames import definition_of, fault_line
from jaxgrad.inspection.report.data import Source

# What tracing raises where Python needs the value of an array.
NEEDS_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


class InspectionWarning(UserWarning):
    """jaxgrad failed to take a function apart and shows it as one step instead."""


class NotEntered(Exception):
    """A function cannot be taken apart; `source` is the line that prevents it."""

    def __init__(self, reason: str, source: Source) -> None:
        super().__init__(reason)
        self.source = source


def needs_value(fault: BaseException, f: Callable[..., Any]) -> NotEntered:
    """Python needs the value of an array while it is being traced."""
    line = fault_line(fault.__traceback__) or definition_of(f)
    reason = f"line {line.line} of {line.function} needs a concrete value"
    return NotEntered(reason, line)


def refused_in_a_trace(fault: Exception, f: Callable[..., Any]) -> NotEntered:
    """JAX differentiates the function with concrete values, but not its trace."""
    line = equation_line(fault) or definition_of(f)
    first = str(fault).partition("\n")[0]
    reason = f"line {line.line} of {line.function} is differentiated only op by op"
    return NotEntered(f"{reason} ({first})", line)


def own_failure(function: str, f: Callable[..., Any], fault: Exception) -> NotEntered:
    """Warn of a failure of jaxgrad itself, which shows the function as one step."""
    reason = warn_of_own_failure(function, fault, "The function is shown as one step.")
    return NotEntered(f"jaxgrad failed, {reason}", definition_of(f))


def warn_of_own_failure(function: str, fault: Exception, consequence: str) -> str:
    """Warn with the line of jaxgrad that failed; returns the reason."""
    last = traceback.extract_tb(fault.__traceback__)[-1]
    reason = f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}"
    warnings.warn(
        f"{function}: jaxgrad failed at {Path(last.filename).name}:{last.lineno} "
        f"({reason}); this is a bug in jaxgrad, please report it. {consequence}",
        InspectionWarning,
        stacklevel=5,
    )
    return reason


def equation_line(fault: BaseException) -> Source | None:
    """The user's line of the equation at which JAX failed: it keeps it in the cause."""
    cause = fault.__cause__
    return fault_line(cause.__traceback__) if cause is not None else None


@contextmanager
def naming_the_line(function: str) -> Iterator[None]:
    """Add the user's line to an error that JAX raises while it differentiates."""
    try:
        yield
    except Exception as fault:
        line = equation_line(fault) or fault_line(fault.__traceback__)
        if line is not None:
            where = f"{line.place}, in {line.function}"
            fault.add_note(f"{function}: at {where}: {line.text}")
        raise
