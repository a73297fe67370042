"""What a run shows while it trains: a row per epoch, also in a file, and a bar.

Each row is written when its epoch ends, so the file can be followed. A killed run may
leave half a row, or a row of an epoch that it repeats; a run therefore begins by
rewriting the file with the rows that it continues from.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments._command import write_whole
from experiments._terminal import progress
from jaxgrad.training import Epoch, Progress

COLUMNS = ("epoch", "train loss", "after epoch", "test loss", "accuracy", "seconds")
LEGEND = """\
train loss: the mean of the losses of the epoch's batches, as in the notebook.
after epoch: the loss on the training set when the epoch has ended.
accuracy: the share of the test images whose digit is found."""


def recorded(
    run: Iterator[Progress], path: Path, show: Callable[[Progress], None]
) -> Iterator[Progress]:
    """The same run, which prints and appends a row per epoch and moves the bar."""
    for reached in run:
        if not len(reached.losses):
            append(path, reached.completed[-1])
            print(line(reached.completed[-1]), flush=True)
        show(reached)
        yield reached


@contextmanager
def bar(start: Progress, steps: int) -> Iterator[Callable[[Progress], None]]:
    """A function that moves a bar over the steps of the run."""
    with progress() as bars:
        done = int(start.state.step)
        task = bars.add_task("training", total=steps, completed=done, note="")
        yield lambda reached: bars.update(task, **position(reached))
        bars.remove_task(task)


def position(reached: Progress) -> dict[str, Any]:
    """What the bar shows: steps, the epoch as the table counts it, its mean loss."""
    epoch, losses = len(reached.completed), reached.losses
    loss = losses.mean() if len(losses) else reached.completed[-1].train_loss
    epoch -= not len(losses)
    note = f"epoch {epoch}, loss {loss:.4f}"
    return {"completed": int(reached.state.step), "note": note}


def line(epoch: Epoch) -> str:
    """The row of an epoch, below `COLUMNS`."""
    number, *losses, accuracy, seconds, _ = epoch
    shown = ("-" if loss is None else f"{loss:.5f}" for loss in losses)
    return below_columns(number, *shown, f"{accuracy:.2%}", f"{seconds:.2f}")


def below_columns(*cells: object) -> str:
    pairs = zip(COLUMNS, cells, strict=True)
    return "  ".join(str(cell).rjust(len(title)) for title, cell in pairs)


def begin(path: Path, completed: Sequence[Epoch]) -> None:
    """Write a file with the rows of these epochs only."""
    write_whole(path, "".join(map(_row, completed)))


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
