"""A gradient that is zero: what stops it, and why."""

from jaxgrad.inspection.faults.zero.find import Zeros as Zeros
from jaxgrad.inspection.faults.zero.find import find_zero as find_zero
from jaxgrad.inspection.faults.zero.find import in_call as in_call
from jaxgrad.inspection.faults.zero.find import search as search
from jaxgrad.inspection.faults.zero.units import zero_slices as zero_slices
