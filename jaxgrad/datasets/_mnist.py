"""The four MNIST files: their names, shapes and checksums; find them and read them.

The checksum is that of the unpacked file, so a gzipped file, an unpacked one and one
that was gzipped again are all accepted, and no other file is.
"""

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgrad._checks import wrong_value
from jaxgrad.datasets._dataset import Split
from jaxgrad.datasets._idx import read_idx


class Canonical(NamedTuple):
    """The known contents of one MNIST file; all entries are uint8."""

    shape: tuple[int, ...]
    sha256: str  # of the unpacked file: gunzip -c FILE.gz | sha256sum


_TRAIN_IMAGES = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
_TRAIN_LABELS = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
_TEST_IMAGES = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
_TEST_LABELS = "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
FILES = {
    "train-images-idx3-ubyte": Canonical((60000, 28, 28), _TRAIN_IMAGES),
    "train-labels-idx1-ubyte": Canonical((60000,), _TRAIN_LABELS),
    "t10k-images-idx3-ubyte": Canonical((10000, 28, 28), _TEST_IMAGES),
    "t10k-labels-idx1-ubyte": Canonical((10000,), _TEST_LABELS),
}
CLASSES = 10
_MOST_BYTES = 2**26  # the largest file unpacks to 47 MB


def files_in(folder: Path, origin: str) -> dict[str, Path]:
    """The MNIST files in the folder that `origin` names, if possible unpacked ones."""
    expected = f"load: expected {origin} to be a folder"
    if not folder.exists():
        raise FileNotFoundError(f"{expected}, got {folder}, which does not exist.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{expected}, got the file {folder} instead.")
    candidates = [folder / (name + end) for end in (".gz", "") for name in FILES]
    found = {p.name.removesuffix(".gz"): p for p in candidates if p.exists()}
    missing = ", ".join(name for name in FILES if name not in found)
    if missing:
        expected = f"load: expected the four MNIST files in {origin}"
        got = f"{folder} without {missing} (.gz or unpacked)"
        raise FileNotFoundError(f"{expected}, got {got} instead.")
    return found


def read_mnist(files: Mapping[str, Path]) -> tuple[Split, Split]:
    """The training and the test split; ValueError names a file that is not MNIST's."""
    train, labels, test, test_labels = (
        _read(files[name], known) for name, known in FILES.items()
    )
    return as_split(train, labels), as_split(test, test_labels)


def as_split(images: np.ndarray, labels: np.ndarray) -> Split:
    """A split of images and labels that are both stored as bytes."""
    return Split(images, labels.astype(np.int32))


def _read(path: Path, known: Canonical) -> np.ndarray:
    array = read_idx(path, max_bytes=_MOST_BYTES)
    check_array(path, array, known)
    return array


def check_array(
    path: Path, array: np.ndarray, known: Canonical, remedy: str = ""
) -> None:
    """ValueError that names `path` unless the array is the known one."""
    if array.dtype != np.uint8 or array.shape != known.shape:
        expected = f"of type uint8 and shape {known.shape}"
        got = f"{array.dtype} and {array.shape}"
    elif array.ndim == 1 and array.max() >= CLASSES:
        expected, got = f"in [0, {CLASSES - 1}]", f"a label {array.max()}"
    elif (digest := sha256(array)) != known.sha256:
        expected = f"of SHA-256 {known.sha256[:16]}... when unpacked"
        got = f"{digest[:16]}..."
    else:
        return
    raise wrong_value("load", f"{path} to hold MNIST's entries {expected}", got, remedy)


def sha256(array: np.ndarray) -> str:
    """The checksum of the IDX file that holds this array of uint8."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)
    digest = hashlib.sha256(header)
    digest.update(array.data)
    return digest.hexdigest()
