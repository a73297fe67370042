"""Every gradient explained: seven reports, as tables here and as pages with the graph.

    python -m experiments.explain [--data-dir FOLDER]

The backprop notebook's two lines (gradients 12, 4, -4, 1) and its closing exercise, the
network of notebook 000's figure, the two-layer network, the first batch of the MNIST
perceptron, and two NaNs: a training loop that stops at the faulty step and reports the
cause, and a finite loss whose gradient is NaN. Each report is also saved as a
self-contained HTML page, and its graph as SVG.

In PyTorch, `retain_grad()` on each intermediate tensor before `backward()` gives these
gradients one by one. Here the function is unchanged, and every step has a source line.
"""

import jax
import jax.numpy as jnp

import jaxgrad
from experiments import two_layer_net as network
from experiments._command import run_as_script, table
from experiments._explain.functions import backprop, first_batch, two_layer_net
from experiments._explain.graphs import exercise, network_of_the_figure
from experiments._explain.nan_examples import nan_in_gradient, nan_in_training
from experiments._frame import Sections, Yielded, at_least, complete, experiment
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._options import Explain as Config
from experiments._section import Section
from experiments.mnist_mlp import HIDDEN, mlp
from jaxgrad import datasets
from jaxgrad.inspection import Explanation

HOW_TO_READ = (
    "A report has a line for each argument and each step. Value is what the step "
    "computes; gradient is the derivative of the result with respect to it, what "
    "retain_grad() keeps in PyTorch. Source is the line that the step comes from."
)


def sections(config: Config) -> Yielded:
    """Explain the functions and run the NaN examples; the reports are the data."""
    at_least(config, batch_size=1, steps=1)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    dataset = datasets.load(config.dataset, config.data_dir)
    explained = jaxgrad.explain(backprop, argnums=(0, 1, 2, 3))
    chain = explained(2.0, -10.0, 4.0, 7.0, 3.0)
    title = "h1 = w1 x + b1, y = w2 h1 + b2"
    yield "backprop", Section(title, HOW_TO_READ, note=str(chain), data=chain)
    yield "torch", torch_comparison(chain)
    yield "closing_exercise", exercise()
    yield "figure_network", network_of_the_figure()
    yield "two_layer_net", explain_network(keys[1])
    yield "mnist_mlp", explain_perceptron(dataset, config.batch_size, keys[0])
    yield "nan_in_training", nan_in_training(keys[2], config.steps)
    yield "nan_in_gradient", nan_in_gradient()


def torch_comparison(explained: Explanation) -> Section:
    """PyTorch lines that need a change before backward, and their equivalents."""
    w1, _, w2, _ = explained.gradients
    h1, y = explained["h1"], explained["y"]
    retained, inputs = "h1.retain_grad(); y.backward(); h1.grad", 'report["y"].inputs'
    operands, fault = [operand.label for operand in y.inputs], str(explained.nonfinite)
    return Section(
        "What PyTorch must be asked for beforehand",
        "PyTorch keeps the gradients of leaves only: h1.grad is None unless "
        "h1.retain_grad() was called before backward(). A report has them all.",
        [
            ("y.backward(); w1.grad", "report.gradients[0]", w1.item()),
            ("w2.grad", "report.gradients[2]", w2.item()),
            ("h1.item()", 'report["h1"].value', h1.value.item()),
            (retained, 'report["h1"].gradient', h1.gradient.item()),
            ("y.grad_fn.next_functions", inputs, operands),
            ("not available", 'report["h1"].source.text', h1.source.text),
            ("set_detect_anomaly(True)", "report.nonfinite", fault),
        ],
    )


def explain_network(key: jax.Array) -> Section:
    """The report of the two-layer network at a random start."""
    explained = jaxgrad.explain(two_layer_net)(*network.start(key))
    sizes = f"{network.N}, {network.D_IN}, {network.H}, {network.D_OUT}"
    zero = float((explained["h_relu"].value == 0).mean())
    return Section(
        "The two-layer network",
        f"Batch, inputs, hidden units and outputs: {sizes}. The arrays are large, so "
        "the report shows their mean and their norm.",
        note=f"{explained}\n\n"
        f"h_relu is zero in {zero:.0%} of its elements, where relu has slope 0\n"
        "largest difference of prediction.gradient from 2 error, its value by "
        f"calculus: {gap(explained):.1e}",
        data=explained,
    )


def gap(explained: Explanation) -> float:
    """The largest difference of the prediction's gradient from calculus."""
    difference = explained["prediction"].gradient - 2 * explained["error"].value
    return float(abs(difference).max())


def explain_perceptron(
    dataset: datasets.Dataset, batch_size: int, key: jax.Array
) -> Section:
    """The report of the untrained network on its first batch, and its layers.

    A dead unit is zero for every image: no gradient reaches its weights.
    """
    images, labels = (jnp.asarray(part[:batch_size]) for part in dataset.train)
    sizes = (images[0].size, *HIDDEN, dataset.num_classes)
    _, params = mlp(key, sizes)
    scaled = images.astype(jnp.float32) / dataset.white
    explained = jaxgrad.explain(first_batch)(params, scaled, labels)
    norm, rows = jnp.linalg.norm, []
    for name in ("h1", "h2", "logits"):
        value, gradient = explained[name].value, explained[name].gradient
        dead = int((value == 0).all(axis=0).sum())
        rows.append((name, f"{norm(value):.4g}", f"{norm(gradient):.4g}", dead))
    layers = table(("layer", "norm of value", "norm of gradient", "dead units"), rows)
    return Section(
        "The perceptron's first batch",
        "The untrained network on its first images. The small table shows how large "
        "values and gradients are in each layer. A dead unit is zero for every image: "
        "no gradient reaches its weights.",
        note=f"{dataset}\n\n{explained}\n\n{layers}",
        data=explained,
    )


def figures(result: Sections) -> dict[str, Explanation]:
    """The reports, saved as pages with their graphs."""
    return {name: part.data for name, part in result.items() if part.data is not None}


run = complete(sections)
main = experiment("explain", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
