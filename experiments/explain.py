"""Every gradient explained: four reports, as tables here and as pages with the graph.

    python -m experiments.explain [--dataset digits]

The backprop notebook's two multiplications and additions (12, 4, -4, 1), its two-layer
network, the first batch of the MNIST perceptron, and a hunt for a NaN: a training loop
stops at the step that made it, and says why. Writes backprop.html, two_layer_net.html,
mnist_mlp.html and nan_hunt.html; open them in a browser, no network is needed.

In PyTorch `retain_grad()` on each intermediate tensor shows one gradient at a time, and
`torch.autograd.set_detect_anomaly(True)` names a backward function but not its operands.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from matplotlib.figure import Figure

import jaxgrad
from experiments._command import parse, run_as_script, section, table
from jaxgrad.activations import relu
from jaxgrad.inspection import Blame, Explanation
from jaxgrad.losses import cross_entropy
from jaxgrad.mnist.data import load
from jaxgrad.mnist.model import mlp

HIDDEN = (1024, 512)
STEPS = 200


@dataclass(frozen=True)
class Config:
    """Every gradient explained: four reports, as tables and as pages with the graph."""

    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """The perceptron's images; auto is MNIST if a directory, the cache or the network
    gives it, else scikit-learn's digits."""
    data_dir: Path | None = None
    """Directory of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    batch_size: int = 256
    """Images in the perceptron's first batch."""
    seed: int = 0
    """Of the networks' first weights."""
    output_dir: Path = Path("results/explain")
    """Where the pages go."""


class Hunt(NamedTuple):
    """A training loop that ran into a NaN, and the same loop mended."""

    steps: int
    """Steps that went well."""
    blame: Blame | None
    report: Explanation
    """Of the step that failed."""
    mended: list[float]
    """The losses of all steps with the mended loss."""


class Result(NamedTuple):
    """The four reports."""

    backprop: Explanation
    two_layer_net: Explanation
    mnist_mlp: Explanation
    images: str
    hunt: Hunt


def backprop(w1: float, b1: float, w2: float, b2: float, x: float) -> Array:
    """The notebook's example: h1 is -4, y is -9, the gradients are 12, 4, -4, 1."""
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    return y


def two_layer_net(
    weights: dict[str, Array], x: Float[Array, "n inputs"], y: Float[Array, "n outputs"]
) -> Float[Array, ""]:
    """The sum of squares of `relu(x @ w1) @ w2 - y`."""
    h = x @ weights["w1"]
    h_relu = relu(h)
    prediction = h_relu @ weights["w2"]
    error = prediction - y
    loss = jnp.sum(error**2)
    return loss


def first_batch(
    params: dict[str, dict[str, Array]],
    images: Float[Array, "batch *pixels"],
    labels: Int[Array, "batch"],
) -> Float[Array, ""]:
    """The perceptron layer by layer, for what is called here becomes a step."""
    x = images.reshape(len(images), -1)
    h1 = relu(x @ params["fc1"]["kernel"] + params["fc1"]["bias"])
    h2 = relu(h1 @ params["fc2"]["kernel"] + params["fc2"]["bias"])
    logits = h2 @ params["fc3"]["kernel"] + params["fc3"]["bias"]
    loss = cross_entropy(logits, labels)
    return loss


def entropy_by_definition(
    w: Float[Array, "classes"], x: Float[Array, ""]
) -> Float[Array, ""]:
    """Minus the sum of p log p: right on paper, NaN once a probability is 0."""
    p = jax.nn.softmax(w * x)
    log_p = jnp.log(p)
    entropy = -jnp.sum(p * log_p)
    return entropy


def entropy_in_the_log_domain(
    w: Float[Array, "classes"], x: Float[Array, ""]
) -> Float[Array, ""]:
    """The same, with the logarithm computed directly, as the hint says."""
    log_p = jax.nn.log_softmax(w * x)
    entropy = -jnp.sum(jnp.exp(log_p) * log_p)
    return entropy


def hunt(steps: int = STEPS, lr: float = 20.0) -> Hunt:
    """Lower an entropy by gradient descent until a probability underflows."""
    x = jnp.float32(10.0)
    loss_and_gradient = jaxgrad.checked_value_and_grad(entropy_by_definition)
    w, blame, done = jnp.arange(4.0) / 10, None, 0
    for done in range(steps):
        try:
            _, gradient = loss_and_gradient(w, x)
        except jaxgrad.NonFiniteError as error:
            blame = error.blame
            break
        w = w - lr * gradient
    return Hunt(done, blame, jaxgrad.explain(entropy_by_definition)(w, x), mended(steps))


def mended(steps: int, lr: float = 20.0) -> list[float]:
    """The losses of the same descent in the log domain."""
    x = jnp.float32(10.0)
    loss_and_gradient = jaxgrad.checked_value_and_grad(entropy_in_the_log_domain)
    w, losses = jnp.arange(4.0) / 10, []
    for _ in range(steps):
        value, gradient = loss_and_gradient(w, x)
        w = w - lr * gradient
        losses.append(abs(float(value)))
    return losses


def run(config: Config) -> Result:
    """Explain the four functions."""
    if config.batch_size < 1:
        raise ValueError(f"--batch-size: expected >= 1, got {config.batch_size}.")
    keys = jax.random.split(jax.random.key(config.seed), 5)
    shapes = {"w1": (1000, 100), "w2": (100, 10)}
    weights = {
        name: jax.random.normal(key, shape)
        for key, (name, shape) in zip(keys, shapes.items(), strict=False)
    }
    x, y = jax.random.normal(keys[2], (64, 1000)), jax.random.normal(keys[3], (64, 10))
    explained, images = perceptron(config, keys[4])
    return Result(
        backprop=jaxgrad.explain(backprop, argnums=(0, 1, 2, 3))(
            2.0, -10.0, 4.0, 7.0, 3.0
        ),
        two_layer_net=jaxgrad.explain(two_layer_net)(weights, x, y),
        mnist_mlp=explained,
        images=images,
        hunt=hunt(),
    )


def perceptron(config: Config, key: Array) -> tuple[Explanation, str]:
    """The report of the first batch, and what the images are."""
    dataset = load(config.dataset, config.data_dir)
    images = dataset.train.images[: config.batch_size]
    labels = dataset.train.labels[: config.batch_size]
    pixels = math.prod(images.shape[1:])
    _, params = mlp(key, (pixels, *HIDDEN, dataset.num_classes))
    scaled = jnp.asarray(images, jnp.float32) / float(images.max())
    explained = jaxgrad.explain(first_batch)(params, scaled, jnp.asarray(labels))
    return explained, dataset.name


def report(result: Result) -> None:
    """Print the reports, and what to see in them."""
    section("The backprop notebook's example", str(result.backprop))
    h1 = result.backprop["h1"]
    print(f"report['h1'].gradient is {h1.gradient}: what retain_grad gives in PyTorch")
    section("The two-layer network: N, inputs, hidden, outputs = 64, 1000, 100, 10",
            str(result.two_layer_net))
    asleep = (result.two_layer_net["h_relu"].value == 0).mean()
    print(f"h_relu is zero for {asleep:.0%} of its elements: relu at work")
    section(f"The MNIST perceptron's first batch ({result.images})",
            str(result.mnist_mlp))
    section("A NaN hunt", _hunt_told(result.hunt))


def _hunt_told(hunt: Hunt) -> str:
    rows = [
        ("by definition", hunt.steps, "NonFiniteError" if hunt.blame else "none"),
        ("in the log domain", len(hunt.mended), f"loss {hunt.mended[-1]:.3g}"),
    ]
    told = table(("entropy", "steps that went well", "then"), rows)
    return f"{told}\n\n{hunt.blame}"


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
        "nan_hunt": result.hunt.report,
    }
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


if __name__ == "__main__":
    run_as_script(main)
