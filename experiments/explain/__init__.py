"""Every gradient explained: five reports, as tables here and as pages with the graph.

    python -m experiments.explain [--data-dir FOLDER]

The backprop notebook's two lines (12, 4, -4, 1), its two-layer network, the first batch
of the MNIST perceptron, and two hunts for a NaN: a training loop that stops at the step
that made it and says why, and a finite loss whose gradient is NaN. Each report is also
a page, to be opened in a browser; nothing is fetched from a network.

In PyTorch `retain_grad()` on each intermediate tensor, before `backward()`, gives these
gradients one by one; here the function needs no change, and a step has a source line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxgrad
from experiments import two_layer_net as network
from experiments._command import parse, section, table
from experiments._facts import Fact, Section
from experiments.explain._functions import backprop, first_batch, two_layer_net
from experiments.explain._hunt import STEPS, Descent, Hunt, hunt
from experiments.mnist_mlp import HIDDEN, mlp
from jaxgrad import datasets
from jaxgrad.inspection import Explanation, Step


@dataclass(frozen=True)
class Config:
    """Every gradient explained: five reports, as tables and as pages with the graph."""

    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """The perceptron's images; auto is MNIST if a directory, the cache or the network
    gives it, else scikit-learn's digits."""
    data_dir: Path | None = None
    """Directory of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    batch_size: int = 256
    """Images in the perceptron's first batch."""
    steps: int = STEPS
    """Of the training loops in the hunt, if nothing stops them."""
    seed: int = 0
    """The key of everything random."""
    output_dir: Path = Path("results/explain")
    """Where the pages go."""


class Result(NamedTuple):
    """The reports."""

    backprop: Explanation
    two_layer_net: Explanation
    mnist_mlp: Explanation
    images: str
    """What the perceptron's images are."""
    hunt: Hunt


def run(config: Config) -> Result:
    """Explain the functions, and hunt."""
    _check(config)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    perceptron, images = _perceptron(config, keys[0])
    explained = jaxgrad.explain(backprop, argnums=(0, 1, 2, 3))
    return Result(
        backprop=explained(2.0, -10.0, 4.0, 7.0, 3.0),
        two_layer_net=jaxgrad.explain(two_layer_net)(*network.start(keys[1])),
        mnist_mlp=perceptron,
        images=images,
        hunt=hunt(keys[2], config.steps),
    )


def _check(config: Config) -> None:
    for name in ("batch_size", "steps"):
        value = getattr(config, name)
        if value < 1:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"expected {option} >= 1, got {value} instead")


def _perceptron(config: Config, key: jax.Array) -> tuple[Explanation, str]:
    """The report of the untrained network on its first batch."""
    dataset = datasets.load(config.dataset, config.data_dir)
    images, labels = (jnp.asarray(part[: config.batch_size]) for part in dataset.train)
    sizes = (images[0].size, *HIDDEN, dataset.num_classes)
    _, params = mlp(key, sizes)
    explained = jaxgrad.explain(first_batch)
    scaled = images.astype(jnp.float32) / dataset.white
    return explained(params, scaled, labels), str(dataset)


def report(result: Result) -> None:
    """Print the reports, and what to see in them."""
    section("h1 = w1 x + b1, y = w2 h1 + b2", str(result.backprop))
    section("What PyTorch asks for beforehand", _torch_text(result.backprop))
    section("The two-layer network", _network_text(result.two_layer_net))
    print(f"\n{result.images}")
    section("The perceptron's first batch", str(result.mnist_mlp))
    print(_flow_text(result.mnist_mlp))
    section("A NaN in a training loop", _loops_text(result.hunt))
    section("A finite loss, and its gradient NaN", _gradient_text(result.hunt))


def _torch_text(explained: Explanation) -> str:
    """Every line of PyTorch here needs a change before backward; none of ours does."""
    w1, _, w2, _ = explained.gradients
    h1, y = explained["h1"], explained["y"]
    facts = {
        "leaf": Fact("y.backward(); w1.grad", "report.gradients[0]", w1.item()),
        "second": Fact("w2.grad", "report.gradients[2]", w2.item()),
        "value": Fact("h1.item()", 'report["h1"].value', h1.value.item()),
        "retained": Fact(
            "h1.retain_grad(); y.backward(); h1.grad",
            'report["h1"].gradient',
            h1.gradient.item(),
        ),
        "graph": Fact(
            "y.grad_fn.next_functions",
            'report["y"].inputs',
            ", ".join(operand.label for operand in y.inputs),
        ),
        "line": Fact("no such thing", 'report["h1"].source.text', h1.source.text),
        "anomaly": Fact(
            "set_detect_anomaly(True)", "report.nonfinite", str(explained.nonfinite)
        ),
    }
    claim = (
        "PyTorch keeps the gradients of leaves alone: h1.grad is None unless "
        "h1.retain_grad() was called before backward()."
    )
    return Section("", claim, facts).text()


def _network_text(explained: Explanation) -> str:
    sizes = f"{network.N}, {network.D_IN}, {network.H}, {network.D_OUT}"
    asleep = float((explained["h_relu"].value == 0).mean())
    return (
        f"batch, inputs, hidden, outputs: {sizes}\n\n{explained}\n\n"
        f"h_relu is zero in {asleep:.0%} of its elements, where relu is flat\n"
        "largest difference of prediction.gradient from 2 error, as calculus has it: "
        f"{_gap(explained):.1e}"
    )


def _gap(explained: Explanation) -> float:
    difference = explained["prediction"].gradient - 2 * explained["error"].value
    return float(abs(difference).max())


def _flow_text(explained: Explanation) -> str:
    """How large activations and gradients are, layer by layer."""
    norm = jnp.linalg.norm
    rows = [
        (name, f"{norm(step.value):.4g}", f"{norm(step.gradient):.4g}", _dead(step))
        for name in ("h1", "h2", "logits")
        for step in [explained[name]]
    ]
    header = ("layer", "norm of its value", "of its gradient", "dead units")
    return "\n" + table(header, rows)


def _dead(step: Step) -> int:
    """Units that are zero for every image: no gradient reaches their weights."""
    return int((step.value == 0).all(axis=0).sum())


def _loops_text(hunt: Hunt) -> str:
    rows = [
        ("by definition, with log(1 - p)", *_end(hunt.by_definition)),
        ("of the logits", *_end(hunt.mended)),
    ]
    header = ("binary cross entropy", "steps", "last loss", "then")
    return f"{table(header, rows)}\n\n{hunt.by_definition.blame}"


def _end(descent: Descent) -> tuple[int, float, str]:
    then = "done" if descent.blame is None else "NonFiniteError"
    return len(descent.losses), descent.losses[-1], then


def _gradient_text(hunt: Hunt) -> str:
    return (
        f"{hunt.lengths}\n\n"
        "with the double where the gradient is "
        f"{np.asarray(hunt.mended_gradient, float).round(6).tolist()}"
    )


def figures(result: Result) -> dict[str, Figure]:
    """None: the pictures are the pages' graphs."""
    del result
    return {}


def reproduced(result: Result) -> dict[str, Any]:
    """No row of its own: `experiments.backprop` owns the notebook's numbers."""
    del result
    return {}


def save_pages(result: Result, folder: Path) -> None:
    """Write each report as a page, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "backprop": result.backprop,
        "two_layer_net": result.two_layer_net,
        "mnist_mlp": result.mnist_mlp,
        "nan_in_training": result.hunt.report,
        "nan_in_gradient": result.hunt.lengths,
    }
    print()
    for name, explained in pages.items():
        path = folder / f"{name}.html"
        explained.save(path)
        print(f"page: {path}")


def main(argv: Sequence[str] | None = None) -> Result:
    """Parse the options, run, report, and write the pages."""
    config = parse(Config, argv, "explain")
    result = run(config)
    report(result)
    save_pages(result, config.output_dir)
    return result
