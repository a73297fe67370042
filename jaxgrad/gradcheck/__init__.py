"""Check derivatives against differences, element by element.

The Jacobian of a function of pytrees is compared with central differences, in float64
if the function keeps float64. An element that disagrees is retried with smaller
steps and from both sides before it counts as wrong: a small argument can need a smaller
step, and at a kink there is no derivative to compare with.
"""

from jaxgrad.gradcheck._check import assert_gradients as assert_gradients
from jaxgrad.gradcheck._check import check_gradients as check_gradients
from jaxgrad.gradcheck._report import Element as Element
from jaxgrad.gradcheck._report import GradientCheck as GradientCheck
from jaxgrad.gradcheck._report import Inaccuracy as Inaccuracy
from jaxgrad.gradcheck._report import Kink as Kink
