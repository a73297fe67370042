"""Devices: which exist, how arrays move, and what a conversion costs."""

import timeit
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from experiments._arrays.memory import aligned
from experiments._section import Section, also, error_of

Device: TypeAlias = Any  # jax.Device, which type checkers take for a variable
PLATFORMS = ("cpu", "gpu", "tpu")
SIZES = (5, 1000, 100_000, 1_000_000)


def timings(repeats: int) -> Section:
    """The notebook's four `%%timeit` cells, on its five zeros and on longer arrays."""

    def to_jax(convert):
        return lambda a, b: convert(np.asarray(a, np.float32)).block_until_ready()

    cast, fetch = "a.astype(float32)", "b.to('cpu').detach().numpy()"
    from_numpy = f"torch.from_numpy({cast})"
    lines = [
        (from_numpy, f"jnp.from_dlpack({cast})", to_jax(jnp.from_dlpack)),
        (f"{from_numpy}.clone()", f"jnp.array({cast})", to_jax(jnp.array)),
        (fetch, "np.asarray(b)", lambda a, b: np.asarray(b)),
        (f"{fetch}.copy()", "np.array(b)", lambda a, b: np.array(b)),
    ]
    arrays = [np.zeros(5), *(aligned(np.zeros(n, np.float32)) for n in SIZES)]
    entries = [
        (torch, ours, *(_microseconds(convert, a, repeats) for a in arrays))
        for torch, ours, convert in lines
    ]
    return Section(
        "The cost of a conversion, in microseconds",
        f"The fastest of {repeats} runs, averaged within the run. The notebook's array "
        "has five float64 numbers: casting it to float32 already copies it, and the "
        "call costs more than the copy. Sharing a float32 array costs the same at any "
        "size; copying a larger one costs more.",
        entries,
        {"3.16": [entry[2] for entry in entries]},
        ("PyTorch", "JAX", "float64", *(f"of {size}" for size in SIZES)),
    )


def _microseconds(convert: Callable[..., Any], a: np.ndarray, repeats: int) -> float:
    b = jnp.zeros(a.size)
    number = max(5, 200_000 // (a.size + 1000))
    convert(a, b)
    runs = timeit.repeat(lambda: convert(a, b), number=number, repeat=repeats)
    return round(1e6 * min(runs) / number, 2)


def all_devices() -> list[Device]:
    """Every device that this installation of JAX can use."""
    found = []
    for platform in PLATFORMS:
        with suppress(RuntimeError):  # raised for a missing platform
            found += jax.devices(platform)
    return found


def device_name(device: Device) -> str:
    """The device's name for `find_device`: `cpu:0`, `gpu:1`."""
    return f"{device.platform}:{device.id}"


def find_device(name: str | None = None) -> Device:
    """The device named, for example, `cpu`, `gpu`, `tpu`, `cuda` or `gpu:1`.

    A name without a number means the platform's first device, None the one on which JAX
    computes. `torch.device("cuda:0")` does not check that the device exists.

    Raises:
        ValueError: If the device does not exist.

    Examples:
        >>> find_device("cpu:0").platform
        'cpu'
    """
    if name is None:
        return jax.devices()[0]
    wanted = name.replace("cuda", "gpu", 1)
    for device in all_devices():
        if wanted in (device.platform, device_name(device)):
            return device
    known = ", ".join(map(device_name, all_devices()))
    raise ValueError(
        f"find_device: expected name to be a device of this machine ({known}), "
        f"got {name!r} instead."
    )


def devices(chosen: Device) -> Section:
    return Section(
        "Devices of this machine",
        "torch computes on the CPU unless told otherwise. JAX uses the best device it "
        "finds; --device chooses another.",
        [
            (device_name(d), d.platform, d.id, d.device_kind, d == chosen)
            for d in all_devices()
        ],
        header=("name", "platform", "number", "kind", "JAX computes here"),
    )


def gpu(device: Device) -> Section:
    """JAX's counterparts of torch.cuda's queries."""
    found, count = jax.default_backend() == "gpu", jax.device_count()
    kind, platform = device.device_kind, nvidia_platform()
    gpus = [device_name(d) for d in all_devices() if d.platform == "gpu"]
    first = gpus[0] if gpus else error_of(lambda: jax.devices("gpu"))
    return Section(
        "Asking for a GPU",
        "torch calls the platform cuda (the notebook once writes b.to('gpu'), which is "
        "an error); JAX accepts gpu and cuda. torch accepts the name of a device that "
        "does not exist and fails at its first use; JAX fails at once.",
        [
            ("torch.cuda.is_available()", 'jax.default_backend() == "gpu"', found),
            ("torch.cuda.device_count()", "jax.device_count()", count),
            ("torch.cuda.current_device()", "device.id", device.id),
            ("torch.cuda.get_device_name(0)", "device.device_kind", kind),
            ('torch.device("cuda:0")', 'jax.devices("gpu")[0]', first),
            also("the platform of an NVIDIA program", platform),
        ],
        {"3.18": {"count": count, "index": device.id}, "3.C6": platform},
    )


def nvidia_platform() -> str:
    """The platform for which a Cholesky factor is lowered to NVIDIA's cuSOLVER.

    Lowering works without the device: JAX writes programs for any platform.
    """
    factor = jax.jit(jnp.linalg.cholesky).trace(jnp.eye(2))
    for platform in ("cpu", "rocm", "cuda"):
        if "cusolver" in factor.lower(lowering_platforms=(platform,)).as_text():
            return platform
    return "unknown"


def placement(device: Device) -> Section:
    """Creating arrays on a device, and moving arrays and parameters."""
    hidden = {"w": jnp.ones((3, 4)), "b": jnp.zeros(4)}
    params = {"hidden": hidden, "output": {"w": jnp.ones((4, 2)), "b": jnp.zeros(2)}}
    cpu = find_device("cpu")
    x, here = jnp.ones((2, 3), device=cpu), jnp.ones((2, 3), device=device)
    moved, fetched = jax.device_put(x, device), jax.device_put(here, cpu)
    model = jax.device_put(params, device)
    create, put = "ones((2, 3), device=device)", "jax.device_put"
    to_cpu = f'{put}(x, jax.devices("cpu")[0])'
    return Section(
        "Moving arrays",
        "In torch a method moves a tensor, and a module moves itself in place. In JAX "
        "one function moves an array or a whole tree of parameters and returns the "
        "result. The table shows the device that holds it.",
        [
            ("torch.ones(2, 3, device=device)", f"jnp.{create}", _places(here)),
            ("x.to(device)", f"{put}(x, device)", _places(moved)),
            ("x.cpu()", to_cpu, _places(fetched)),
            ("model.to(device)", f"{put}(params, device)", _places(model)),
            also("arrays moved", len(jax.tree.leaves(model))),
        ],
    )


def _places(tree: Any) -> str:
    """The devices that hold the leaves of `tree`, each named once."""
    held = {device for leaf in jax.tree.leaves(tree) for device in leaf.devices()}
    return ", ".join(sorted(map(device_name, held)))
