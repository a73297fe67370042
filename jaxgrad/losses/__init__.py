"""PyTorch's loss functions, equal in value and gradient."""

from jaxgrad.losses._classification import cross_entropy as cross_entropy
from jaxgrad.losses._classification import nll_loss as nll_loss
from jaxgrad.losses._regression import mse_loss as mse_loss
