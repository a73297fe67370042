"""MNIST as tensorflow-datasets prepares it: the same arrays as from the IDX files."""

import importlib
import importlib.util
import io
import json
import shutil
import sys

import jax
import numpy as np
import PIL.Image
import pytest

from jaxgrad.datasets import Split, _mnist, _tfds, load
from tests.fake_mnist import accept, arrays_of, fake_files, write

FILES = fake_files()
ARRAYS = arrays_of(FILES)
SPLITS = {
    name: Split(
        ARRAYS[f"{part}-images-idx3-ubyte"], ARRAYS[f"{part}-labels-idx1-ubyte"]
    )
    for name, part in (("train", "train"), ("test", "t10k"))
}
HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None


def prepare(data_dir, splits, *, file_format="array_record", shuffle=True, shards=1):
    """Let tensorflow-datasets write the splits, without TensorFlow; the folder."""
    tfds = importlib.import_module("tensorflow_datasets")
    shape = (*splits["train"].images.shape[1:], 1)
    features = {
        "image": tfds.features.Image(shape=shape, dtype=np.uint8),
        "label": tfds.features.ClassLabel(num_classes=10),
    }
    # Under the name of the real builder, which needs TensorFlow.
    with tfds.core.registered.skip_registration():

        class Builder(tfds.core.GeneratorBasedBuilder):
            name = "mnist"
            VERSION = tfds.image_classification.MNIST.VERSION

            def _info(self):
                described = tfds.features.FeaturesDict(features)
                return tfds.core.DatasetInfo(
                    builder=self, features=described, disable_shuffling=not shuffle
                )

            def _split_generators(self, dl_manager):
                return {name: self._generate_examples(splits[name]) for name in splits}

            def _generate_examples(self, split):
                for index, (image, label) in enumerate(zip(*split, strict=True)):
                    yield index, {"image": as_png(image), "label": int(label)}

    tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(num_shards=shards)
    builder = Builder(data_dir=data_dir, file_format=file_format)
    builder.download_and_prepare(download_config=config)
    return data_dir / "mnist" / "3.0.1"


def as_png(image):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "png")
    file.seek(0)
    return file


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """The small MNIST, prepared once for all tests."""
    return prepare(tmp_path_factory.mktemp("prepared"), SPLITS)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """`load` accepts the small MNIST, and there is no network."""

    def refuse(url):
        raise _tfds.Unavailable("no connection to example.org (test)")

    accept(monkeypatch, FILES)
    monkeypatch.setattr(_tfds, "_probe", refuse)
    monkeypatch.delenv("JAXGRAD_DATA_DIR", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))


@pytest.fixture
def folder(small, once, tmp_path):
    """A copy of the prepared small MNIST, where `load` looks for it."""
    return shutil.copytree(once, tmp_path / "mnist" / "3.0.1")


def assert_is_the_small_mnist(dataset):
    for split, expected in zip(
        (dataset.train, dataset.test), SPLITS.values(), strict=True
    ):
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
        jax.tree.map(np.testing.assert_array_equal, split, expected)


@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_a_prepared_folder_is_read_without_tensorflow(folder, name, capfd):
    dataset = load(name)
    assert_is_the_small_mnist(dataset)
    assert dataset.source == f"tensorflow-datasets, prepared in {folder}"
    assert capfd.readouterr() == ("", "")
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(("shuffle", "shards"), [(False, 1), (True, 3)])
def test_order_and_shards_make_no_difference(small, tmp_path, shuffle, shards):
    folder = prepare(tmp_path, SPLITS, shuffle=shuffle, shards=shards)
    assert len(list(folder.glob("mnist-train.array_record-*"))) == shards
    assert_is_the_small_mnist(load("mnist"))


def put_into_the_cache(data_dir, files):
    """The files where tensorflow-datasets finds its downloads."""
    tfds = importlib.import_module("tensorflow_datasets")
    write(data_dir / "files", files)
    cache = data_dir / "downloads" / "mnist"
    cache.mkdir(parents=True)
    for url, info in tfds.image_classification.MNIST.url_infos.items():
        path = cache / tfds.download.resource.get_dl_fname(url, info.checksum)
        shutil.copy(data_dir / "files" / info.filename, path)
        path.with_name(f"{path.name}.INFO").write_text(f'{{"urls": ["{url}"]}}')


def test_the_four_sources_give_the_same_arrays(folder, tmp_path):
    prepared = load("mnist")
    put_into_the_cache(tmp_path, FILES)
    assert load("mnist").source == prepared.source  # found before the cache
    shutil.rmtree(folder)
    cached, named = load("mnist"), load("mnist", tmp_path / "files")
    assert [dataset.source for dataset in (cached, named)] == [
        f"tensorflow-datasets, cache {tmp_path / 'downloads' / 'mnist'}",
        f"the files in {tmp_path / 'files'}",
    ]
    assert prepared.sha256() == cached.sha256() == named.sha256()
    shutil.rmtree(tmp_path / "downloads")
    assert load("auto").name == "digits"


# Formats that only TensorFlow reads


def rename_format(folder, name):
    """Describe the records as another format, which no test reads."""
    path = folder / "dataset_info.json"
    path.write_text(path.read_text().replace("array_record", name))
    for file in folder.glob("*.array_record-*"):
        file.rename(str(file).replace("array_record", name))


@pytest.mark.message
@pytest.mark.skipif(HAS_TENSORFLOW, reason="TensorFlow reads the files")
@pytest.mark.parametrize("file_format", ["tfrecord", "riegeli"])
def test_without_tensorflow_the_error_says_what_to_install(folder, file_format, capfd):
    rename_format(folder, file_format)
    message = f"reads the {file_format} files in {folder}.*pip install tensorflow;"
    with pytest.raises(ImportError, match=message) as error:
        load("mnist")
    assert "\n" not in str(error.value)
    assert load("auto").source.endswith(
        "instead of MNIST: No module named 'tensorflow'"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(HAS_TENSORFLOW, reason="TensorFlow reads the files")
def test_without_tensorflow_the_cache_replaces_tfrecord_files(folder, tmp_path):
    rename_format(folder, "tfrecord")
    put_into_the_cache(tmp_path, FILES)
    dataset = load("mnist")
    assert_is_the_small_mnist(dataset)
    assert "cache" in dataset.source


@pytest.mark.skipif(not HAS_TENSORFLOW, reason="needs TensorFlow")
@pytest.mark.parametrize("shards", [1, 3])
def test_tensorflow_reads_tfrecord_files(small, tmp_path, shards):
    folder = prepare(tmp_path, SPLITS, file_format="tfrecord", shards=shards)
    assert len(list(folder.glob("mnist-train.tfrecord-*"))) == shards
    assert_is_the_small_mnist(load("mnist"))


@pytest.mark.message
def test_a_missing_reader_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record", None)
    with pytest.raises(
        ImportError, match=r"expected array_record to be inst.*remove it"
    ):
        load("mnist")


# Damage


def shard(folder):
    return next(folder.glob("mnist-train.array_record-*"))


def cut(folder):
    shard(folder).write_bytes(shard(folder).read_bytes()[:-1000])


def flip(folder):
    data = bytearray(shard(folder).read_bytes())
    data[len(data) // 2] ^= 1
    shard(folder).write_bytes(bytes(data))


def describe_fewer(folder):
    path = folder / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"] = ["19"]
    path.write_text(json.dumps(info))


DAMAGE = {
    "a shard is missing": lambda folder: shard(folder).unlink(),
    "a shard is empty": lambda folder: shard(folder).write_bytes(b""),
    "a shard is cut": cut,
    "a bit is flipped": flip,
    "an example is missing": describe_fewer,
    "no description": lambda folder: (folder / "dataset_info.json").unlink(),
    "half a description": lambda f: (f / "dataset_info.json").write_text('{"name": "'),
    "no features": lambda folder: (folder / "features.json").unlink(),
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
}


@pytest.mark.message
@pytest.mark.parametrize("name", ["mnist", "auto"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_an_error_with_its_name_and_remedy(folder, damage, name):
    DAMAGE[damage](folder)
    with pytest.raises(ValueError, match=f"load: expected {folder} .*remove it"):
        load(name)


@pytest.mark.message
def test_other_images_are_refused(small, tmp_path):
    images = SPLITS["train"].images.copy()
    images[0, 0, 0] ^= 1
    prepare(tmp_path, SPLITS | {"train": SPLITS["train"]._replace(images=images)})
    with pytest.raises(ValueError, match=r"MNIST's entries of SHA-256.*remove it"):
        load("mnist")


@pytest.mark.mnist
def test_the_real_images_are_those_of_the_idx_files(tmp_path, monkeypatch):
    # The 10,000 test images in both splits: all 70,000 take 15 s to prepare and read.
    real = load("mnist").test
    known = list(_mnist.FILES.values())[2:]
    monkeypatch.setattr(
        _mnist, "FILES", dict(zip(_mnist.FILES, 2 * known, strict=True))
    )
    prepare(tmp_path, {"train": real, "test": real})
    monkeypatch.delenv("JAXGRAD_DATA_DIR")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    dataset = load("mnist")
    assert dataset.source.endswith(f"prepared in {tmp_path / 'mnist' / '3.0.1'}")
    for split in (dataset.train, dataset.test):
        jax.tree.map(np.testing.assert_array_equal, split, real)
