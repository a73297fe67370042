"""Every intermediate value of a JAX function, its gradient and its source line."""

from jaxgrad.inspection.checked import NonFiniteError as NonFiniteError
from jaxgrad.inspection.checked import checked_value_and_grad as checked_value_and_grad
from jaxgrad.inspection.compare import compare as compare
from jaxgrad.inspection.compare_training import compare_training as compare_training
from jaxgrad.inspection.comparison.comparison import Comparison as Comparison
from jaxgrad.inspection.comparison.result import Difference as Difference
from jaxgrad.inspection.diagnose import diagnose as diagnose
from jaxgrad.inspection.explain import explain as explain
from jaxgrad.inspection.explain_torch import explain_torch as explain_torch
from jaxgrad.inspection.faults.flow import Flow as Flow
from jaxgrad.inspection.faults.flow import gradient_flow as gradient_flow
from jaxgrad.inspection.faults.inaccurate import find_inaccurate as find_inaccurate
from jaxgrad.inspection.faults.nonfinite import find_nonfinite as find_nonfinite
from jaxgrad.inspection.faults.zero import find_zero as find_zero
from jaxgrad.inspection.program.failures import InspectionWarning as InspectionWarning
from jaxgrad.inspection.report.data import Argument as Argument
from jaxgrad.inspection.report.data import ChainRule as ChainRule
from jaxgrad.inspection.report.data import Contribution as Contribution
from jaxgrad.inspection.report.data import Operand as Operand
from jaxgrad.inspection.report.data import Source as Source
from jaxgrad.inspection.report.data import Step as Step
from jaxgrad.inspection.report.explanation import Blame as Blame
from jaxgrad.inspection.report.explanation import Blames as Blames
from jaxgrad.inspection.report.explanation import Diagnosis as Diagnosis
from jaxgrad.inspection.report.explanation import Explanation as Explanation
from jaxgrad.inspection.report.explanation import load_record as load_record
from jaxgrad.inspection.report.summary import Summary as Summary
from jaxgrad.inspection.trajectories.result import (
    TrainingComparison as TrainingComparison,
)
from jaxgrad.inspection.trajectories.result import (
    TrainingDifference as TrainingDifference,
)
