"""The data sets: MNIST from a folder or through TFDS, and the digits."""

import gzip
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxgrad.datasets import _extras, _tfds, load
from tests.fake_mnist import accept, arrays_of, fake_files, idx_bytes, write

FILES = fake_files()
LABELS = "train-labels-idx1-ubyte"
IMAGES = "train-images-idx3-ubyte"


@pytest.fixture
def small(monkeypatch, tmp_path):
    """`load` accepts a small MNIST; no folder is named, the cache of TFDS is empty."""
    accept(monkeypatch, FILES)
    monkeypatch.delenv("JAXGRAD_DATA_DIR", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))


@pytest.fixture
def offline(monkeypatch):
    """No host answers."""

    def refuse(url):
        raise _tfds.Unavailable("no connection to example.org (test)")

    monkeypatch.setattr(_tfds, "_probe", refuse)


@pytest.fixture
def tfds():
    return importlib.import_module("tensorflow_datasets")


def assert_is_the_small_mnist(dataset):
    arrays = arrays_of(FILES)
    for part, split in (("train", dataset.train), ("t10k", dataset.test)):
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int32
        np.testing.assert_array_equal(split.images, arrays[f"{part}-images-idx3-ubyte"])
        np.testing.assert_array_equal(split.labels, arrays[f"{part}-labels-idx1-ubyte"])
    assert (dataset.name, dataset.num_classes, dataset.white) == ("mnist", 10, 255)


# --- a folder ----------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_a_folder_is_read(small, tmp_path, name, packed):
    write(tmp_path, FILES, packed)
    dataset = load(name, tmp_path)
    assert_is_the_small_mnist(dataset)
    assert dataset.source == f"the files in {tmp_path}"


def test_the_argument_goes_before_the_environment_variable(
    small, tmp_path, monkeypatch
):
    write(tmp_path / "here", FILES)
    monkeypatch.setenv("JAXGRAD_DATA_DIR", str(tmp_path / "here"))
    assert_is_the_small_mnist(load("mnist"))
    monkeypatch.setenv("JAXGRAD_DATA_DIR", "absent")
    assert_is_the_small_mnist(load("auto", str(tmp_path / "here")))


def test_the_home_directory_is_expanded(small, tmp_path, monkeypatch):
    write(tmp_path / "digits", FILES)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert_is_the_small_mnist(load("mnist", "~/digits"))


@pytest.mark.message
@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_a_faulty_folder_is_an_error_and_nothing_else_is_tried(
    small, tmp_path, name, monkeypatch
):
    def unexpected(*_):
        raise AssertionError("looked elsewhere")

    monkeypatch.setattr(_tfds, "cached_files", unexpected)
    with pytest.raises(FileNotFoundError, match=r"data_dir to be a folder.*not exist"):
        load(name, tmp_path / "absent")
    write(tmp_path / "part", {IMAGES: FILES[IMAGES]})
    with pytest.raises(FileNotFoundError, match=f"without {LABELS}, t10k-images.*gz"):
        load(name, tmp_path / "part")
    with pytest.raises(NotADirectoryError, match="got the file"):
        load(name, tmp_path / "part" / f"{IMAGES}.gz")
    monkeypatch.setenv("JAXGRAD_DATA_DIR", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match="expected JAXGRAD_DATA_DIR to be"):
        load(name)


def label_ten():
    labels = arrays_of(FILES)[LABELS].copy()
    labels[3] = 10
    return idx_bytes(labels)


def other_pixel():
    images = arrays_of(FILES)[IMAGES].copy()
    images[0, 0, 0] ^= 1
    return idx_bytes(images)


FAULTS = {
    "images as labels": (LABELS, FILES[IMAGES], r"shape \(20,\), got .*\(20, 4, 3\)"),
    "labels as images": (IMAGES, FILES[LABELS], r"shape \(20, 4, 3\), got .*\(20,\)"),
    "fewer labels": (LABELS, idx_bytes(np.ones(19, np.uint8)), r"got uint8 .*\(19,\)"),
    "signed": (LABELS, idx_bytes(np.ones(20, np.int8)), "uint8 .* got int8"),
    "label 10": (LABELS, label_ten(), r"in \[0, 9\], got a label 10"),
    "another pixel": (IMAGES, other_pixel(), "SHA-256"),
    "cut": (IMAGES, FILES[IMAGES][:-1], "hold 240 bytes .* got 239"),
    "empty": (IMAGES, b"", "begin like an IDX file"),
}


@pytest.mark.message
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize("case", FAULTS)
def test_a_wrong_file_is_refused_with_its_name_and_fault(small, tmp_path, case, packed):
    name, data, fault = FAULTS[case]
    write(tmp_path, FILES | {name: data}, packed)
    with pytest.raises(ValueError, match=fault) as error:
        load("auto", tmp_path)
    assert str(tmp_path / name) in str(error.value)
    assert str(error.value).endswith("For other images see from_arrays.")


@pytest.mark.mnist
def test_the_real_files_load_in_under_a_second():
    start = time.process_time()  # other processes on the machine do not count
    dataset = load("mnist")
    assert time.process_time() - start < 1
    assert dataset.train.images.shape == (60000, 28, 28)
    assert dataset.test.images.shape == (10000, 28, 28)
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


# --- tensorflow-datasets -----------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves the small MNIST on this machine, with the fault that a test sets."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/{n}.gz": gzip.compress(d, mtime=0) for n, d in FILES.items()}
        self.fault = ""
        self.requests = []
        self.closing = threading.Event()

    @property
    def url_infos(self):
        """The registered checksums, as TFDS keeps them."""
        checksums = importlib.import_module("tensorflow_datasets").download.checksums
        return {
            f"http://127.0.0.1:{self.server_port}{path}": checksums.UrlInfo(
                size=len(data),
                checksum=hashlib.sha256(data).hexdigest(),
                filename=path[1:],
            )
            for path, data in self.files.items()
        }


class Handler(BaseHTTPRequestHandler):
    server: Any  # a Server

    def do_HEAD(self):
        self.server.requests.append(("HEAD", self.path))
        if self.server.fault == "silent":
            self.server.closing.wait(20)
        self.send_response(403 if self.server.fault == "forbidden" else 200)
        self.end_headers()

    def do_GET(self):
        self.server.requests.append(("GET", self.path))
        data = self.server.files[self.path]
        second = len([1 for method, _ in self.server.requests if method == "GET"]) > 1
        fault = self.server.fault if second else ""
        self.send_response(404 if fault == "lost" else 200)
        if fault not in ("longer", "trickling"):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if fault == "longer":
            data += bytes(1000)
        if fault == "other":
            data = bytes(len(data))
        if fault in ("broken off", "stalled", "trickling"):
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
        else:
            self.wfile.write(data)
        if fault == "stalled":
            self.server.closing.wait(20)
        while fault == "trickling" and not self.server.closing.wait(0.05):
            self.wfile.write(b" ")

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(small, monkeypatch):
    """A server on this machine, whose URLs replace those in the registry of TFDS."""
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    with Server() as server:
        monkeypatch.setattr(_tfds, "_url_infos", lambda tfds: server.url_infos)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def test_tfds_downloads_once_and_then_needs_no_network(
    server, tfds, tmp_path, capfd, monkeypatch
):
    first = load("mnist")
    assert_is_the_small_mnist(first)
    folder = tmp_path / "tfds" / "downloads" / "mnist"
    assert first.source == f"tensorflow-datasets, cache {folder}"
    assert len(server.requests) == 5
    assert len(list(folder.iterdir())) == 8  # four files, each with its description

    server.fault = "forbidden"
    assert_is_the_small_mnist(load("auto"))
    assert len(server.requests) == 5
    # The folder is a valid cache of TFDS: its own manager finds the files.
    manager = tfds.download.DownloadManager(
        download_dir=folder.parent, dataset_name="mnist", url_infos=server.url_infos
    )
    monkeypatch.setattr(tfds.core.utils.tqdm_utils, "_active", False)
    assert {Path(path) for path in manager.download(list(server.url_infos))} == {
        path for path in folder.iterdir() if path.suffix != ".INFO"
    }
    assert len(server.requests) == 5
    assert capfd.readouterr() == ("", "")
    assert "tensorflow" not in sys.modules


@pytest.mark.message
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("lost", "HTTPError: 404"),
        ("other", "expected SHA-256 "),
        ("longer", "expected .* bytes, got more"),
        ("broken off", "a failed download"),
        ("stalled", "Read timed out"),
        ("trickling", "no answer within 1 s"),
    ],
)
def test_a_failed_download_is_one_line_and_leaves_no_partial_file(
    server, tmp_path, fault, reason, monkeypatch
):
    monkeypatch.setattr(_tfds, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(_tfds, "FILE_SECONDS", 1.0 if fault == "trickling" else 9.0)
    server.fault = fault
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match=f"got .*{reason}.*data_dir") as error:
        load("mnist")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
    assert time.perf_counter() - start < 8
    folder = tmp_path / "tfds" / "downloads" / "mnist"
    assert len(list(folder.iterdir())) == 2  # one complete file and its description
    server.fault = ""
    assert_is_the_small_mnist(load("mnist"))
    assert len(list(folder.iterdir())) == 8


@pytest.mark.message
def test_a_forbidding_host_is_not_asked_for_files(server):
    server.fault = "forbidden"
    with pytest.raises(ConnectionError, match=r"127.0.0.1 \(HTTP status 403\)"):
        load("mnist")
    assert [method for method, _ in server.requests] == ["HEAD"]


@pytest.mark.message
def test_a_silent_host_is_abandoned_in_time(server, tmp_path, monkeypatch):
    assert _tfds.PROBE_SECONDS <= 3
    monkeypatch.setattr(_tfds, "PROBE_SECONDS", 0.3)
    server.fault = "silent"
    start = time.perf_counter()
    with pytest.raises(ConnectionError) as error:
        load("mnist")
    assert time.perf_counter() - start < 5
    message = str(error.value)
    for way in ("data_dir (--data-dir)", "JAXGRAD_DATA_DIR", "tensorflow-datasets"):
        assert way in message
    assert str(tmp_path / "tfds" / "downloads" / "mnist") in message
    assert "\n" not in message


def test_an_endless_name_lookup_is_abandoned(small, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(_tfds, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(_tfds, "_fault_of_request", lambda *_: str(never.wait(20)))
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match=r"no answer within 0\.2 s"):
        load("mnist")
    assert time.perf_counter() - start < 5
    never.set()


def test_a_refused_connection_is_unavailable(server, tmp_path):
    server.shutdown()
    server.server_close()
    dataset = load("auto")
    assert dataset.name == "digits"
    assert "no connection to 127.0.0.1 (ConnectionError)" in dataset.source
    assert not (tmp_path / "tfds").exists()


def test_a_cache_that_cannot_be_written_is_unavailable(server, tmp_path):
    (tmp_path / "tfds").write_text("a file where the folder should be")
    with pytest.raises(ConnectionError, match="tfds"):
        load("mnist")


@pytest.mark.message
def test_a_damaged_cache_is_an_error_with_its_remedy(server, tmp_path):
    load("mnist")
    folder = tmp_path / "tfds" / "downloads" / "mnist"
    damaged = next(path for path in folder.iterdir() if path.suffix == ".gz")
    damaged.write_bytes(damaged.read_bytes()[:-20])
    for name in ("mnist", "auto"):
        with pytest.raises(ValueError, match=f"{damaged} .*Delete that file"):
            load(name)
    damaged.unlink()
    assert_is_the_small_mnist(load("auto"))


def put_into_tfds_cache(tfds, data_dir, folder):
    """The files of `folder` under the names by which TFDS finds its downloads."""
    cache = data_dir / "downloads" / "mnist"
    cache.mkdir(parents=True)
    for url, info in tfds.image_classification.MNIST.url_infos.items():
        file = folder / info.filename
        path = cache / tfds.download.resource.get_dl_fname(url, info.checksum)
        shutil.copy(file if file.exists() else file.with_suffix(""), path)
        path.with_name(f"{path.name}.INFO").write_text(
            f'{{"urls": ["{url}"], "original_fname": "{info.filename}"}}'
        )


def test_the_files_are_found_in_the_cache_of_tfds(small, offline, tfds, tmp_path):
    with pytest.raises(ConnectionError):
        load("mnist")
    write(tmp_path / "files", FILES)
    put_into_tfds_cache(tfds, tmp_path / "tfds", tmp_path / "files")
    assert_is_the_small_mnist(load("mnist"))


@pytest.mark.mnist
def test_the_real_files_in_the_cache_of_tfds_are_mnist(
    offline, tfds, tmp_path, monkeypatch
):
    folder = Path(os.environ["JAXGRAD_DATA_DIR"])
    expected = load("mnist")
    put_into_tfds_cache(tfds, tmp_path, folder)
    monkeypatch.delenv("JAXGRAD_DATA_DIR")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    dataset = load("auto")
    assert dataset.source.startswith("tensorflow-datasets, cache ")
    jax.tree.map(np.testing.assert_array_equal, dataset.train, expected.train)
    jax.tree.map(np.testing.assert_array_equal, dataset.test, expected.test)


# --- the digits, and auto ----------------------------------------------------------


def test_each_digit_is_there_once_and_classes_are_balanced():
    digits = importlib.import_module("sklearn.datasets").load_digits()
    dataset = load("digits")
    assert (dataset.name, dataset.num_classes, dataset.white) == ("digits", 10, 16)
    assert dataset.train.images.shape == (1440, 8, 8)
    assert dataset.test.images.shape == (357, 8, 8)
    assert dataset.train.images.max() == 16
    counts = np.bincount(dataset.test.labels)
    assert counts.min() >= 30
    assert counts.max() <= 40
    both = np.concatenate([dataset.train.images, dataset.test.images])
    original = digits.images.astype(np.uint8)
    assert sorted(map(bytes, both)) == sorted(map(bytes, original))
    np.testing.assert_array_equal(dataset.test.images[0], original[40])
    assert dataset.test.labels[0] == digits.target[40]


def test_auto_falls_back_to_the_digits_and_gives_the_reason(small, offline):
    dataset = load("auto")
    assert dataset.name == "digits"
    assert dataset.source == (
        "scikit-learn's digits, instead of MNIST: no connection to example.org (test)"
    )
    assert dataset.source in str(dataset)


@pytest.mark.message
def test_an_unknown_name_and_a_folder_for_the_digits_are_errors(tmp_path):
    with pytest.raises(ValueError, match="'mnist', 'digits', 'auto', got 'fashion'"):
        load("fashion")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="data_dir with MNIST only"):
        load("digits", tmp_path)


@pytest.mark.message
def test_a_missing_package_is_named_with_its_remedy(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn,"):
        load("digits")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="expected tensorflow-datasets to be inst"):
        load("mnist")
    with pytest.raises(ImportError, match="expected scikit-learn to be installed"):
        load("auto")
    monkeypatch.delitem(sys.modules, "sklearn.datasets")
    assert "instead of MNIST: " in load("auto").source
    assert "tensorflow_datasets" in load("auto").source


def test_importing_datasets_imports_no_package_of_the_extra():
    code = (
        "import sys, jaxgrad.datasets\n"
        "extras = {'tensorflow_datasets', 'sklearn', 'flax', 'requests', 'tqdm'}\n"
        "assert not extras & set(sys.modules), extras & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_require_returns_the_module():
    assert _extras.require("f", "math", "math").pi == pytest.approx(3.14159265)
