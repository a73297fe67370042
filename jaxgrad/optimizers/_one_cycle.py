"""PyTorch's one-cycle policy: the rate rises and falls, the momentum falls and rises.

Both follow the same phases, from one value to the next.
"""

from collections.abc import Sequence
from typing import SupportsIndex

import jax.numpy as jnp
import optax

from jaxgrad._checks import check_choice, check_int, check_range, wrong_value
from jaxgrad._types import Array, ArrayLike, Number, Scalar
from jaxgrad.optimizers._common import as_float
from jaxgrad.optimizers._schedules import cosine, line


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

    PyTorch cycles the momentum too, by default: see `one_cycle_momentum`.

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
    initial = max_lr / div_factor
    rates = [initial, max_lr, initial / final_div_factor]
    if three_phase:
        rates.insert(2, initial)
    total = _total_steps("one_cycle_lr", total_steps, epochs, steps_per_epoch)
    return _phases("one_cycle_lr", rates, total, pct_start, anneal_strategy)


def one_cycle_momentum(
    total_steps: SupportsIndex | None = None,
    epochs: SupportsIndex | None = None,
    steps_per_epoch: SupportsIndex | None = None,
    pct_start: Number = 0.3,
    anneal_strategy: str = "cos",
    *,
    base_momentum: Number = 0.85,
    max_momentum: Number = 0.95,
    three_phase: bool = False,
) -> optax.Schedule:
    """One fall and one rise of a momentum, while `one_cycle_lr` rises and falls.

    Pass it as the `momentum` of `sgd` and `rmsprop`, or as the first of the `betas` of
    `adam`, `adamw`, `adamax`, `nadam` and `radam`.

    Args:
        total_steps: As in `one_cycle_lr`.
        epochs: As in `one_cycle_lr`.
        steps_per_epoch: As in `one_cycle_lr`.
        pct_start: As in `one_cycle_lr`.
        anneal_strategy: As in `one_cycle_lr`.
        base_momentum: The momentum where the rate is the highest.
        max_momentum: The momentum at the start and at the end.
        three_phase: As in `one_cycle_lr`.

    Returns: The schedule. Past the cycle it keeps its last value.
    Raises: TypeError or ValueError as in `one_cycle_lr`.
    Torch: `torch.optim.lr_scheduler.OneCycleLR` with `cycle_momentum`, its default.

    Examples:
        >>> schedule = one_cycle_momentum(total_steps=10)
        >>> [round(float(schedule(count)), 5) for count in (0, 2, 9)]
        [0.95, 0.85, 0.95]
    """
    momenta = [max_momentum, base_momentum, max_momentum]
    if three_phase:
        momenta.append(max_momentum)
    name = "one_cycle_momentum"
    total = _total_steps(name, total_steps, epochs, steps_per_epoch)
    return _phases(name, momenta, total, pct_start, anneal_strategy)


def _phases(
    function: str,
    values: Sequence[Scalar],
    total: int,
    pct_start: Number,
    anneal_strategy: str,
) -> optax.Schedule:
    """From each of the three or four `values` to the next, in `total` steps."""
    pct_start = check_range(function, "pct_start", pct_start, 0.0, 1.0)
    check_choice(function, "anneal_strategy", anneal_strategy, ("cos", "linear"))
    anneal = cosine if anneal_strategy == "cos" else line
    ends = [pct_start * total - 1, 2 * pct_start * total - 2][: len(values) - 2]
    ends.append(total - 1)
    if ends[0] == 0:
        what = "pct_start that leaves steps for the rise"
        raise wrong_value(function, what, f"{pct_start} of {total} steps")
    starts = [0.0, *ends[:-1]]
    # A later phase without steps is never reached.
    lengths = [(end - start) or 1 for start, end in zip(starts, ends, strict=True)]

    def schedule(count: ArrayLike) -> Array:
        count = as_float(jnp.minimum(count, total - 1))
        phases = [
            anneal(values[i], values[i + 1], (count - starts[i]) / lengths[i])
            for i in range(len(ends))
        ]
        return jnp.select([count <= end for end in ends[:-1]], phases[:-1], phases[-1])

    return schedule


def _total_steps(
    function: str,
    total_steps: SupportsIndex | None,
    epochs: SupportsIndex | None,
    steps_per_epoch: SupportsIndex | None,
) -> int:
    if total_steps is not None:
        return check_int(function, "total_steps", total_steps, least=1)
    if epochs is None or steps_per_epoch is None:
        what = "total_steps, or epochs and steps_per_epoch"
        raise wrong_value(function, what, "neither")
    epochs = check_int(function, "epochs", epochs, least=1)
    steps_per_epoch = check_int(function, "steps_per_epoch", steps_per_epoch, least=1)
    return epochs * steps_per_epoch
