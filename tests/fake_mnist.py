"""Small IDX files, and a small MNIST made of them for tests without the real one."""

import gzip
import hashlib
import struct

import numpy as np

from jaxgrad.datasets import _mnist

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
SHAPES = {
    "train-images-idx3-ubyte": (20, 4, 3),
    "train-labels-idx1-ubyte": (20,),
    "t10k-images-idx3-ubyte": (10, 4, 3),
    "t10k-labels-idx1-ubyte": (10,),
}


def idx_bytes(array):
    """The IDX file of an array."""
    kind = array.dtype.str[1:]
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[kind], array.ndim, *array.shape)
    return header + array.astype(f">{kind}").tobytes()


def fake_files():
    """The four files of a small MNIST, unpacked, by name."""
    rng = np.random.default_rng(0)
    return {
        name: idx_bytes(
            rng.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8)
        )
        for name, shape in SHAPES.items()
    }


def arrays_of(files):
    """What the files hold, by name."""
    return {
        name: np.frombuffer(data, np.uint8)[4 + 4 * data[3] :].reshape(SHAPES[name])
        for name, data in files.items()
    }


def accept(monkeypatch, files):
    """Let `load` accept these files as MNIST."""
    known = {
        name: _mnist.Canonical(SHAPES[name], hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    }
    monkeypatch.setattr(_mnist, "FILES", known)


def write(folder, files, packed=True):
    """Write the files into a folder, packed or not."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            (folder / name).write_bytes(data)
