"""MNIST from tensorflow-datasets: its URLs, its checksums and its download cache.

The MNIST builder of tensorflow-datasets (TFDS) needs TensorFlow to prepare the images,
but its registry and its cache do not: this module finds the four files in the cache, or
downloads them into it as TFDS would. It fetches the bytes itself, because TFDS has no
time limit: it retries silently for minutes without a network, and waits forever for a
server that stops sending. Images that TFDS has prepared are read by `_prepared`.
"""

import hashlib
import tempfile
import textwrap
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jaxgrad.datasets._extras import require
from jaxgrad.datasets._mnist import FILES

PROBE_SECONDS = 3.0  # with a second of imports, the user waits less than five
STALL_SECONDS = 15.0  # without a byte
FILE_SECONDS = 600.0  # per file; the largest has 10 MB


class Unavailable(ConnectionError):
    """MNIST is not cached and cannot be downloaded; the message is the reason."""


class _Remote(NamedTuple):
    """A file in the registry of TFDS, and its path in the cache."""

    url: str
    info: Any  # tfds.download.checksums.UrlInfo
    path: Path


def cached_files() -> dict[str, Path]:
    """The path of each MNIST file in the cache of TFDS, downloaded if necessary.

    A file that was cached before is not verified here: TFDS trusts its name.
    """
    tfds = require("load", "tensorflow_datasets", "tensorflow-datasets")
    remotes = _remotes(tfds)
    if missing := _missing(tfds, remotes):
        _probe(missing[0].url)
        try:
            _download(tfds, missing)
        except OSError as fault:  # of the connection, the disk or the data
            reason = f"a failed download, {type(fault).__name__}: {fault}"
            raise Unavailable(textwrap.shorten(reason, 200)) from fault
    return {name: remote.path for name, remote in remotes.items()}


def is_cached() -> bool:
    """Whether `cached_files` would download nothing."""
    tfds = require("load", "tensorflow_datasets", "tensorflow-datasets")
    return not _missing(tfds, _remotes(tfds))


def cache_folder() -> Path:
    """Where TFDS caches MNIST: below TFDS_DATA_DIR or the home directory."""
    tfds = require("load", "tensorflow_datasets", "tensorflow-datasets")
    root = Path(tfds.core.constants.get_default_data_dir()).expanduser()
    return root / "downloads" / "mnist"


def _missing(tfds: ModuleType, remotes: dict[str, _Remote]) -> list[_Remote]:
    has = tfds.download.resource.is_locally_cached
    return [remote for remote in remotes.values() if not has(remote.path)]


def _remotes(tfds: ModuleType) -> dict[str, _Remote]:
    """The MNIST files in the registry of TFDS, by name."""
    folder, file_name = cache_folder(), tfds.download.resource.get_dl_fname
    remotes = {}
    for url, info in _url_infos(tfds).items():
        path = folder / file_name(url, info.checksum)
        remotes[info.filename.removesuffix(".gz")] = _Remote(url, info, path)
    return {name: remotes[name] for name in FILES}


def _url_infos(tfds: ModuleType) -> dict[str, Any]:
    return tfds.image_classification.MNIST.url_infos


def _download(tfds: ModuleType, missing: list[_Remote]) -> None:
    """Download each file into a temporary folder, then move it into the cache."""
    target = cache_folder()
    target.mkdir(parents=True, exist_ok=True)
    resource = tfds.download.resource
    with tempfile.TemporaryDirectory(
        prefix="incomplete.", dir=target, ignore_cleanup_errors=True
    ) as staging:
        for url, info, path in missing:
            staged = Path(staging, path.name)
            _within(FILE_SECONDS, lambda u=url, i=info, s=staged: _fetch(u, i, s))
            resource.write_info_file(url, staged, "mnist", info.filename, info)
            resource.get_info_path(staged).replace(resource.get_info_path(path))
            staged.replace(path)


def _fetch(url: str, info: Any, path: Path) -> None:
    """Download `url` to `path`; OSError if size or checksum are not as registered."""
    requests = require("load", "requests", "requests")
    digest, size = hashlib.sha256(), 0
    with (
        requests.get(url, stream=True, timeout=STALL_SECONDS) as reply,
        path.open("wb") as file,
    ):
        reply.raise_for_status()
        for chunk in reply.iter_content(2**16):
            size += len(chunk)
            if size > info.size:  # the stream may be endless
                raise OSError(f"expected {info.size} bytes, got more")
            digest.update(chunk)
            file.write(chunk)
    if size < info.size:
        raise OSError(f"expected {info.size} bytes, got {size}")
    found = digest.hexdigest()
    if found != info.checksum:
        raise OSError(f"expected SHA-256 {info.checksum[:16]}..., got {found[:16]}...")


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` returns or raises; TimeoutError if it takes longer than `seconds`.

    It runs in its own thread, because the time limit of a connection does not cover a
    slow name lookup or a server that sends a byte now and then. An abandoned thread
    does not delay the end of the process and does not touch the cache.
    """
    outcome: futures.Future[Any] = futures.Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as fault:
            outcome.set_exception(fault)

    threading.Thread(target=run, daemon=True).start()
    futures.wait([outcome], timeout=seconds)
    if not outcome.done():
        raise TimeoutError(f"no answer within {seconds:g} s")
    return outcome.result()


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
    """Why a request with the client, proxies and certificates of TFDS fails, or ""."""
    try:
        with requests.head(url, timeout=PROBE_SECONDS, allow_redirects=True) as reply:
            return "" if reply.ok else f"HTTP status {reply.status_code}"
    except (OSError, ValueError) as fault:
        return type(fault).__name__
