"""read_idx returns the exact array of any file, or an error that names the file."""

import gzip
import math
import os
import struct
import tracemalloc

import numpy as np
import pytest

from jaxgrad.datasets import read_idx
from tests.fake_mnist import CODES, idx_bytes

IMAGES = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))


def written(folder, data, name="file"):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize("kind", CODES)
def test_every_type_is_read_exactly(tmp_path, kind, packed):
    numbers = np.array([[0, 1, -1], [100, 2, 3]]) * (1 if kind[1] == "1" else 250)
    expected = numbers.astype(kind)
    data = idx_bytes(expected)
    path = written(tmp_path, gzip.compress(data) if packed else data)

    result = read_idx(path)

    assert result.dtype == np.dtype(kind)
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (1,) * 64, (3, 1, 2, 1)])
def test_unusual_shapes_are_read(tmp_path, shape):
    expected = np.ones(shape, np.int16)
    np.testing.assert_array_equal(
        read_idx(written(tmp_path, idx_bytes(expected))), expected
    )


def test_the_content_decides_whether_a_file_is_gzipped(tmp_path):
    raw = written(tmp_path, IMAGES, "raw.gz")
    packed = written(tmp_path, gzip.compress(IMAGES), "packed")
    np.testing.assert_array_equal(read_idx(raw), read_idx(str(packed)))


def test_the_array_is_new_and_writable(tmp_path):
    array = read_idx(written(tmp_path, IMAGES))
    array[:] = 0
    assert read_idx(tmp_path / "file").max() == 23


def header(code, *lengths, axes=None):
    axes = len(lengths) if axes is None else axes
    return struct.pack(f">HBB{len(lengths)}I", 0, code, axes, *lengths)


HOSTILE = {
    "empty": (b"", "b''"),
    "two bytes": (b"\0\0", "begin like an IDX file"),
    "text": (b"<!DOCTYPE html>", "begin like an IDX file"),
    "pickle": (b"\x80\x04\x95\x00\x00\x00\x00", "begin like an IDX file"),
    "unknown type": (header(0x0A, 3) + b"abc", "type code"),
    "no axis": (header(8) + b"a", "1 to 64 axes, got 0"),
    "too many axes": (header(8, *[1] * 65) + b"a", "1 to 64 axes, got 65"),
    "cut lengths": (header(8, 3, axes=3), "lengths of 3 axes"),
    "cut data": (IMAGES[:-1], "hold 24 bytes .* got 23 "),
    "trailing byte": (IMAGES + b"\0", "hold 24 bytes .* got more"),
    "huge header": (header(8, *[2**32 - 1] * 3), "max_bytes"),
    "255 huge axes": (header(8, *[2**32 - 1] * 64), "with 64 axes"),
    "huge axes and an empty one": (header(14, 0, 2**32 - 1, 2**32 - 1), "max_bytes"),
    "promise of 1 GiB": (header(8, 2**30), "got 0 instead"),
    "gz of nothing": (gzip.compress(b""), "begin like an IDX file"),
    "gz in gz": (gzip.compress(gzip.compress(IMAGES)), "begin like an IDX file"),
    "only gz magic": (b"\x1f\x8b", "whole gzip file"),
    "cut gz": (gzip.compress(IMAGES)[:-9], "whole gzip file"),
    "gz without its end": (gzip.compress(IMAGES)[:-8], "whole gzip file"),
    "gz, then junk": (gzip.compress(IMAGES) + b"junk", "whole gzip file"),
    "gz, then more": (gzip.compress(IMAGES) * 2, "got more"),
    "wrong gz checksum": (gzip.compress(IMAGES)[:-8] + b"\1" * 8, "whole gzip file"),
}


@pytest.mark.message
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_with_its_name_and_fault(tmp_path, case):
    data, fault = HOSTILE[case]
    path = written(tmp_path, data)
    with pytest.raises(ValueError, match=fault) as error:
        read_idx(path)
    message = str(error.value)
    assert message.startswith(f"read_idx: expected {path} to ")
    assert message.endswith(" instead.")
    assert len(message) - len(str(path)) < 250


def peak_of(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_header_alone_allocates_no_memory(tmp_path):
    path = written(tmp_path, header(8, 2**30) + bytes(100))

    def refuse():
        with pytest.raises(ValueError, match="got 100 "):
            read_idx(path)

    assert peak_of(refuse) < 10 * 2**20


@pytest.mark.parametrize("promised", [100, 2**40])
def test_a_gzip_bomb_is_not_unpacked(tmp_path, promised):
    lengths = (promised,) if promised < 2**32 else (2**20, 2**20)
    bomb = gzip.compress(header(8, *lengths) + bytes(64 * 2**20), 1)
    path = written(tmp_path, bomb)

    def refuse():
        with pytest.raises(ValueError, match=r"got more|max_bytes"):
            read_idx(path)

    assert peak_of(refuse) < 10 * 2**20


@pytest.mark.message
def test_the_limit_is_an_option(tmp_path):
    path = written(tmp_path, IMAGES)
    assert read_idx(path, max_bytes=24).size == 24
    with pytest.raises(ValueError, match="hold at most 23 bytes"):
        read_idx(path, max_bytes=23)
    with pytest.raises(ValueError, match="expected max_bytes >= 1, got 0"):
        read_idx(path, max_bytes=0)


@pytest.mark.message
def test_anything_but_a_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} to be a file, got a folder"):
        read_idx(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent to be a file, got nothing"):
        read_idx(tmp_path / "absent")
    with pytest.raises(ValueError, match="a device or a pipe"):
        read_idx("/dev/zero")


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError):
        read_idx(tmp_path / "pipe")


# --- mutations ---------------------------------------------------------------------


def understood(data):
    """The array of the bytes, or None; shares no code with the library."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except Exception:
            return None
    if len(data) < 4 or data[0] or data[1] or not data[3]:
        return None
    kind = {code: kind for kind, code in CODES.items()}.get(data[2])
    start = 4 + 4 * data[3]
    if kind is None or len(data) < start or data[3] > 64:
        return None
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    entries = math.prod(shape), math.prod(max(length, 1) for length in shape)
    size, least_size = (int(kind[1]) * count for count in entries)
    if len(data) - start != size or least_size > 2**30:
        return None
    return np.frombuffer(data[start:], f">{kind}").reshape(shape).astype(kind)


def mutated(rng, data):
    """One to three edits: a bit, a byte, a cut, something added, repeated or lost."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        # Half of the edits hit the header, where they do the most harm.
        end = len(data) if rng.random() < 0.5 else min(len(data), 20)
        at, length = int(rng.integers(end)), int(rng.integers(1, 9))
        match rng.integers(6):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at] = rng.choice([0, 1, 8, 14, 64, 127, 255])
            case 2:
                del data[at:]
            case 3:
                data[at:at] = rng.bytes(length)
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                del data[at : at + length]
        data = data or bytearray(1)
    return bytes(data)


def test_a_mutated_file_is_read_exactly_or_refused(tmp_path):
    rng = np.random.default_rng(2024)
    sources = [
        idx_bytes(rng.integers(0, 100, (5, 2, 3)).astype(kind)) for kind in CODES
    ]
    sources += [gzip.compress(data, mtime=0) for data in sources]
    outcomes = {"read": 0, "refused": 0}
    for i in range(1500):
        data = mutated(rng, sources[i % len(sources)])
        path = written(tmp_path, data, f"mutant{i}")
        expected = understood(data)
        try:
            result = read_idx(path)
        except ValueError as fault:
            assert expected is None, f"refused a valid file: {fault}\n{data!r}"
            assert str(path) in str(fault)
            outcomes["refused"] += 1
        else:
            assert expected is not None, f"accepted {data!r}"
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)
            outcomes["read"] += 1
        path.unlink()
    assert outcomes["refused"] > 500
    assert outcomes["read"] > 50
