"""A gradient that vanishes or explodes through layers or through time."""

from jaxgrad.inspection.faults.flow.find import Flow as Flow
from jaxgrad.inspection.faults.flow.find import gradient_flow as gradient_flow
from jaxgrad.inspection.faults.flow.find import search as search
