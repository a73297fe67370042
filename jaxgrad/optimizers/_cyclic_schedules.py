"""PyTorch's learning-rate schedulers that rise and fall repeatedly."""

from typing import SupportsIndex

import jax.numpy as jnp
import optax

from jaxgrad._checks import check_choice, check_int
from jaxgrad._types import Array, ArrayLike, Number, Scalar
from jaxgrad.optimizers._common import as_float
from jaxgrad.optimizers._schedules import cosine, passed, power_of


def cosine_annealing_lr(
    lr: Scalar, T_max: SupportsIndex, eta_min: Number = 0.0
) -> optax.Schedule:
    """Half a cosine from `lr` to `eta_min` in `T_max` steps, and back again.

    Args:
        lr: The rate at the start and at every multiple of 2 `T_max`.
        T_max: Steps of half a period.
        eta_min: The rate at its lowest.

    Raises: TypeError or ValueError unless `T_max` is an int >= 1.
    Torch: `torch.optim.lr_scheduler.CosineAnnealingLR`, which climbs again past
        `T_max`; `optax.cosine_decay_schedule` stays at the bottom.

    Examples:
        >>> [float(cosine_annealing_lr(1.0, 10)(count)) for count in (0, 5, 10, 15)]
        [1.0, 0.5, 0.0, 0.5]
    """
    T_max = check_int("cosine_annealing_lr", "T_max", T_max, least=1)

    def schedule(count: ArrayLike) -> Array:
        within = as_float(jnp.asarray(count) % (2 * T_max))
        return cosine(lr, eta_min, within / T_max)

    return schedule


def cosine_annealing_warm_restarts(
    lr: Scalar, T_0: SupportsIndex, T_mult: SupportsIndex = 1, eta_min: Number = 0.0
) -> optax.Schedule:
    """Half a cosine from `lr` towards `eta_min`, restarted at every cycle.

    Args:
        lr: The rate at every restart.
        T_0: Steps of the first cycle.
        T_mult: The ratio of a cycle's length to the previous one's.
        eta_min: The rate at the end of a cycle.

    Raises: TypeError or ValueError unless `T_0` and `T_mult` are ints >= 1.
    Torch: `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`.

    Examples:
        >>> schedule = cosine_annealing_warm_restarts(1.0, T_0=2, T_mult=2)
        >>> [float(schedule(count)) for count in (0, 1, 2, 4, 6)]
        [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    T_0 = check_int("cosine_annealing_warm_restarts", "T_0", T_0, least=1)
    T_mult = check_int("cosine_annealing_warm_restarts", "T_mult", T_mult, least=1)
    starts, lengths = _cycles(T_0, T_mult)

    def schedule(count: ArrayLike) -> Array:
        if T_mult == 1:
            return cosine(lr, eta_min, as_float(jnp.asarray(count) % T_0) / T_0)
        cycle = passed(starts, count) - 1
        since = as_float(count) - as_float(jnp.asarray(starts)[cycle])
        return cosine(lr, eta_min, since / as_float(jnp.asarray(lengths)[cycle]))

    return schedule


def cyclic_lr(
    base_lr: Scalar,
    max_lr: Scalar,
    step_size_up: SupportsIndex = 2000,
    step_size_down: SupportsIndex | None = None,
    mode: str = "triangular",
    gamma: Number = 1.0,
) -> optax.Schedule:
    """Repeated rises and falls between two rates.

    PyTorch cycles the momentum too, by default: see `cyclic_momentum`.

    Args:
        base_lr: The lowest rate.
        max_lr: The highest rate of the first cycle.
        step_size_up: Steps of a rise.
        step_size_down: Steps of a fall; by default as many.
        mode: "triangular"; "triangular2", whose amplitude halves with every cycle; or
            "exp_range", whose amplitude is multiplied by `gamma` at every step.
        gamma: See `mode`.

    Raises: TypeError or ValueError if `mode` is unknown, or a number of steps is not an
        int >= 1.
    Torch: `torch.optim.lr_scheduler.CyclicLR`.

    Examples:
        >>> [float(cyclic_lr(1.0, 3.0, 2)(count)) for count in (0, 1, 2, 4)]
        [1.0, 2.0, 3.0, 1.0]
    """
    return _cyclic(
        "cyclic_lr", base_lr, max_lr, step_size_up, step_size_down, mode, gamma
    )


def cyclic_momentum(
    step_size_up: SupportsIndex = 2000,
    step_size_down: SupportsIndex | None = None,
    mode: str = "triangular",
    gamma: Number = 1.0,
    *,
    base_momentum: Number = 0.8,
    max_momentum: Number = 0.9,
) -> optax.Schedule:
    """Repeated falls and rises of a momentum, while `cyclic_lr` rises and falls.

    Pass it as the `momentum` of `sgd` and `rmsprop`, or as the first of the `betas` of
    `adam`, `adamw`, `adamax`, `nadam` and `radam`.

    Args:
        step_size_up: As in `cyclic_lr`.
        step_size_down: As in `cyclic_lr`.
        mode: As in `cyclic_lr`.
        gamma: As in `cyclic_lr`.
        base_momentum: The momentum where the rate is the highest.
        max_momentum: The momentum where the rate is the lowest.

    Raises: TypeError or ValueError as in `cyclic_lr`.
    Torch: `torch.optim.lr_scheduler.CyclicLR` with `cycle_momentum`, its default.

    Examples:
        >>> schedule = cyclic_momentum(2, base_momentum=0.5, max_momentum=0.75)
        >>> [float(schedule(count)) for count in (0, 1, 2, 4)]
        [0.75, 0.625, 0.5, 0.75]
    """
    return _cyclic(
        "cyclic_momentum",
        max_momentum,
        base_momentum,
        step_size_up,
        step_size_down,
        mode,
        gamma,
    )


def _cyclic(
    function: str,
    start: Scalar,
    end: Scalar,
    step_size_up: SupportsIndex,
    step_size_down: SupportsIndex | None,
    mode: str,
    gamma: Number,
) -> optax.Schedule:
    """From `start` to `end` and back, repeatedly."""
    check_choice(function, "mode", mode, ("triangular", "triangular2", "exp_range"))
    up = check_int(function, "step_size_up", step_size_up, least=1)
    down = step_size_up if step_size_down is None else step_size_down
    down = check_int(function, "step_size_down", down, least=1)

    def schedule(count: ArrayLike) -> Array:
        cycle, place = jnp.divmod(jnp.asarray(count), up + down)
        place = as_float(place)
        height = jnp.minimum(place / up, 1 - (place - up) / down)
        amplitude = {
            "triangular": lambda: 1.0,
            "triangular2": lambda: power_of(0.5, cycle),
            "exp_range": lambda: power_of(gamma, count),
        }[mode]()
        return start + (end - start) * height * amplitude

    return schedule


def _cycles(first: int, factor: int) -> tuple[list[int], list[int]]:
    """Starts and lengths of the growing cycles, up to the last 32-bit step number."""
    starts, lengths = [0], [first]
    while factor > 1 and starts[-1] + lengths[-1] < 2**31:
        starts.append(starts[-1] + lengths[-1])
        lengths.append(min(lengths[-1] * factor, 2**31 - 1))
    return starts, lengths
