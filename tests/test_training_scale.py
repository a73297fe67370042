"""One run on one device, on eight devices, and in two processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from jaxgrad import training
from jaxgrad.training import _archive, checkpoints
from tests.tiny_run import BATCH, DATASET, LOSS, PARAMS, TEST, TRAIN, WHITE, N, apply
from tests.tolerances import assert_close

ROOT = Path(__file__).parents[1]
SGD = optax.sgd(0.1, momentum=0.9)
ONE = training.data_mesh()


def started():
    return training.init(jax.random.key(0), PARAMS, SGD)


# The code for a mesh, on one device


def test_a_mesh_of_one_device_changes_nothing():
    fit = partial(training.fit, apply, LOSS, SGD, started(), DATASET)
    fit = partial(fit, epochs=3, batch_size=BATCH, evaluate_training=True)
    *_, (alone, expected_epoch) = fit()
    *_, (spread, epoch) = fit(mesh=ONE)
    assert training.sha256(alone.params) == training.sha256(spread.params)
    assert expected_epoch._replace(seconds=0.0) == epoch._replace(seconds=0.0)


def test_an_epoch_and_an_evaluation_over_a_mesh():
    order = np.random.default_rng(0).permutation(N)
    run = partial(training.train_epoch, apply, LOSS, SGD, split=TRAIN, order=order)
    run = partial(run, batch_size=7, white=WHITE)
    alone, losses = run(started())
    spread, expected = run(started(), mesh=ONE)
    assert_close(losses, expected, "float32")
    assert training.sha256(alone.params) == training.sha256(spread.params)
    evaluate = partial(training.evaluate, apply, LOSS, alone.params, TEST, white=WHITE)
    assert evaluate() == evaluate(mesh=ONE)


def test_a_state_is_replicated_to_every_device():
    state = training.replicated(started(), ONE)
    for leaf in jax.tree.leaves(state):
        assert leaf.sharding.is_fully_replicated
    again = training.replicated(state, ONE)
    assert all(map(lambda a, b: a is b, *map(jax.tree.leaves, (state, again))))
    found, expected = map(jax.random.key_data, (state.key, started().key))
    np.testing.assert_array_equal(found, expected)


# Eight devices, and two processes


def start_script(folder, *options, devices=1, lines=()):
    """Start the experiment, or a program of these lines, in a new process."""
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)}
    fixed = "--dataset digits --epochs 5 --batch-size 100 --lr 0.01 --no-side-runs"
    program = ["-c", "\n".join(lines)] if lines else ["-m", "experiments.mnist_mlp"]
    options = () if lines else (*fixed.split(), "--output-dir", str(folder), *options)
    return subprocess.Popen(
        [sys.executable, *program, *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*processes, seconds=240):
    """Output, errors and exit code of each process; kills all after the time limit."""
    try:
        said = [process.communicate(timeout=seconds) for process in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)  # one that hangs ignores SIGTERM
            process.wait()
    codes = [process.returncode for process in processes]
    return [(*texts, code) for texts, code in zip(said, codes, strict=True)]


def curve(folder):
    """Losses and accuracy of each epoch, (epochs, 3)."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    names = ("train_loss", "test_loss", "test_accuracy")
    return np.array([[json.loads(line)[name] for name in names] for line in lines])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_two(folders, *options):
    address = f"127.0.0.1:{free_port()}"
    return [
        start_script(
            folder,
            *("--coordinator", address, "--num-processes", "2"),
            *("--process-id", str(rank), *options),
        )
        for rank, folder in enumerate(folders)
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The curve of one device; 8 does not divide the batch size of 100."""
    folder = tmp_path_factory.mktemp("alone")
    ((_, error, code),) = ended(start_script(folder))
    assert code == 0, error
    return curve(folder)


@pytest.mark.slow
def test_eight_devices_learn_the_same(tmp_path, alone):
    ((said, error, code),) = ended(start_script(tmp_path, devices=8))
    assert code == 0, error
    np.testing.assert_allclose(curve(tmp_path), alone, rtol=1e-5)
    assert re.search(r"^parameters sha256: \w{64}$", said, re.MULTILINE)


@pytest.mark.slow
def test_two_processes_learn_the_same_and_resume(tmp_path, alone):
    folders = tmp_path / "first", tmp_path / "second"
    saved = ("--checkpoint-dir", str(tmp_path / "c"), "--save-every", "7")
    # Signal both, as Slurm would; they stop at the same step.
    processes = start_two(folders, *saved)
    metrics = folders[0] / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and metrics.read_text())
    for process in processes:
        process.send_signal(signal.SIGTERM)
    stopped = ended(*processes)
    assert [code for *_, code in stopped] == [143, 143], stopped
    assert "stopped by SIGTERM after step" in stopped[0][1]
    # Only the first process prints and writes.
    first, second = ended(*start_two(folders, *saved, "--resume"))
    assert (first[2], second[2]) == (0, 0), (first, second)
    np.testing.assert_allclose(curve(folders[0]), alone, rtol=1e-5)
    assert "parameters sha256" in first[0]
    assert "continuing from" in first[1]
    assert "sha256" not in second[0] and "continuing" not in second[1]
    assert not folders[1].exists()


@pytest.mark.slow
def test_processes_with_different_options_do_not_train(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    named = ("--coordinator", address, "--num-processes", "2", "--process-id")
    saved = ("--checkpoint-dir", str(tmp_path / "c"), "--epochs", "3")
    processes = [
        start_script(tmp_path, *named, "0", *saved),
        start_script(tmp_path, *named, "1", "--side-runs"),
    ]
    for _, error, code in ended(*processes, seconds=60):
        assert code == 2, error
        assert "expected all processes to have the same options, got" in error
        assert "checkpoint_dir a folder in process 0 and none in process 1" in error
        assert "epochs 3 in process 0 and 5 in process 1" in error
        assert "side_runs False in process 0 and True in process 1" in error
        assert "stack trace" not in error
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_two_processes_with_one_number_end_in_time(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    named = ("--coordinator", address, "--num-processes", "2", "--process-id", "0")
    start = time.monotonic()
    twins = ended(*(start_script(tmp_path, *named) for _ in range(2)), seconds=60)
    assert time.monotonic() - start < 30
    for _, error, code in twins:
        (line,) = error.splitlines()
        assert code == 2 and line.startswith("error: the processes could not connect")
        assert line.count("process 0 (pid ") == 2 and "have the same number" in line


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_dead_process_ends_the_other_with_one_line(tmp_path, victim):
    folder = tmp_path / "c"
    saved = ("--checkpoint-dir", str(folder), "--save-every", "5", "--epochs", "5000")
    processes = start_two((tmp_path / "first", tmp_path / "second"), *saved)
    wait_until(lambda: len(list(folder.glob("step-*.npz"))) == 3)
    processes[victim].send_signal(signal.SIGKILL)
    start = time.monotonic()
    _, error, code = ended(*processes, seconds=60)[1 - victim]
    assert time.monotonic() - start < 10  # at once; the promise is 30 s
    assert code not in (0, -signal.SIGKILL)
    lines = [line for line in error.splitlines() if "Gloo" not in line]
    assert len(lines) == 1, error
    assert lines[0].startswith(f"error: process {victim} ")
    assert f"The checkpoints in {folder} are intact: start all with --resume" in error
    for path in checkpoints.paths(folder):
        assert "header" in _archive.read(path)  # its digest is right


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


EACH_HOLDS_ITS_PART = """
import jax, numpy as np
from jaxgrad import training
from jaxgrad.training._batches import make_batches
from tests.tiny_run import TRAIN, N
order = np.random.default_rng(0).permutation(N)
indices = jax.numpy.asarray(order, "int32")
batches = make_batches(TRAIN, 13, training.data_mesh(), indices)
assert batches.images.shape == (4, 16, 4, 3), batches.images.shape
assert batches.mask.sum() == N
for k, part in enumerate(batches.images.addressable_shards):
    assert part.data.shape == (4, 2, 4, 3), part.data.shape
    columns = [c for c in (2 * k, 2 * k + 1) if c < 13]
    for i, c in enumerate(columns):
        np.testing.assert_array_equal(part.data[0, i], TRAIN.images[order[c]])
print("parts hold")
""".strip().splitlines()


@pytest.mark.slow
def test_each_device_holds_only_its_part_of_the_batch(tmp_path):
    ((said, error, code),) = ended(
        start_script(tmp_path, devices=8, lines=EACH_HOLDS_ITS_PART)
    )
    assert (said, code) == ("parts hold\n", 0), error
