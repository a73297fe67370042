"""Labelled images as NumPy arrays: MNIST, scikit-learn's digits, or your own.

Where PyTorch has a Dataset class, transforms and a DataLoader, here a data set is its
arrays: uint8 images and int32 labels, split for training and testing. Cutting batches
is indexing, and scaling the pixels is the model's first line.

    dataset = load("mnist", "folder/of/the/four/files")    # or JAXGRAD_DATA_DIR
    dataset = load("auto")        # MNIST if it can be had, else the digits; it says so
    print(dataset)
"""

import os
from pathlib import Path
from typing import Literal

import numpy as np

from jaxgrad._checks import check_choice
from jaxgrad.mnist import _download
from jaxgrad.mnist._arrays import from_arrays as from_arrays
from jaxgrad.mnist._dataset import Dataset as Dataset
from jaxgrad.mnist._dataset import Split as Split
from jaxgrad.mnist._extras import require
from jaxgrad.mnist._files import CLASSES, files_in, read_mnist
from jaxgrad.mnist._idx import read_idx as read_idx

NAMES = ("mnist", "digits", "auto")
VARIABLE = "JAXGRAD_DATA_DIR"


def load(
    name: Literal["mnist", "digits", "auto"],
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """A data set by its name.

    - "mnist": 60,000 + 10,000 handwritten digits of 28 x 28 pixels. They are read from
      the folder `data_dir` or, without it, from the folder that the environment
      variable JAXGRAD_DATA_DIR names: the four files of MNIST, packed (.gz) or not,
      checksums compared (torchvision keeps them in `MNIST/raw`). Without a folder they
      come from the download cache of tensorflow-datasets, which downloads them once
      (11 MB); TensorFlow is not needed.
    - "digits": 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn.
      They stand there in runs of ten; every fifth run is for testing (1,440 training
      and 357 test images, by the same writers).
    - "auto": MNIST, or the digits if there is neither a folder nor a cache nor a
      network; `source` says so, with the reason.

    A folder that was named and is missing, incomplete or damaged is an error, for
    "auto" as well.

    Args:
        name: "mnist", "digits" or "auto".
        data_dir: The folder of the four files of MNIST; not for "digits".

    Returns:
        The data set; `name` is "mnist" or "digits".

    Raises:
        ValueError: If `name` is unknown, a file is not MNIST's, or `data_dir` is given
            for the digits.
        OSError: If a folder or file is missing or unreadable (FileNotFoundError,
            NotADirectoryError ...), or MNIST cannot be downloaded (ConnectionError).
        ImportError: If the package that brings the data set is not installed.

    Examples:
        >>> load("digits").train.images.shape
        (1440, 8, 8)

    Torch: `torchvision.datasets.MNIST`.
    """
    check_choice("load", "name", name, NAMES)
    if name == "digits":
        if data_dir is not None:
            raise ValueError(
                "load: expected data_dir with MNIST only (the digits come with "
                f"scikit-learn), got {os.fspath(data_dir)} instead."
            )
        return _digits()
    if data_dir is not None:
        return _mnist_from_folder(data_dir, "data_dir")
    if folder := os.environ.get(VARIABLE):
        return _mnist_from_folder(folder, VARIABLE)
    return _mnist_from_tfds() if name == "mnist" else _mnist_or_digits()


def _mnist_from_folder(folder: str | os.PathLike[str], origin: str) -> Dataset:
    path = Path(folder).expanduser()
    files = files_in(path, origin)
    return _mnist(files, f"the files in {path}", "For other images see from_arrays.")


def _mnist_from_tfds() -> Dataset:
    try:
        files = _download.cached_files()
    except _download.Unavailable as fault:
        raise ConnectionError(
            f"load: expected MNIST from the network, got {fault} instead; give the "
            f"folder of its four files as data_dir (--data-dir) or in {VARIABLE}, or "
            "let tensorflow-datasets download them once with a network (its cache: "
            f"{_download.cache_folder()})."
        ) from fault
    return _mnist(
        files,
        f"tensorflow-datasets, cache {_download.cache_folder()}",
        "Delete that file to have it downloaded again.",
    )


def _mnist_or_digits() -> Dataset:
    try:
        return _mnist_from_tfds()
    except (ConnectionError, ImportError) as fault:
        # The cause is the reason in a few words, without the advice.
        return _digits(f", instead of MNIST: {fault.__cause__}")


def _mnist(files: dict[str, Path], source: str, remedy: str) -> Dataset:
    try:
        train, test = read_mnist(files)
    except ValueError as fault:
        raise ValueError(f"{fault} {remedy}") from fault
    return Dataset("mnist", train, test, num_classes=CLASSES, white=255, source=source)


def _digits(instead: str = "") -> Dataset:
    digits = require("load", "sklearn.datasets", "scikit-learn").load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.int32)
    is_test = np.arange(len(labels)) // 10 % 5 == 4
    return Dataset(
        name="digits",
        train=Split(images[~is_test], labels[~is_test]),
        test=Split(images[is_test], labels[is_test]),
        num_classes=10,
        white=16,
        source=f"scikit-learn's digits{instead}",
    )
