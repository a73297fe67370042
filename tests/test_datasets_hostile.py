"""A folder with one hostile file: `load` names that file, or the file is MNIST.

Seeded mutations of each of the four files of a small MNIST, packed and unpacked. A file
that unpacks to the canonical bytes is MNIST, whatever its gzip header says.
"""

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from jaxgrad.datasets import load, read_idx
from tests.fake_mnist import accept, arrays_of, fake_files, idx_bytes, write

FILES = fake_files()
ARRAYS = arrays_of(FILES)
NAMES = tuple(FILES)
KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
PER_KIND = 15  # mutants of each kind for each file, packed and unpacked


def flipped(rng, data, start, end):
    """One to four bits in data[start:end]."""
    data = bytearray(data)
    for at in rng.integers(start, end, rng.integers(1, 5)):
        data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


def flip_header(rng, data):
    return flipped(rng, data, 0, 4 + 4 * data[3])


def flip_body(rng, data):
    return flipped(rng, data, 4 + 4 * data[3], len(data))


def truncate(rng, data):
    return data[: rng.integers(len(data))]


def extend(rng, data):
    return data + rng.bytes(rng.integers(1, 100))


def lie_about_the_length(rng, data):
    """A header that promises up to 2^31 images, or fewer than there are."""
    lengths = [0, 1, 19, 21, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
    return data[:4] + struct.pack(">I", int(rng.choice(lengths))) + data[8:]


def change_the_type(rng, data):
    return data[:2] + bytes([rng.choice([0, 7, 9, 10, 11, 12, 13, 14, 255])]) + data[3:]


def change_the_axes(rng, data):
    axes = int(rng.choice([i for i in range(256) if i != data[3]]))
    return data[:3] + bytes([axes]) + data[4:]


def swap(rng, data):
    return FILES[rng.choice([name for name in NAMES if FILES[name] != data])]


def overwrite(rng, data):
    """Replace a run of bytes by noise."""
    at, noise = int(rng.integers(len(data))), rng.bytes(rng.integers(1, 40))
    return data[:at] + noise + data[at + len(noise) :]


MUTATIONS = (
    flip_header,
    flip_body,
    truncate,
    extend,
    lie_about_the_length,
    change_the_type,
    change_the_axes,
    swap,
    overwrite,
)


def unpacked(data):
    """The bytes, gunzipped if gzipped; None if the gzip file is incomplete."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


def corrupt_gzip(rng, data):
    """A fault in the packed file itself."""
    packed = gzip.compress(data, mtime=0)
    return MUTATIONS_OF_GZIP[rng.integers(len(MUTATIONS_OF_GZIP))](rng, packed)


MUTATIONS_OF_GZIP = (
    lambda rng, packed: flipped(rng, packed, 0, 10),
    lambda rng, packed: flipped(rng, packed, 10, len(packed)),
    lambda rng, packed: flipped(rng, packed, len(packed) - 8, len(packed)),
    truncate,
    extend,
    lambda rng, packed: packed + packed,
    lambda rng, packed: gzip.compress(packed),
    lambda rng, packed: packed[:-8],
    lambda rng, packed: packed + gzip.compress(b"", mtime=int(rng.integers(2**31))),
)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A folder with a small MNIST that `load` accepts as MNIST."""
    accept(monkeypatch, FILES)
    write(tmp_path, FILES, packed=False)
    return tmp_path


def is_mnist(dataset):
    read = {
        f"{part}-{what}": array
        for part, split in (("train", dataset.train), ("t10k", dataset.test))
        for what, array in zip(KINDS, split, strict=True)
    }
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)


def outcome(folder, name, data):
    """Load with one file replaced: "read" as MNIST, or "refused" by its name."""
    path = folder / name
    path.write_bytes(data)
    try:
        dataset = load("mnist", folder)
    except ValueError as fault:
        assert unpacked(data) != FILES[name], f"refused MNIST: {fault}"
        assert str(path) in str(fault)
        assert "\n" not in str(fault)
        return "refused"
    finally:
        path.write_bytes(FILES[name])
    assert unpacked(data) == FILES[name], f"accepted as {name}: {data!r}"
    is_mnist(dataset)
    return "read"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda f: f.__name__)
def test_a_mutated_file_of_mnist_is_refused_by_name(folder, mutation):
    rng = np.random.default_rng(1)
    outcomes = []
    for name in NAMES:
        for i in range(PER_KIND):
            data = mutation(rng, FILES[name])
            packed = gzip.compress(data, mtime=0) if i % 2 else data
            outcomes.append(outcome(folder, name, packed))
    assert len(outcomes) == 4 * PER_KIND
    assert outcomes.count("refused") >= 4 * PER_KIND - 5  # two flips may cancel out


def test_a_corrupt_gzip_is_refused_by_name_unless_it_unpacks_to_mnist(folder):
    rng = np.random.default_rng(2)
    outcomes = [
        outcome(folder, name, corrupt_gzip(rng, FILES[name]))
        for name in NAMES
        for _ in range(4 * PER_KIND)
    ]
    assert outcomes.count("refused") > 150
    assert outcomes.count("read") > 5  # a flipped time stamp, an empty second member


def test_a_flipped_body_without_a_known_checksum_is_read_exactly(tmp_path):
    rng = np.random.default_rng(3)
    for i in range(60):
        name = NAMES[i % 4]
        data = flip_body(rng, FILES[name])
        path = tmp_path / f"mutant{i}"
        path.write_bytes(gzip.compress(data) if i % 3 == 0 else data)
        start = 4 + 4 * data[3]
        expected = np.frombuffer(data[start:], np.uint8).reshape(ARRAYS[name].shape)
        np.testing.assert_array_equal(read_idx(path), expected)


def as_folder(path):
    path.mkdir()


def as_folder_of_itself(path):
    """NAME/NAME, as some unpacking programs leave it."""
    path.mkdir()
    (path / path.name).write_bytes(FILES[path.name])


def as_nothing(path):
    path.touch()


def as_pipe(path):
    os.mkfifo(path)


def as_device(path):
    path.symlink_to("/dev/zero")


def as_link_to_a_folder(path):
    path.symlink_to(path.parent)


def as_link_to_another_file(path):
    other = next(name for name in NAMES if name != path.name)
    path.symlink_to(path.parent / other)


@pytest.mark.message
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "put",
    [
        as_folder,
        as_folder_of_itself,
        as_nothing,
        as_pipe,
        as_device,
        as_link_to_a_folder,
        as_link_to_another_file,
    ],
    ids=lambda f: f.__name__,
)
def test_anything_but_a_regular_file_is_refused_by_name(folder, name, put):
    path = folder / name
    path.unlink()
    put(path)
    with pytest.raises(ValueError) as error:
        load("mnist", folder)
    assert str(path) in str(error.value)


def dangling(path):
    path.symlink_to(path.parent / "gone")


def circular(path):
    path.symlink_to(path)


def misnamed(path):
    (path.parent / f"{path.name}.bak").write_bytes(FILES[path.name])


@pytest.mark.message
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("put", [dangling, circular, misnamed])
def test_a_missing_file_is_named(folder, name, put):
    path = folder / name
    path.unlink()
    put(path)
    with pytest.raises(FileNotFoundError, match=f"{folder} without {name}"):
        load("auto", folder)


def test_a_link_to_the_right_file_is_read(folder, tmp_path):
    path = folder / NAMES[0]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    is_mnist(load("mnist", folder))


def test_swapped_files_are_refused(folder):
    """Training and test images swapped: both are valid IDX files."""
    for one, other in ((0, 2), (1, 3), (0, 1)):
        outcome(folder, NAMES[one], FILES[NAMES[other]])
        outcome(folder, NAMES[other], FILES[NAMES[one]])


def test_other_numbers_of_the_right_shape_are_not_mnist(folder):
    """Fashion-MNIST has MNIST's names and shapes."""
    rng = np.random.default_rng(4)
    for name, array in ARRAYS.items():
        for _ in range(10):
            other = rng.integers(0, 10, array.shape, np.uint8)
            assert outcome(folder, name, idx_bytes(other)) == "refused"


@pytest.mark.mnist
def test_one_flipped_bit_in_the_real_files_is_refused(tmp_path):
    real = Path(os.environ["JAXGRAD_DATA_DIR"])
    rng = np.random.default_rng(5)
    for file in real.glob("*-ubyte*"):
        (tmp_path / file.name).symlink_to(file)
    for name in NAMES:
        packed = real / f"{name}.gz"
        data = unpacked((packed if packed.exists() else real / name).read_bytes())
        path = tmp_path / name  # the unpacked one goes before the packed one
        path.unlink(missing_ok=True)
        path.write_bytes(flip_body(rng, data))
        with pytest.raises(ValueError, match=rf"{name} .*(SHA-256|in \[0, 9\])"):
            load("mnist", tmp_path)
        path.write_bytes(data or b"")
    assert load("mnist", tmp_path).train.images.shape == (60000, 28, 28)
