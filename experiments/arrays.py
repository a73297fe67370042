"""PyTorch's tensors and JAX's arrays, line by line.

The tensor parts of notebooks 000 and 003: creating, typing, adding, indexing, reshaping
and reading arrays, what copies and what shares memory with NumPy, the cost of a
conversion, devices, and the notebook's exercises. Every section says what torch does
and shows what JAX does, measured in this run.

    python -m experiments.arrays
    python -m experiments.arrays --device cpu:0
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments._arrays import copying, devices, exercises, memory, reading, values
from experiments._command import run_as_script
from experiments._frame import Options, Sections, at_least, experiment, report
from experiments._frame import reproduced as reproduced
from jaxgrad import plots


@dataclass(frozen=True)
class Config(Options):
    """PyTorch's tensors and JAX's arrays, line by line."""

    device: str | None = None
    """Device to compute on: cpu, gpu, tpu or, with a number, cpu:0; by default JAX's.
    The sections on memory shared with NumPy always run on the CPU."""
    seed: int = 0
    """Seed of the random arrays."""
    repeats: int = 5
    """Runs of each timed conversion; the fastest counts."""


def run(config: Config) -> Sections:
    """Compute every section, those on memory shared with NumPy on the CPU."""
    at_least(config, repeats=1)
    device, cpu = devices.find_device(config.device), devices.find_device("cpu")
    draw_key, add_key, name_key = jax.random.split(jax.random.key(config.seed), 3)
    with jax.enable_x64(False), jax.default_device(device):
        result = {
            "creation": values.creation(),
            "drawing": values.drawing(draw_key),
            "dtypes": values.dtypes(),
            "type_choices": values.type_choices(),
            "addition": values.addition(add_key),
            "indexing": reading.indexing(),
            "shapes": reading.shapes(),
            "names": reading.names(name_key),
            "items": reading.items(),
            "detaching": reading.detaching(),
        }
    with jax.enable_x64(False), jax.default_device(cpu):
        result |= {
            "copies": memory.copies(),
            "sharing": memory.sharing(),
            "late_writes": memory.late_writes(),
            "story": memory.story(),
            "plus_equals": copying.plus_equals(),
            "copy_names": copying.names(),
            "timings": devices.timings(config.repeats),
        }
    with jax.enable_x64(False), jax.default_device(device):
        result |= {
            "devices": devices.devices(device),
            "gpu": devices.gpu(device),
            "placement": devices.placement(device),
            "exercises": exercises.exercises(),
        }
    return result | {"corrections": exercises.corrections(reproduced(result))}


def figures(result: Sections) -> dict[str, Figure]:
    """The cost of a conversion against the size of the array."""
    labels = (
        "NumPy to JAX, shared: jnp.from_dlpack",
        "NumPy to JAX, copied: jnp.array",
        "JAX to NumPy, shared: np.asarray",
        "JAX to NumPy, copied: np.array",
    )
    timings = [np.array(entry[3:]) for entry in result["timings"].entries]
    figure = plots.curves(
        dict(zip(labels, timings, strict=True)),
        x=np.array(devices.SIZES),
        xlabel="float32 numbers in the array",
        ylabel="microseconds (fastest run)",
        title="Sharing memory costs the same at any size; a copy does not",
        log=True,
    )
    figure.axes[0].set_xscale("log")
    return {"conversions": figure}


main = experiment("arrays", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
