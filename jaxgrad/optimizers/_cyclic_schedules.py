"""PyTorch's learning-rate schedulers that rise and fall, once or repeatedly."""

import math
from typing import SupportsIndex

import jax.numpy as jnp
import optax

from jaxgrad._checks import check_choice, check_int, check_range, wrong_value
from jaxgrad._types import Array, ArrayLike, Number, Scalar
from jaxgrad.optimizers._common import as_float
from jaxgrad.optimizers._schedules import line, passed, power_of


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
        return _cosine(lr, eta_min, within / T_max)

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
            return _cosine(lr, eta_min, as_float(jnp.asarray(count) % T_0) / T_0)
        cycle = passed(starts, count) - 1
        since = as_float(count) - as_float(jnp.asarray(starts)[cycle])
        return _cosine(lr, eta_min, since / as_float(jnp.asarray(lengths)[cycle]))

    return schedule


def one_cycle_lr(
    max_lr: Scalar,
    total_steps: SupportsIndex | None = None,
    epochs: SupportsIndex | None = None,
    steps_per_epoch: SupportsIndex | None = None,
    pct_start: Number = 0.3,
    anneal_strategy: str = "cos",
    *,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
    three_phase: bool = False,
) -> optax.Schedule:
    """One rise to `max_lr` and one fall to almost 0.

    It leaves the momentum alone, which PyTorch cycles by default.

    Args:
        max_lr: The rate at the top.
        total_steps: Steps of the cycle; by default `epochs * steps_per_epoch`.
        epochs: Only used without `total_steps`.
        steps_per_epoch: Only used without `total_steps`.
        pct_start: The fraction of the steps spent rising, in [0, 1].
        anneal_strategy: "cos" or "linear".
        div_factor: `max_lr` divided by the initial rate.
        final_div_factor: The initial rate divided by the final one.
        three_phase: Whether to fall back to the initial rate as slowly as it rose, then
            further.

    Returns: The schedule. Past the cycle it keeps its last value; PyTorch follows the
        curve for one more step, even below 0, and then raises.
    Raises: TypeError or ValueError if no length is given or it is not an int >= 1,
        `pct_start` is outside [0, 1] or leaves no steps for the rise, or
        `anneal_strategy` is unknown.
    Torch: `torch.optim.lr_scheduler.OneCycleLR`; `optax.cosine_onecycle_schedule` is
        one step off.

    Examples:
        >>> schedule = one_cycle_lr(1.0, total_steps=10)
        >>> [float(schedule(count)) for count in (0, 2, 9)]
        [0.04, 1.0, 0.000004]
    """
    total = _total_steps(total_steps, epochs, steps_per_epoch)
    check_range("one_cycle_lr", "pct_start", pct_start, 0.0, 1.0)
    check_choice("one_cycle_lr", "anneal_strategy", anneal_strategy, ("cos", "linear"))
    anneal = _cosine if anneal_strategy == "cos" else line
    initial = max_lr / div_factor
    top = pct_start * total - 1
    ends, rates = [top, total - 1], [initial, max_lr, initial / final_div_factor]
    if three_phase:
        ends.insert(1, 2 * pct_start * total - 2)
        rates.insert(2, initial)
    if top == 0:
        raise wrong_value(
            "one_cycle_lr",
            "pct_start that leaves steps for the rise",
            f"{pct_start} of {total} steps",
        )
    starts = [0.0, *ends[:-1]]
    # A later phase without steps is never reached.
    lengths = [(end - start) or 1 for start, end in zip(starts, ends, strict=True)]

    def schedule(count: ArrayLike) -> Array:
        count = as_float(jnp.minimum(count, total - 1))
        phases = [
            anneal(rates[i], rates[i + 1], (count - starts[i]) / lengths[i])
            for i in range(len(ends))
        ]
        return jnp.select([count <= end for end in ends[:-1]], phases[:-1], phases[-1])

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

    It leaves the momentum alone, which PyTorch cycles by default.

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
    modes = ("triangular", "triangular2", "exp_range")
    check_choice("cyclic_lr", "mode", mode, modes)
    down = step_size_up if step_size_down is None else step_size_down
    step_size_up = check_int("cyclic_lr", "step_size_up", step_size_up, least=1)
    down = check_int("cyclic_lr", "step_size_down", down, least=1)

    def schedule(count: ArrayLike) -> Array:
        cycle, place = jnp.divmod(jnp.asarray(count), step_size_up + down)
        place = as_float(place)
        height = jnp.minimum(place / step_size_up, 1 - (place - step_size_up) / down)
        amplitude = {
            "triangular": lambda: 1.0,
            "triangular2": lambda: power_of(0.5, cycle),
            "exp_range": lambda: power_of(gamma, count),
        }[mode]()
        return base_lr + (max_lr - base_lr) * height * amplitude

    return schedule


def _cosine(start: Scalar, end: Scalar, share: Array) -> Array:
    """Half a cosine from `start` at share 0 to `end` at share 1."""
    return end + (start - end) * (1 + jnp.cos(math.pi * share)) / 2


def _cycles(first: int, factor: int) -> tuple[list[int], list[int]]:
    """Starts and lengths of the growing cycles, up to the last 32-bit step number."""
    starts, lengths = [0], [first]
    while factor > 1 and starts[-1] + lengths[-1] < 2**31:
        starts.append(starts[-1] + lengths[-1])
        lengths.append(min(lengths[-1] * factor, 2**31 - 1))
    return starts, lengths


def _total_steps(
    total_steps: SupportsIndex | None,
    epochs: SupportsIndex | None,
    steps_per_epoch: SupportsIndex | None,
) -> int:
    if total_steps is not None:
        return check_int("one_cycle_lr", "total_steps", total_steps, least=1)
    if epochs is None or steps_per_epoch is None:
        what = "total_steps, or epochs and steps_per_epoch"
        raise wrong_value("one_cycle_lr", what, "neither")
    epochs = check_int("one_cycle_lr", "epochs", epochs, least=1)
    steps_per_epoch = check_int(
        "one_cycle_lr", "steps_per_epoch", steps_per_epoch, least=1
    )
    return epochs * steps_per_epoch
