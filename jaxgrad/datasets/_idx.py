"""Read IDX files, the format of MNIST: a short header, then the numbers.

    2 bytes            zero
    1 byte             the type of an entry (`TYPES`)
    1 byte             the number of axes
    4 bytes per axis   its length, unsigned
    the rest           the entries in C order

Every number is big-endian. Nothing in a file is trusted: the header is checked before
memory is allocated, and memory then grows with the data that is present, so a wrong
shape or a gzip bomb costs no more than the limit. A file is read exactly, or refused by
an error that names it.
"""

import gzip
import math
import os
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from jaxgrad._checks import check_int, wrong_value

_CODES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
TYPES = {code: np.dtype(name) for code, name in _CODES.items()}
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_AXES = 64  # NumPy's own limit
_CHUNK = 2**20

Shape = tuple[int, ...]


def read_idx(
    path: str | os.PathLike[str], *, max_bytes: int = 2**30
) -> Shaped[np.ndarray, "..."]:
    """Read the array of an IDX file, gzipped or not.

    Args:
        path: The file. Its content, not its name, decides whether it is gzipped.
        max_bytes: The largest array to accept, in bytes; 1 GiB by default.

    Returns:
        A new array of the file's shape and type, in the byte order of this machine:
        uint8, int8, int16, int32, float32 or float64.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a regular file, its header is not that of an IDX file
            or promises more than `max_bytes`, its data are shorter or longer than the
            header promises, or it is an incomplete gzip file. The message names it.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "labels")
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        ...     read_idx(path)
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    max_bytes = check_int("read_idx", "max_bytes", max_bytes, least=1)
    _check_regular(path)
    try:
        with _opened(path) as stream:
            dtype, shape = _read_header(path, stream)
            data = _read_entries(path, stream, dtype, shape, max_bytes)
    except (gzip.BadGzipFile, zlib.error, EOFError) as fault:
        raise _refusal(path, "be a whole gzip file", f"this: {fault}") from fault
    array = np.ndarray(shape, dtype, buffer=data)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _check_regular(path: Path) -> None:
    """Refuse anything but a regular file; opening a pipe could wait forever."""
    if not path.exists():
        absent = f"expected {path} to be a file, got nothing there instead"
        raise FileNotFoundError(f"read_idx: {absent}.")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise _refusal(path, "be a file", kind)


def _opened(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return gzip.open(path) if packed else path.open("rb")


def _read_header(path: Path, stream: BufferedIOBase) -> tuple[np.dtype, Shape]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise _refusal(path, "begin like an IDX file, with 0, 0", repr(magic))
    code, axes = magic[2:]
    if code not in TYPES:
        known = ", ".join(f"0x{known:02x}" for known in TYPES)
        raise _refusal(path, f"have a type code of {known}", f"0x{code:02x}")
    if not 1 <= axes <= _MOST_AXES:
        raise _refusal(path, f"have 1 to {_MOST_AXES} axes", f"{axes}")
    lengths = stream.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise _refusal(path, f"hold the lengths of {axes} axes", "its end")
    return TYPES[code], tuple(np.frombuffer(lengths, ">u4").tolist())


def _read_entries(
    path: Path, stream: BufferedIOBase, dtype: np.dtype, shape: Shape, max_bytes: int
) -> bytearray:
    """The entries, exactly as many as the header promises."""
    lengths = str(shape)
    if len(shape) > 4:
        first = ", ".join(map(str, shape[:4]))
        lengths = f"({first}, ...) with {len(shape)} axes"
    header = f"a header of shape {lengths} and type {dtype.name}"
    # An axis of length 0 counts as 1: NumPy refuses huge axes even next to one.
    if dtype.itemsize * math.prod(max(length, 1) for length in shape) > max_bytes:
        raise _refusal(path, f"hold at most {max_bytes} bytes (max_bytes)", header)
    promised = dtype.itemsize * math.prod(shape)
    data = bytearray()
    # One more byte reveals trailing data, or makes gzip verify its checksum.
    while chunk := stream.read(min(_CHUNK, promised + 1 - len(data))):
        data += chunk
    if len(data) != promised:
        got = f"{len(data)}" if len(data) < promised else "more"
        raise _refusal(path, f"hold {promised} bytes after {header}", got)
    return data


def _refusal(path: Path, expected: str, got: str) -> ValueError:
    return wrong_value("read_idx", f"{path} to {expected}", got)
