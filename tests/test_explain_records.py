"""A report that is saved and loaded is the same report; a damaged file is refused."""

import hashlib
import io
import json
import os
import sys
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import _archive, explain, explain_torch, load_record
from jaxgrad.inspection.report.html import parts


def everything(params, x, key):
    """Two results, bfloat16, integers, random keys, a branch in a loop, a NaN."""
    noise = jax.random.normal(jax.random.split(key)[0], x.shape)
    left, right = jnp.split(x * params["w"] + noise, 2)
    rows = jnp.argmax(left)

    def body(carry, i):
        return jax.lax.cond(i > 0, lambda c: c * 2, lambda c: c + 1, carry), None

    looped = jax.lax.scan(body, right.astype(jnp.bfloat16), jnp.arange(2))[0]
    loss = jnp.sum(left * rows.astype(left.dtype) + looped.astype(jnp.float32))
    return loss + jnp.sqrt(params["b"][0]), (rows, {"more": [loss, "text"]})


ARGUMENTS = (
    {"w": jnp.arange(4.0), "b": (jnp.float32(0.0), jnp.ones(2, jnp.bfloat16))},
    jnp.arange(4.0) - 1,
    jax.random.key(0),
)


@pytest.fixture(scope="module")
def report():
    return explain(everything, has_aux=True)(*ARGUMENTS)


@pytest.fixture
def path(report, tmp_path):
    report.save_record(tmp_path / "x.npz")
    return tmp_path / "x.npz"


def assert_same(got, expected):
    """The same tree, dtypes and bits."""
    got, tree = jax.tree.flatten(got)
    expected, expected_tree = jax.tree.flatten(expected)
    assert tree == expected_tree
    for a, b in zip(got, expected, strict=True):
        if isinstance(b, jax.Array) and jnp.issubdtype(b.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert getattr(a, "dtype", type(a)) == getattr(b, "dtype", type(b))
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_loaded_report_is_the_report(report, path, tmp_path):
    loaded = load_record(path)
    assert str(loaded) == str(report)
    assert parts(loaded, "", None) == parts(report, "", None)
    assert (loaded.to_svg(), loaded.to_dot()) == (report.to_svg(), report.to_dot())
    assert_same(loaded.value, report.value)
    assert_same(loaded.gradients, report.gradients)
    for ours, theirs in zip(loaded.steps, report.steps, strict=True):
        assert_same([ours.value, ours.gradient], [theirs.value, theirs.gradient])
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert (ours.source, ours.inputs, ours.loop) == (
            theirs.source,
            theirs.inputs,
            theirs.loop,
        )
        np.testing.assert_array_equal(ours.taken, theirs.taken)
    loaded.save_record(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_what_is_not_finite_is_saved_with_its_step(report, path):
    found: Any = load_record(path).nonfinite
    expected = report.nonfinite
    assert (found.phase, str(found)) == (expected.phase, str(expected))
    assert found.step.name == expected.step.name
    assert found.step.operation == "sqrt"


def test_summaries_are_kept(tmp_path):
    report = explain(lambda x: jnp.sum(x**2), keep="summary")(jnp.arange(3.0))
    report.save_record(tmp_path / "x.npz")
    loaded = load_record(tmp_path / "x.npz")
    assert [s.value for s in loaded.steps] == [s.value for s in report.steps]
    assert loaded.nonfinite is None


def test_nothing_is_pickled(path):
    with np.load(path, allow_pickle=False) as archive:
        header = json.loads(archive["header"].item())
        assert all(archive[name].dtype != object for name in archive)
    assert header["format"] == 1


@pytest.mark.message
def test_a_changed_or_cut_file_is_refused(path):
    whole = path.read_bytes()
    for place in (0, 40, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        flipped = bytes([whole[place] ^ 1])
        path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"x\.npz is damaged"):
            load_record(path)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"x\.npz is damaged"):
            load_record(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="load_record: expected a file"):
        load_record(path)


@pytest.mark.message
def test_another_kind_of_file_is_refused(path):
    np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match="is damaged"):
        load_record(path)
    text = "[" * 100_000
    for header in ({}, *({"header": np.array(x)} for x in ('{"format": 1}', text))):
        _archive.write(path, path.with_suffix(".tmp"), header)
        with pytest.raises(ValueError, match="not a record"):
            load_record(path)


@pytest.mark.message
def test_another_version_is_refused_by_name(path):
    arrays = _archive.read(path)
    header = json.loads(arrays["header"].item()) | {"format": 7}
    arrays["header"] = np.array(json.dumps(header))
    _archive.write(path, path.with_suffix(".tmp"), arrays)
    with pytest.raises(ValueError, match=r"of format 1, got format 7 instead"):
        load_record(path)


def changed(path, place, value):
    """The record with another entry in its description, under a right checksum."""
    arrays = _archive.read(path)
    header = json.loads(arrays["header"].item())
    inside = header
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    arrays["header"] = np.array(json.dumps(header))
    _archive.write(path, path.with_suffix(".tmp"), arrays)


@pytest.mark.message
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["report"], [1]),
        (["report", "value"], {"array": 0, "dtype": "object"}),
        (["report", "value"], {"array": 0, "dtype": "key:unknown"}),
        (["report", "value"], {"array": "../../etc/passwd", "dtype": "int8"}),
        (["report", "value"], {"kind": "Popen", "fields": {}}),
        (["report", "value"], {"mapping": [[[1], 2]]}),
        (["report", "value"], {}),
        (["report", "steps"], {"tuple": [1, 2]}),
        (["report", "arguments"], None),
        (["report", "name"], 7),
        (["report", "result"], 99),
        (["nonfinite"], {"phase": "forward", "step": {"step": 99}}),
    ],
)
def test_a_record_by_another_writer_is_refused(path, place, value):
    """Its checksum is right, so only its contents can tell."""
    changed(path, place, value)
    with pytest.raises(_archive.Damaged, match=r"x\.npz is not a record"):
        load_record(path)


def sealed(path, archive):
    """Write an archive with the checksum that `_archive.read` compares."""
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = b"0" * 64
    body = buffer.getvalue()[:-64]
    path.write_bytes(body + hashlib.sha256(body).hexdigest().encode())


@pytest.mark.message
def test_an_archive_that_grows_when_it_is_read_is_refused(path):
    """A compressed member of some bytes may hold gigabytes of zeros."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_archive.read(path))  # type: ignore
    sealed(path, buffer.getvalue())
    with pytest.raises(_archive.Damaged, match="a member is compressed"):
        load_record(path)
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as file:
        huge = {"descr": "<f8", "fortran_order": False, "shape": (10**14,)}
        np.lib.format.write_array_header_1_0(header := io.BytesIO(), huge)
        file.writestr("array-0.npy", header.getvalue())
    sealed(path, buffer.getvalue())
    with pytest.raises(_archive.Damaged, match="holds no arrays that jaxgrad wrote"):
        load_record(path)
    path.write_bytes(b"text" + hashlib.sha256(b"text").hexdigest().encode())
    with pytest.raises(_archive.Damaged, match="not a zip file"):
        load_record(path)


def test_a_fault_of_the_disk_leaves_the_old_record(report, path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        report.save_record(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.message
def test_without_torch_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"explain_torch: .* pip install torch\."):
        explain_torch(lambda x: x)
