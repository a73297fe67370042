"""Hints for a NaN: the usual cause, named only if the values of the run show it."""

from jaxgrad.inspection.faults.nonfinite.hints.rules import advise as advise
