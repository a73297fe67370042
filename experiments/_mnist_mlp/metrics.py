"""What a run shows while it trains: a progress bar, and a row per epoch in a file.

Each row is written when its epoch ends, so the file can be followed. A killed run may
leave half a row, or a row of an epoch that it repeats; a run therefore begins by
rewriting the file with the rows that it continues from.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from jaxgrad.training import Epoch, Progress


def recorded(run: Iterator[Progress], path: Path, bar: tqdm) -> Iterator[Progress]:
    """The same run, which appends a row per epoch to the file and moves the bar."""
    for progress in run:
        if not len(progress.losses):
            append(path, progress.completed[-1])
        show(bar, progress)
        yield progress


def progress_bar(start: Progress, steps: int, *, hidden: bool) -> tqdm:
    """A bar over the steps of the run, by default only on a terminal."""
    disable, done = True if hidden else None, int(start.state.step)
    return tqdm(total=steps, initial=done, unit="step", disable=disable)


def show(bar: tqdm, progress: Progress) -> None:
    """Move the bar; the loss it shows is the epoch's mean so far."""
    losses = progress.losses
    loss = losses.mean() if len(losses) else progress.completed[-1].train_loss
    bar.set_postfix(epoch=len(progress.completed), loss=f"{loss:.4f}", refresh=False)
    bar.update(int(progress.state.step) - bar.n)


def begin(path: Path, completed: Sequence[Epoch]) -> None:
    """Write a file with the rows of these epochs only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text("".join(map(_row, completed)), encoding="utf-8")
    draft.replace(path)


def append(path: Path, epoch: Epoch) -> None:
    """Append the row of an epoch."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_row(epoch))


def _row(epoch: Epoch) -> str:
    """One line of JSON; a loss that is not finite is null, as JSON has no NaN."""
    measured = epoch._asdict()
    del measured["train_loss_after"], measured["watched"]
    finite = {k: v if math.isfinite(v) else None for k, v in measured.items()}
    return json.dumps(finite) + "\n"
