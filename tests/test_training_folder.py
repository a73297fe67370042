"""What else a folder of checkpoints can hold: odd files, and another live run."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import training
from jaxgrad.training import _archive, _lock, _owner, checkpoints

RUN = {"lr": 0.1}


def at(step, params=1.0):
    """A run after this many steps."""
    state = training.TrainState(
        {"w": jnp.full(3, params, "float32")},
        (),
        jax.random.key(0),
        jnp.int32(0),
        jnp.int32(step),
    )
    return training.Progress(state)


def restored(folder, run: Any = RUN):
    found = checkpoints.restore(folder, at(0), run)
    assert found is not None
    return found


# Odd files


@pytest.fixture
def in_time():
    """Make a test that waits fail, instead of waiting forever."""

    def late(*_):
        raise AssertionError("waited for 5 s")  # no OSError, which may be caught

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def endless(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, endless])
def test_what_is_not_a_file_is_skipped_and_named(tmp_path, make, in_time):
    good = checkpoints.save(tmp_path, at(1), RUN)
    odd = tmp_path / "step-000000009.npz"
    make(odd)
    found = restored(tmp_path)
    assert found.path == good
    assert found.damaged == (f"{odd} is not a regular file.",)
    for step in (10, 11, 12, 13):
        checkpoints.save(tmp_path, at(step), RUN, keep=2)
    assert restored(tmp_path).path.name == "step-000000013.npz"
    assert checkpoints.prepare(tmp_path, at(14), RUN).exists()
    checkpoints.release(tmp_path)


@pytest.mark.message
def test_a_folder_of_pipes_holds_no_checkpoint(tmp_path, in_time):
    for number in range(2):
        os.mkfifo(tmp_path / f"step-00000000{number}.npz")
    with pytest.raises(checkpoints.Damaged, match=r"2 damaged ones.*not a regular"):
        checkpoints.restore(tmp_path, at(0), RUN)


LATE = [999_999_998, 999_999_999, 1_000_000_000, 1_000_000_001, 2**31 - 1]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, endless])
def test_a_lock_that_is_no_file_is_named(tmp_path, make, in_time):
    make(tmp_path / _lock.NAME)
    with pytest.raises(
        OSError, match=r"prepare: expected .*lock to be a file, got a f"
    ):
        checkpoints.prepare(tmp_path, at(0), RUN)


FOREIGN: dict[str, Any] = {
    "a number": {"header": np.array(5)},
    "a list": {"header": np.array("[1]")},
    "no JSON": {"header": np.array("{")},
    "two": {"header": np.array(["{}", "{}"])},
    "no header": {"x": np.array(1)},
}


@pytest.mark.parametrize("name", [*FOREIGN, "an npy file", "a folder"])
def test_foreign_files_do_not_stop_a_run_that_is_not_finite(tmp_path, name):
    """Nor count as the last finite checkpoint."""
    checkpoints.prepare(tmp_path, at(0), RUN)
    foreign = tmp_path / "step-000000001.npz"
    if name in FOREIGN:
        np.savez(foreign, **FOREIGN[name])
    elif name == "a folder":
        foreign.mkdir()
    else:
        with foreign.open("wb") as file:
            np.save(file, np.arange(3))
    (tmp_path / ".step-000000001.npz.x.draft").mkdir()
    for step in (2, 3):
        checkpoints.prepare(tmp_path, at(step, np.nan), RUN, keep=1)
    assert restored(tmp_path).path.name == "step-000000000.npz"
    checkpoints.release(tmp_path)


def test_a_damaged_checkpoint_does_not_count_as_the_last_finite_one(tmp_path):
    checkpoints.save(tmp_path, at(0), RUN)
    damaged = checkpoints.save(tmp_path, at(1), RUN)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    checkpoints.save(tmp_path, at(2, np.nan), RUN, keep=1)
    assert restored(tmp_path).path.name == "step-000000000.npz"


def test_more_than_a_billion_steps_are_found_in_order(tmp_path):
    for step in LATE:
        checkpoints.save(tmp_path, at(step), RUN, keep=3)
    for name in ("step-0000000001.npz", "step-12.npz", "step-000000001x.npz"):
        (tmp_path / name).write_text("somebody else's")
    steps = [int(path.stem[5:]) for path in checkpoints.paths(tmp_path)]
    assert steps == LATE[:1:-1]
    assert int(restored(tmp_path).progress.state.step) == 2**31 - 1


# What identifies a run

RUNS = {
    "a tuple": {"sizes": (784, 10)},
    "nested": {"net": {"sizes": (1, (2, 3)), "rates": [0.1, float("nan")]}},
    "NaN": {"clip": float("nan"), "most": float("inf"), "least": -float("inf")},
    "NumPy's numbers": {"lr": np.float32(0.1), "n": np.int64(3), "on": np.bool_(True)},
    "arrays": {"shape": np.array([1, 2]), "device": jnp.ones(2)},
    "other keys": {1: "a", 2.5: "b", None: "c"},
    "unicode": {"name": "Größe \ud800"},
}


@pytest.mark.parametrize("case", RUNS)
def test_a_run_is_the_same_after_json(tmp_path, case):
    run: Any = RUNS[case]
    checkpoints.save(tmp_path, at(1), run)
    assert int(restored(tmp_path, run).progress.state.step) == 1


@pytest.mark.message
@pytest.mark.parametrize(
    ("saved", "other"),
    [
        ({"sizes": (784, 10)}, {"sizes": (784, 11)}),
        ({"clip": float("nan")}, {"clip": 0.0}),
        ({"lr": np.float32(0.1)}, {"lr": 0.1}),
        ({1: "a"}, {1: "b"}),
    ],
)
def test_different_runs_stay_different_after_json(tmp_path, saved, other):
    checkpoints.save(tmp_path, at(1), saved)
    with pytest.raises(
        ValueError, match="restore: expected a checkpoint of a run with"
    ):
        checkpoints.restore(tmp_path, at(0), other)


@pytest.mark.message
@pytest.mark.parametrize("value", [Path("x"), {1, 2}, object(), b"x", 1j])
def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, value):
    message = rf"{type(value).__name__} instead"
    with pytest.raises(TypeError, match=f"save: expected run to hold .*{message}"):
        checkpoints.save(tmp_path, at(1), {"option": value})
    with pytest.raises(TypeError, match=f"save: expected environment to .*{message}"):
        checkpoints.save(tmp_path, at(1), RUN, environment={"option": value})
    assert list(tmp_path.iterdir()) == []


# Parameters that are not finite


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("keep", [1, 3])
def test_no_finite_checkpoint_is_removed_for_one_that_is_not(tmp_path, keep, value):
    for step in (1, 2):
        checkpoints.save(tmp_path, at(step), RUN, keep=keep)
    for step in range(3, 9):
        checkpoints.save(tmp_path, at(step, value), RUN, keep=keep)
    steps = [int(path.stem[5:]) for path in checkpoints.paths(tmp_path)]
    assert steps == [*range(8, 8 - keep, -1), 2]
    found = restored(tmp_path)
    assert int(found.progress.state.step) == 2
    assert len(found.damaged) == keep
    assert found.damaged[0].endswith("8.npz holds parameters that are not finite.")
    checkpoints.save(tmp_path, at(9), RUN, keep=keep)
    assert len(checkpoints.paths(tmp_path)) == keep


def test_parameters_that_never_were_finite_are_saved_and_restored(tmp_path):
    for step in range(5):
        checkpoints.save(tmp_path, at(step, -np.inf), RUN, keep=2)
    assert len(checkpoints.paths(tmp_path)) == 2
    found = restored(tmp_path)
    assert int(found.progress.state.step) == 4
    assert np.isneginf(found.progress.state.params["w"]).all()


# Another live run

HOLDER = """
import sys, time
from tests.test_training_folder import RUN, at
from jaxgrad.training import checkpoints
checkpoints.prepare(sys.argv[1], at(0), RUN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that trains in the folder."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.message
def test_a_second_run_is_refused_and_the_first_named_until_it_ends(tmp_path, holder):
    draft = tmp_path / f".step-000000001.npz.{_owner._machine_tag()}-{holder.pid}.draft"
    draft.write_text("half a checkpoint")
    with pytest.raises(checkpoints.Locked) as error:
        checkpoints.prepare(tmp_path, at(0), RUN)
    message = str(error.value)
    assert f"got process {holder.pid} on " in message
    assert "which has used it since 20" in message and "stop that process" in message
    assert draft.exists()
    assert int(restored(tmp_path).progress.state.step) == 0  # reading needs no lock
    holder.kill()  # not reaped yet: a zombie, which has ended all the same
    deadline = time.monotonic() + 20
    while not _owner.Process(*locked_by(tmp_path)).has_ended():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    checkpoints.prepare(tmp_path, at(1), RUN)
    assert locked_by(tmp_path) == _owner.this_process()
    assert not draft.exists()
    checkpoints.release(tmp_path)
    assert not (tmp_path / _lock.NAME).exists()


def locked_by(folder):
    owner = json.loads((folder / _lock.NAME).read_text())
    return _owner.Process(*(owner[field] for field in _owner.Process._fields))


def lock_by(folder, **changes):
    """The lock of a process like this one, except for these changes."""
    owner = _owner.this_process()._asdict() | changes
    (folder / _lock.NAME).write_text(json.dumps(owner))


def touched(path, seconds_ago):
    moment = time.time() - seconds_ago
    os.utime(path, (moment, moment))


def test_a_reused_id_is_another_process(tmp_path):
    lock_by(tmp_path, pid=os.getppid(), started="12")
    checkpoints.prepare(tmp_path, at(0), RUN)
    assert locked_by(tmp_path) == _owner.this_process()
    checkpoints.release(tmp_path)


ELSEWHERE = {"host": "node7", "machine": "another boot pid:[1]"}


@pytest.mark.message
@pytest.mark.parametrize("changes", [ELSEWHERE, ELSEWHERE | {"pid": 1, "started": ""}])
def test_a_process_of_another_machine_has_ended_if_its_lock_is_old(tmp_path, changes):
    lock, most = tmp_path / _lock.NAME, _owner.ABANDONED_SECONDS
    lock_by(tmp_path, **changes)
    touched(lock, most - 20)
    with pytest.raises(checkpoints.Locked, match=r"on node7.*delete .*28\d s ago"):
        checkpoints.prepare(tmp_path, at(0), RUN)
    touched(lock, most + 20)
    checkpoints.prepare(tmp_path, at(0), RUN)
    checkpoints.release(tmp_path)


@pytest.mark.message
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\0\0"])
def test_half_a_lock_counts_until_it_is_old(tmp_path, text):
    lock = tmp_path / _lock.NAME
    lock.write_text(text)
    with pytest.raises(checkpoints.Locked, match="got another process instead"):
        checkpoints.prepare(tmp_path, at(0), RUN)
    touched(lock, _owner.ABANDONED_SECONDS + 20)
    checkpoints.prepare(tmp_path, at(0), RUN)
    checkpoints.release(tmp_path)


def test_the_lock_is_touched_while_the_run_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(_lock, "BEAT_SECONDS", 0.02)
    checkpoints.prepare(tmp_path, at(0), RUN)
    lock = tmp_path / _lock.NAME
    touched(lock, 1000)
    deadline = time.monotonic() + 10
    while time.time() - lock.stat().st_mtime > 500:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    checkpoints.release(tmp_path)


@pytest.mark.message
def test_a_run_whose_folder_was_taken_stops_at_its_next_save(tmp_path):
    checkpoints.prepare(tmp_path, at(0), RUN)
    checkpoints.prepare(tmp_path, at(0), RUN)  # twice is once
    lock_by(tmp_path, **ELSEWHERE)
    with pytest.raises(checkpoints.Locked, match=r"save: expected no other .*node7"):
        checkpoints.save(tmp_path, at(1), RUN)
    checkpoints.release(tmp_path)
    assert locked_by(tmp_path).host == "node7"  # another's lock is not removed
    (tmp_path / _lock.NAME).unlink()
    checkpoints.prepare(tmp_path, at(0), RUN)
    (tmp_path / _lock.NAME).unlink()  # by somebody who tidies up
    checkpoints.save(tmp_path, at(1), RUN)
    assert locked_by(tmp_path) == _owner.this_process()
    checkpoints.release(tmp_path)


@pytest.mark.message
def test_a_run_that_removes_our_checkpoint_is_detected(tmp_path, monkeypatch):
    save = checkpoints.save

    def removed(*args, **options):
        path = save(*args, **options)
        path.unlink()
        return path

    monkeypatch.setattr(checkpoints, "save", removed)
    with pytest.raises(
        checkpoints.Locked, match=r"got step-.*removed by another process"
    ):
        checkpoints.prepare(tmp_path, at(0), RUN)
    checkpoints.release(tmp_path)


def test_only_one_of_many_processes_takes_an_old_lock(tmp_path, monkeypatch):
    """Threads as processes: each has its own identity."""
    lock_by(tmp_path, **ELSEWHERE)
    touched(tmp_path / _lock.NAME, 1000)
    here, taken = threading.local(), []

    def as_thread():
        return _owner.Process("thread", here.number, "1", "the same boot")

    monkeypatch.setattr(_lock, "this_process", as_thread)
    monkeypatch.setattr(_owner, "_machine", lambda: "the same boot")
    monkeypatch.setattr(_owner, "_started", lambda pid: "1")
    monkeypatch.setattr(_lock, "_start_beat", lambda path: taken.append(here.number))
    barrier = threading.Barrier(16)

    def contend(number):
        here.number = number
        barrier.wait()
        try:
            _lock.acquire("prepare", tmp_path)
        except checkpoints.Locked:
            pass

    threads = [threading.Thread(target=contend, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert locked_by(tmp_path).pid == taken[0]


def test_drafts_are_removed_only_if_no_process_writes_them(tmp_path):
    names = {
        f"{_owner._machine_tag()}-{os.getppid()}": True,  # lives
        f"{_owner._machine_tag()}-{2**22 + 1}": False,  # above the largest id
        f"0123456789ab-{2**22 + 1}": True,  # of another machine, a moment ago
        f"0123456789ab-{os.getppid()}": False,  # of another machine, old
    }
    drafts = [tmp_path / f".step-000000001.npz.{name}.draft" for name in names]
    for draft in drafts:
        draft.write_text("half a checkpoint")
    touched(drafts[-1], 1000)
    _archive.sweep(tmp_path, ".step-*")
    assert [draft.exists() for draft in drafts] == list(names.values())
