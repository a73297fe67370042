"""The MNIST experiment is killed at any moment, in any way, and continues."""

import errno
import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiments import mnist_mlp as experiment
from experiments._command import run_as_script
from experiments._mnist_mlp import learning, metrics, resuming
from experiments._mnist_mlp.processes import Stopped
from jaxgrad import training
from jaxgrad.training import checkpoints
from tests import killed_run


@pytest.fixture(autouse=True)
def few_units(monkeypatch):
    monkeypatch.setattr(learning, "HIDDEN", (16,))


def config(folder, **options: Any):
    """Two epochs of 12 steps on the digits, saved after 5, 10 and 12 of each."""
    fixed: dict[str, Any] = {
        "dataset": "digits",
        "epochs": 2,
        "batch_size": 128,
        "lr": 0.01,
        "save_every": 5,
        "side_runs": False,
        "checkpoint_dir": folder / "checkpoints",
        "output_dir": folder,
    }
    return experiment.Config(**(fixed | options))


def learned(options):
    """Run to the end; the digest of the parameters."""
    state, _ = learning.train_and_record(learning.prepare(options), options)
    return training.sha256(state.params)


def rows(folder):
    """The rows of metrics.jsonl without the seconds."""
    found = [json.loads(line) for line in text(folder).splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in found]


def text(folder):
    return (folder / "metrics.jsonl").read_text()


def steps_saved(folder):
    return [int(p.stem[5:]) for p in checkpoints.paths(folder / "checkpoints")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The digest and the rows of an uninterrupted run without checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "HIDDEN", (16,))
        return learned(config(folder, checkpoint_dir=None, save_every=None)), rows(
            folder
        )


class Killed(BaseException):
    """The end of a process: no code catches this exception."""


def killing(function, at, before=True):
    """The function, but its call number `at` kills the run before or after its work."""
    calls = 0

    def deadly(*args, **options):
        nonlocal calls
        calls += 1
        if before and calls == at:
            raise Killed
        result = function(*args, **options)
        if calls == at:
            raise Killed
        return result

    return deadly


def half_a_row(path, epoch):
    with path.open("a") as file:
        file.write(metrics._row(epoch)[:20])
    raise Killed


# Each kills a run at one moment; the number is the step where it continues.
MOMENTS = {
    "before anything is saved": ((checkpoints, "save", 1, True), 0),
    "before the first step": ((checkpoints, "save", 1, False), 0),
    "before a chunk is saved": ((checkpoints, "save", 3, True), 5),
    "after a chunk is saved": ((checkpoints, "save", 3, False), 10),
    "between the checkpoint and the row": ((metrics, "append", 1, True), 12),
    "after the row": ((metrics, "append", 1, False), 12),
    "between the last checkpoint and its row": ((metrics, "append", 2, True), 24),
    "after the last row": ((metrics, "append", 2, False), 24),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_continues_to_the_same_bits(tmp_path, whole, moment, monkeypatch, capsys):
    (module, name, at, before), step = MOMENTS[moment]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, killing(getattr(module, name), at, before))
        with pytest.raises(Killed):
            learned(config(tmp_path))
    assert (learned(config(tmp_path, resume=True)), rows(tmp_path)) == whole
    said = capsys.readouterr().err
    assert ("from scratch" if not step and before else f"{step} steps are done") in said


def test_half_a_row_is_replaced(tmp_path, whole, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "append", half_a_row)
        with pytest.raises(Killed):
            learned(config(tmp_path))
    assert not text(tmp_path).endswith("\n")
    assert (learned(config(tmp_path, resume=True)), rows(tmp_path)) == whole


def test_continues_with_another_chunk_size(tmp_path, whole, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", killing(checkpoints.save, 3, False))
        with pytest.raises(Killed):
            learned(config(tmp_path))
    again = config(tmp_path, resume=True, save_every=None, keep=1)
    assert (learned(again), rows(tmp_path)) == whole
    assert steps_saved(tmp_path) == [24]


def test_a_damaged_checkpoint_is_named_and_an_older_one_used(tmp_path, whole, capsys):
    learned(config(tmp_path))
    newest = checkpoints.paths(tmp_path / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert (learned(config(tmp_path, resume=True)), rows(tmp_path)) == whole
    said = capsys.readouterr().err
    assert f"warning: {newest} is damaged" in said
    assert "step-000000022.npz: 1 epochs and 22 steps are done" in said


def test_a_finished_run_adds_nothing(tmp_path, capsys):
    options = ["--dataset", "digits", "--epochs", "1", "--no-side-runs"]
    options += ["--output-dir", str(tmp_path), "--checkpoint-dir", str(tmp_path / "c")]
    experiment.main(options)
    digest = capsys.readouterr().out.splitlines()[-1]
    assert digest.startswith("parameters sha256: ")
    before = text(tmp_path)
    result = experiment.main([*options, "--resume"])
    assert capsys.readouterr().out.splitlines()[-1] == digest
    assert text(tmp_path) == before
    assert len(result.epochs) == 1


def test_without_side_runs_the_training_set_is_not_evaluated(tmp_path, capsys):
    options = ["--dataset", "digits", "--epochs", "1", "--no-side-runs"]
    result = experiment.main([*options, "--output-dir", str(tmp_path)])
    (epoch,) = result.epochs
    assert epoch.train_loss_after is None and epoch.train_loss > epoch.test_loss
    row = next(x for x in capsys.readouterr().out.splitlines() if x[:5] == "    0")
    assert row.split()[2] == "-"
    assert [line.get_label() for line in lines_of(result)] == [
        "train, mean over the epoch",
        "test",
    ]


def lines_of(result):
    return experiment.figures(result)["losses"].axes[0].get_lines()


def test_more_epochs_continue_a_finished_run(tmp_path, whole):
    learned(config(tmp_path, epochs=1))
    assert (learned(config(tmp_path, resume=True)), rows(tmp_path)) == whole


def test_a_schedule_needs_the_same_epochs(tmp_path):
    learned(config(tmp_path, epochs=1, schedule="cosine"))
    with pytest.raises(ValueError, match=r"epochs 2, got .* epochs 1 instead"):
        learned(config(tmp_path, resume=True, schedule="cosine"))


# Refusals


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 64}, "batch_size 64, got .* batch_size 128 instead"),
        ({"seed": 1}, "seed 1, got .* seed 0 instead"),
        ({"optimizer": "adam", "lr": 0.01}, "optimizer adam, got .* optimizer sgd"),
        ({"lr": 0.02}, "lr 0.02, got .* lr 0.01 instead"),
        ({"epochs": 1}, "--epochs: expected at least 2, .*got 1 instead"),
        ({"resume": False}, "a folder without checkpoints, got .*--resume"),
    ],
)
def test_refuses_to_continue_another_run(tmp_path, changed, message):
    learned(config(tmp_path))
    before = text(tmp_path)
    with pytest.raises(ValueError, match=message):
        learned(config(tmp_path, **({"resume": True} | changed)))
    assert text(tmp_path) == before


def test_refuses_another_network_and_other_data(tmp_path, monkeypatch):
    learned(config(tmp_path))
    again = config(tmp_path, resume=True)
    task = learning.prepare(again)
    with monkeypatch.context() as patch:
        patch.setattr(learning, "HIDDEN", (17,))
        with pytest.raises(ValueError, match=r"network 64-17-10, got .* 64-16-10 ins"):
            learned(again)
    changed = task.dataset.train.images.copy()
    changed[0, 0, 0] += 1
    train = task.dataset.train._replace(images=changed)
    task = task._replace(dataset=replace(task.dataset, train=train))
    with pytest.raises(
        ValueError, match=r"data digits, SHA-256 .*, got .* data digits"
    ):
        learning.train_and_record(task, again)


def test_warns_that_another_machine_changes_the_last_bits(
    tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        elsewhere = resuming.environment() | {"devices": 8}
        patch.setattr(resuming, "environment", lambda: elsewhere)
        learned(config(tmp_path))
    learned(config(tmp_path, resume=True))
    assert "up to rounding, not to the bit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume"], "--resume: expected --checkpoint-dir with it"),
        (["--save-every", "5"], "--save-every: expected --checkpoint-dir with it"),
        (["--checkpoint-dir", "c", "--save-every", "0"], "--save-every: expected at"),
        (["--checkpoint-dir", "c", "--keep", "0"], "--keep: expected at least 1"),
        (["--checkpoint-dir", __file__], f"got the file {__file__}"),
        (["--checkpoint-dir", f"{__file__}/c"], "Not a directory"),
        (["--process-id", "0"], "expected all three or none"),
        (
            "--coordinator here --num-processes 2 --process-id 0".split(),
            "--coordinator: expected HOST:PORT, got here",
        ),
        (
            "--coordinator h:1 --num-processes 2 --process-id 2".split(),
            "--process-id: expected 0 to 1",
        ),
        (["--distributed", "--process-id", "0"], "--distributed: expected the cluster"),
    ],
)
def test_bad_options_end_in_a_clear_line(options, message, capsys, tmp_path):
    fixed = ["--dataset", "digits", "--epochs", "1", "--output-dir"]
    with pytest.raises(SystemExit) as end:
        run_as_script(lambda: experiment.main([*fixed, str(tmp_path / "o"), *options]))
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_disk_that_fills_up_keeps_the_last_checkpoint(tmp_path, whole, monkeypatch):
    save = checkpoints.save

    def full(folder, progress, run, **options):
        if progress.state.step > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return save(folder, progress, run, **options)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", full)
        message = "step 17 could not be saved .*No space left.*step-000000012.npz is in"
        with pytest.raises(OSError, match=message):
            learned(config(tmp_path))
    assert (learned(config(tmp_path, resume=True)), rows(tmp_path)) == whole


def test_a_loss_that_is_not_finite_ends_the_run_with_one_message(tmp_path):
    options = "--dataset digits --lr 1e38 --epochs 3 --no-side-runs".split()
    folders = ["--output-dir", str(tmp_path), "--checkpoint-dir", str(tmp_path / "c")]
    with pytest.raises(SystemExit) as end:
        experiment.main([*options, *folders])
    message = str(end.value.code)
    assert message.startswith(
        "error: training: expected finite numbers, got a loss of "
    )
    assert " of epoch 0 (" in message and "network.py:" in message
    assert message.endswith("\nA smaller --lr may keep them finite.")
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["step-000000000.npz"]
    assert text(tmp_path) == ""


def test_a_folder_is_released_when_its_run_ends(tmp_path):
    learned(config(tmp_path))
    assert not (tmp_path / "checkpoints" / ".lock").exists()


# Signals


@pytest.mark.parametrize("number", resuming.SIGNALS)
def test_after_a_signal_the_chunk_is_finished(
    tmp_path, whole, number, monkeypatch, capsys
):
    before = [signal.getsignal(number) for number in resuming.SIGNALS]

    def signalled(reached):
        if reached.state.step == 10:
            signal.raise_signal(number)
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(metrics, "position", signalled)
        with pytest.raises(Stopped) as stopped:
            learned(config(tmp_path))
    assert stopped.value.code == 128 + number
    said = capsys.readouterr().err
    assert f"stopped by {number.name} after step 10, saved in {tmp_path}" in said
    assert [signal.getsignal(number) for number in resuming.SIGNALS] == before
    assert (learned(config(tmp_path, resume=True)), rows(tmp_path)) == whole


@pytest.fixture
def interruptible():
    """Ctrl-C as on a terminal; in the background of a shell Python ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_has_its_usual_effect(interruptible):
    with resuming.noted_signals() as noted:
        signal.raise_signal(signal.SIGINT)
        assert noted == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_bar_counts_epochs_as_the_table_does(tmp_path):
    state = learning.prepare(config(tmp_path)).start
    state = state._replace(step=state.step + 12)
    epoch = training.Epoch(0, 0.51234, None, 0.4, 0.9, 1.0)
    row = metrics.line(epoch).split()
    shown = metrics.position(training.Progress(state, completed=(epoch,)))
    assert shown == {"completed": 12, "note": f"epoch {row[0]}, loss 0.5123"}
    losses = np.array([0.5, 1.0], np.float32)
    shown = metrics.position(training.Progress(state, losses, completed=(epoch,)))
    assert shown == {"completed": 12, "note": "epoch 1, loss 0.7500"}


# Real processes


class KilledRun:
    """A process that trains."""

    def __init__(self, folder, cache, resume=True):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.killed_run"])
        self.pipe, other = context.Pipe()
        options = (folder, resume, cache, other)
        self.process = context.Process(target=killed_run.train, args=options)
        self.process.start()
        other.close()

    def receive(self):
        """The next message: the number of steps reached, or the digest."""
        assert self.pipe.poll(120), "no message"
        return self.pipe.recv()

    def end(self):
        """Wait for the end of the run; its digest."""
        while isinstance(digest := self.receive(), int):
            pass
        self.process.join(60)
        assert self.process.exitcode == 0
        return digest

    def signalled(self, number, after, seconds):
        """Send a signal some seconds after a number of results; the exit code."""
        for _ in range(after):
            self.receive()
        time.sleep(seconds)
        pid = self.process.pid
        assert pid is not None
        os.kill(pid, number)
        self.process.join(60)
        return self.process.exitcode


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Compilation cache, digest, rows and mean seconds per chunk of a whole run."""
    cache = tmp_path_factory.mktemp("cache")
    for name in ("compiles", "runs"):
        folder = tmp_path_factory.mktemp(name)
        run = KilledRun(folder, cache)
        assert (run.receive(), run.receive()) == (0, killed_run.SAVE_EVERY)
        second = time.perf_counter()
        digest = run.end()
    return cache, digest, rows(folder), (time.perf_counter() - second) / (CHUNKS - 1)


CHUNKS = killed_run.EPOCHS * -(-killed_run.STEPS // killed_run.SAVE_EVERY)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path, uninterrupted):
    cache, digest, expected, seconds = uninterrupted
    random = np.random.default_rng(0)
    kills, reached = 0, set()
    for run in range(12):
        folder = tmp_path / str(run)
        for _ in range(3):
            # 0: during start-up; 1: in the first chunk; and so on.
            after, wait = random.integers(0, CHUNKS // 4), random.uniform(0, 2)
            target = KilledRun(folder, cache)
            if target.signalled(signal.SIGKILL, after, wait * seconds) == 0:
                break  # it finished before the kill
            assert target.process.exitcode == -signal.SIGKILL
            kills += 1
            step = max(steps_saved(folder), default=0)
            reached.add(step)
            # Every row in the file is covered by a checkpoint.
            written = (
                text(folder).count("\n") if (folder / "metrics.jsonl").exists() else 0
            )
            assert written * killed_run.STEPS <= step
        assert KilledRun(folder, cache).end() == digest
        assert rows(folder) == expected
        if kills >= 20:
            break
    assert kills >= 20
    assert len(reached) > 5  # the kills came at different moments


@pytest.mark.slow
def test_a_terminated_process_can_be_resumed(tmp_path, uninterrupted):
    cache, digest, expected, seconds = uninterrupted
    code = KilledRun(tmp_path, cache, resume=False).signalled(
        signal.SIGTERM, 4, seconds
    )
    assert code == 128 + signal.SIGTERM
    (step, *_) = steps_saved(tmp_path)
    assert step % killed_run.STEPS % killed_run.SAVE_EVERY == 0
    assert KilledRun(tmp_path, cache).end() == digest
    assert rows(tmp_path) == expected
