"""A data set of labelled grey images: two splits, and what their numbers mean."""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int32, Shaped, UInt8

from jaxgrad._checks import (
    check_entries,
    check_int,
    check_range,
    check_shape,
    wrong_type,
    wrong_value,
)
from jaxgrad._display import fields_html, short_repr, table
from jaxgrad._types import ArrayLike, PRNGKey


class Split(NamedTuple):
    """Images and their labels; a pytree, so `jax.tree.map` can cut out a batch."""

    images: UInt8[np.ndarray, "n height width"]  # 0 is black, `Dataset.white` white
    labels: Int32[np.ndarray, "n"]  # in [0, num_classes)

    __repr__ = short_repr
    _repr_html_ = fields_html


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
        for part, (images, labels) in (("train", self.train), ("test", self.test)):
            _check_array(f"{part}.images", images, np.uint8, "(n, height, width)")
            _check_array(f"{part}.labels", labels, np.int32, "(n,)")
            why = f"one for each of the {part}.images"
            check_shape("Dataset", f"{part}.labels", labels, images.shape[:1], why)
            most = self.num_classes - 1
            check_entries("Dataset", f"{part}.labels", labels, 0, most)
            check_entries("Dataset", f"{part}.images", images, 0, self.white)
        if self.test.images.shape[1:] != self.train.images.shape[1:]:
            expected = f"test.images of {_size(self.train)} pixels as train.images"
            raise wrong_value("Dataset", expected, f"{_size(self.test)} pixels")

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.train.labels):,} training and "
            f"{len(self.test.labels):,} test images of {_size(self.train)} pixels, "
            f"{self.num_classes} classes ({self.source})"
        )

    def __repr__(self) -> str:
        return f"<Dataset {self}>"

    def _repr_html_(self) -> str:
        counts = [
            np.bincount(labels, minlength=self.num_classes)
            for _, labels in (self.train, self.test)
        ]
        rows = zip(range(self.num_classes), *counts, strict=True)
        return table(str(self), ("class", "training images", "test images"), rows)

    def sha256(self) -> str:
        """SHA-256 of the images and labels; the name and the source do not count."""
        digest = hashlib.sha256(f"{self.num_classes} {self.white}".encode())
        for array in (*self.train, *self.test):
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _size(split: Split) -> str:
    height, width = split.images.shape[1:]
    return f"{height} x {width}"


def _check_array(argument: str, array: np.ndarray, dtype: Any, axes: str) -> None:
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise wrong_type("Dataset", f"{argument} to be a NumPy array", kind)
    if array.dtype != dtype:
        raise wrong_type(
            "Dataset", f"{argument} of dtype {np.dtype(dtype)}", array.dtype
        )
    if array.ndim != len(axes.split()) or not array.size:
        expected = f"{argument} of shape {axes}, not empty"
        raise wrong_value("Dataset", expected, f"shape {array.shape}")


def from_arrays(
    images: Shaped[ArrayLike, "n height width"],
    labels: Shaped[ArrayLike, "n"],
    *,
    key: PRNGKey,
    test_fraction: float = 0.2,
    num_classes: int | None = None,
    white: int = 255,
    name: str = "arrays",
) -> Dataset:
    """Shuffle images and labels and split them for training and testing.

    Args:
        images: Grey images: uint8 in [0, white], or float32 or float64 pixels that were
            divided by `white`, as torchvision's `ToTensor` does; these are converted
            back to uint8. Other floats are refused rather than rounded.
        labels: Integers in `[0, num_classes)`.
        key: The random key of the shuffle.
        test_fraction: The share of test images, in (0, 1), rounded to whole images with
            at least one on each side.
        num_classes: The number of classes; by default the largest label plus 1.
        white: The pixel value that means 1.0, in [1, 255].
        name: The name of the data set.

    Returns:
        The data set; it holds each image once.

    Raises:
        TypeError: If images or labels have another dtype.
        ValueError: If shapes, values or options do not fit.

    Examples:
        >>> images = np.zeros((10, 8, 8), np.uint8)
        >>> print(from_arrays(images, np.arange(10), key=jax.random.key(0)))
        arrays: 8 training and 2 test images of 8 x 8 pixels, 10 classes (your arrays)

    Torch: `torch.utils.data.TensorDataset` with `random_split`.
    """
    white = check_int("from_arrays", "white", white, least=1)
    pixels = _as_pixels(np.asarray(images), white)
    classes = _as_labels(np.asarray(labels), len(pixels))
    if not 0 < test_fraction < 1:
        expected = "test_fraction between 0 and 1"
        raise wrong_value("from_arrays", expected, test_fraction)
    if len(pixels) < 2:
        raise wrong_value("from_arrays", "at least 2 images to split", len(pixels))
    if not isinstance(key, jax.Array):
        expected = "key to be a random key such as jax.random.key(0)"
        raise wrong_type("from_arrays", expected, type(key).__name__)
    test_size = min(max(round(test_fraction * len(pixels)), 1), len(pixels) - 1)
    order = np.asarray(jax.random.permutation(key, len(pixels)))
    test, train = (Split(pixels[i], classes[i]) for i in np.split(order, [test_size]))
    count = int(classes.max()) + 1 if num_classes is None else num_classes
    return Dataset(name, train, test, count, white, source="your arrays")


def _as_pixels(images: np.ndarray, white: int) -> np.ndarray:
    if images.ndim != 3:
        expected = "images of shape (n, height, width)"
        raise wrong_value("from_arrays", expected, f"shape {images.shape}")
    if images.dtype == np.uint8:
        return images
    if images.dtype not in (np.float32, np.float64):
        expected = "images of dtype uint8, float32 or float64"
        raise wrong_type("from_arrays", expected, images.dtype)
    check_entries("from_arrays", "float images", images, 0, 1)
    scaled = images.astype(np.float64) * white
    pixels = np.rint(scaled)
    # Allow a few roundings of this dtype: the division may multiply by a reciprocal.
    near = np.isclose(scaled, pixels, rtol=4 * np.finfo(images.dtype).eps, atol=0)
    if not near.all():
        expected = f"float images to hold pixels divided by {white} (white)"
        hint = f"to round them pass np.rint(images * {white}).astype(np.uint8)"
        raise wrong_value("from_arrays", expected, images[~near][0], hint)
    return pixels.astype(np.uint8)


def _as_labels(labels: np.ndarray, count: int) -> np.ndarray:
    if not np.issubdtype(labels.dtype, np.integer):
        raise wrong_type("from_arrays", "labels of an integer dtype", labels.dtype)
    check_shape("from_arrays", "labels", labels, (count,), "one for each image")
    check_entries("from_arrays", "labels", labels, 0, np.iinfo(np.int32).max)
    return labels.astype(np.int32)
