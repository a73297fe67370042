"""A notebook that is executed once, for the tests of what its cells show."""

import functools

BEGIN = """
import jax, jax.numpy as jnp, optax
from jaxgrad import compare, descent, diagnose, explain, find_nonfinite, plots
from jaxgrad import check_gradients, training
"""
LOSS = """

def loss(w, x):
    h = jnp.log(w * x)
    y = jnp.tanh(h) * 0.5
    return y.sum()"""
OTHER = LOSS.replace("log", "log1p").replace("loss", "other").strip()
CAPTURED = "%%capture out\ndef f(w):\n    y = jnp.sin(w)\n    return y.sum()\n"
FULL = "args = jnp.array([0.5, 1.0]), jnp.ones(2)\n"
CELLS = {
    "begin": BEGIN.strip(),
    "loss": LOSS,
    "explain": "explain(loss)(jnp.array([0.0, 1.0]), jnp.ones(2))",
    "text": "print(explain(loss)(jnp.array([0.0, 1.0]), jnp.ones(2)))",
    "blame": "find_nonfinite(loss)(jnp.array([0.0, 1.0]), jnp.ones(2))",
    "other": OTHER,
    "compare": FULL + "compare(explain(loss)(*args), explain(other)(*args))",
    "diagnose": "diagnose(lambda w: jax.nn.relu(w).sum())(-jnp.ones(2))",
    "captured": CAPTURED + "print(explain(f)(jnp.ones(3)))",
    "out": "print(out)",
    "refused": "explain(lambda w: jax.lax.while_loop(lambda c: c < 3, lambda c: 2 * c, "
    "w))(1.0)",
    "figure": "plots.activation_card('relu')",
    "inline": "%matplotlib inline\nplots.activation_card('relu')",
    "pyplot": "import matplotlib.pyplot as plt\nprint(plt.get_fignums())",
    "check": "check_gradients(lambda w: jnp.abs(w).sum())(jnp.array([0.0, 1.0]))",
    "race": "descent.race({'sgd': optax.sgd}, descent.SURFACES['bowl'], "
    "jnp.ones((3, 2)), jnp.array([0.1, 0.01]), 5)",
    "state": "training.init(jax.random.key(0), {'fc': {'kernel': jnp.ones((78, 12)), "
    "'bias': jnp.ones(12)}}, optax.adam(1e-3))",
    "epoch": "training.Epoch(0, 0.3, None, 0.25, 0.91, 12.5)",
    "timed": "%%time\n" + LOSS.strip() + "\nz = 2.0",
    "timed text": "print(explain(loss)(jnp.array([0.5, 1.0]), jnp.ones(2)))",
    "again": LOSS + "\nprint(explain(loss)(jnp.array([0.5, 1.0]), jnp.ones(2)))",
}


@functools.cache
def executed():
    """The notebook with its outputs, as nbclient leaves it: not trusted."""
    import nbclient
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbclient.NotebookClient(notebook, allow_errors=True).execute()
    return notebook


def outputs():
    """The outputs of each cell by its name in `CELLS`."""
    cells = zip(CELLS, executed().cells, strict=True)
    return {name: cell.outputs for name, cell in cells}
