"""A gradient that vanishes or explodes through layers or through time."""

from jaxgrad.inspection.faults.flow.find import Flow as Flow
from jaxgrad.inspection.faults.flow.find import Flows as Flows
from jaxgrad.inspection.faults.flow.find import flows_of as flows_of
from jaxgrad.inspection.faults.flow.find import gradient_flow as gradient_flow
from jaxgrad.inspection.faults.flow.find import search as search
from jaxgrad.inspection.faults.flow.library import (
    has_library_loops as has_library_loops,
)
from jaxgrad.inspection.faults.flow.library import with_library as with_library
