"""Arrays and devices: what a conversion costs, which devices there are, who moves."""

import timeit
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments._facts import Fact, Section, refusal
from experiments.arrays._memory import aligned

Device: TypeAlias = Any  # jax.Device, which type checkers take for a variable
SIZES = (5, 1_000, 100_000, 1_000_000)
PLATFORMS = ("cpu", "gpu", "tpu")


class Conversion(NamedTuple):
    """Two lines that do the same, and the action of the JAX one."""

    pytorch: str
    jax: str
    convert: Callable[[np.ndarray, Array], Any]


# The notebook's four timed cells: with and without a copy, there and back.
CONVERSIONS = {
    "from_numpy": Conversion(
        "torch.from_numpy(a.astype(np.float32))",
        "jnp.from_dlpack(a.astype(np.float32))",
        lambda a, b: jnp.from_dlpack(_single(a)).block_until_ready(),
    ),
    "from_numpy_copy": Conversion(
        "torch.from_numpy(a.astype(np.float32)).clone()",
        "jnp.array(a.astype(np.float32))",
        lambda a, b: jnp.array(_single(a)).block_until_ready(),
    ),
    "to_numpy": Conversion(
        "b.to('cpu').detach().numpy()", "np.asarray(b)", lambda a, b: np.asarray(b)
    ),
    "to_numpy_copy": Conversion(
        "b.to('cpu').detach().numpy().copy()", "np.array(b)", lambda a, b: np.array(b)
    ),
}


def _single(a: np.ndarray) -> np.ndarray:
    """`a` in float32: copied if it is float64, as in the notebook; else as it is."""
    return np.asarray(a, np.float32)


class Timing(NamedTuple):
    """What one conversion of the notebook's five numbers costs."""

    pytorch: str
    jax: str
    microseconds: float


def timings(repeats: int) -> Section:
    """The notebook's four `%%timeit` cells, on its float64 array of five zeros."""
    a = np.zeros(5)
    b = jnp.zeros(5)
    return Section(
        "What a conversion costs",
        f"The fastest of {repeats} runs, the mean within a run. The notebook's first "
        "two cells cast float64 to float32, which is a copy by itself. At five "
        "numbers the call costs, not the copy.",
        {
            name: Timing(line.pytorch, line.jax, _microseconds(line, a, b, repeats))
            for name, line in CONVERSIONS.items()
        },
    )


class Growth(NamedTuple):
    """Microseconds of the four conversions of an array of so many float32."""

    numbers: int
    from_dlpack: float
    jnp_array: float
    np_asarray: float
    np_array: float


def growth(repeats: int) -> Section:
    """The same conversions of longer arrays, aligned and of float32: no cast."""
    entries = {}
    for size in SIZES:
        a = aligned(np.zeros(size, np.float32))
        b = jnp.zeros(size)
        times = [_microseconds(line, a, b, repeats) for line in CONVERSIONS.values()]
        entries[str(size)] = Growth(size, *times)
    return Section(
        "What a conversion costs, by size (microseconds)",
        "Sharing costs the same for five numbers and for a million; a copy grows.",
        entries,
    )


def _microseconds(line: Conversion, a: np.ndarray, b: Array, repeats: int) -> float:
    number = max(5, 200_000 // (a.size + 1000))
    line.convert(a, b)
    runs = timeit.repeat(lambda: line.convert(a, b), number=number, repeat=repeats)
    return round(1e6 * min(runs) / number, 2)


def all_devices() -> list[Device]:
    """Every device of every platform that this installation of JAX can reach."""
    found = []
    for platform in PLATFORMS:
        try:
            found += jax.devices(platform)
        except RuntimeError:  # JAX's way to say that there is none
            continue
    return found


def device_name(device: Device) -> str:
    """`cpu:0`, `gpu:1`: the name by which `find_device` finds it.

    Examples:
        >>> device_name(find_device("cpu"))
        'cpu:0'
    """
    return f"{device.platform}:{device.id}"


def find_device(name: str | None = None) -> Device:
    """The device of a name such as `cpu`, `gpu`, `tpu`, `cuda` or `gpu:1`.

    Args:
        name: A platform, or a platform and the number of the device after a colon.
            By default the device on which JAX computes.

    Returns:
        The device; the platform's first if the name holds no number.

    Raises:
        ValueError: If there is no such device.

    Examples:
        >>> find_device("cpu:0").platform
        'cpu'

    Torch: `torch.device("cuda:0")`, which also names a device that is not there.
    """
    if name is None:
        return jax.devices()[0]
    named: dict[str, Device] = {}
    for device in all_devices():
        named.setdefault(device.platform, device)
        named[device_name(device)] = device
    wanted = name.replace("cuda", "gpu", 1)
    if wanted not in named:
        there = ", ".join(map(device_name, all_devices()))
        raise ValueError(
            f"find_device: expected a device of this machine ({there}), "
            f"got {name!r} instead."
        )
    return named[wanted]


class DeviceRow(NamedTuple):
    """One device of this machine."""

    name: str
    platform: str
    number: int
    kind: str
    jax_computes_here: bool


def devices(chosen: Device) -> Section:
    """The devices of this machine."""
    rows = {
        device_name(device): DeviceRow(
            device_name(device),
            device.platform,
            device.id,
            device.device_kind,
            device == chosen,
        )
        for device in all_devices()
    }
    return Section(
        "Devices of this machine",
        "torch computes on the CPU until it is told otherwise; JAX takes the best "
        "device that it finds, and --device chooses another.",
        rows,
    )


def gpu(device: Device) -> Section:
    """What torch.cuda is asked, asked of JAX."""
    entries = {
        "available": Fact(
            "torch.cuda.is_available()",
            'jax.default_backend() == "gpu"',
            jax.default_backend() == "gpu",
        ),
        "count": Fact(
            "torch.cuda.device_count()", "jax.device_count()", jax.device_count()
        ),
        "index": Fact("torch.cuda.current_device()", "device.id", device.id),
        "kind": Fact(
            "torch.cuda.get_device_name(0)", "device.device_kind", device.device_kind
        ),
        "cuda": Fact(
            'torch.device("cuda:0")', 'jax.devices("gpu")[0]', _first_device("gpu")
        ),
        "platform": Fact(
            "", "    what an NVIDIA program is lowered for", nvidia_platform()
        ),
    }
    return Section(
        "Asking for a GPU",
        "torch's name of the platform is cuda (the notebook writes b.to('gpu') once, "
        "which is an error); JAX finds the device as gpu and as cuda. torch names a "
        "device that is not there and fails at its first use; JAX finds none.",
        entries,
    )


def placement(device: Device) -> Section:
    """Where arrays are made, and how arrays and parameters are moved."""
    params = {
        "hidden": {"w": jnp.ones((3, 4)), "b": jnp.zeros(4)},
        "output": {"w": jnp.ones((4, 2)), "b": jnp.zeros(2)},
    }
    moved = jax.device_put(params, device)
    cpu = find_device("cpu")
    made = jnp.ones((2, 3), device=device)
    x = jnp.ones((2, 3), device=cpu)
    entries = {
        "made": Fact(
            "torch.ones(2, 3, device=device)",
            "jnp.ones((2, 3), device=device)",
            _places(made),
        ),
        "moved": Fact(
            "x.to(device)",
            "jax.device_put(x, device)",
            _places(jax.device_put(x, device)),
        ),
        "fetched": Fact(
            "x.cpu()",
            'jax.device_put(x, jax.devices("cpu")[0])',
            _places(jax.device_put(made, cpu)),
        ),
        "model": Fact(
            "model.to(device)", "jax.device_put(params, device)", _places(moved)
        ),
        "leaves": Fact("", "    arrays moved", len(jax.tree.leaves(moved))),
    }
    return Section(
        "Moving",
        "In torch a tensor is moved by a method, and a module moves itself in place. "
        "In JAX one function moves an array or a whole tree of parameters, and "
        "returns the moved one. Shown is the device that holds the result.",
        entries,
    )


def _places(tree: Any) -> str:
    """The devices that hold the leaves of `tree`, each named once."""
    held = {device for leaf in jax.tree.leaves(tree) for device in leaf.devices()}
    return ", ".join(sorted(map(device_name, held)))


def _first_device(platform: str) -> str:
    try:
        return device_name(jax.devices(platform)[0])
    except RuntimeError:
        return refusal(lambda: jax.devices(platform))


def nvidia_platform() -> str:
    """The platform for which a Cholesky factor is lowered to NVIDIA's cuSOLVER.

    Lowering needs no such device: JAX writes the program for any platform.
    """
    factor = jax.jit(jnp.linalg.cholesky).trace(jnp.eye(2))
    for platform in ("cpu", "rocm", "cuda"):
        text = factor.lower(lowering_platforms=(platform,)).as_text()
        if "cusolver" in text:
            return platform
    return "unknown"
