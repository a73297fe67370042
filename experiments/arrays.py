"""PyTorch's tensors and JAX's arrays, line by line.

The tensor parts of notebooks 000 and 003: creating, typing, adding, indexing, reshaping
and reading arrays, what copies and what shares memory with NumPy, the cost of a
conversion, devices, and the notebook's exercises. Every section says what torch does
and shows what JAX does, measured in this run.

    python -m experiments.arrays
    python -m experiments.arrays --device cpu:0
"""

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments._arrays import copying, devices, exercises, memory, reading, values
from experiments._command import run_as_script
from experiments._frame import Sections, Yielded, at_least, complete, experiment
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._options import Arrays as Config
from jaxgrad import plots


def sections(config: Config) -> Yielded:
    """Every section, then what they say about the notebook's wrong statements."""
    found: Sections = {}
    for name, part in measured(config):
        found[name] = part
        yield name, part
    yield "corrections", exercises.corrections(reproduced(found))


def measured(config: Config) -> Yielded:
    """Compute every section, those on memory shared with NumPy on the CPU."""
    at_least(config, repeats=1)
    device, cpu = devices.find_device(config.device), devices.find_device("cpu")
    draw_key, add_key, name_key = jax.random.split(jax.random.key(config.seed), 3)
    with jax.enable_x64(False), jax.default_device(device):
        yield "creation", values.creation()
        yield "drawing", values.drawing(draw_key)
        yield "dtypes", values.dtypes()
        yield "type_choices", values.type_choices()
        yield "addition", values.addition(add_key)
        yield "indexing", reading.indexing()
        yield "shapes", reading.shapes()
        yield "names", reading.names(name_key)
        yield "items", reading.items()
        yield "detaching", reading.detaching()
    with jax.enable_x64(False), jax.default_device(cpu):
        yield "copies", memory.copies()
        yield "sharing", memory.sharing()
        yield "late_writes", memory.late_writes()
        yield "story", memory.story()
        yield "plus_equals", copying.plus_equals()
        yield "copy_names", copying.names()
        yield "timings", devices.timings(config.repeats)
    with jax.enable_x64(False), jax.default_device(device):
        yield "devices", devices.devices(device)
        yield "gpu", devices.gpu(device)
        yield "placement", devices.placement(device)
        yield "exercises", exercises.exercises()


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


run = complete(sections)
main = experiment("arrays", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
