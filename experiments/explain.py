"""Every gradient explained: five reports, as tables here and as pages with the graph.

    python -m experiments.explain [--data-dir FOLDER]

The backprop notebook's two lines (gradients 12, 4, -4, 1), its two-layer network, the
first batch of the MNIST perceptron, and two NaNs: a training loop that stops at the
step that caused it and says why, and a finite loss whose gradient is NaN. Each report
is also saved as a page for the browser that loads nothing from a network.

In PyTorch, `retain_grad()` on each intermediate tensor before `backward()` gives these
gradients one by one. Here the function is unchanged, and every step has a source line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxgrad
from experiments import two_layer_net as network
from experiments._command import run_as_script, section, table
from experiments._comparison import Fact, Section
from experiments._explain.functions import backprop, first_batch, two_layer_net
from experiments._explain.nan_examples import STEPS, Descent, NaNExamples, nan_examples
from experiments._frame import Options, at_least, experiment
from experiments.mnist_mlp import HIDDEN, mlp
from jaxgrad import datasets
from jaxgrad.inspection import Explanation, Step


@dataclass(frozen=True)
class Config(Options):
    """Every gradient explained: five reports, as tables and as pages with the graph."""

    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """The perceptron's images. auto is MNIST if a folder, the cache or the network
    provides it, else scikit-learn's digits."""
    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    batch_size: int = 256
    """Images in the perceptron's first batch."""
    steps: int = STEPS
    """Steps of the two training loops, unless a NaN stops them."""
    seed: int = 0
    """Seed of everything random."""
    output_dir: Path = Path("results/explain")
    """Folder for the pages."""


class Result(NamedTuple):
    """The reports."""

    backprop: Explanation
    two_layer_net: Explanation
    mnist_mlp: Explanation
    images: str
    """A description of the perceptron's images."""
    nans: NaNExamples


def run(config: Config) -> Result:
    """Explain the functions and run the examples of NaN."""
    at_least(config, batch_size=1, steps=1)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    perceptron, images = explain_perceptron(config, keys[0])
    explained = jaxgrad.explain(backprop, argnums=(0, 1, 2, 3))
    return Result(
        backprop=explained(2.0, -10.0, 4.0, 7.0, 3.0),
        two_layer_net=jaxgrad.explain(two_layer_net)(*network.start(keys[1])),
        mnist_mlp=perceptron,
        images=images,
        nans=nan_examples(keys[2], config.steps),
    )


def explain_perceptron(config: Config, key: jax.Array) -> tuple[Explanation, str]:
    """The report of the untrained network on its first batch."""
    dataset = datasets.load(config.dataset, config.data_dir)
    images, labels = (jnp.asarray(part[: config.batch_size]) for part in dataset.train)
    sizes = (images[0].size, *HIDDEN, dataset.num_classes)
    _, params = mlp(key, sizes)
    explained = jaxgrad.explain(first_batch)
    scaled = images.astype(jnp.float32) / dataset.white
    return explained(params, scaled, labels), str(dataset)


def report(result: Result) -> None:
    """Print the reports, and what they show."""
    torch = torch_comparison(result.backprop)
    section("h1 = w1 x + b1, y = w2 h1 + b2", str(result.backprop))
    section(torch.title, torch.text())
    section("The two-layer network", _network_text(result.two_layer_net))
    print(f"\n{result.images}")
    section("The perceptron's first batch", str(result.mnist_mlp))
    print(f"\n{_layers_table(result.mnist_mlp)}")
    section("A NaN in a training loop", _loops_text(result.nans))
    section("A finite loss with a NaN in its gradient", _gradient_text(result.nans))


def torch_comparison(explained: Explanation) -> Section:
    """Lines of PyTorch that need a change before backward, beside the report."""
    w1, _, w2, _ = explained.gradients
    h1, y = explained["h1"], explained["y"]
    retained, inputs = "h1.retain_grad(); y.backward(); h1.grad", 'report["y"].inputs'
    operands = ", ".join(operand.label for operand in y.inputs)
    anomaly, fault = "set_detect_anomaly(True)", str(explained.nonfinite)
    return Section(
        "What PyTorch must be asked for beforehand",
        "PyTorch keeps the gradients of leaves only: h1.grad is None unless "
        "h1.retain_grad() was called before backward().",
        [
            Fact("y.backward(); w1.grad", "report.gradients[0]", w1.item()),
            Fact("w2.grad", "report.gradients[2]", w2.item()),
            Fact("h1.item()", 'report["h1"].value', h1.value.item()),
            Fact(retained, 'report["h1"].gradient', h1.gradient.item()),
            Fact("y.grad_fn.next_functions", inputs, operands),
            Fact("not available", 'report["h1"].source.text', h1.source.text),
            Fact(anomaly, "report.nonfinite", fault),
        ],
    )


def _network_text(explained: Explanation) -> str:
    sizes = f"{network.N}, {network.D_IN}, {network.H}, {network.D_OUT}"
    zero = float((explained["h_relu"].value == 0).mean())
    return (
        f"batch, inputs, hidden, outputs: {sizes}\n\n{explained}\n\n"
        f"h_relu is zero in {zero:.0%} of its elements, where relu has slope 0\n"
        "largest difference of prediction.gradient from 2 error, its value by "
        f"calculus: {gap(explained):.1e}"
    )


def gap(explained: Explanation) -> float:
    """The largest difference of the prediction's gradient from calculus."""
    difference = explained["prediction"].gradient - 2 * explained["error"].value
    return float(abs(difference).max())


def _layers_table(explained: Explanation) -> str:
    """The sizes of activations and gradients, layer by layer."""
    norm = jnp.linalg.norm
    rows = [
        (name, f"{norm(step.value):.4g}", f"{norm(step.gradient):.4g}", _dead(step))
        for name in ("h1", "h2", "logits")
        for step in [explained[name]]
    ]
    return table(("layer", "norm of value", "norm of gradient", "dead units"), rows)


def _dead(step: Step) -> int:
    """Units that are zero for every image: no gradient reaches their weights."""
    return int((step.value == 0).all(axis=0).sum())


def _loops_text(nans: NaNExamples) -> str:
    rows = [
        ("by definition, with log(1 - p)", *_end(nans.by_definition)),
        ("of the logits", *_end(nans.of_logits)),
    ]
    header = ("binary cross-entropy", "steps", "last loss", "ended with")
    return f"{table(header, rows)}\n\n{nans.by_definition.blame}"


def _end(descent: Descent) -> tuple[int, float, str]:
    ending = "no error" if descent.blame is None else "NonFiniteError"
    return len(descent.losses), descent.losses[-1], ending


def _gradient_text(nans: NaNExamples) -> str:
    gradient = np.asarray(nans.safe_gradient, float).round(6).tolist()
    return f"{nans.lengths}\n\nwith two calls of where, the gradient is {gradient}"


def figures(result: Result) -> dict[str, Explanation]:
    """The pages; their graphs are the pictures."""
    return {
        "backprop": result.backprop,
        "two_layer_net": result.two_layer_net,
        "mnist_mlp": result.mnist_mlp,
        "nan_in_training": result.nans.report,
        "nan_in_gradient": result.nans.lengths,
    }


def reproduced(result: Result) -> dict[str, Any]:
    """Nothing: `experiments.backprop` reproduces the notebook's numbers."""
    del result
    return {}


main = experiment("explain", Config, run, report, figures)

if __name__ == "__main__":
    run_as_script(main)
