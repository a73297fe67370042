"""What a run tells while it goes on: a bar on the terminal, a row per epoch in a file.

A row is written when its epoch is over, so that the file can be followed. A run that
was killed may have left half a row, or a row of an epoch that it does once more; so a
run begins by writing the rows that it goes on from, and no others.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from jaxgrad.mnist import training

Run = Iterator[training.Progress]


def followed(run: Run, path: Path, bar: tqdm) -> Run:
    """The same run, with a row in the file for each epoch, and a bar."""
    for progress in run:
        if not len(progress.losses):
            append(path, progress.completed[-1])
        show(bar, progress)
        yield progress


def progress_bar(start: training.Progress, steps: int, *, hidden: bool) -> tqdm:
    """A bar over the steps of the run, with the time that is left."""
    done = int(start.state.step)
    # None: only on a terminal.
    return tqdm(
        total=steps, initial=done, unit="step", disable=True if hidden else None
    )


def show(bar: tqdm, progress: training.Progress) -> None:
    """Move the bar to what was reached; the loss is the epoch's mean so far."""
    losses = progress.losses
    loss = losses.mean() if len(losses) else progress.completed[-1].train_loss
    bar.set_postfix(epoch=len(progress.completed), loss=f"{loss:.4f}", refresh=False)
    bar.update(int(progress.state.step) - bar.n)


def begin(path: Path, completed: Sequence[training.Epoch]) -> None:
    """Let the file hold the rows of these epochs and no others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(map(_row, completed))
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(rows, encoding="utf-8")
    draft.replace(path)


def append(path: Path, epoch: training.Epoch) -> None:
    """Append an epoch's row to a JSON-lines file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_row(epoch))


def _row(epoch: training.Epoch) -> str:
    """A loss that is not finite is null: JSON has no other word for it."""
    row = {
        name: value if math.isfinite(value) else None
        for name, value in epoch._asdict().items()
        if name != "train_loss_after"
    }
    return json.dumps(row) + "\n"
