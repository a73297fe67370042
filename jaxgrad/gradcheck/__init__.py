"""Check derivatives against differences, element by element.

The full Jacobian of a function of pytrees is compared with central differences,
which use nothing but values: in float64 where the function lets float64 through,
else in its own dtype with the step that suits it. Where an element disagrees, other
steps are tried and both sides are looked at before it counts as wrong: a small
argument can need a smaller step, and at a kink there is no derivative to be wrong.
"""

from jaxgrad.gradcheck._check import assert_gradients as assert_gradients
from jaxgrad.gradcheck._check import check_gradients as check_gradients
from jaxgrad.gradcheck._report import Element as Element
from jaxgrad.gradcheck._report import GradientCheck as GradientCheck
from jaxgrad.gradcheck._report import Kink as Kink
