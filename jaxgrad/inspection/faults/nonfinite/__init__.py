"""A NaN or an infinity: which step made the first one that reaches a result."""

from jaxgrad.inspection.faults.nonfinite.find import count as count
from jaxgrad.inspection.faults.nonfinite.find import find_nonfinite as find_nonfinite
from jaxgrad.inspection.faults.nonfinite.find import in_call as in_call
from jaxgrad.inspection.faults.nonfinite.find import in_report as in_report
