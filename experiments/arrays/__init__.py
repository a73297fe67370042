"""PyTorch's tensors and JAX's arrays, line by line.

The tensor parts of notebooks 000 and 003: making, typing, adding, indexing, reshaping
and reading arrays, who copies and who shares memory with NumPy, what a conversion
costs, devices, and the notebook's exercises. Every section states what torch does and
shows, measured in this run, what JAX does instead.

    python -m experiments.arrays
    python -m experiments.arrays --device cpu:0
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments._command import parse, save_figures, section
from experiments._facts import Section
from experiments.arrays._corrections import corrections
from experiments.arrays._devices import (
    SIZES,
    device_name,
    devices,
    find_device,
    gpu,
    growth,
    placement,
    timings,
)
from experiments.arrays._exercises import (
    blocks,
    cubic,
    cubic_slope,
    cubic_slope_by_hand,
    exercises,
    last_rows,
    size,
    without_last_block,
    without_last_block_in_full,
)
from experiments.arrays._memory import aligned, copies, late_writes, sharing, story
from experiments.arrays._reading import detaching, indexing, items, names, shapes
from experiments.arrays._values import (
    addition,
    creation,
    drawing,
    dtypes,
    type_choices,
)
from jaxgrad import plots

__all__ = [
    "Config",
    "Result",
    "aligned",
    "blocks",
    "cubic",
    "cubic_slope",
    "cubic_slope_by_hand",
    "device_name",
    "figures",
    "find_device",
    "last_rows",
    "main",
    "report",
    "reproduced",
    "run",
    "size",
    "without_last_block",
    "without_last_block_in_full",
]


@dataclass(frozen=True)
class Config:
    """PyTorch's tensors and JAX's arrays, line by line."""

    device: str | None = None
    """Where to compute: cpu, gpu, tpu or, with a number, cpu:0; by default where JAX
    does. What concerns NumPy's memory runs on the CPU in any case."""
    seed: int = 0
    """Seed of the random arrays."""
    repeats: int = 5
    """Runs of each timed conversion, of which the fastest counts."""
    output_dir: Path = Path("results/arrays")
    """Where the picture goes."""


class Result(NamedTuple):
    """The sections in the order of reading."""

    creation: Section
    drawing: Section
    dtypes: Section
    type_choices: Section
    addition: Section
    indexing: Section
    shapes: Section
    copies: Section
    names: Section
    items: Section
    detaching: Section
    sharing: Section
    late_writes: Section
    story: Section
    timings: Section
    growth: Section
    devices: Section
    gpu: Section
    placement: Section
    exercises: Section
    corrections: Section


def run(config: Config) -> Result:
    """Compute every section; what shares memory with NumPy runs on the CPU."""
    if config.repeats < 1:
        raise ValueError(f"expected --repeats >= 1, got {config.repeats} instead")
    device, cpu = find_device(config.device), find_device("cpu")
    draw_key, add_key, name_key = jax.random.split(jax.random.key(config.seed), 3)
    with jax.enable_x64(False), jax.default_device(device):
        on_device = {
            "creation": creation(),
            "drawing": drawing(draw_key),
            "dtypes": dtypes(),
            "type_choices": type_choices(),
            "addition": addition(add_key),
            "indexing": indexing(),
            "shapes": shapes(),
            "names": names(name_key),
            "items": items(),
            "detaching": detaching(),
            "devices": devices(device),
            "gpu": gpu(device),
            "placement": placement(device),
            "exercises": exercises(),
        }
    with jax.enable_x64(False), jax.default_device(cpu):
        return Result(
            **on_device,
            copies=copies(),
            sharing=sharing(),
            late_writes=late_writes(),
            story=story(),
            timings=timings(config.repeats),
            growth=growth(config.repeats),
            corrections=corrections(on_device["drawing"], on_device["dtypes"]),
        )


def report(result: Result) -> None:
    """Print the sections, top to bottom."""
    for part in result:
        section(part.title, part.text())


def figures(result: Result) -> dict[str, Figure]:
    """The cost of a conversion against the size of the array."""
    rows = list(result.growth.entries.values())
    labels = {
        "from_dlpack": "NumPy to JAX, shared: jnp.from_dlpack",
        "jnp_array": "NumPy to JAX, copied: jnp.array",
        "np_asarray": "JAX to NumPy, shared: np.asarray",
        "np_array": "JAX to NumPy, copied: np.array",
    }
    figure = plots.curves(
        {
            label: np.array([getattr(row, field) for row in rows])
            for field, label in labels.items()
        },
        x=np.array(SIZES),
        xlabel="float32 numbers in the array",
        ylabel="microseconds (fastest run)",
        title="Sharing memory costs the same at any size; a copy grows",
        log=True,
    )
    figure.axes[0].set_xscale("log")
    return {"conversions": figure}


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of every row of notebooks 000 and 003 that is about arrays."""
    return {
        **_notebook_000(result),
        **_values_of_003(result),
        **_reading_of_003(result),
        **_memory_of_003(result),
        **_exercises_of_003(result),
        **_corrected(result),
    }


def _made(array: jax.Array) -> dict[str, Any]:
    values = np.asarray(array)  # outside x64 JAX would cut 64-bit numbers
    return {
        "shape": values.shape,
        "dtype": values.dtype.name,
        "smallest": values.min().item(),
        "largest": values.max().item(),
    }


def _notebook_000(result: Result) -> dict[str, Any]:
    made, types, added = result.creation, result.type_choices, result.addition
    drawn = result.drawing
    return {
        "0.1": _made(made.shows("empty")),
        "0.2": {"notebook": _made(added.shows("x")), "jax": _made(drawn.shows("rand"))},
        "0.3": {
            "notebook": _made(added.shows("y")),
            "jax": _made(added.shows("drawn")),
        },
        "0.4": {
            "sum": added.shows("x + y"),
            "equal forms": added.shows("equal forms"),
        },
        "0.5": result.indexing.shows("column"),
        "0.6": {
            "to numpy": types.shows("numpy"),
            "types": [
                types.shows("numpy").dtype.name,
                types.shows("numpy type"),
                types.shows("from_numpy").dtype.name,
            ],
            "from numpy": types.shows("from_numpy"),
        },
        "0.7": [made.shows("ones"), made.shows("ones + 2")],
    }


def _values_of_003(result: Result) -> dict[str, Any]:
    made, drawn, types = result.creation, result.drawing, result.type_choices
    literal = made.shows("literal")
    return {
        "3.1": {"empty": made.shows("empty").shape, "rand": _made(drawn.shows("rand"))},
        "3.2": {
            "zeros": _made(made.shows("zeros")),
            "bits": 8 * made.shows("zeros").itemsize,
            "ones": _made(made.shows("new_ones")),
        },
        "3.3": {
            "dtype": literal.dtype.name,
            "sum": made.shows("literal sum"),
            "corners": literal[::4, ::2],
        },
        "3.4": {
            "shapes": [
                drawn.shows("randn_like").shape,
                drawn.shows("randn_like 6").shape,
            ],
            "dtype": drawn.shows("randn_like").dtype.name,
            "mean": drawn.shows("randn moments")[0],
            "variance": drawn.shows("randn moments")[1],
        },
        "3.5": [
            types.shows(name).dtype.name for name in ("tensor", "FloatTensor", "Tensor")
        ],
        "3.6": result.addition.shows("equal forms"),
        "3.11": [row.bits for row in result.dtypes.entries.values()],
    }


def _reading_of_003(result: Result) -> dict[str, Any]:
    counts, items = result.names.entries, result.items
    return {
        "3.7": {
            "in place": [counts[name].in_place_as_torch for name in ("y1", "y2")],
            "JAX": [counts[name].jax for name in ("y1", "y2", "y")],
        },
        "3.8": {
            "indexed": [
                result.indexing.shows(name).shape for name in ("row", "column", "part")
            ],
            "reshaped": [result.shapes.shows("16"), result.shapes.shows("-1, 8")],
        },
        "3.9": {
            "-1, 7": result.shapes.shows("-1, 7").partition(":")[0],
            "x.T.reshape(16)[:6]": result.shapes.shows("transposed"),
            "NumPy copies": [
                result.copies.entries[name].numpy_copies
                for name in ("view", "T reshaped")
            ],
        },
        "3.10": {
            "items": len(items.shows("items")),
            "shape": items.shows("triple").shape,
            "item of 3": items.shows("item of 3").partition(":")[0],
            "item of 1": items.shows("item of 1"),
        },
        "3.17": {
            "arange": result.indexing.shows("arange"),
            "arange.T": result.indexing.shows("arange T"),
            "row.T": result.indexing.shows("row T"),
        },
    }


def _memory_of_003(result: Result) -> dict[str, Any]:
    steps = [step.one_memory for step in result.story.entries.values()]
    return {
        "3.12": steps[:2],
        "3.13": steps[2:4],
        "3.14": steps[4:7],
        "3.15": steps[7:],
        "3.16": [timing.microseconds for timing in result.timings.entries.values()],
        "3.18": {
            "count": result.gpu.shows("count"),
            "index": result.gpu.shows("index"),
        },
    }


def _exercises_of_003(result: Result) -> dict[str, Any]:
    answers = result.exercises
    t = answers.shows("1")
    return {
        "3.43": {"t": t, "size": answers.shows("2"), "dtype": t.dtype.name},
        "3.44": {
            "t[:, -1, :]": answers.shows("3"),
            "t[:-1:]": answers.shows("4"),
            "t[0:-1:1]": answers.shows("5"),
        },
        "3.45": {
            "slope": answers.shows("6"),
            "by hand": answers.shows("6 hand"),
            "value": answers.shows("6 value"),
        },
    }


def _corrected(result: Result) -> dict[str, Any]:
    """By their place in the list of what is stated about arrays, but is not so."""
    rows = {
        "3.C1": "digits",
        "3.C2": "rand",
        "3.C3": "types",
        "3.C5": "sharing",
        "3.C6": "device",
        "3.C7": "reshape",
        "3.C10": "problem 5",
    }
    return {
        row: result.corrections.entries[name].measured for row, name in rows.items()
    }


def main(argv: Sequence[str] | None = None) -> Result:
    """Parse the options, compute, print, and save the picture."""
    config = parse(Config, argv, "arrays")
    result = run(config)
    report(result)
    save_figures(figures(result), config.output_dir)
    return result
