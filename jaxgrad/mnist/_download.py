"""MNIST from tensorflow-datasets: its addresses, its checksums, its download cache.

The MNIST builder of tensorflow-datasets (TFDS) needs TensorFlow to prepare and to read
the images. The part before that needs none: the download manager fetches the four
files, compares their checksums with the registered ones and keeps them in TFDS's cache.
So this file fetches and finds them there, and `_files` reads them.

Without a network TFDS retries in silence for minutes; here one request with a time
limit decides first. What cannot be had is `Unavailable`, with a reason in a few words.
"""

import queue
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jaxgrad.mnist._extras import require
from jaxgrad.mnist._files import FILES

PROBE_SECONDS = 3.0  # beside a second of imports: an answer within five


class Unavailable(ConnectionError):
    """MNIST is not in the cache, and the network does not give it: the reason."""


class _Remote(NamedTuple):
    """A file as TFDS registers it, and where its cache keeps it."""

    url: str
    info: Any  # tfds.download.checksums.UrlInfo
    path: Path


def cached_files() -> dict[str, Path]:
    """The path of each file of MNIST in TFDS's cache, downloaded if need be.

    Returns:
        The path of each name in `FILES`. A file that was in the cache already has not
        been verified: TFDS trusts its name.

    Raises:
        ImportError: If tensorflow-datasets is not installed.
        Unavailable: If a file is neither in the cache nor to be had.
    """
    tfds = require("load", "tensorflow_datasets", "tensorflow-datasets")
    remotes = _remotes(tfds)
    is_cached = tfds.download.resource.is_locally_cached
    missing = [remote for remote in remotes.values() if not is_cached(remote.path)]
    if missing:
        _probe(missing[0].url)
        faults = (
            OSError,  # of the connection, or of the disk
            tfds.download.DownloadError,
            tfds.download.download_manager.NonMatchingChecksumError,
        )
        try:
            _download(tfds, missing)
        except faults as fault:
            raise Unavailable(_reason(fault)) from fault
    return {name: remote.path for name, remote in remotes.items()}


def cache_folder() -> Path:
    """Where TFDS keeps its downloads of MNIST: below TFDS_DATA_DIR or the home."""
    tfds = require("load", "tensorflow_datasets", "tensorflow-datasets")
    root = Path(tfds.core.constants.get_default_data_dir()).expanduser()
    return root / "downloads" / "mnist"


def _remotes(tfds: ModuleType) -> dict[str, _Remote]:
    """Each file by its name, from what TFDS registers for its MNIST builder."""
    folder = cache_folder()
    registered = {
        info.filename.removesuffix(".gz"): _Remote(
            url, info, folder / tfds.download.resource.get_dl_fname(url, info.checksum)
        )
        for url, info in _url_infos(tfds).items()
    }
    return {name: registered[name] for name in FILES}


def _url_infos(tfds: ModuleType) -> dict[str, Any]:
    return tfds.image_classification.MNIST.url_infos


def _download(tfds: ModuleType, missing: list[_Remote]) -> None:
    """Download into a folder beside the cache, then move what is whole into it.

    One by one, so that a fault leaves no other download running: the folder goes, and
    with it every half file.
    """
    target = cache_folder()
    target.mkdir(parents=True, exist_ok=True)
    info_path = tfds.download.resource.get_info_path
    with (
        tempfile.TemporaryDirectory(prefix="incomplete.", dir=target) as staging,
        _without_progress_bar(tfds),
    ):
        manager = tfds.download.DownloadManager(
            download_dir=staging,
            url_infos={remote.url: remote.info for remote in missing},
            dataset_name="mnist",
            force_checksums_validation=True,
        )
        for remote in missing:
            staged = Path(manager.download(remote.url))
            info_path(staged).replace(info_path(remote.path))
            staged.replace(remote.path)


@contextmanager
def _without_progress_bar(tfds: ModuleType) -> Iterator[None]:
    # TFDS has a public switch, but only a private way to ask how it stands.
    active = getattr(tfds.core.utils.tqdm_utils, "_active", True)
    tfds.disable_progress_bar()
    try:
        yield
    finally:
        tfds.display_progress_bar(enable=active)


def _probe(url: str) -> None:
    """Unavailable unless `url` answers within `PROBE_SECONDS`.

    The request runs in a thread of its own, since no time limit of a connection
    covers the look-up of the host's name.
    """
    requests = require("load", "requests", "requests")
    answer: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(
        target=lambda: answer.put(_fault_of_request(requests, url)), daemon=True
    ).start()
    try:
        fault = answer.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        fault = f"no answer within {PROBE_SECONDS:g} s"
    if fault:
        raise Unavailable(f"no connection to {urlsplit(url).hostname} ({fault})")


def _fault_of_request(requests: ModuleType, url: str) -> str:
    """What is wrong with a request by the client, proxies and certificates of TFDS."""
    try:
        with requests.head(url, timeout=PROBE_SECONDS, allow_redirects=True) as reply:
            return "" if reply.ok else f"HTTP status {reply.status_code}"
    except (OSError, ValueError) as fault:
        return type(fault).__name__


def _reason(fault: Exception) -> str:
    """The fault in one line; those of TFDS and requests take several long ones."""
    return textwrap.shorten(f"a failed download, {type(fault).__name__}: {fault}", 200)
