"""Make a data set from your own images and labels."""

import jax
import numpy as np
from jaxtyping import Shaped

from jaxgrad._checks import check_int, wrong_type, wrong_value
from jaxgrad._types import ArrayLike, PRNGKey
from jaxgrad.datasets._dataset import Dataset, Split


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
    check_int("from_arrays", "white", white, least=1)
    pixels = _as_pixels(np.asarray(images), white)
    classes = _as_labels(np.asarray(labels), len(pixels))
    test_size = _test_size(test_fraction, len(pixels))
    if not isinstance(key, jax.Array):
        expected = "key to be a random key such as jax.random.key(0)"
        raise wrong_type("from_arrays", expected, type(key).__name__)
    order = np.asarray(jax.random.permutation(key, len(pixels)))
    test, train = np.split(order, [test_size])
    return Dataset(
        name=name,
        train=Split(pixels[train], classes[train]),
        test=Split(pixels[test], classes[test]),
        num_classes=int(classes.max()) + 1 if num_classes is None else num_classes,
        white=white,
        source="your arrays",
    )


def _as_pixels(images: np.ndarray, white: int) -> np.ndarray:
    if images.ndim != 3:
        expected = "images of shape (n, height, width)"
        raise wrong_value("from_arrays", expected, f"shape {images.shape}")
    if images.dtype == np.uint8:
        return images
    if images.dtype not in (np.float32, np.float64):
        expected = "images of dtype uint8, float32 or float64"
        raise wrong_type("from_arrays", expected, images.dtype)
    wrong = images[~((images >= 0) & (images <= 1))]  # NaN is outside, too
    if wrong.size:
        raise wrong_value("from_arrays", "float images in [0, 1]", wrong[0])
    scaled = images.astype(np.float64) * white
    pixels = np.rint(scaled)
    # Allow a few roundings of this dtype: the division may multiply by a reciprocal.
    near = np.isclose(scaled, pixels, rtol=4 * np.finfo(images.dtype).eps, atol=0)
    wrong = images[~near]
    if wrong.size:
        expected = f"float images to hold pixels divided by {white} (white)"
        hint = f"to round them pass np.rint(images * {white}).astype(np.uint8)"
        raise wrong_value("from_arrays", expected, wrong[0], hint)
    return pixels.astype(np.uint8)


def _as_labels(labels: np.ndarray, count: int) -> np.ndarray:
    if not np.issubdtype(labels.dtype, np.integer):
        raise wrong_type("from_arrays", "labels of an integer dtype", labels.dtype)
    if labels.shape != (count,):
        expected = f"labels of shape {(count,)}, one for each image"
        raise wrong_value("from_arrays", expected, f"shape {labels.shape}")
    most = np.iinfo(np.int32).max
    wrong = labels[(labels < 0) | (labels > most)]
    if wrong.size:
        raise wrong_value("from_arrays", f"labels in [0, {most}]", wrong[0])
    return labels.astype(np.int32)


def _test_size(test_fraction: float, count: int) -> int:
    if not 0 < test_fraction < 1:
        expected = "test_fraction between 0 and 1"
        raise wrong_value("from_arrays", expected, test_fraction)
    if count < 2:
        raise wrong_value("from_arrays", "at least 2 images to split", count)
    return min(max(round(test_fraction * count), 1), count - 1)
