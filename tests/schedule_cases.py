"""torch's schedulers and jaxgrad's schedules, one table for golden and live tests.

Each case has a name, options, jaxgrad's schedule, and a function that makes torch's
scheduler from `torch.optim.lr_scheduler` and an optimizer.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from jaxgrad import optimizers as jg

LR = 0.3
STEPS = 60


class ScheduleCase(NamedTuple):
    """A schedule in both libraries; torch allows `steps` steps.

    It is that of the entry `reads` in a parameter group of torch's optimizer.
    """

    name: str
    schedule: optax.Schedule
    scheduler: Callable[[Any, Any], Any]
    steps: int = STEPS
    reads: str = "lr"


def _cycled(name: str, torch_name: str, first: Any, *options: Any, **named: Any):
    """A momentum; `first` are torch's first arguments, which only change the rate."""
    steps = options[0] if name == "one_cycle_momentum" else STEPS
    return ScheduleCase(
        f"{name}{options}{named or ''}",
        getattr(jg, name)(*options, **named),
        lambda schedulers, optimizer: getattr(schedulers, torch_name)(
            optimizer, *first, *options, **named
        ),
        steps,
        "momentum",
    )


def _simple(name: str, torch_name: str, *options: Any, **named: Any) -> ScheduleCase:
    steps = options[0] if name == "one_cycle_lr" and options else STEPS
    return ScheduleCase(
        f"{name}{options}{named or ''}",
        getattr(jg, name)(LR, *options, **named),
        lambda schedulers, optimizer: getattr(schedulers, torch_name)(
            *((optimizer, LR) if name == "one_cycle_lr" else (optimizer,)),
            *options,
            **named,
        ),
        steps,
    )


def _warm_up_cosine(schedulers: Any, optimizer: Any) -> Any:
    return schedulers.SequentialLR(
        optimizer,
        [
            schedulers.LinearLR(optimizer, 0.1, 1.0, 7),
            schedulers.CosineAnnealingLR(optimizer, 20, 0.01),
        ],
        [7],
    )


def _chained(schedulers: Any, optimizer: Any) -> Any:
    return schedulers.ChainedScheduler(
        [
            schedulers.ConstantLR(optimizer, 0.1, 20),
            schedulers.ExponentialLR(optimizer, 0.9),
            schedulers.MultiStepLR(optimizer, [3, 30], 0.5),
            schedulers.CosineAnnealingLR(optimizer, 70),
        ]
    )


def _swalr(optimizer: Any, *options: Any) -> Any:
    from torch.optim.swa_utils import SWALR

    return SWALR(optimizer, *options)


def _three_in_a_row(schedulers: Any, optimizer: Any) -> Any:
    return schedulers.SequentialLR(
        optimizer,
        [
            schedulers.ConstantLR(optimizer, 0.5, 100),
            schedulers.ExponentialLR(optimizer, 0.9),
            schedulers.CosineAnnealingWarmRestarts(optimizer, 3, 2),
        ],
        [5, 20],
    )


SCHEDULES = (
    _simple("step_lr", "StepLR", 7),
    _simple("step_lr", "StepLR", 1, 1.1),
    _simple("multi_step_lr", "MultiStepLR", [3, 11, 11, 40], 0.5),
    _simple("multi_step_lr", "MultiStepLR", []),
    _simple("constant_lr", "ConstantLR"),
    _simple("constant_lr", "ConstantLR", 0.25, 20),
    _simple("constant_lr", "ConstantLR", 0.25, 0),
    _simple("linear_lr", "LinearLR"),
    _simple("linear_lr", "LinearLR", 1.0, 0.0, 33),
    _simple("exponential_lr", "ExponentialLR", 0.9),
    _simple("polynomial_lr", "PolynomialLR"),
    _simple("polynomial_lr", "PolynomialLR", 40, 2.5),
    _simple("cosine_annealing_lr", "CosineAnnealingLR", 11),
    _simple("cosine_annealing_lr", "CosineAnnealingLR", 25, eta_min=0.1),
    _simple("cosine_annealing_warm_restarts", "CosineAnnealingWarmRestarts", 8),
    _simple("cosine_annealing_warm_restarts", "CosineAnnealingWarmRestarts", 3, 2, 0.1),
    _simple("one_cycle_lr", "OneCycleLR", 50),
    _simple("one_cycle_lr", "OneCycleLR", 60, pct_start=0.0),
    _simple("one_cycle_lr", "OneCycleLR", 47, anneal_strategy="linear"),
    _simple("one_cycle_lr", "OneCycleLR", 60, three_phase=True, div_factor=10.0),
    _simple("one_cycle_lr", "OneCycleLR", epochs=12, steps_per_epoch=5),
    ScheduleCase(
        "cyclic_lr",
        jg.cyclic_lr(0.1, LR, 4, 9),
        lambda s, o: s.CyclicLR(o, 0.1, LR, 4, 9),
    ),
    ScheduleCase(
        "cyclic_lr triangular2",
        jg.cyclic_lr(0.1, LR, 5, mode="triangular2"),
        lambda s, o: s.CyclicLR(o, 0.1, LR, 5, mode="triangular2"),
    ),
    ScheduleCase(
        "cyclic_lr exp_range",
        jg.cyclic_lr(0.1, LR, 5, mode="exp_range", gamma=0.95),
        lambda s, o: s.CyclicLR(o, 0.1, LR, 5, mode="exp_range", gamma=0.95),
    ),
    ScheduleCase(
        "lambda_lr",
        jg.lambda_lr(LR, lambda count: 1 / (1.0 + count)),
        lambda s, o: s.LambdaLR(o, lambda count: 1 / (1.0 + count)),
    ),
    ScheduleCase(
        "multiplicative_lr",
        jg.multiplicative_lr(LR, lambda count: 1 - 0.5 / (1.0 + count)),
        lambda s, o: s.MultiplicativeLR(o, lambda count: 1 - 0.5 / (1.0 + count)),
    ),
    ScheduleCase(
        "chained_lr",
        jg.chained_lr(
            [
                jg.constant_lr(LR, 0.1, 20),
                jg.exponential_lr(1.0, 0.9),
                jg.multi_step_lr(1.0, [3, 30], 0.5),
                jg.cosine_annealing_lr(1.0, 70),
            ]
        ),
        _chained,
    ),
    ScheduleCase("swa_lr", jg.swa_lr(LR, 0.05, 12), lambda s, o: _swalr(o, 0.05, 12)),
    ScheduleCase(
        "swa_lr at once",
        jg.swa_lr(LR, 0.5, 0, "linear"),
        lambda s, o: _swalr(o, 0.5, 0, "linear"),
    ),
    ScheduleCase(
        "swa_lr linear",
        jg.swa_lr(LR, 0.5, 7, "linear"),
        lambda s, o: _swalr(o, 0.5, 7, "linear"),
    ),
    _cycled("one_cycle_momentum", "OneCycleLR", (LR,), 50),
    _cycled("one_cycle_momentum", "OneCycleLR", (LR,), 47, anneal_strategy="linear"),
    _cycled(
        "one_cycle_momentum",
        "OneCycleLR",
        (LR,),
        60,
        three_phase=True,
        base_momentum=0.5,
        max_momentum=0.75,
    ),
    _cycled("cyclic_momentum", "CyclicLR", (0.1, LR), 4, 9),
    _cycled("cyclic_momentum", "CyclicLR", (0.1, LR), 5, mode="triangular2"),
    _cycled(
        "cyclic_momentum",
        "CyclicLR",
        (0.1, LR),
        5,
        mode="exp_range",
        gamma=0.95,
        base_momentum=0.5,
    ),
    ScheduleCase(
        "warm-up, then cosine",
        jg.sequential_lr(
            [jg.linear_lr(LR, 0.1, 1.0, 7), jg.cosine_annealing_lr(LR, 20, 0.01)], [7]
        ),
        _warm_up_cosine,
    ),
    ScheduleCase(
        "three in a row",
        jg.sequential_lr(
            [
                jg.constant_lr(LR, 0.5, 100),
                jg.exponential_lr(LR, 0.9),
                jg.cosine_annealing_warm_restarts(LR, 3, 2),
            ],
            [5, 20],
        ),
        _three_in_a_row,
    ),
)
