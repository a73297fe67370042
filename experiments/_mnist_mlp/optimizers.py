"""The optimizers of the experiment, and how their learning rate changes over the run.

The optimizers are Optax's; the schedules are jaxgrad's, with PyTorch's names and
numbers. A PyTorch scheduler changes the optimizer's learning rate at each call of
`scheduler.step()`; here the rate is a function of the number of updates so far, which
the optimizer's state counts, so a resumed run continues its schedule.

    python -m experiments.mnist_mlp --optimizer adamw --schedule cosine

reaches 98.79, 98.49 and 98.65 % of MNIST's test images with seeds 0, 1 and 2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import optax

from experiments._options import Optimizer, Schedule
from jaxgrad.optimizers import cosine_annealing_lr, one_cycle_lr, polynomial_lr

# Each with a learning rate that trains this network in 20 epochs.
OPTIMIZERS: dict[Optimizer, tuple[Callable[..., Any], float]] = {
    "sgd": (optax.sgd, 0.01),
    "momentum": (partial(optax.sgd, momentum=0.9), 0.01),
    "adagrad": (optax.adagrad, 0.01),
    "rmsprop": (optax.rmsprop, 1e-3),
    "adadelta": (optax.adadelta, 1.0),
    "adam": (optax.adam, 1e-3),
    # Optax's default decay of 1e-4 has no visible effect on this network.
    "adamw": (partial(optax.adamw, weight_decay=0.1), 2e-3),
    "lion": (optax.lion, 1e-4),
}

# Each a function of the learning rate and the number of steps of the whole run.
SCHEDULES: dict[Schedule, Callable[[float, int], optax.ScalarOrSchedule]] = {
    "constant": lambda lr, steps: lr,
    "linear": lambda lr, steps: polynomial_lr(lr, total_iters=steps),
    "cosine": lambda lr, steps: cosine_annealing_lr(lr, T_max=steps),
    "one-cycle": lambda lr, steps: one_cycle_lr(lr, total_steps=steps),
}


def make_optimizer(
    name: Optimizer, schedule: Schedule, lr: float | None, steps: int
) -> tuple[optax.GradientTransformation, float]:
    """The optimizer for a run of `steps`, and the largest or only learning rate."""
    make, default = OPTIMIZERS[name]
    rate = default if lr is None else lr
    return make(SCHEDULES[schedule](rate, steps)), rate
