"""Arrays as memory: what copies, what NumPy shares, and where a write shows.

JAX arrays are immutable, so only the buffer's address tells a copy from a view. If
NumPy shares memory with a JAX array, NumPy's writes show in it. In a program that is a
bug; this file does it on purpose. Everything runs on the CPU, where NumPy's memory is.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._section import Section, error_of

# XLA shares memory only if it starts at a multiple of this many bytes; NumPy
# guarantees a multiple of 16.
ALIGNMENT = 64


def aligned(values: np.ndarray, offset: int = 0) -> np.ndarray:
    """A copy of `values` that starts `offset` bytes after a multiple of 64 bytes.

    Examples:
        >>> aligned(np.ones(5), offset=8).ctypes.data % 64
        8
    """
    raw = np.empty(values.nbytes + 2 * ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT + offset
    array = raw[start : start + values.nbytes].view(values.dtype)
    array = array.reshape(values.shape)
    array[...] = values
    return array


def aligned_ones() -> np.ndarray:
    """Five float32 ones whose memory JAX can share."""
    return aligned(np.ones(5, np.float32))


def address(array: Any) -> int:
    if isinstance(array, np.ndarray):
        return array.ctypes.data
    return array.unsafe_buffer_pointer()


def copies() -> Section:
    """Which of the reshaping lines copy, by the addresses of the buffers."""
    entries = [
        _copied("x.view(16)", "x.reshape(16)", lambda x: x.reshape(16)),
        _copied("x.view(-1, 8)", "x.reshape(-1, 8)", lambda x: x.reshape(-1, 8)),
        _copied("x.view(4, 4)", "x.reshape(4, 4)", lambda x: x.reshape(4, 4)),
        _copied("x.T", "x.T", lambda x: x.T),
        _copied("x.T.reshape(16)", "x.T.reshape(16)", lambda x: x.T.reshape(16)),
        _copied("x[1]", "x[1]", lambda x: x[1]),
        _copied("x.clone()", "x.copy()", lambda x: x.copy()),
    ]
    contiguous, transposed = entries[0][-1], entries[4][-1]
    return Section(
        "What copies",
        "The notebook says that reshape makes a copy. In torch, as in NumPy, it copies "
        "only when it must: after a transpose. Outside jit, JAX creates a new array in "
        "almost every line, even where the others return a view. Since no array can "
        "change, only the addresses show it. Inside jax.jit XLA decides: see Shapes.",
        entries,
        {
            "3.9": {"NumPy copies": [contiguous, transposed]},
            "3.C7": {"contiguous": contiguous, "transposed": transposed},
        },
        ("PyTorch", "JAX", "shape", "JAX copies", "NumPy copies"),
    )


def _copied(pytorch: str, jax_line: str, line: Callable[[Any], Any]) -> tuple:
    x, numpy_x = jnp.arange(16.0).reshape(4, 4), np.arange(16.0).reshape(4, 4)
    y, first = line(x), address(x)
    jax_copies = not first <= address(y) < first + x.nbytes
    numpy_copies = not np.shares_memory(line(numpy_x), numpy_x)
    return pytorch, jax_line, y.shape, jax_copies, numpy_copies


def sharing() -> Section:
    """The conversions between NumPy and JAX, and whether they share memory."""
    dlpack = jnp.from_dlpack
    unaligned, double = aligned(np.ones(5, np.float32), 16), aligned(np.ones(5))
    return Section(
        "NumPy and JAX: shared memory or not",
        "The first rows go from NumPy to JAX, the last three back. JAX can share only "
        f"memory that starts at a multiple of {ALIGNMENT} bytes, which NumPy provides "
        "by chance, and only a dtype that it keeps (not float64 without x64). Do not "
        "rely on it: JAX assumes that its arrays never change, and which lines share "
        "differs between versions. To be safe, copy: jnp.array(a), np.array(a). "
        "NumPy's view is read-only; torch.from_dlpack(a) could write but must not.",
        [
            _to_jax("torch.from_numpy(a)", "jnp.from_dlpack(a)", dlpack),
            _to_jax("", "jax.dlpack.from_dlpack(a)", jax.dlpack.from_dlpack),
            _to_jax("", "jax.device_put(a)", jax.device_put),
            _to_jax("torch.as_tensor(a)", "jnp.asarray(a)", jnp.asarray),
            _to_jax("torch.from_numpy(a).clone()", "jnp.array(a)", jnp.array),
            _to_jax("", "jnp.from_dlpack(a)  a off by 16 bytes", dlpack, unaligned),
            _to_jax("", "jnp.from_dlpack(a)  a of float64", dlpack, double),
            _to_numpy("a.numpy()", "np.asarray(a)", np.asarray),
            _to_numpy("", "np.from_dlpack(a)", np.from_dlpack),
            _to_numpy("a.clone().numpy()", "np.array(a)", np.array),
        ],
        {"3.C5": still_shared()},
        ("PyTorch", "JAX", "one memory", "NumPy writes"),
    )


def _to_jax(
    pytorch: str, line: str, convert: Any, owner: np.ndarray | None = None
) -> tuple:
    owner = aligned_ones() if owner is None else owner
    array = convert(owner).block_until_ready()
    one_memory = address(array) == address(owner)
    owner[0] = 7
    return pytorch, line, one_memory, _seen(array)


def _to_numpy(pytorch: str, line: str, convert: Any) -> tuple:
    owner = jnp.ones(5)
    array = convert(owner)
    error = error_of(lambda: array.fill(7))
    outcome = _seen(owner) if error == "no error" else error
    return pytorch, line, address(array) == address(owner), outcome


def _seen(array: jax.Array) -> str:
    return "JAX sees it" if np.array(array)[0] == 7 else "not seen"


def still_shared() -> dict[str, bool]:
    """Whether a view still shares memory after a change, and after rebinding."""
    a = np.ones(5)
    b = a.view()
    b *= 2
    in_place = np.shares_memory(a, b)
    b = b * 2
    return {"after b *= 2": in_place, "after b = b * 2": np.shares_memory(a, b)}


def late_writes(tries: int = 50, size: int = 1_000_000) -> Section:
    """Write into a NumPy array right after the call that copies it."""

    def late(wait: bool) -> bool:
        source = np.ones(size, np.float32)
        copy = jnp.array(source)
        if wait:
            copy.block_until_ready()
        source[-1] = 7
        return copy[-1].item() == 7

    counts = [sum(late(wait) for _ in range(tries)) for wait in (False, True)]
    waiting = "b = jnp.array(a).block_until_ready(); a[-1] = 7"
    return Section(
        "A copy may still be running",
        "JAX returns before the work is done. torch.clone() has finished when it "
        "returns; some versions of JAX still read a large NumPy array after "
        "jnp.array(a) has returned. A buffer that is filled repeatedly, such as a data "
        f"loader's, needs block_until_ready. Arrays of {size} numbers:",
        [
            ("b = jnp.array(a); a[-1] = 7", tries, counts[0]),
            (waiting, tries, counts[1]),
        ],
        header=("JAX", "copies", "with the later number"),
    )


def story() -> Section:
    """Notebook 003's a and b: shared, cloned and rebound, line by line."""
    entries = list(_story())
    lines = [{"one memory": shared, "JAX alone": alone} for _, shared, alone in entries]
    return Section(
        "a and b, line by line",
        "One memory: NumPy owns it, JAX and the other name share it, and every line "
        "that writes in place writes through the owner (b += 5 too; the next section "
        "executes it as written). "
        "JAX alone: each line creates a new array and rebinds the name. The table "
        "shows (a, b). A write in place shows in every array that shares the memory; "
        "binding a name to another array ends the sharing, in every library.",
        entries,
        {
            "3.12": _columns(lines[:2]),
            "3.13": _columns(lines[2:4]),
            "3.14": _columns(lines[4:7]),
            "3.15": _columns(lines[7:]),
        },
        ("PyTorch", "one memory", "JAX alone"),
    )


def _columns(lines: list[dict[str, tuple]]) -> dict[str, list[tuple]]:
    return {name: [line[name] for line in lines] for name in lines[0]}


def pair(a: Any, b: Any) -> tuple[float, float]:
    """The value that fills each array.

    Raises:
        ValueError: If an array holds two different values.
    """
    return np.unique(np.asarray(a)).item(), np.unique(np.asarray(b)).item()


def _story() -> Iterator[tuple[str, tuple, tuple]]:
    """Yield each line with (a, b) where NumPy writes, and (x, y) of JAX alone."""
    memory = aligned_ones()
    a = jnp.from_dlpack(memory)
    b = np.asarray(a)
    memory += 1
    x, y = jnp.ones(5), np.ones(5)
    x += 1
    line = "a = torch.ones(5); b = a.numpy(); a.add_(1)"
    yield line, pair(a, b), pair(x, y)
    memory[...] = 1
    b = np.array(a)
    memory += 1
    x, y = jnp.ones(5), np.ones(5)
    x += 1
    yield "the same with b = a.clone().numpy()", pair(a, b), pair(x, y)
    b, y = [b[i] * 2 for i in range(5)], [y[i] * 2 for i in range(5)]
    yield "b = [b[i] * 2 for i in range(5)]", pair(a, b), pair(x, y)
    memory += 1
    x += 1
    yield "a.add_(1)", pair(a, b), pair(x, y)
    a = aligned_ones()
    b = jnp.from_dlpack(a)
    np.add(a, 1, out=a)
    x = y = jnp.ones(5)
    x = jnp.add(x, 1)
    line = "a = np.ones(5); b = torch.from_numpy(a); np.add(a, 1, out=a)"
    yield line, pair(a, b), pair(x, y)
    a += 1
    x += 1
    yield "a += 1", pair(a, b), pair(x, y)
    a = aligned(a + 1)  # a new array; aligned, so that JAX can share it next
    x = x + 1
    yield "a = a + 1", pair(a, b), pair(x, y)
    b, y = jnp.from_dlpack(a), x
    yield "b = torch.from_numpy(a)", pair(a, b), pair(x, y)
    a += 5
    y += 5
    yield "b += 5", pair(a, b), pair(x, y)
    a, x = np.zeros(5, np.float32), jnp.zeros(5)
    yield "a = np.zeros(5)", pair(a, b), pair(x, y)
