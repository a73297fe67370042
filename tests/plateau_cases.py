"""Metrics and options of ReduceLROnPlateau, one table for golden and live tests."""

from typing import Any, NamedTuple

import numpy as np

LR = 0.3


class PlateauCase(NamedTuple):
    """The options that both libraries know, and the metric of every step."""

    note: str
    metrics: tuple[float, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.note}{self.options or ''}"


def _noisy(start: float, drift: float) -> tuple[float, ...]:
    """60 multiples of 1/64 that drift."""
    noise = np.random.default_rng(0).integers(-16, 17, 60) / 64
    return tuple((start + drift * np.arange(60) + noise).tolist())


FALLING, FLAT, RISING = (_noisy(4.0, drift) for drift in (-1 / 32, 0.0, 1 / 32))
NEGATIVE = tuple(-metric for metric in FLAT)
CASES = (
    PlateauCase("constant", (1.0,) * 60, {}),
    PlateauCase("flat", FLAT, {}),
    PlateauCase("flat", FLAT, {"patience": 0}),
    PlateauCase("falling", FALLING, {"patience": 2, "factor": 0.5}),
    PlateauCase("rising", RISING, {"patience": 3, "mode": "max"}),
    PlateauCase("negative", NEGATIVE, {"patience": 1, "mode": "max", "threshold": 0.1}),
    PlateauCase("negative", NEGATIVE, {"patience": 1, "threshold": 0.1}),
    PlateauCase(
        "falling",
        FALLING,
        {"patience": 1, "threshold": 0.25, "threshold_mode": "abs"},
    ),
    PlateauCase(
        "rising",
        RISING,
        {"patience": 1, "threshold": 0.25, "threshold_mode": "abs", "mode": "max"},
    ),
    PlateauCase("flat", FLAT, {"patience": 1, "cooldown": 4, "factor": 0.5}),
    PlateauCase("flat", FLAT, {"patience": 0, "min_lr": 0.01, "factor": 0.7}),
    PlateauCase("flat", FLAT, {"patience": 0, "eps": 0.05, "factor": 0.7}),
    PlateauCase("flat", FLAT, {"patience": 0, "min_lr": 0.5}),
    PlateauCase(
        "not finite",
        (2.0, np.nan, 1.0, np.inf, np.nan, -np.inf, 0.0, -np.inf, np.nan, 1.0),
        {"patience": 1},
    ),
)
