"""An inaccurate gradient: the step that loses the digits, and why."""

from jaxgrad.inspection.faults.inaccurate.find import Losses as Losses
from jaxgrad.inspection.faults.inaccurate.find import find_inaccurate as find_inaccurate
from jaxgrad.inspection.faults.inaccurate.find import in_call as in_call
from jaxgrad.inspection.faults.inaccurate.find import search as search
