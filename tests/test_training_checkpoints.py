"""A run that stops between any two steps continues to the same bits, or is refused."""

import errno
import json
import os
import resource
import shutil
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import training
from jaxgrad.optimizers import adam
from jaxgrad.training import _archive, _lock, checkpoints
from tests.tiny_run import (
    BATCH,
    DATASET,
    LOSS,
    PARAMS,
    TRAIN,
    WHITE,
    N,
    apply,
    mlp,
)

RUN = {"network": "12-8-3", "lr": 0.1, "batch_size": BATCH}
ADAM = adam(lr=0.01)
WIDER = mlp(jax.random.key(1), (12, 9, 3))
EPOCHS = 3
STEPS = training.count_batches(N, BATCH).steps


# A network with everything that a step may change: dropout needs the key, batch
# normalisation a state of its own.


def normalised(images, mean, variance):
    return (images - mean) / jnp.sqrt(variance + 1e-5)


def train(params, averages, images, key):
    mean, variance = images.mean(0), images.var(0)
    moved = jax.tree.map(
        lambda old, new: 0.9 * old + 0.1 * new, averages, (mean, variance)
    )
    images = normalised(images, mean, variance)
    kept = jax.random.bernoulli(key, 0.8, images.shape)
    return apply(params, jnp.where(kept, images / 0.8, 0)), moved


def predict(params, averages, images):
    return apply(params, normalised(images, *averages))


NET = training.Model(train, predict)
AVERAGES = (jnp.zeros((4, 3)), jnp.ones((4, 3)))


def started(key=None, params=PARAMS, optimizer=ADAM, averages=AVERAGES):
    key = jax.random.key(0) if key is None else key
    return training.init(key, params, optimizer, averages)


def first():
    return training.Progress(started())


advance = partial(
    training.advance,
    NET,
    LOSS,
    ADAM,
    dataset=DATASET,
    epochs=EPOCHS,
    batch_size=BATCH,
    evaluate_training=True,
)


def reproducible(progress):
    """Everything in a run that is reproducible: all but the seconds."""
    rows = [epoch._replace(seconds=0.0) for epoch in progress.completed]
    state = progress.state._replace(key=jax.random.key_data(progress.state.key))
    return training.sha256(state), rows


@pytest.fixture(scope="module")
def whole():
    """The end of an uninterrupted run."""
    *_, last = advance(first())
    return reproducible(last)


def at_step(step):
    """The run after this many steps."""
    return next(p for p in advance(first(), save_every=1) if p.state.step == step)


@pytest.fixture(scope="module")
def halfway():
    return at_step(STEPS + 2)


# Stopping and continuing


@pytest.mark.parametrize("save_every", [1, 2, 3, 100])
def test_chunking_does_not_change_the_result(whole, save_every):
    *_, last = advance(first(), save_every=save_every)
    assert reproducible(last) == whole
    assert int(last.state.epoch) == EPOCHS
    assert int(last.state.step) == EPOCHS * STEPS


def test_advance_returns_after_every_chunk():
    reached = [
        (int(p.state.step), len(p.losses), len(p.completed))
        for p in advance(first(), epochs=2, save_every=3)
    ]
    assert reached == [(3, 3, 0), (4, 0, 1), (7, 3, 1), (8, 0, 2)]


@pytest.mark.parametrize("step", range(EPOCHS * STEPS + 1))
def test_continuing_from_a_file_ends_in_the_same_bits(tmp_path, whole, step):
    progress = at_step(step) if step else first()
    checkpoints.save(tmp_path, progress, RUN)
    restored = checkpoints.restore(tmp_path, first(), RUN)
    assert restored is not None
    assert restored.path == tmp_path / f"step-{step:09d}.npz"
    *_, last = (restored.progress, *advance(restored.progress, save_every=2))
    assert reproducible(last) == whole


def test_an_epoch_in_two_calls_of_train_epoch(whole):
    state = first().state
    run = partial(
        training.train_epoch,
        NET,
        LOSS,
        ADAM,
        split=TRAIN,
        batch_size=BATCH,
        white=WHITE,
    )
    for _ in range(EPOCHS):
        state, before = run(state=state, steps=3)
        state, after = run(state=state, first=3)
        assert (len(before), len(after)) == (3, 1)
    assert (
        training.sha256(state._replace(key=jax.random.key_data(state.key))) == whole[0]
    )


@pytest.mark.message
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": -1}, "first >= 0, got -1"),
        ({"first": STEPS}, "within the 4 steps of the epoch, got first 4"),
        ({"first": 2, "steps": 3}, "within the 4 steps of the epoch, got first 2"),
        ({"steps": 0}, "steps >= 1, got 0"),
    ],
)
def test_train_epoch_refuses_steps_outside_the_epoch(options, message):
    with pytest.raises(ValueError, match=f"train_epoch: expected .*{message}"):
        training.train_epoch(
            NET, LOSS, ADAM, first().state, TRAIN, batch_size=BATCH, **options
        )


@pytest.mark.message
@pytest.mark.parametrize("option", ["epochs", "batch_size", "save_every"])
def test_advance_checks_its_options_at_once(option):
    none: dict[str, Any] = {option: 0}
    with pytest.raises(ValueError, match=f"advance: expected {option} >= 1, got 0"):
        advance(first(), **none)


# What a file holds


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for found, wanted in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        if jnp.issubdtype(found.dtype, jax.dtypes.prng_key):
            found, wanted = map(jax.random.key_data, (found, wanted))
        assert np.asarray(found).tobytes() == np.asarray(wanted).tobytes()


def test_every_bit_is_restored(tmp_path, halfway):
    odd = {
        "bfloat16": jnp.array([[1.5, -0.0]], "bfloat16"),
        "nan": jnp.array([np.nan, np.inf, -0.0], "float32"),
        "float16": jnp.array(1e-7, "float16"),
        "bool": jnp.array([True, False]),
        "key": jax.random.split(jax.random.key(3, impl="rbg"), 2),
        "none": None,
        "empty": jnp.zeros((0, 3)),
        "file": jnp.arange(3, dtype="uint8"),
    }
    epoch = training.Epoch(0, 0.1 + 0.2, None, float("inf"), 1 / 3, 0.1)
    progress = training.Progress(
        halfway.state._replace(model_state=odd),
        np.array([np.nan, 0.1], np.float32),
        1e-3 / 7,
        (epoch,),
    )
    checkpoints.save(tmp_path, progress, RUN, environment={"jax": "1.2.3"})
    blank = training.Progress(progress.state)
    restored = checkpoints.restore(tmp_path, blank, RUN)
    assert restored is not None
    assert_same(restored.progress.state, progress.state)
    assert restored.progress.losses.tobytes() == progress.losses.tobytes()
    assert restored.progress.seconds == progress.seconds
    assert restored.progress.completed == (epoch,)
    assert restored.environment == {"jax": "1.2.3"}
    assert restored.damaged == ()


def test_numpy_can_open_a_checkpoint(tmp_path, halfway):
    path = checkpoints.save(tmp_path, halfway, RUN)
    with np.load(path, allow_pickle=False) as archive:
        assert json.loads(archive["header"].item())["run"] == RUN
        kernel = archive[".params['fc1']['kernel']"]
    np.testing.assert_array_equal(kernel, halfway.state.params["fc1"]["kernel"])


# The folder


def test_only_the_last_checkpoints_are_kept(tmp_path):
    for progress in advance(first(), save_every=1):
        checkpoints.save(tmp_path, progress, RUN, keep=2)
    names = [path.name for path in checkpoints.paths(tmp_path)]
    assert names == ["step-000000012.npz", "step-000000011.npz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_folder_may_be_a_string(tmp_path):
    folder = str(tmp_path / "run")
    path = checkpoints.prepare(folder, first(), RUN)
    assert checkpoints.save(folder, first(), RUN) == path
    restored = checkpoints.restore(folder, first(), RUN)
    assert restored is not None and restored.path == path


@pytest.mark.message
def test_a_state_is_not_accepted_as_a_progress(tmp_path):
    state: Any = started()
    for use in (checkpoints.save, checkpoints.restore):
        with pytest.raises(TypeError, match=r"TrainState instead; Progress\(state\)"):
            use(tmp_path, state, RUN)


def test_a_folder_without_checkpoints_restores_nothing(tmp_path):
    assert checkpoints.restore(tmp_path / "missing", first(), RUN) is None
    (tmp_path / "step-1.npz").write_text("a file of somebody else's")
    assert checkpoints.restore(tmp_path, first(), RUN) is None


def test_prepare_creates_the_folder_and_removes_drafts(tmp_path, halfway):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    draft = folder / f".step-000000004.npz.12345{_archive.DRAFT}"
    draft.write_bytes(b"PK half of a file")
    other = folder / "notes.txt"
    other.write_text("mine")
    path = checkpoints.prepare(folder, halfway, RUN)
    lock = folder / _lock.NAME
    assert sorted(folder.iterdir()) == sorted([lock, other, path])
    checkpoints.release(folder)
    assert sorted(folder.iterdir()) == sorted([other, path])
    assert checkpoints.prepare(tmp_path / "c" / "d", halfway, RUN).exists()


@pytest.mark.message
@pytest.mark.parametrize("below", ["", "folder"])
def test_prepare_refuses_a_file_as_folder(tmp_path, below):
    way = tmp_path / "file"
    way.write_text("")
    with pytest.raises(NotADirectoryError, match=str(way)):
        checkpoints.prepare(way / below, first(), RUN)


@pytest.mark.message
def test_prepare_refuses_a_disk_without_room(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=4000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"room for 4 checkpoints of .* MB free"):
        checkpoints.prepare(tmp_path, first(), RUN)


def full(number):
    del number
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path, halfway, monkeypatch):
    path = checkpoints.save(tmp_path, at_step(2), RUN, keep=1)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left.*step-000000006.npz"):
            checkpoints.save(tmp_path, halfway, RUN, keep=1)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_file_size_limit_leaves_the_previous_checkpoint(tmp_path, halfway):
    path = checkpoints.save(tmp_path, halfway, RUN)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoints.save(tmp_path, halfway, RUN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


# Another run


@pytest.mark.message
@pytest.mark.parametrize(
    ("run", "expected", "got"),
    [
        (RUN | {"lr": 0.2}, "a run with lr 0.2", "a run with lr 0.1"),
        (
            {"network": "12-9-3", "lr": 0.2, "batch_size": BATCH},
            "network 12-9-3, lr 0.2",
            "network 12-8-3, lr 0.1",
        ),
        (RUN | {"seed": 1}, "seed 1", "no seed"),
        ({"network": "12-8-3", "lr": 0.1}, "no batch_size", "batch_size 16"),
    ],
)
def test_another_run_is_refused_showing_both(tmp_path, halfway, run, expected, got):
    path = checkpoints.save(tmp_path, halfway, RUN)
    message = f"expected a checkpoint of .*{expected}, got {path} of .*{got} instead"
    with pytest.raises(ValueError, match=message):
        checkpoints.restore(tmp_path, first(), run)


@pytest.mark.message
@pytest.mark.parametrize(
    ("other", "expected", "got"),
    [
        (started(params=WIDER), r"\(12, 9\)", r"\(12, 8\)"),
        (started(optimizer=optax.sgd(0.1)), "no .opt_state", "float32"),
        (started(key=jax.random.key(0, impl="rbg")), "key<rbg>", "key<fry>"),
        (started(averages=()), "no .model_state", "float32"),
    ],
    ids=["shape", "optimizer", "key", "state"],
)
def test_another_structure_is_refused_showing_both(
    tmp_path, halfway, other, expected, got
):
    path = checkpoints.save(tmp_path, halfway, RUN)
    with pytest.raises(ValueError, match=f"expected .*{expected}.*, got {path}.*{got}"):
        checkpoints.restore(tmp_path, training.Progress(other), RUN)


# Damage


def flipped(data, rng):
    data = bytearray(data)
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(data)


def truncated(data, rng):
    return data[: rng.integers(len(data))]


def extended(data, rng):
    return data + rng.bytes(int(rng.integers(1, 100)))


def zeroed(data, rng):
    start = int(rng.integers(len(data) - 600))
    return data[:start] + bytes(512) + data[start + 512 :]


def moved(data, rng):
    start = int(rng.integers(1, len(data)))
    return data[start:] + data[:start]


def foreign(data, rng):
    return rng.bytes(int(rng.integers(0, len(data))))


MUTATORS = [flipped, flipped, flipped, truncated, extended, zeroed, moved, foreign]


@pytest.mark.message
def test_no_mutated_checkpoint_is_read(tmp_path, halfway):
    path = checkpoints.save(tmp_path, halfway, RUN)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    mutants = {mutate(data, rng) for mutate in MUTATORS for _ in range(40)}
    mutants.discard(data)
    # Also each byte at the start and the end of the archive.
    for place in (*range(64), *range(len(data) - 160, len(data))):
        mutants.add(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert len(mutants) > 400
    for mutant in mutants:
        path.write_bytes(mutant)
        with pytest.raises(checkpoints.Damaged, match=f"{path} is damaged"):
            checkpoints.restore(tmp_path, first(), RUN)
    path.write_bytes(data)
    assert checkpoints.restore(tmp_path, first(), RUN) is not None


def test_an_older_checkpoint_replaces_a_damaged_one(tmp_path, whole):
    for progress in advance(first(), epochs=2, save_every=2):
        checkpoints.save(tmp_path, progress, RUN, keep=3)
    newest, middle, oldest = checkpoints.paths(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-1])
    middle.write_bytes(b"")
    restored = checkpoints.restore(tmp_path, first(), RUN)
    assert restored is not None
    assert restored.path == oldest
    assert [line.split()[0] for line in restored.damaged] == [str(newest), str(middle)]
    # The damaged files are newer, and must not displace those written from now on.
    last = restored.progress
    for last in advance(restored.progress, save_every=1):
        checkpoints.save(tmp_path, last, RUN, keep=2)
        again = checkpoints.restore(tmp_path, first(), RUN)
        assert again is not None
        assert again.progress.state.step == last.state.step
    assert reproducible(last) == whole


@pytest.mark.message
def test_if_all_are_damaged_each_is_named(tmp_path, halfway):
    paths = [checkpoints.save(tmp_path, p, RUN) for p in (at_step(1), halfway)]
    for path in paths:
        path.write_bytes(b"nothing of it")
    with pytest.raises(checkpoints.Damaged) as fault:
        checkpoints.restore(tmp_path, first(), RUN)
    assert all(str(path) in str(fault.value) for path in paths)


@pytest.mark.message
def test_a_renamed_checkpoint_is_damaged(tmp_path, halfway):
    path = checkpoints.save(tmp_path, halfway, RUN)
    path.rename(tmp_path / "step-000000099.npz")
    with pytest.raises(checkpoints.Damaged, match=f"099.npz.*step {STEPS + 2}"):
        checkpoints.restore(tmp_path, first(), RUN)


@pytest.mark.message
def test_an_intact_archive_that_is_not_a_checkpoint(tmp_path):
    path = tmp_path / "step-000000001.npz"
    _archive.write(path, {"a": np.zeros(3)})
    with pytest.raises(checkpoints.Damaged, match=f"{path} is not a checkpoint"):
        checkpoints.restore(tmp_path, first(), RUN)
    _archive.write(path, {"header": np.array(json.dumps({"format": 2}))})
    with pytest.raises(ValueError, match=f"{path} of format 1, got format 2"):
        checkpoints.restore(tmp_path, first(), RUN)
