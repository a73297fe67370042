"""MNIST as `tfds.load("mnist")` stores it: a folder `mnist/3.0.1` of prepared records.

Records in the format array_record are read through a data source of tensorflow-datasets
(TFDS), which needs no TensorFlow. Records in any other format, such as the default
tfrecord, are read by TensorFlow. TFDS stores the examples in the order of a hash of
their index; this module undoes that, so the arrays equal those of the IDX files.
"""

import hashlib
import io
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgrad._checks import wrong_value
from jaxgrad.datasets import _mnist
from jaxgrad.datasets._dataset import Split
from jaxgrad.datasets._extras import require

_WITHOUT_TENSORFLOW = "array_record"
_REMEDY = "remove it, and load uses the download cache"


class Prepared(NamedTuple):
    """A prepared folder."""

    tfds: Any  # the module
    folder: Path
    builder: Any  # tfds.core.DatasetBuilder

    @property
    def formats(self) -> set[str]:
        """The formats in which the folder holds the records."""
        return {found.value for found in self.builder.info.available_file_formats()}

    @property
    def needs_tensorflow(self) -> bool:
        """Whether the records cannot be read without TensorFlow."""
        return _WITHOUT_TENSORFLOW not in self.formats


def prepared_mnist() -> Prepared | None:
    """The prepared MNIST below TFDS_DATA_DIR or the home directory, if there is one.

    Raises:
        ValueError: If the description in the folder is damaged.
    """
    tfds = require("load", "tensorflow_datasets", "tensorflow-datasets")
    root = Path(tfds.core.constants.get_default_data_dir()).expanduser()
    folder = root / "mnist" / str(tfds.image_classification.MNIST.VERSION)
    if not folder.exists():  # TFDS gives a folder its name when it is complete
        return None
    try:
        return Prepared(tfds, folder, tfds.builder_from_directory(folder))
    except Exception as fault:  # JSON's, protocol buffers' or TFDS's
        raise _refusal(folder, fault) from fault


def read_prepared(prepared: Prepared) -> tuple[Split, Split]:
    """The training and the test split.

    Raises:
        ImportError: If a package that reads the records is not installed.
        ValueError: If the folder is damaged or holds other images than MNIST's.
    """
    if prepared.needs_tensorflow:
        _require_tensorflow(prepared)
    train, train_labels, test, test_labels = _mnist.FILES.values()
    return (
        _split(prepared, "train", train, train_labels),
        _split(prepared, "test", test, test_labels),
    )


def _split(prepared: Prepared, name: str, *known: _mnist.Canonical) -> Split:
    read = _by_tensorflow if prepared.needs_tensorflow else _by_data_source
    try:
        pictures, labels = read(prepared, name)
        arrays = _pixels(pictures), np.asarray(labels).astype(np.uint8)
    except ImportError:  # from `require`
        raise
    except Exception as fault:  # a missing shard, a damaged record or picture
        raise _refusal(prepared.folder, fault) from fault
    # Records that were prepared without shuffling are already in order.
    if _mnist.sha256(arrays[1]) != known[1].sha256:
        order = _original_order(name, len(arrays[1]))
        arrays = arrays[0][order], arrays[1][order]
    for array, canonical in zip(arrays, known, strict=True):
        _mnist.check_array(prepared.folder, array, canonical, _REMEDY)
    return _mnist.as_split(*arrays)


def _by_data_source(prepared: Prepared, name: str) -> tuple[Any, Any]:
    """The pictures as PNG, and the labels, as they are stored."""
    require("load", "array_record", "array_record", _REMEDY)  # no wheels for Windows
    source = prepared.builder.as_data_source(
        name, decoders=_skip_images(prepared), file_format=_WITHOUT_TENSORFLOW
    )
    examples = source.__getitems__(range(len(source)))  # far faster than one by one
    return [x["image"] for x in examples], [x["label"] for x in examples]


def _by_tensorflow(prepared: Prepared, name: str) -> tuple[Any, Any]:
    """The same for formats that TensorFlow reads, one shard after the other."""
    in_order = prepared.tfds.ReadConfig(interleave_cycle_length=1)
    records = prepared.builder.as_dataset(
        name, batch_size=-1, decoders=_skip_images(prepared), read_config=in_order
    )
    examples = prepared.tfds.as_numpy(records)
    return examples["image"], examples["label"]


def _skip_images(prepared: Prepared) -> dict[str, Any]:
    """Leave the images encoded: TFDS takes twice as long to decode as `_pixels`."""
    return {"image": prepared.tfds.decode.SkipDecoding()}


def _pixels(pictures: Any) -> np.ndarray:
    image = require("load", "PIL.Image", "pillow")
    return np.stack([np.asarray(image.open(io.BytesIO(png))) for png in pictures])


def _original_order(name: str, n: int) -> np.ndarray:
    """The stored position of each example of the IDX file.

    As in `tensorflow_datasets.core.hashing`, whose order is fixed for a data set.
    """

    def hashed(index: int) -> bytes:
        return hashlib.md5(f"{name}{index}".encode(), usedforsecurity=False).digest()

    return np.argsort(sorted(range(n), key=hashed))


def _require_tensorflow(prepared: Prepared) -> None:
    formats = ", ".join(sorted(prepared.formats))
    remedy = (
        "install it with: pip install tensorflow; or prepare the folder again with "
        f'file_format="{_WITHOUT_TENSORFLOW}"; or {_REMEDY}'
    )
    package = f"TensorFlow, which reads the {formats} files in {prepared.folder},"
    require("load", "tensorflow", package, remedy)


def _refusal(folder: Path, fault: Exception) -> ValueError:
    expected = f"{folder} to hold MNIST as tensorflow-datasets prepares it"
    got = f"{type(fault).__name__}: {fault}"
    return wrong_value("load", expected, textwrap.shorten(got, 300), _REMEDY)
