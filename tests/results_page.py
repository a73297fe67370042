"""A small, hand-made run for the tests of the results page: three experiments."""

import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments._optimizers.recording import recording
from experiments._reproduction import Row
from experiments._results.page import write
from experiments._results.saving import save_figure
from jaxgrad import plots
from jaxgrad.descent import SURFACES, race

EXACT = 0.30000001192092896  # 0.3 in float32
LONG = [EXACT + i for i in range(90)]
ROWS = [
    Row(
        "000", "0.1", "a shape & a <dtype>", "machine", [5, 3], {"shape": [5, 3]}, True
    ),
    Row("001", "1.7", "h1 and y", "deterministic", [-4.0, EXACT], [-4.0, EXACT], True),
    Row("001", "1.8", "four gradients", "deterministic", 12.0, 12.5, False),
    Row("001", "1.16", "many losses", "random", "falls", LONG, True),
    Row("003", "3.C11", "doubled outside", "corrected", "error", "23 of 23", False),
    Row("003", "3.32", "the accuracy", "random", [92.0], None, None),
]
DATA = type("Data", (), {"name": "digits", "__str__": lambda self: "digits: 1,440"})()
REPORT = '<!DOCTYPE html><html lang=en><title>r</title><p>a "report" & its end</html>'


def races():
    """Two races of 60 steps: a descent, and one that leaves the picture."""
    starts, lrs = jnp.array([[3.0, 4.0]]), jnp.array([0.1, 0.5])
    found, pictures = {}, {}
    for name in ("sphere", "bowl"):
        surface = SURFACES[name]
        found[name] = race({"SGD": optax.sgd}, surface, starts, lrs, 60)
        paths = {
            "SGD, lr 0.1": np.array([[3.0, 1.0], [1.0, 0.5], [0.0, 0.001], [0, 0]]),
            "</script>, lr 9": np.array(
                [[3.0, 1.0], [50.0, 0.5], [1e30, 0.0], [np.nan, 0]]
            ),
        }
        pictures[name] = plots.contours(surface, paths)
    return pictures, found


def crowded():
    """A figure whose SVG is large."""
    figure = Figure()
    figure.add_subplot().scatter(np.arange(3000), np.arange(3000) ** 2)
    return figure


def make(folder, **more):
    """Write the run's files and its page; return the page."""
    names = ("backprop", "optimizers", "explain", "mnist_mlp")
    ran = {name: folder / name for name in names}
    for path in ran.values():
        path.mkdir(parents=True)
    pictures, found = races()
    recording(pictures, found).save(ran["optimizers"] / "race.html")
    save_figure(plots.curves({"a": np.arange(3.0)}), ran["backprop"] / "loss")
    save_figure(crowded(), ran["optimizers"] / "contours_rosenbrock")
    save_figure(plots.curves({"a": np.ones(2)}), ran["mnist_mlp"] / "losses")
    (ran["explain"] / "backprop.html").write_text(REPORT)
    (ran["explain"] / "backprop.svg").write_text("<svg/>")
    (ran["explain"] / "report.txt").write_text(f"A claim & <its> table\n{'=' * 180}\n")
    options = {"output_dir": folder, "epochs": 2}
    given = {"options": options, "dataset": DATA, "seconds": {"backprop": 1.23}} | more
    return write(folder, ran, ROWS, **given)
