"""Load a data set by its name, from a folder, a cache or a package."""

import os
from pathlib import Path
from typing import Literal

import numpy as np

from jaxgrad._checks import check_choice, wrong_value
from jaxgrad.datasets import _tfds
from jaxgrad.datasets._dataset import Dataset, Split
from jaxgrad.datasets._extras import require
from jaxgrad.datasets._mnist import CLASSES, files_in, read_mnist
from jaxgrad.datasets._prepared import prepared_mnist, read_prepared

NAMES = ("mnist", "digits", "auto")
DATA_DIR_VARIABLE = "JAXGRAD_DATA_DIR"


def load(
    name: Literal["mnist", "digits", "auto"],
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load a data set by its name.

    - "mnist": 60,000 + 10,000 handwritten digits of 28 x 28 pixels, read from the
      folder `data_dir` or, without it, from the folder in the environment variable
      JAXGRAD_DATA_DIR: the four MNIST files, gzipped or not, with verified checksums
      (torchvision stores them in `MNIST/raw`). Without a folder they come from what
      tensorflow-datasets keeps below TFDS_DATA_DIR or the home directory: the folder
      `mnist/3.0.1` that it has prepared, or its download cache, into which they are
      downloaded once (11 MB). TensorFlow is needed only to read a prepared folder of
      tfrecord files when the cache is empty; array_record files do not need it. The
      arrays are the same in all cases, bit for bit.
    - "digits": 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn.
      Of every 50 images the last 10 are for testing (1,440 training and 357 test
      images, by the same writers).
    - "auto": MNIST, or the digits if there is no folder, no cache and no network, or a
      package is missing; `source` then gives the reason.

    A folder that is named but missing, incomplete or damaged is an error, for "auto"
    too.

    Args:
        name: "mnist", "digits" or "auto".
        data_dir: The folder of the four MNIST files; not for "digits".

    Returns:
        The data set; its `name` is "mnist" or "digits".

    Raises:
        ValueError: If `name` is unknown, a file is not one of MNIST's, or `data_dir` is
            given for the digits.
        OSError: If a folder or file is missing or unreadable (FileNotFoundError,
            NotADirectoryError ...), or MNIST cannot be downloaded (ConnectionError).
        ImportError: If the package that provides the data set is not installed, or
            TensorFlow where only it can read the prepared folder.

    Examples:
        >>> load("digits").train.images.shape
        (1440, 8, 8)

    Torch: `torchvision.datasets.MNIST`.
    """
    check_choice("load", "name", name, NAMES)
    if name == "digits":
        if data_dir is not None:
            expected = "data_dir with MNIST only (the digits come with scikit-learn)"
            raise wrong_value("load", expected, os.fspath(data_dir))
        return _digits()
    if data_dir is not None:
        return _mnist_from_folder(data_dir, "data_dir")
    if folder := os.environ.get(DATA_DIR_VARIABLE):
        return _mnist_from_folder(folder, DATA_DIR_VARIABLE)
    return _mnist_from_tfds() if name == "mnist" else _mnist_or_digits()


def _mnist_from_folder(folder: str | os.PathLike[str], origin: str) -> Dataset:
    path = Path(folder).expanduser()
    files = files_in(path, origin)
    return _mnist(files, f"the files in {path}", "For other images see from_arrays.")


def _mnist_from_tfds() -> Dataset:
    prepared = prepared_mnist()
    if prepared and not (prepared.needs_tensorflow and _tfds.is_cached()):
        source = f"tensorflow-datasets, prepared in {prepared.folder}"
        return _as_mnist(*read_prepared(prepared), source)
    try:
        files = _tfds.cached_files()
    except _tfds.Unavailable as fault:
        raise ConnectionError(
            f"load: expected MNIST from the network, got {fault} instead; pass the "
            "folder of its four files as data_dir (--data-dir) or in "
            f"{DATA_DIR_VARIABLE}, or let tensorflow-datasets download them once "
            f"with a network (its cache: {_tfds.cache_folder()})."
        ) from fault
    source = f"tensorflow-datasets, cache {_tfds.cache_folder()}"
    return _mnist(files, source, "Delete that file to download it again.")


def _mnist_or_digits() -> Dataset:
    try:
        return _mnist_from_tfds()
    except (ConnectionError, ImportError) as fault:
        # The cause is the bare reason, without the advice.
        return _digits(f", instead of MNIST: {fault.__cause__}")


def _mnist(files: dict[str, Path], source: str, remedy: str) -> Dataset:
    try:
        train, test = read_mnist(files)
    except ValueError as fault:
        raise ValueError(f"{fault} {remedy}") from fault
    return _as_mnist(train, test, source)


def _as_mnist(train: Split, test: Split, source: str) -> Dataset:
    return Dataset("mnist", train, test, num_classes=CLASSES, white=255, source=source)


def _digits(reason: str = "") -> Dataset:
    digits = require("load", "sklearn.datasets", "scikit-learn").load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.int32)
    is_test = np.arange(len(labels)) // 10 % 5 == 4
    train, test = (Split(images[part], labels[part]) for part in (~is_test, is_test))
    source = f"scikit-learn's digits{reason}"
    return Dataset("digits", train, test, num_classes=10, white=16, source=source)
