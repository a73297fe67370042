"""MNIST from tensorflow-datasets: its addresses, its checksums, its download cache.

The MNIST builder of tensorflow-datasets (TFDS) needs TensorFlow to prepare and to read
the images. Its register and its cache need none: this file finds the four files there,
and puts them there as TFDS would; `_files` reads them.

TFDS's own download manager sets no time limit: without a network it retries in silence
for minutes, and a server that falls silent it awaits for ever. So the bytes are fetched
here. What cannot be had in time is `Unavailable`, with a reason in a few words.
"""

import hashlib
import queue
import tempfile
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jaxgrad.mnist._extras import require
from jaxgrad.mnist._files import FILES

PROBE_SECONDS = 3.0  # beside a second of imports: an answer within five
STALL_SECONDS = 15.0  # without a byte
FILE_SECONDS = 600.0  # for a file, of which the largest has 10 MB


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
        try:
            _download(tfds, missing)
        except OSError as fault:  # of the connection, of the disk, or of the data
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

    One by one; if a fault ends it the folder goes, and with it the half file.
    """
    target = cache_folder()
    target.mkdir(parents=True, exist_ok=True)
    info_path = tfds.download.resource.get_info_path
    with tempfile.TemporaryDirectory(
        prefix="incomplete.", dir=target, ignore_cleanup_errors=True
    ) as staging:
        for url, info, path in missing:
            staged = Path(staging, path.name)
            _within(FILE_SECONDS, lambda u=url, i=info, s=staged: _fetch(u, i, s))
            tfds.download.resource.write_info_file(
                url, staged, "mnist", info.filename, info
            )
            info_path(staged).replace(info_path(path))
            staged.replace(path)


def _fetch(url: str, info: Any, path: Path) -> None:
    """Write what `url` gives to `path`; OSError unless it is what TFDS registered."""
    requests = require("load", "requests", "requests")
    digest, size = hashlib.sha256(), 0
    with (
        requests.get(url, stream=True, timeout=STALL_SECONDS) as reply,
        path.open("wb") as file,
    ):
        reply.raise_for_status()
        for chunk in reply.iter_content(2**16):
            size += len(chunk)
            if size > info.size:  # it may never end
                raise OSError(f"expected {info.size} bytes, got more")
            digest.update(chunk)
            file.write(chunk)
    if size < info.size:
        raise OSError(f"expected {info.size} bytes, got {size}")
    found = digest.hexdigest()
    if found != info.checksum:
        raise OSError(f"expected SHA-256 {info.checksum[:16]}..., got {found[:16]}...")


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` returns or raises; TimeoutError if that takes longer.

    It runs in a thread of its own, since no time limit of a connection covers the
    look-up of the host's name, or a server that sends a byte now and then. The thread
    that is given up neither holds up the end of the process nor touches the cache.
    """
    outcome: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except Exception as fault:
            outcome.put((None, fault))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, fault = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if fault is not None:
        raise fault
    return result


def _probe(url: str) -> None:
    """Unavailable unless `url` answers within `PROBE_SECONDS`."""
    requests = require("load", "requests", "requests")
    try:
        fault = _within(PROBE_SECONDS, lambda: _fault_of_request(requests, url))
    except TimeoutError as late:
        fault = str(late)
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
    """The fault in one line; those of requests take several long ones."""
    return textwrap.shorten(f"a failed download, {type(fault).__name__}: {fault}", 200)
