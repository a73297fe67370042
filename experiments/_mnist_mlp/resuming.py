"""A killed run continues from its last checkpoint, to the same bits.

    python -m experiments.mnist_mlp --checkpoint-dir FOLDER [--save-every 50]
    python -m experiments.mnist_mlp --checkpoint-dir FOLDER [--save-every 50] --resume

After SIGTERM or Ctrl-C the run trains up to its next save, saves, and stops with exit
code 143 or 130; a second signal ends it at once. `kill -9` and a power cut lose the
steps since the last save.
"""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from experiments._mnist_mlp import processes
from experiments._mnist_mlp.config import expect
from jaxgrad.training import Progress, checkpoints

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FAILED = 999  # what a process sends to the others if it could not write a checkpoint


@dataclass(frozen=True)
class Saver:
    """Saves and restores one run in one folder."""

    folder: Path
    run: Mapping[str, Any]  # identifies the run
    keep: int

    def begin(self, first: Progress, *, resume: bool) -> Progress:
        """Where to start; an error if the folder or its checkpoints do not allow it."""
        if not resume and checkpoints.paths(self.folder):
            raise ValueError(
                "--checkpoint-dir: expected a folder without checkpoints, got "
                f"{self.folder}; continue from them with --resume, or choose another."
            )
        restored = checkpoints.restore(self.folder, first, self.run) if resume else None
        start = restored.progress if restored else first
        steps = processes.gather(int(start.state.step))
        shared, got = "a folder that all processes share", f"steps {steps} in theirs"
        expect(len(set(steps)) == 1, "--checkpoint-dir", shared, got)
        if resume:
            notify(*self._news(restored))
        if processes.is_first():
            options = {"keep": self.keep, "environment": environment()}
            checkpoints.prepare(self.folder, start, self.run, **options)
        return start

    def _news(self, restored: checkpoints.Restored | None) -> Iterator[str]:
        """What a resumed run says about its checkpoint."""
        if restored is None:
            yield f"no checkpoint in {self.folder} yet: starting from scratch"
            return
        for line in restored.damaged:
            yield f"warning: {line} An older one is used instead."
        epochs, steps = restored.progress.state.epoch, restored.progress.state.step
        done = f"{int(epochs)} epochs and {int(steps)} steps are done"
        yield f"continuing from {restored.path}: {done}"
        then, now = restored.environment, environment()
        if then != now:
            change = f"saved with {then}, continuing with {now}"
            yield f"note: {change}: the rest agrees up to rounding, not to the bit"

    def saved(self, run: Iterator[Progress]) -> Iterator[Progress]:
        """The same run, each result saved first; Stopped or OSError end it."""
        with self._released_after(), noted_signals() as noted:
            for progress in run:
                fault = self._save(progress)
                yield progress
                number = max(noted, default=0) if fault is None else _FAILED
                number = max(processes.gather(number))
                if fault is not None:
                    raise fault
                if number == _FAILED:
                    raise processes.Stopped(2)  # the first process prints the reason
                if number:
                    name, step = signal.Signals(number).name, int(progress.state.step)
                    reached = f"stopped by {name} after step {step}"
                    notify(f"{reached}, saved in {self.folder}; continue with --resume")
                    raise processes.Stopped(128 + number)

    @contextmanager
    def _released_after(self) -> Iterator[None]:
        try:
            yield
        finally:
            checkpoints.release(self.folder)

    def _save(self, progress: Progress) -> OSError | None:
        """Save in the first process; return the fault if it fails."""
        if not processes.is_first():
            return None
        options = {"keep": self.keep, "environment": environment()}
        try:
            checkpoints.save(self.folder, progress, self.run, **options)
        except OSError as fault:
            last = checkpoints.paths(self.folder)
            intact = f"{last[0].name} is intact: continue with --resume" if last else ""
            failed = f"step {int(progress.state.step)} could not be saved"
            return OSError(f"{failed} in {self.folder}: {fault}. {intact}")
        return None


def notify(*lines: str) -> None:
    """Print lines to stderr, in the first process only."""
    if processes.is_first():
        print(*lines, sep="\n", file=sys.stderr, flush=True)


def environment() -> dict[str, Any]:
    """What may change when a run continues, but changes its last bits."""
    return {
        "jax": jax.__version__,
        "platform": jax.default_backend(),
        "devices": jax.device_count(),
        "processes": jax.process_count(),
    }


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """A list that collects signals; the second of a kind has its usual effect."""
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        noted.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
