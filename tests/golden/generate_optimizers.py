"""Write torch's float64 numbers of optimizers and schedules, exactly.

    python -m tests.golden.generate_optimizers

The trajectories at a few steps for every case of `tests/optimizer_cases.py`, with a
constant and a scheduled learning rate, and for each the largest distance of torch's
float32 path from its float64 path. That is measured on a larger problem, where the
maximum over many entries is stable. `cycled.json` has trajectories under OneCycleLR,
which cycles the momentum too.
"""

import json
from pathlib import Path

import torch

from tests.optimizer_cases import (
    CASES,
    CHECKPOINTS,
    CYCLED,
    FLOAT32_SIZE,
    distance,
    for_float32,
)
from tests.plateau_cases import CASES as PLATEAUS
from tests.schedule_cases import SCHEDULES
from tests.torch_optimizers import (
    follow_torch,
    follow_torch_cycled,
    torch_plateau,
    torch_rates,
)

FOLDER = Path(__file__).parent


def entry(case, scheduled):
    path = follow_torch(case, "float64", scheduled)
    truth, in_float32 = (
        follow_torch(for_float32(case), dtype, scheduled, FLOAT32_SIZE)
        for dtype in ("float64", "float32")
    )
    return {
        "case": str(case),
        "scheduled": scheduled,
        "float32_error": distance(in_float32, truth),
        "path": at_checkpoints(path),
    }


def at_checkpoints(path):
    return {
        name: [leaf[step - 1].ravel().tolist() for step in CHECKPOINTS]
        for name, leaf in path.items()
    }


def write(name, head, entries):
    """One entry per line."""
    head = json.dumps({"torch": torch.__version__} | head)
    lines = ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries)
    (FOLDER / name).write_text(
        f'{head[:-1]}, "entries": [\n{lines}\n]}}\n', encoding="utf-8"
    )


def main():
    write(
        "optimizers.json",
        {"checkpoints": CHECKPOINTS},
        [entry(case, scheduled) for case in CASES for scheduled in (False, True)],
    )
    write(
        "schedules.json",
        {},
        [{"case": case.name, "rates": torch_rates(case)} for case in SCHEDULES],
    )
    write(
        "plateaus.json",
        {},
        [{"case": str(case), "rates": torch_plateau(case)} for case in PLATEAUS],
    )
    write(
        "cycled.json",
        {"checkpoints": CHECKPOINTS},
        [
            {"case": str(case), "path": at_checkpoints(follow_torch_cycled(case))}
            for case in CYCLED
        ],
    )


if __name__ == "__main__":
    main()
