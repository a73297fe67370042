"""A data set of labelled grey images: two splits, and what their numbers mean."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from jaxgrad._checks import check_int, check_range, wrong_type, wrong_value


class Split(NamedTuple):
    """Images and their labels; a pytree, so `jax.tree.map` can cut out a batch."""

    images: UInt8[np.ndarray, "n height width"]  # 0 is black, `Dataset.white` white
    labels: Int32[np.ndarray, "n"]  # in [0, num_classes)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled grey images as they are stored: scaling them is part of the model.

    Attributes:
        name: A short name, such as "mnist".
        train: The training images.
        test: The test images.
        num_classes: The number of classes; labels are in `[0, num_classes)`.
        white: The pixel value that means 1.0, in [1, 255]: 255 for MNIST.
        source: One line on where the images come from.

    Raises:
        TypeError: If an array is not a NumPy array or has another dtype.
        ValueError: If shapes disagree, a split is empty, a label is outside
            `[0, num_classes)` or a pixel is above `white`.
    """

    name: str
    train: Split
    test: Split
    num_classes: int
    white: int
    source: str

    def __post_init__(self):
        check_int("Dataset", "num_classes", self.num_classes, least=1)
        check_int("Dataset", "white", self.white, least=1)
        check_range("Dataset", "white", self.white, most=255)
        for part, split in (("train", self.train), ("test", self.test)):
            _check_array(f"{part}.images", split.images, np.dtype(np.uint8), 3)
            _check_array(f"{part}.labels", split.labels, np.dtype(np.int32), 1)
            _check_values(part, split, self.num_classes, self.white)
        if self.test.images.shape[1:] != self.train.images.shape[1:]:
            raise wrong_value(
                "Dataset",
                f"test.images of {_size(self.train)} pixels as train.images",
                f"{_size(self.test)} pixels",
            )

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.train.labels):,} training and "
            f"{len(self.test.labels):,} test images of {_size(self.train)} pixels, "
            f"{self.num_classes} classes ({self.source})"
        )

    def __repr__(self) -> str:
        return f"<Dataset {self}>"

    def sha256(self) -> str:
        """SHA-256 of the images and labels; the name and the source do not count."""
        digest = hashlib.sha256(f"{self.num_classes} {self.white}".encode())
        for array in (*self.train, *self.test):
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _check_array(argument: str, array: np.ndarray, dtype: np.dtype, ndim: int) -> None:
    if not isinstance(array, np.ndarray):
        expected = f"{argument} to be a NumPy array"
        raise wrong_type("Dataset", expected, type(array).__name__)
    if array.dtype != dtype:
        raise wrong_type("Dataset", f"{argument} of dtype {dtype}", array.dtype)
    if array.ndim != ndim or not array.size:
        axes = "(n, height, width)" if ndim == 3 else "(n,)"
        expected = f"{argument} of shape {axes}, not empty"
        raise wrong_value("Dataset", expected, f"shape {array.shape}")


def _check_values(part: str, split: Split, num_classes: int, white: int) -> None:
    images, labels = split
    if len(images) != len(labels):
        raise wrong_value(
            "Dataset",
            f"one label for each of the {len(images)} {part}.images",
            f"{len(labels)} {part}.labels",
        )
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        expected = f"{part}.labels in [0, {num_classes - 1}]"
        raise wrong_value("Dataset", expected, wrong[0])
    brightest = images.max()
    if brightest > white:
        expected = f"{part}.images in [0, {white}] (white)"
        raise wrong_value("Dataset", expected, brightest)


def _size(split: Split) -> str:
    height, width = split.images.shape[1:]
    return f"{height} x {width}"
