"""Safetensors files: a header in JSON, then the arrays' bytes.

The format is eight bytes with the header's length, the header, and one buffer that the
arrays fill without a gap. Nothing in a file is executed, and every number of the header
is checked before it is used. It is read here, not by the safetensors package, so that
no extra is needed and bfloat16 comes without torch.

Source: https://huggingface.co/docs/safetensors, section "Format".
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import wrong_value
from jaxgrad.torch_state._arrays import CONVERT, Arrays, as_arrays

DTYPES = {
    "BOOL": "bool",
    **{
        f"{kind}{8 * size}": f"{kind.lower()}{size}"
        for kind in "IU"
        for size in (1, 2, 4, 8)
    },
    **{f"F{8 * size}": f"f{size}" for size in (2, 4, 8)},
    "BF16": "bfloat16",
    "C64": "c8",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
CODES = {jnp.dtype(dtype): code for code, dtype in DTYPES.items()}
PICKLES = (b"PK\x03\x04", *(bytes([0x80, protocol]) for protocol in range(2, 6)))
LONGEST_HEADER = 100_000_000


def read_safetensors(path: str | PathLike[str]) -> Arrays:
    """Read a safetensors file.

    Args:
        path: The file.
    Returns: Names to NumPy arrays, which cannot be written to; bfloat16 and float8 have
        the dtypes of ml_dtypes, as in JAX. The file's metadata is left out.
    Raises: OSError if the file cannot be read; ValueError if it is another format, such
        as torch's pickles, or damaged.
    Torch: `safetensors.torch.load_file`.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        return _parsed(data)
    except _Damaged as fault:
        # The length of a header can have the first bytes of a pickle.
        if data.startswith(PICKLES) or path.suffix in {".pt", ".pth", ".pkl"}:
            what, got = "a safetensors file", f"{path}, a pickle or an archive of them"
            raise wrong_value("read_safetensors", what, got, CONVERT) from None
        what = "a whole safetensors file"
        raise wrong_value("read_safetensors", what, f"{path}: {fault}") from None


def write_safetensors(path: str | PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a state dict to a safetensors file.

    The file gets its name when it is complete: a process killed before leaves an older
    file as it was. The metadata say that names and layouts are torch's.

    Args:
        path: The file; another of this name is replaced.
        state: Names to torch tensors or arrays of any shape. Tied ones are written
            under each of their names.
    Raises: OSError if the file cannot be written; TypeError if `state` is no mapping of
        names to tensors or arrays; ValueError for a dtype that the format lacks.
    Torch: `safetensors.torch.save_file`.
    """
    path, arrays = Path(path), as_arrays("write_safetensors", state)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    chunks, end = [], 0
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in CODES or name == "__metadata__":
            what = f"{name!r} of a dtype that safetensors has"
            raise wrong_value("write_safetensors", what, array.dtype)
        chunk = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
        chunks.append(chunk.tobytes())
        code = CODES[array.dtype.newbyteorder("<")]
        offsets = [end, end := end + array.nbytes]
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": offsets,
        }
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    _replace(path, [len(text).to_bytes(8, "little"), text, *chunks])


def _replace(path: Path, chunks: list[bytes]) -> None:
    """Write a draft, flush it to the disk, and give it the name."""
    handle, draft = tempfile.mkstemp(".draft", f".{path.name}.", path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(draft).chmod(0o666 & ~mask)  # as `open` gives them; mkstemp gives 600
        Path(draft).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(draft).unlink()
        raise


class _Damaged(Exception):
    """The message says what is wrong."""


def _parsed(data: bytes) -> Arrays:
    length = int.from_bytes(data[:8], "little")
    _check(len(data) >= 8 and length <= LONGEST_HEADER, "no header")
    body = memoryview(data)[8 + length :]
    _check(len(data) >= 8 + length, f"{len(data)} bytes, fewer than its header")
    try:
        text = data[8 : 8 + length].decode()
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _Damaged("the header is not JSON") from None
    _check(isinstance(header, dict), "the header is not a JSON object")
    header.pop("__metadata__", None)
    spans = {name: _span(name, entry) for name, entry in header.items()}
    end = 0
    for name, (begin, stop, *_) in sorted(spans.items(), key=lambda x: x[1][:2]):
        _check(
            begin == end, f"bytes {end} to {begin}, before {name!r}, are of no array"
        )
        end = stop
    _check(end == len(body), f"its arrays need {end} bytes, and it has {len(body)}")
    return {
        name: np.frombuffer(body[begin:stop], dtype).reshape(shape)
        for name, (begin, stop, dtype, shape) in spans.items()
    }


def _span(name: str, entry: Any) -> tuple[int, int, Any, tuple[int, ...]]:
    """The first and last byte, the dtype and the shape of an array."""
    try:
        begin, stop = map(_size, entry["data_offsets"])
        shape = tuple(map(_size, entry["shape"]))
        code = entry["dtype"]
    except (TypeError, KeyError, ValueError):
        raise _Damaged(f"the entry of {name!r} is {entry!r}") from None
    _check(isinstance(code, str) and code in DTYPES, f"{name!r} has dtype {code!r}")
    dtype = jnp.dtype(DTYPES[code]).newbyteorder("<")
    needed = math.prod(shape) * dtype.itemsize
    _check(stop - begin == needed, f"{name!r} has {stop - begin} bytes, not {needed}")
    return begin, stop, dtype, shape


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    _check(len(found) == len(pairs), "a name appears twice in the header")
    return found


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Damaged(otherwise)
