"""Arrays as memory: what copies, what is shared with NumPy, who sees a write.

XLA arrays are immutable, so through JAX alone no value can tell a copy from a view:
the address of the buffer is the only witness. NumPy can write, and where both hold
one memory its write is seen through the JAX array: a fault of the program, which
this file commits on purpose. All of it runs on the CPU, where NumPy's memory is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._facts import Section, refusal

# XLA takes memory over only where it starts at a multiple of this many bytes; NumPy
# promises 16.
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


def address(array: Any) -> int:
    """Where the numbers of a NumPy or a JAX array lie."""
    if isinstance(array, np.ndarray):
        return array.ctypes.data
    return array.unsafe_buffer_pointer()


class Copied(NamedTuple):
    """Whether a line copies: in torch and NumPy it depends on the strides."""

    pytorch: str
    jax: str
    shape: tuple[int, ...]
    jax_copies: bool
    numpy_copies: bool


def copies() -> Section:
    """Which of the reshaping lines copy, by the addresses of the buffers."""
    lines = {
        "view": ("x.view(16)", "x.reshape(16)", lambda x: x.reshape(16)),
        "view -1": ("x.view(-1, 8)", "x.reshape(-1, 8)", lambda x: x.reshape(-1, 8)),
        "same": ("x.view(4, 4)", "x.reshape(4, 4)", lambda x: x.reshape(4, 4)),
        "T": ("x.T", "x.T", lambda x: x.T),
        "T reshaped": ("x.T.reshape(16)", "x.T.reshape(16)", lambda x: x.T.reshape(16)),
        "row": ("x[1]", "x[1]", lambda x: x[1]),
        "clone": ("x.clone()", "x.copy()", lambda x: x.copy()),
    }
    return Section(
        "Who copies",
        "The notebook says that reshape makes a copy. In torch, as in NumPy, it "
        "copies only when it must: after a transpose. JAX, line by line, makes a new "
        "array of nearly everything, be it a view elsewhere, and since no array can "
        "change only the addresses tell. (Inside jax.jit XLA decides: see above.)",
        {name: _copied(*line) for name, line in lines.items()},
    )


def _copied(pytorch: str, jax_line: str, line: Callable[[Any], Any]) -> Copied:
    x = jnp.arange(16.0).reshape(4, 4)
    numpy_x = np.arange(16.0).reshape(4, 4)
    y = line(x)
    first = address(x)
    last = first + x.nbytes
    return Copied(
        pytorch,
        jax_line,
        y.shape,
        not first <= address(y) < last,
        not np.shares_memory(line(numpy_x), numpy_x),
    )


class Shared(NamedTuple):
    """Who holds the same memory, and what comes of a write of NumPy's."""

    pytorch: str
    jax: str
    one_memory: bool
    numpy_writes: str


def sharing() -> Section:
    """NumPy to JAX and back: by how many ways is the memory shared?"""
    ones = np.ones(5, np.float32)
    dlpack = jnp.from_dlpack
    to_jax = {
        "from_dlpack": _to_jax("torch.from_numpy(a)", "jnp.from_dlpack(a)", dlpack),
        "dlpack": _to_jax("", "jax.dlpack.from_dlpack(a)", jax.dlpack.from_dlpack),
        "device_put": _to_jax("", "jax.device_put(a)", jax.device_put),
        "asarray": _to_jax("torch.as_tensor(a)", "jnp.asarray(a)", jnp.asarray),
        "array": _to_jax("torch.from_numpy(a).clone()", "jnp.array(a)", jnp.array),
        "unaligned": _to_jax(
            "", "jnp.from_dlpack(a)  a off by 16 bytes", dlpack, aligned(ones, 16)
        ),
        "double": _to_jax(
            "", "jnp.from_dlpack(a)  a of float64", dlpack, aligned(np.ones(5))
        ),
    }
    to_numpy = {
        "np.asarray": _to_numpy("a.numpy()", "np.asarray(a)", np.asarray),
        "np.from_dlpack": _to_numpy("", "np.from_dlpack(a)", np.from_dlpack),
        "np.array": _to_numpy("a.clone().numpy()", "np.array(a)", np.array),
    }
    return Section(
        "NumPy and JAX: one memory or two",
        "The first rows go from NumPy to JAX, the last three back. JAX can share "
        f"only what starts at a multiple of {ALIGNMENT} bytes, which NumPy gives by "
        "luck, and only a type that it keeps (not float64 without x64). Do not rely "
        "on it: JAX takes its arrays for immutable, and which lines share differs "
        "between versions. To be safe, copy: jnp.array(a), np.array(a). The view that "
        "NumPy gets is read-only; torch.from_dlpack(a) could write, and must not.",
        {**to_jax, **to_numpy},
    )


def _to_jax(
    pytorch: str,
    line: str,
    convert: Callable[..., jax.Array],
    owner: np.ndarray | None = None,
) -> Shared:
    if owner is None:
        owner = aligned(np.ones(5, np.float32))
    array = convert(owner)
    array.block_until_ready()
    one_memory = address(array) == address(owner)
    owner[0] = 7
    seen = np.array(array)[0] == 7
    return Shared(pytorch, line, one_memory, "JAX sees it" if seen else "not seen")


def _to_numpy(pytorch: str, line: str, convert: Callable[..., np.ndarray]) -> Shared:
    owner = jnp.ones(5)
    array = convert(owner)
    one_memory = address(array) == address(owner)
    refused = refusal(lambda: array.fill(7))
    if refused != "no error":
        return Shared(pytorch, line, one_memory, refused)
    seen = owner[0] == 7
    return Shared(pytorch, line, one_memory, "JAX sees it" if seen else "not seen")


class LateWrite(NamedTuple):
    """How many copies hold a number that was written after the copying call."""

    jax: str
    copies: int
    with_the_later_number: int


def late_writes(tries: int = 50, size: int = 1_000_000) -> Section:
    """Write into the NumPy array at once after the call that copies it."""

    def late(wait: bool) -> int:
        count = 0
        for _ in range(tries):
            source = np.ones(size, np.float32)
            copy = jnp.array(source)
            if wait:
                copy.block_until_ready()
            source[-1] = 7
            count += int(copy[-1].item() == 7)
        return count

    entries = {
        "at once": LateWrite("b = jnp.array(a); a[-1] = 7", tries, late(wait=False)),
        "waited": LateWrite(
            "b = jnp.array(a).block_until_ready(); a[-1] = 7", tries, late(wait=True)
        ),
    }
    return Section(
        "A copy may still be running",
        "JAX returns before the work is done. torch.clone() is finished when it "
        "returns; some versions of JAX still read a large NumPy array after "
        "jnp.array(a) has returned, so a buffer that is filled again and again "
        f"(a data loader's) needs block_until_ready. Arrays of {size} numbers:",
        entries,
    )


class Step(NamedTuple):
    """What a and b hold after a line of notebook 003 (all five entries are alike)."""

    pytorch: str
    one_memory: tuple[float, float]
    jax_alone: tuple[float, float]


TENSOR_STEPS = (
    "a = torch.ones(5); b = a.numpy(); a.add_(1)",
    "the same with b = a.clone().numpy()",
    "b = [b[i] * 2 for i in range(5)]",
    "a.add_(1)",
)
NUMPY_STEPS = (
    "a = np.ones(5); b = torch.from_numpy(a); np.add(a, 1, out=a)",
    "a += 1",
    "a = a + 1",
    "b = torch.from_numpy(a)",
    "b += 5",
    "a = np.zeros(5)",
)


def story() -> Section:
    """Notebook 003's a and b: shared, cloned, rebound, line by line."""
    one_memory = (*_tensor_in_one_memory(), *_numpy_in_one_memory())
    jax_alone = (*_tensor_rebound(), *_numpy_rebound())
    lines = TENSOR_STEPS + NUMPY_STEPS
    return Section(
        "The story of a and b",
        "One memory: NumPy owns it, JAX and the other name look on, and every line "
        "that writes in place writes through the owner (b += 5 too, for JAX refuses). "
        "JAX alone: each line in the only form that JAX has, a new array and a "
        "rebound name. Shown is (a, b). In place is seen by all who share; binding a "
        "name to something else ends the sharing, whatever library it is.",
        {
            line: Step(line, *pairs)
            for line, *pairs in zip(lines, one_memory, jax_alone, strict=True)
        },
    )


Pair = tuple[float, float]


def _pair(a: Any, b: Any) -> Pair:
    """The value that fills each; an error if an array is not filled by one value."""
    return np.unique(np.asarray(a)).item(), np.unique(np.asarray(b)).item()


def _tensor_in_one_memory() -> list[Pair]:
    memory = aligned(np.ones(5, np.float32))
    a = jnp.from_dlpack(memory)
    b = np.asarray(a)
    memory += 1
    steps = [_pair(a, b)]

    memory[...] = 1
    b = np.array(a)
    memory += 1
    steps += [_pair(a, b)]
    b = [b[i] * 2 for i in range(5)]
    steps += [_pair(a, b)]
    memory += 1
    return [*steps, _pair(a, b)]


def _tensor_rebound() -> list[Pair]:
    a = jnp.ones(5)
    b = np.asarray(a)
    a += 1
    steps = [_pair(a, b)]

    a = jnp.ones(5)
    b = np.array(a)
    a += 1
    steps += [_pair(a, b)]
    b = [b[i] * 2 for i in range(5)]
    steps += [_pair(a, b)]
    a += 1
    return [*steps, _pair(a, b)]


def _numpy_in_one_memory() -> list[Pair]:
    a = aligned(np.ones(5, np.float32))
    b = jnp.from_dlpack(a)
    np.add(a, 1, out=a)
    steps = [_pair(a, b)]
    a += 1
    steps += [_pair(a, b)]
    a = aligned(a + 1)  # a new array; aligned, so that JAX can share the next one
    steps += [_pair(a, b)]
    b = jnp.from_dlpack(a)
    steps += [_pair(a, b)]
    a += 5
    steps += [_pair(a, b)]
    a = np.zeros(5, np.float32)
    return [*steps, _pair(a, b)]


def _numpy_rebound() -> list[Pair]:
    a = jnp.ones(5)
    b = a
    a = jnp.add(a, 1)
    steps = [_pair(a, b)]
    a += 1
    steps += [_pair(a, b)]
    a = a + 1
    steps += [_pair(a, b)]
    b = a
    steps += [_pair(a, b)]
    b += 5
    steps += [_pair(a, b)]
    a = jnp.zeros(5)
    return [*steps, _pair(a, b)]
