"""PyTorch's optimizers as Optax transformations, with PyTorch's names and defaults.

Each is an `optax.GradientTransformation`: it chains, schedules and checkpoints like any
other, and agrees with `torch.optim` to rounding. A parameter that has no gradient in
PyTorch has a zero gradient here. A complex parameter is a pair of real numbers, as in
PyTorch; since `jax.grad` returns the conjugate of PyTorch's gradient, give the
optimizer `jnp.conj` of it.
"""

from jaxgrad.optimizers._adadelta import adadelta as adadelta
from jaxgrad.optimizers._adafactor import adafactor as adafactor
from jaxgrad.optimizers._adagrad import adagrad as adagrad
from jaxgrad.optimizers._adam import adam as adam
from jaxgrad.optimizers._adam import adamax as adamax
from jaxgrad.optimizers._adam import adamw as adamw
from jaxgrad.optimizers._asgd import asgd as asgd
from jaxgrad.optimizers._averaging import AveragedModel as AveragedModel
from jaxgrad.optimizers._averaging import averaged_model as averaged_model
from jaxgrad.optimizers._averaging import get_ema_avg_fn as get_ema_avg_fn
from jaxgrad.optimizers._averaging import get_swa_avg_fn as get_swa_avg_fn
from jaxgrad.optimizers._averaging import swa_lr as swa_lr
from jaxgrad.optimizers._averaging import update_parameters as update_parameters
from jaxgrad.optimizers._clipping import clip_grad_norm as clip_grad_norm
from jaxgrad.optimizers._clipping import clip_grad_value as clip_grad_value
from jaxgrad.optimizers._clipping import get_total_norm as get_total_norm
from jaxgrad.optimizers._cyclic_schedules import (
    cosine_annealing_lr as cosine_annealing_lr,
)
from jaxgrad.optimizers._cyclic_schedules import (
    cosine_annealing_warm_restarts as cosine_annealing_warm_restarts,
)
from jaxgrad.optimizers._cyclic_schedules import cyclic_lr as cyclic_lr
from jaxgrad.optimizers._cyclic_schedules import cyclic_momentum as cyclic_momentum
from jaxgrad.optimizers._muon import muon as muon
from jaxgrad.optimizers._nadam import nadam as nadam
from jaxgrad.optimizers._one_cycle import one_cycle_lr as one_cycle_lr
from jaxgrad.optimizers._one_cycle import one_cycle_momentum as one_cycle_momentum
from jaxgrad.optimizers._plateau import PlateauState as PlateauState
from jaxgrad.optimizers._plateau import reduce_lr_on_plateau as reduce_lr_on_plateau
from jaxgrad.optimizers._radam import radam as radam
from jaxgrad.optimizers._rmsprop import rmsprop as rmsprop
from jaxgrad.optimizers._rprop import rprop as rprop
from jaxgrad.optimizers._schedules import chained_lr as chained_lr
from jaxgrad.optimizers._schedules import constant_lr as constant_lr
from jaxgrad.optimizers._schedules import exponential_lr as exponential_lr
from jaxgrad.optimizers._schedules import lambda_lr as lambda_lr
from jaxgrad.optimizers._schedules import linear_lr as linear_lr
from jaxgrad.optimizers._schedules import multi_step_lr as multi_step_lr
from jaxgrad.optimizers._schedules import multiplicative_lr as multiplicative_lr
from jaxgrad.optimizers._schedules import polynomial_lr as polynomial_lr
from jaxgrad.optimizers._schedules import sequential_lr as sequential_lr
from jaxgrad.optimizers._schedules import step_lr as step_lr
from jaxgrad.optimizers._sgd import sgd as sgd
