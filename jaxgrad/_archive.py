"""A file of arrays that is read whole or refused.

It is an npz archive, so `numpy.load` opens it; its comment is the SHA-256 of everything
before it. The digest is compared before a byte of the archive is interpreted: no
damaged length, name or shape is ever used, and nothing is unpickled.

A file receives its name only when it is complete: it is written under another name,
flushed to the disk, then renamed. A process killed in between leaves the old file.
"""

import contextlib
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_DIGITS = 64  # of a SHA-256


class Damaged(ValueError):
    """A file differs from what was written; the message names it and the fault."""


def write(path: Path, draft: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays, first to `draft`; an OSError leaves the file at `path`."""
    body = _packed(arrays)
    try:
        with draft.open("wb") as file:
            file.write(body)
            file.write(_digest(body))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        fault.filename = str(path)  # the error of a full disk names no file
        raise
    with contextlib.suppress(OSError):  # not every system can flush a folder
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays that `write` has written; Damaged if a bit of the file has changed."""
    if not path.is_file():  # reading a pipe would wait forever
        raise Damaged(f"{path} is not a regular file.")
    data = path.read_bytes()
    body, digest = data[:-_DIGITS], data[-_DIGITS:]
    if _digest(body) != digest:
        ending = f"the SHA-256 of its {len(body):,} bytes"
        raise Damaged(f"{path} is damaged: it does not end with {ending}.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as members:
            if any(member.compress_type for member in members.infolist()):
                raise ValueError("a member is compressed")  # it may have any size
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, MemoryError, zipfile.BadZipFile) as fault:
        raise Damaged(f"{path} holds no arrays that jaxgrad wrote: {fault}.") from fault


def plain(array: np.ndarray) -> np.ndarray:
    """The array in a dtype that NumPy can store, which bfloat16 is not."""
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.itemsize}")


def _packed(arrays: Mapping[str, np.ndarray]) -> memoryview:
    """The archive up to its comment."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore (the names are not options)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"0" * _DIGITS  # the digest covers the comment's length
    return buffer.getbuffer()[:-_DIGITS]


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
