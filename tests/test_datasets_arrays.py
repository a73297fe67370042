"""Your own arrays as a data set, and the checks of a data set."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad.datasets import Dataset, Split, from_arrays

PIXELS = np.arange(10 * 2 * 3, dtype=np.uint8).reshape(10, 2, 3)
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("fraction", "size"), [(0.2, 2), (0.5, 5), (0.01, 1), (0.99, 9)]
)
def test_each_image_is_in_one_split_with_its_label(fraction, size):
    dataset = from_arrays(PIXELS, np.arange(10), key=KEY, test_fraction=fraction)
    assert len(dataset.test.labels) == size
    both = [*dataset.train.labels, *dataset.test.labels]
    assert sorted(both) == list(range(10))
    assert both != list(range(10))
    for split in (dataset.train, dataset.test):
        np.testing.assert_array_equal(split.images, PIXELS[split.labels])


def test_the_key_determines_the_shuffle():
    def order(seed):
        data = from_arrays(PIXELS, np.arange(10), key=jax.random.key(seed))
        return data.train.labels.tolist()

    assert order(0) == order(0)
    assert order(0) != order(1)


@pytest.mark.parametrize("white", [255, 59])
@pytest.mark.parametrize(
    "scaled",
    [
        lambda x, white: (x / white).astype(np.float32),
        lambda x, white: x / np.float64(white),
        lambda x, white: x.astype(np.float32) * np.float32(1 / white),
        lambda x, white: jnp.asarray(x, jnp.float32) / white,
    ],
    ids=["float32", "float64", "reciprocal", "jax"],
)
def test_scaled_pixels_are_converted_back_exactly(scaled, white):
    labels = np.arange(10, dtype=np.uint8)
    expected = from_arrays(PIXELS, labels, key=KEY, white=white)
    dataset = from_arrays(scaled(PIXELS, white), labels, key=KEY, white=white)
    jax.tree.map(np.testing.assert_array_equal, dataset.train, expected.train)
    jax.tree.map(np.testing.assert_array_equal, dataset.test, expected.test)
    assert dataset.white == white


def with_pixel(value):
    images = PIXELS / 255
    images[3, 1, 2] = value
    return images


BAD_ARRAYS = {
    "other float": ({"images": with_pixel(0.1234)}, ValueError, "got 0.1234 .*rint"),
    "near a pixel": ({"images": with_pixel(17.00001 / 255)}, ValueError, "divided by"),
    "nearer": (
        {"images": with_pixel(17.002 / 255).astype("f4")},
        ValueError,
        "divided by 255",
    ),
    "nan": ({"images": with_pixel(np.nan)}, ValueError, r"in \[0, 1\], got nan"),
    "huge": ({"images": with_pixel(1e307)}, ValueError, r"in \[0, 1\], got 1e\+307"),
    "negative": ({"images": with_pixel(-1 / 255)}, ValueError, r"in \[0, 1\]"),
    "float16": ({"images": PIXELS.astype("f2")}, TypeError, "float64, got float16"),
    "int32": ({"images": PIXELS.astype("i4")}, TypeError, "float64, got int32"),
    "channels": ({"images": PIXELS[..., None]}, ValueError, r"shape \(10, 2, 3, 1\)"),
    "too bright": ({"white": 16}, ValueError, r"images in \[0, 16\], got 5"),
    "white 0": ({"white": 0}, ValueError, "white >= 1, got 0"),
    "white 256": ({"white": 256}, ValueError, "white <= 255, got 256"),
    "white 1.0": ({"white": 1.0}, TypeError, "white to be an int"),
    "float labels": ({"labels": np.arange(10.0)}, TypeError, "integer dtype"),
    "bool labels": ({"labels": np.ones(10, bool)}, TypeError, "integer dtype"),
    "two axes": ({"labels": np.eye(10, dtype=int)}, ValueError, r"\(10,\) \(one for"),
    "fewer labels": ({"labels": np.arange(9)}, ValueError, r"got shape \(9,\)"),
    "label -1": ({"labels": np.arange(10) - 1}, ValueError, "got -1"),
    "label 2^32": ({"labels": np.arange(10) + 2**32}, ValueError, "got 4294967305"),
    "label 9 of 5": ({"num_classes": 5}, ValueError, r"labels in \[0, 4\], got"),
    "fraction 0": ({"test_fraction": 0.0}, ValueError, "between 0 and 1, got 0.0"),
    "fraction nan": ({"test_fraction": np.nan}, ValueError, "between 0 and 1"),
    "one image": (
        {"images": PIXELS[:1], "labels": np.arange(1)},
        ValueError,
        "at least 2 images",
    ),
    "a seed": ({"key": 0}, TypeError, r"jax.random.key\(0\), got int"),
}


@pytest.mark.message
@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_invalid_arrays_are_refused(case):
    changes, kind, fault = BAD_ARRAYS[case]
    arguments = {"images": PIXELS, "labels": np.arange(10), "key": KEY} | changes
    with pytest.raises(kind, match=fault):
        from_arrays(**arguments)


def small_dataset(**changes):
    split = Split(PIXELS, np.arange(10, dtype=np.int32))
    fields: dict[str, Any] = {"name": "small", "train": split, "test": split}
    fields |= {"num_classes": 10, "white": 255, "source": "a test"}
    return Dataset(**fields | changes)


BAD_SPLITS = {
    "a jax array": (jnp.asarray(PIXELS), None, TypeError, "train.images .* NumPy"),
    "float": (PIXELS.astype("f4"), None, TypeError, "train.images of dtype uint8"),
    "flat": (PIXELS.reshape(10, 6), None, ValueError, r"\(n, height, width\), not"),
    "none": (PIXELS[:0], None, ValueError, r"not empty, got shape \(0, 2, 3\)"),
    "narrow": (PIXELS[:, :, :2], None, ValueError, "test.images of 2 x 2 pixels"),
    "int64": (None, np.arange(10), TypeError, "train.labels of dtype int32"),
    "nine": (None, np.arange(9, dtype="i4"), ValueError, r"got shape \(9,\)"),
    "ten": (None, np.arange(10, dtype="i4") + 1, ValueError, "got 10 instead"),
}


@pytest.mark.message
@pytest.mark.parametrize("case", BAD_SPLITS)
def test_a_data_set_checks_its_arrays(case):
    images, labels, kind, fault = BAD_SPLITS[case]
    split = Split(
        PIXELS if images is None else images,
        np.arange(10, dtype=np.int32) if labels is None else labels,
    )
    with pytest.raises(kind, match=fault):
        small_dataset(train=split)


def test_a_data_set_prints_its_sizes_and_source():
    text = "small: 10 training and 10 test images of 2 x 3 pixels, 10 classes (a test)"
    assert str(small_dataset()) == text
    assert repr(small_dataset()) == f"<Dataset {text}>"


def test_a_split_is_a_pytree():
    batch = jax.tree.map(lambda array: array[2:4], small_dataset().train)
    assert isinstance(batch, Split)
    assert batch.labels.tolist() == [2, 3]


def test_the_digest_of_a_data_set_covers_every_entry():
    dataset = small_dataset()
    digests = {dataset.sha256(), small_dataset(name="renamed").sha256()}
    assert len(digests) == 1
    for array in range(4):
        parts = [part.copy() for part in (*dataset.train, *dataset.test)]
        parts[array].flat[7] = (parts[array].flat[7] + 1) % 3
        images, labels, *test = parts
        changed = small_dataset(train=Split(images, labels), test=Split(*test))
        digests.add(changed.sha256())
    assert len(digests) == 5
