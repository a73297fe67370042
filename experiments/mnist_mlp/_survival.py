"""A run that is killed goes on where it was saved last, to the same bits.

    python -m experiments.mnist_mlp --checkpoint-dir FOLDER [--save-every 50]
    python -m experiments.mnist_mlp --checkpoint-dir FOLDER [--save-every 50] --resume

SIGTERM and Ctrl-C let the steps until the next save be finished, save, and end with
exit code 143 and 130; a second one ends at once. `kill -9` and a power cut lose the
steps since the last save.
"""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import jax

from experiments.mnist_mlp import _processes
from jaxgrad.mnist import checkpoints, training

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FAILED = 999  # what a process says whose checkpoint could not be written

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Survival:
    """Where and how a run is saved, and what run it is."""

    folder: Path
    run: Options
    keep: int

    def begin(self, first: training.Progress, *, resume: bool) -> training.Progress:
        """What to start or to go on from, with a disk that is known to be ready.

        Raises:
            ValueError: If a checkpoint is another run's, all of them are damaged, or
                there are some although it is not said to go on from them.
            OSError: If the folder cannot be used.
        """
        if not resume and checkpoints.found(self.folder):
            raise ValueError(
                f"--checkpoint-dir: expected a folder without checkpoints, got "
                f"{self.folder}; go on from them with --resume, or choose another."
            )
        restored = checkpoints.restore(self.folder, first, self.run) if resume else None
        start = restored.progress if restored else first
        self._check_shared(start)
        if resume:
            self._tell(restored)
        if _processes.is_first():
            checkpoints.make_ready(
                self.folder,
                start,
                self.run,
                keep=self.keep,
                environment=environment(),
            )
        return start

    def saved(self, run: Iterator[training.Progress]) -> Iterator[training.Progress]:
        """The same run, each result saved before it is passed on.

        Raises:
            SystemExit: After a signal, once what was reached is saved.
            OSError: If a checkpoint cannot be written.
        """
        with signals_noted() as noted:
            for progress in run:
                fault = self._fault_of_saving(progress)
                yield progress
                said = max(noted, default=0) if fault is None else _FAILED
                said = max(_processes.numbers_of_all(said))
                if fault is not None:
                    raise self._explained(fault, progress)
                if said:
                    self._stop(said, progress)

    def _fault_of_saving(self, progress: training.Progress) -> OSError | None:
        if _processes.is_first():
            how = {"keep": self.keep, "environment": environment()}
            try:
                checkpoints.save(self.folder, progress, self.run, **how)
            except OSError as fault:
                return fault
        return None

    def _explained(self, fault: OSError, progress: training.Progress) -> OSError:
        last = checkpoints.found(self.folder)
        whole = f"{last[0].name} is whole: --resume goes on from it" if last else ""
        step = int(progress.state.step)
        return OSError(
            f"step {step} could not be saved in {self.folder}: {fault}. {whole}"
        )

    def _stop(self, said: int, progress: training.Progress) -> None:
        if said == _FAILED:
            sys.exit(2)  # the first process tells why
        tell(
            f"stopped by {signal.Signals(said).name} after step "
            f"{int(progress.state.step)}, saved in {self.folder}; --resume goes on"
        )
        sys.exit(128 + said)

    def _check_shared(self, start: training.Progress) -> None:
        steps = _processes.numbers_of_all(int(start.state.step))
        if len(set(steps)) > 1:
            raise ValueError(
                "--checkpoint-dir: expected a folder that all processes share, got "
                f"checkpoints of steps {', '.join(map(str, steps))} in theirs."
            )

    def _tell(self, restored: checkpoints.Restored | None) -> None:
        if restored is None:
            tell(f"no checkpoint in {self.folder} yet: starting from scratch")
            return
        for line in restored.damaged:
            tell(f"warning: {line} An older one takes its place.")
        state = restored.progress.state
        tell(
            f"going on from {restored.path}: {int(state.epoch)} epochs and "
            f"{int(state.step)} steps are done"
        )
        if restored.environment != environment():
            tell(
                f"note: saved with {restored.environment}, going on with "
                f"{environment()}: the rest agrees up to rounding, not to the bit"
            )


def tell(line: str) -> None:
    """Say something beside the results, once."""
    if _processes.is_first():
        print(line, file=sys.stderr, flush=True)


def environment() -> dict[str, Any]:
    """What may change when a run goes on, but changes the last bits."""
    return {
        "jax": jax.__version__,
        "platform": jax.default_backend(),
        "devices": jax.device_count(),
        "processes": jax.process_count(),
    }


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """The signals that have come, of which the first of each kind does nothing else."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        noted.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
