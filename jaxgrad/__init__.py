"""PyTorch's gradients as pure JAX functions, and every gradient explained.

The families that mirror PyTorch stay in their submodules
(`jaxgrad.activations.relu`, `jaxgrad.losses.cross_entropy`), under PyTorch's names;
docs/parity.md lists the arguments that have another name.
`jaxgrad.datasets`, `jaxgrad.training`, `jaxgrad.torch_state` and `jaxgrad.plots` are
imported on demand; the plots and the downloaded data sets need the `experiments` extra.
"""

from jaxgrad import activations as activations
from jaxgrad import descent as descent
from jaxgrad import differentiation as differentiation
from jaxgrad import gradcheck as gradcheck
from jaxgrad import initializers as initializers
from jaxgrad import inspection as inspection
from jaxgrad import losses as losses
from jaxgrad import optimizers as optimizers
from jaxgrad.differentiation import derivative as derivative
from jaxgrad.differentiation import derivatives as derivatives
from jaxgrad.gradcheck import assert_gradients as assert_gradients
from jaxgrad.gradcheck import check_gradients as check_gradients
from jaxgrad.inspection import NonFiniteError as NonFiniteError
from jaxgrad.inspection import checked_value_and_grad as checked_value_and_grad
from jaxgrad.inspection import compare as compare
from jaxgrad.inspection import compare_training as compare_training
from jaxgrad.inspection import diagnose as diagnose
from jaxgrad.inspection import explain as explain
from jaxgrad.inspection import explain_torch as explain_torch
from jaxgrad.inspection import find_inaccurate as find_inaccurate
from jaxgrad.inspection import find_nonfinite as find_nonfinite
from jaxgrad.inspection import find_zero as find_zero
from jaxgrad.inspection import load_record as load_record

__version__ = "0.5.0"
