"""PyTorch's learning-rate schedulers as Optax schedules: step number -> rate.

The learning rate, which PyTorch takes from the optimizer, is the first argument. Where
PyTorch calls `scheduler.step()` once per epoch, pass
`lambda count: schedule(count // steps_per_epoch)`. Step numbers are cast to the widest
floating dtype first, because JAX divides int32 in float32 even with x64.
"""

import math
from collections.abc import Callable, Sequence
from typing import SupportsIndex

import jax
import jax.numpy as jnp
import optax

from jaxgrad._checks import check_int, check_range, wrong_value
from jaxgrad._types import Array, ArrayLike, Number, Scalar
from jaxgrad.optimizers._common import as_float, float_dtype, log


def lambda_lr(
    lr: Scalar, lr_lambda: Callable[[ArrayLike], ArrayLike]
) -> optax.Schedule:
    """`lr` times any function of the step number.

    Args:
        lr: The rate.
        lr_lambda: A function from the step number, a floating array, to the factor.
            It is traced: write `jnp.where` instead of `if`.

    Torch: `torch.optim.lr_scheduler.LambdaLR`.

    Examples:
        >>> schedule = lambda_lr(0.1, lambda count: 0.5**count)
        >>> float(schedule(2))
        0.025
    """
    return lambda count: lr * lr_lambda(as_float(count))


def multiplicative_lr(
    lr: Scalar, lr_lambda: Callable[[ArrayLike], ArrayLike]
) -> optax.Schedule:
    r"""`lr` times the product of a function of all steps so far.

    $$ r_t = r_0 \, \lambda(1) \cdots \lambda(t) $$

    Each call multiplies all `count` factors again: use it for one step per epoch, not
    for millions of updates. `exponential_lr` is faster for a constant factor.

    Args:
        lr: The rate at the start.
        lr_lambda: A function from the step number, a floating array, to the factor of
            that step; it is traced. Step 0 has no factor.

    Torch: `torch.optim.lr_scheduler.MultiplicativeLR`.

    Examples:
        >>> schedule = multiplicative_lr(1.0, lambda count: 1 / (1 + count))
        >>> [float(schedule(count)) for count in (0, 1, 2)]
        [1.0, 0.5, 0.1666666716337204]
    """

    def schedule(count: ArrayLike) -> Array:
        def multiply(step: Array, rate: Array) -> Array:
            return rate * jnp.asarray(lr_lambda(as_float(step)), rate.dtype)

        start = jnp.asarray(lr, float_dtype())
        return jax.lax.fori_loop(1, jnp.asarray(count, jnp.int32) + 1, multiply, start)

    return schedule


def step_lr(
    lr: Scalar, step_size: SupportsIndex, gamma: Number = 0.1
) -> optax.Schedule:
    """`lr` times `gamma` every `step_size` steps.

    Args:
        lr: The rate at the start.
        step_size: Steps between two decays.
        gamma: The factor of a decay.

    Raises: TypeError or ValueError unless `step_size` is an int >= 1.
    Torch: `torch.optim.lr_scheduler.StepLR`.

    Examples:
        >>> [float(step_lr(1.0, 30)(count)) for count in (0, 29, 30)]
        [1.0, 1.0, 0.1]
    """
    step_size = check_int("step_lr", "step_size", step_size, least=1)
    return lambda count: lr * power_of(gamma, jnp.asarray(count) // step_size)


def multi_step_lr(
    lr: Scalar, milestones: Sequence[int], gamma: Number = 0.1
) -> optax.Schedule:
    """`lr` times `gamma` from each milestone on; a repeated one counts twice.

    Args:
        lr: The rate at the start.
        milestones: Step numbers.
        gamma: The factor of a decay.

    Torch: `torch.optim.lr_scheduler.MultiStepLR`.

    Examples:
        >>> [float(multi_step_lr(1.0, [30, 80])(count)) for count in (29, 30, 80)]
        [1.0, 0.1, 0.01]
    """
    thresholds = sorted(milestones)
    return lambda count: lr * power_of(gamma, passed(thresholds, count))


def constant_lr(
    lr: Scalar, factor: Number = 1 / 3, total_iters: SupportsIndex = 5
) -> optax.Schedule:
    """`lr` times `factor` for `total_iters` steps, `lr` from then on.

    Args:
        lr: The rate at the end.
        factor: The factor at the start, in [0, 1].
        total_iters: Steps before the rate becomes `lr`; with 0 it never does.

    Raises: TypeError or ValueError if `total_iters` is not an int >= 0, or `factor` is
        outside [0, 1].
    Torch: `torch.optim.lr_scheduler.ConstantLR`.

    Examples:
        >>> [float(constant_lr(1.0, 0.5, 4)(count)) for count in (0, 3, 4)]
        [0.5, 0.5, 1.0]
    """
    check_range("constant_lr", "factor", factor, 0.0, 1.0)
    total_iters = check_int("constant_lr", "total_iters", total_iters, least=0)

    def schedule(count: ArrayLike) -> Array:
        # PyTorch switches at the last of these steps, so never if there are none.
        early = (jnp.asarray(count) < total_iters) | (total_iters == 0)
        return jnp.where(early, lr * factor, lr)

    return schedule


def linear_lr(
    lr: Scalar,
    start_factor: Number = 1 / 3,
    end_factor: Number = 1.0,
    total_iters: SupportsIndex = 5,
) -> optax.Schedule:
    """`lr` times a factor that goes linearly from one value to another (a warm-up).

    Args:
        lr: The rate that the factors multiply.
        start_factor: The factor at the start, in (0, 1].
        end_factor: The factor from step `total_iters` on, in [0, 1].
        total_iters: Steps between the two.

    Raises: TypeError or ValueError if a factor is outside its range, or `total_iters`
        is not an int >= 1.
    Torch: `torch.optim.lr_scheduler.LinearLR`.

    Examples:
        >>> [float(linear_lr(1.0, 0.5, 1.0, 4)(count)) for count in (0, 2, 4, 9)]
        [0.5, 0.75, 1.0, 1.0]
    """
    if not 0.0 < start_factor <= 1.0:
        raise wrong_value("linear_lr", "start_factor in (0, 1]", start_factor)
    check_range("linear_lr", "end_factor", end_factor, 0.0, 1.0)
    total_iters = check_int("linear_lr", "total_iters", total_iters, least=1)

    def schedule(count: ArrayLike) -> Array:
        share = jnp.minimum(as_float(count), total_iters) / total_iters
        return line(lr * start_factor, lr * end_factor, share)

    return schedule


def exponential_lr(lr: Scalar, gamma: Number) -> optax.Schedule:
    """`lr` times `gamma` at every step.

    Args:
        lr: The rate at the start.
        gamma: The factor per step.

    Torch: `torch.optim.lr_scheduler.ExponentialLR`.

    Examples:
        >>> float(exponential_lr(1.0, 0.5)(3))
        0.125
    """
    return lambda count: lr * power_of(gamma, count)


def polynomial_lr(
    lr: Scalar, total_iters: SupportsIndex = 5, power: Number = 1.0
) -> optax.Schedule:
    """`lr` times (1 - count / total_iters)**power, 0 after `total_iters` steps.

    Args:
        lr: The rate at the start.
        total_iters: Steps until the rate is 0.
        power: The power.

    Raises: TypeError or ValueError unless `total_iters` is an int >= 1.
    Torch: `torch.optim.lr_scheduler.PolynomialLR`; `optax.polynomial_schedule` may be
        NaN at the end under `jax.jit`.

    Examples:
        >>> float(polynomial_lr(1.0, 10, 2.0)(5))
        0.25
    """
    total_iters = check_int("polynomial_lr", "total_iters", total_iters, least=1)

    def schedule(count: ArrayLike) -> Array:
        # Compiled, 1 - count / total_iters can end below 0, where the power is NaN.
        left = total_iters - jnp.minimum(as_float(count), total_iters)
        return lr * (left / total_iters) ** power

    return schedule


def sequential_lr(
    schedules: Sequence[optax.Schedule], milestones: Sequence[int]
) -> optax.Schedule:
    """One schedule after another, each starting at its own step 0.

    Args:
        schedules: The schedules.
        milestones: The steps at which the second, third, ... schedule begins.

    Raises: ValueError unless there is one fewer milestone than schedules.
    Torch: `torch.optim.lr_scheduler.SequentialLR`; the same as `optax.join_schedules`.

    Examples:
        >>> schedule = sequential_lr(
        ...     [linear_lr(1.0, 0.5, 1.0, 4), polynomial_lr(1.0, 10)], [4]
        ... )
        >>> [float(schedule(count)) for count in (0, 2, 4, 9)]
        [0.5, 0.75, 1.0, 0.5]
    """
    if len(milestones) != len(schedules) - 1:
        got = f"{len(milestones)} for {len(schedules)}"
        raise wrong_value("sequential_lr", "one fewer milestone than schedules", got)
    return optax.join_schedules(schedules, milestones)


def chained_lr(schedules: Sequence[optax.Schedule]) -> optax.Schedule:
    """The product of schedules: the first gives the rate, the others its factors.

    Give all but the first the rate 1.0.

    Args:
        schedules: The schedules.

    Raises: ValueError if there are none.
    Torch: `torch.optim.lr_scheduler.ChainedScheduler`, for the schedulers that multiply
        the rate they find: StepLR, MultiStepLR, ConstantLR, LinearLR, ExponentialLR,
        PolynomialLR, MultiplicativeLR, and CosineAnnealingLR until `T_max` if `eta_min`
        is 0. The others overwrite that rate.

    Examples:
        >>> schedule = chained_lr([constant_lr(0.5, 0.1, 20), exponential_lr(1.0, 0.5)])
        >>> [float(schedule(count)) for count in (0, 1, 2)]
        [0.05, 0.025, 0.0125]
    """
    if not schedules:
        raise wrong_value("chained_lr", "at least one schedule", "none")

    def schedule(count: ArrayLike) -> Array:
        rates = [jnp.asarray(one(count), float_dtype()) for one in schedules]
        return math.prod(rates[1:], start=rates[0])

    return schedule


def passed(boundaries: Sequence[int], count: ArrayLike) -> Array:
    """How many of the sorted `boundaries` the step number has reached."""
    steps = jnp.asarray(boundaries, jnp.int32)
    return jnp.searchsorted(steps, jnp.asarray(count, jnp.int32), side="right")


def power_of(base: Number, exponent: ArrayLike) -> Array:
    """base**exponent via the logarithm: rounding the base to float32 loses digits."""
    exponent = as_float(exponent)
    if base > 0:
        return jnp.exp(exponent * log(base))
    return jnp.asarray(base, exponent.dtype) ** exponent


def line(start: Scalar, end: Scalar, share: Array) -> Array:
    """A straight line from `start` at share 0 to `end` at share 1."""
    return start + (end - start) * share


def cosine(start: Scalar, end: Scalar, share: Array) -> Array:
    """Half a cosine from `start` at share 0 to `end` at share 1."""
    return end + (start - end) * (1 + jnp.cos(math.pi * share)) / 2
