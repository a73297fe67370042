"""One file of arrays that is either whole or refused.

An npz archive, so that `numpy.load` opens it, whose comment is the SHA-256 of all that
stands before it. The digest is compared before a byte of the archive is interpreted:
no damaged length, name or shape is ever acted on, and nothing is unpickled.

A file gets its name when it is complete: written under another name, flushed to the
disk, then renamed. Whoever is killed in between leaves the file that was there before.
"""

import contextlib
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

DRAFT = ".draft"  # how the name of an unfinished file ends
_DIGITS = 64  # of a SHA-256


class Damaged(ValueError):
    """A file is not what was written; the message names it and the fault."""


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays, or leave what was at `path`.

    Raises:
        OSError: If the disk is full or the folder not writable.
    """
    body = _packed(arrays)
    digest = hashlib.sha256(body).hexdigest().encode()
    replace(path, body, digest)


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file from `write`.

    Raises:
        Damaged: If a bit of it is not as it was written.
        OSError: If it cannot be read.
    """
    data = path.read_bytes()
    body, digest = data[:-_DIGITS], data[-_DIGITS:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise Damaged(
            f"{path} is damaged: expected it to end with the SHA-256 of its "
            f"{len(body):,} bytes, got another."
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return dict(archive)


def replace(path: Path, *parts: bytes | memoryview) -> None:
    """Put a file in the place of another, all of it or not at all.

    Raises:
        OSError: As in `write`.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}{DRAFT}")
    try:
        with draft.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        fault.filename = str(path)  # a full disk does not say which
        raise
    _flush_folder(path.parent)


def _packed(arrays: Mapping[str, np.ndarray]) -> memoryview:
    """The archive, up to its comment."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore (a name is no option)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"0" * _DIGITS  # its length is part of what is digested
    return buffer.getbuffer()[:-_DIGITS]


def _flush_folder(folder: Path) -> None:
    """Flush the name itself to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
