"""Every optimizer with every option, and the problem they all descend.

The golden trajectories, the live comparison with torch and the tests of properties use
the same table. The gradient is elementary arithmetic on exact constants, so that both
frameworks compute the same one.
"""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgrad import optimizers

STEPS = 60
CHECKPOINTS = (1, 2, 10, 60)
FLOAT32_SIZE = 8
TORCH_NAMES = {
    "sgd": "SGD",
    "adagrad": "Adagrad",
    "rmsprop": "RMSprop",
    "adadelta": "Adadelta",
    "adam": "Adam",
    "adamw": "AdamW",
    "adamax": "Adamax",
    "nadam": "NAdam",
    "radam": "RAdam",
    "asgd": "ASGD",
    "rprop": "Rprop",
    "adafactor": "Adafactor",
    "muon": "Muon",
}


class Case(NamedTuple):
    """An optimizer and the options that both frameworks know by the same names."""

    optimizer: str
    options: dict[str, Any]

    def __str__(self) -> str:
        options = ", ".join(f"{name}={v}" for name, v in self.options.items())
        return f"{self.optimizer}({options})"


def _cases(optimizer: str, lr: float, *options: dict[str, Any]) -> list[Case]:
    return [Case(optimizer, {"lr": lr} | chosen) for chosen in ({}, *options)]


SIGNATURES = {
    name: inspect.signature(getattr(optimizers, name)).parameters
    for name in TORCH_NAMES
}
DECAY, CLIMB = {"weight_decay": 0.1}, {"maximize": True}
MOMENTUM = {"momentum": 0.9}
CASES = (
    *_cases(
        "sgd",
        0.05,
        DECAY,
        CLIMB | DECAY,
        MOMENTUM,
        MOMENTUM | {"dampening": 0.5},
        MOMENTUM | {"nesterov": True} | DECAY,
        MOMENTUM | {"dampening": -0.25} | DECAY | CLIMB,
    ),
    *_cases(
        "adagrad",
        0.5,
        DECAY | CLIMB,
        {"lr_decay": 0.1},
        {"initial_accumulator_value": 0.1, "eps": 1e-3} | DECAY,
    ),
    *_cases(
        "rmsprop",
        0.05,
        DECAY | CLIMB,
        {"alpha": 0.9, "eps": 1e-3},
        MOMENTUM,
        {"centered": True} | DECAY,
        {"centered": True} | MOMENTUM | CLIMB,
    ),
    *_cases("adadelta", 1.0, DECAY | CLIMB, {"rho": 0.5, "eps": 1e-3} | DECAY),
    *_cases(
        "adam",
        0.1,
        DECAY | CLIMB,
        {"betas": (0.5, 0.9), "eps": 1e-3},
        {"amsgrad": True, "betas": (0.9, 0.5)},
        {"amsgrad": True} | DECAY | CLIMB,
        {"decoupled_weight_decay": True} | DECAY,
    ),
    *_cases(
        "adamw",
        0.1,
        {"weight_decay": 0.0},
        {"weight_decay": 0.3} | CLIMB,
        {"amsgrad": True, "betas": (0.0, 0.99), "eps": 1e-3},
    ),
    *_cases("adamax", 0.1, DECAY | CLIMB, {"betas": (0.5, 0.9), "eps": 1e-3} | DECAY),
    *_cases(
        "nadam",
        0.1,
        DECAY | CLIMB,
        {"momentum_decay": 0.3, "betas": (0.99, 0.9)},
        {"decoupled_weight_decay": True, "eps": 1e-3} | DECAY,
    ),
    *_cases(
        "radam",
        0.1,
        DECAY | CLIMB,
        {"betas": (0.5, 0.6)},
        {"betas": (0.9, 0.99), "eps": 1e-3},
        {"decoupled_weight_decay": True} | DECAY,
    ),
    *_cases(
        "asgd",
        0.05,
        DECAY | CLIMB,
        {"lambd": 0.1, "alpha": 0.5},
        {"t0": 10} | DECAY,
    ),
    *_cases(
        "rprop",
        0.1,
        CLIMB,
        {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2)},
        {"lr": 1e-8},
    ),
    *_cases(
        "adafactor",
        0.1,
        DECAY | CLIMB,
        {"beta2_decay": -1.0, "d": 2.0},
        {"eps": (1e-2, 0.1)} | DECAY,
    ),
    *_cases(
        "muon",
        0.05,
        {"momentum": 0.8, "nesterov": False, "weight_decay": 0.0},
        {"ns_steps": 6, "adjust_lr_fn": "match_rms_adamw"},
        {"ns_coefficients": (3.4, -4.7, 2.0), "eps": 1e-3},
    ),
)


# The optimizers whose momentum OneCycleLR and CyclicLR cycle.
CYCLED = tuple(
    case
    for case in CASES
    if "betas" in SIGNATURES[case.optimizer]
    or ("momentum" in case.options and case.optimizer != "muon")
)


class Problem(NamedTuple):
    """For each leaf its start and target, and the noise and scale of its gradient."""

    start: dict[str, np.ndarray]
    target: dict[str, np.ndarray]
    noise: dict[str, np.ndarray]  # (steps, *shape)
    scale: dict[str, np.ndarray]


def problem(optimizer: str, size: int = 1) -> Problem:
    """A matrix with an entry whose gradient is always 0, a vector with half of its
    entries tiny, and a scalar; for muon two matrices, one with tiny gradients."""
    generator = np.random.default_rng(0)

    def sixteenths(*shape):
        return np.asarray(generator.integers(-32, 33, shape) / 16)

    matrix = np.ones((3 * size, 2 * size))
    matrix[0, 0] = 0.0
    if optimizer == "muon":
        scale = {"matrix": matrix, "tiny": np.full((2 * size, 4 * size), 1e-12)}
    else:
        vector = np.repeat([1.0, 1e-12], 2 * size)
        scale = {"matrix": matrix, "vector": vector, "scalar": np.ones(())}
    shapes = {name: leaf.shape for name, leaf in scale.items()}
    return Problem(
        start={name: sixteenths(*shape) for name, shape in shapes.items()},
        target={name: sixteenths(*shape) for name, shape in shapes.items()},
        noise={name: sixteenths(STEPS, *shape) for name, shape in shapes.items()},
        scale=scale,
    )


def gradient(param, target, noise, scale):
    """Arithmetic that torch and JAX share."""
    return (param - target + noise) * scale


def make_cycled(case: Case) -> optax.GradientTransformation:
    """The optimizer of a case under the one-cycle policy."""
    options = dict(case.options)
    options["lr"] = optimizers.one_cycle_lr(options["lr"], STEPS)
    momentum = optimizers.one_cycle_momentum(STEPS)
    if "betas" in SIGNATURES[case.optimizer]:
        second = options.get("betas", SIGNATURES[case.optimizer]["betas"].default)[1]
        options["betas"] = (momentum, second)
    else:
        options["momentum"] = momentum
    return getattr(optimizers, case.optimizer)(**options)


def halving(lr: float) -> optax.Schedule:
    """The schedule of the tests."""
    return optimizers.step_lr(lr, step_size=10, gamma=0.5)


def for_float32(case: Case) -> Case:
    """The case with the float32 value of every default that depends on the dtype."""
    if case.optimizer == "adafactor" and "eps" not in case.options:
        return case._replace(options=case.options | {"eps": (2.0**-23, 1e-3)})
    return case


def make(case: Case, scheduled: bool) -> optax.GradientTransformation:
    """The jaxgrad optimizer of a case."""
    options = dict(case.options)
    if scheduled:
        options["lr"] = halving(options["lr"])
    return getattr(optimizers, case.optimizer)(**options)


def follow(
    case: Case,
    dtype: str,
    size: int = 1,
    scheduled: tuple[bool, ...] = (False, True),
) -> dict[bool, dict[str, np.ndarray]]:
    """The paths with a constant (False) and a scheduled (True) learning rate: for each
    leaf its values after each step."""
    of = problem(case.optimizer, size)
    return follow_optimizers({s: make(case, s) for s in scheduled}, of, dtype)


def follow_optimizers(
    optimizers: Mapping[Any, optax.GradientTransformation], of: Problem, dtype: str
) -> dict[Any, dict[str, np.ndarray]]:
    """The paths of any Optax transformations, in one compiled program."""
    start, target, noise, scale = (
        {name: jnp.asarray(leaf, dtype) for name, leaf in tree.items()} for tree in of
    )

    def descended(optimizer):
        def step(carry, noise):
            params, state = carry
            gradients = jax.tree.map(gradient, params, target, noise, scale)
            updates, state = optimizer.update(gradients, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        return jax.lax.scan(step, (start, optimizer.init(start)), noise)[1]

    run = jax.jit(lambda: {name: descended(o) for name, o in optimizers.items()})
    return jax.tree.map(np.asarray, run())


def distance(path: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> float:
    """The largest absolute difference over all leaves, entries and steps."""
    return max(
        float(np.max(np.abs(np.asarray(path[name], np.float64) - truth[name])))
        for name in truth
    )
