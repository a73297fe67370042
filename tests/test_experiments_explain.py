"""The explained functions: their numbers, the NaNs, the pages, the command line."""

import contextlib
import io
import os
from unittest import mock
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import explain as experiment
from experiments import two_layer_net as network
from experiments._command import run_as_script
from experiments._explain import functions, nan_examples
from experiments._mnist_mlp import network as model
from jaxgrad import datasets as data
from jaxgrad.datasets import load
from jaxgrad.losses import cross_entropy

PAGES = {
    "backprop",
    "closing_exercise",
    "figure_network",
    "two_layer_net",
    "mnist_mlp",
    "nan_in_training",
    "nan_in_gradient",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("explain")


@pytest.fixture(scope="module")
def loops():
    """The two training loops of the run, with the fault and with its fix."""
    separable = nan_examples.points(jax.random.split(jax.random.key(0), 3)[2])
    by_definition = nan_examples.descend(nan_examples.by_definition, separable, 80)
    return by_definition, nan_examples.descend(nan_examples.of_logits, separable, 80)


@pytest.fixture(scope="module")
def ran(folder):
    """The result of one run on the digits, and its output."""
    options = ["--dataset", "digits", "--batch-size", "64", "--steps", "80"]
    printed = io.StringIO()
    wide = mock.patch.dict(os.environ, COLUMNS="100")
    with wide, contextlib.redirect_stdout(printed):
        result = experiment.main([*options, "--output-dir", str(folder)])
    return result, printed.getvalue()


def test_the_numbers_of_the_notebook(ran):
    report = ran[0]["backprop"].data
    assert report.value.item() == -9
    assert [g.item() for g in report.gradients] == [12, 4, -4, 1]
    assert [report["h1"].value.item(), report["h1"].gradient.item()] == [-4, 4]
    assert [step.gradient.item() for step in report.steps] == [4, 4, 1, 1]
    assert [step.operation for step in report.steps] == ["multiply", "add"] * 2
    assert report["h1"].source.text == "h1 = w1 * x + b1"


def test_the_closing_exercise_shows_the_loss_and_every_derivative(ran, folder):
    section = ran[0]["closing_exercise"]
    report = section.data
    assert report.value.item() == (-9 - 10) ** 2
    assert [g.item() for g in report.gradients] == [-456, -152, 152, -38]
    assert section.column("on paper") == section.column("explain")
    assert section.column("explain") == [-38, 152, -38, -152, -456, -152]
    drawn = words(folder / "closing_exercise.svg")
    for name, value, gradient in (
        ("w1", "2", "-456"),
        ("b1", "-10", "-152"),
        ("w2", "4", "152"),
        ("b2", "7", "-38"),
        ("power: loss", "361", "1"),
    ):
        assert f"{name} value {value} grad {gradient} " in drawn


def test_the_network_of_the_figure_has_the_notebooks_gradient(ran, folder):
    section = ran[0]["figure_network"]
    assert len(section.entries) == 4 + 4 + 2
    np.testing.assert_allclose(
        section.column("explain"), section.column(section.header[1]), rtol=2e-5
    )
    drawn = words(folder / "figure_network.svg")
    for node in ("x value", "sigmoid: u1", "sigmoid: u2", "add: o1", "divide: loss"):
        assert node in drawn
    report = section.data
    assert report["o1"].value.item() == pytest.approx(
        0.7 * report["u1"].value.item() - 0.9 * report["u2"].value.item()
    )


def words(path):
    """The text of an SVG, in the order of its elements."""
    texts = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return " ".join(" ".join(text.itertext()) for text in texts) + " "


def test_the_two_layer_network_is_that_of_its_experiment(ran):
    report = ran[0]["two_layer_net"].data
    weights, given = network.start(jax.random.split(jax.random.key(0), 3)[1])
    value, gradient = network.loss_and_gradient(weights, given)
    np.testing.assert_allclose(report.value, value, rtol=1e-5)
    np.testing.assert_allclose(report.gradients.w1, gradient.w1, rtol=1e-3, atol=10)
    assert experiment.gap(report) == 0
    active = report["h"].value > 0
    expected = np.where(active, report["h_relu"].gradient, 0)
    np.testing.assert_array_equal(report["h"].gradient, expected)


def test_the_perceptron_is_the_flax_model(ran):
    digits = data.load("digits")
    images, labels = (jnp.asarray(part[:64]) for part in digits.train)
    apply, params = model.mlp(
        jax.random.split(jax.random.key(0), 3)[0], (64, 1024, 512, 10)
    )
    scaled = images.astype(jnp.float32) / digits.white
    expected = cross_entropy(apply(params, scaled), labels)
    report = ran[0]["mnist_mlp"].data
    np.testing.assert_allclose(report.value, expected, rtol=1e-5)
    assert [a.path for a in report.arguments][:2] == [
        "params['fc1']['bias']",
        "params['fc1']['kernel']",
    ]
    assert [report[name].shape for name in ("x", "h1", "h2", "logits", "loss")] == [
        (64, 64),
        (64, 1024),
        (64, 512),
        (64, 10),
        (),
    ]


def test_the_training_loop_stops_at_the_logarithm_of_zero(ran, loops):
    failed, fixed = loops
    section = ran[0]["nan_in_training"]
    assert section.column("steps") == [len(failed.losses), len(fixed.losses)]
    assert section.column("ended with") == ["NonFiniteError", "no error"]
    assert 5 < len(failed.losses) < 80 == len(fixed.losses)
    assert np.isfinite(failed.losses).all() and failed.losses[-1] < failed.losses[0]
    assert failed.blame.phase == "forward" and failed.blame.step.operation == "log"
    assert failed.blame.source.text == "of_zeros = (1 - points.y) * jnp.log(1 - p)"
    assert [np.unique(v).tolist() for v in failed.blame.operands.values()] == [[0]]
    assert failed.blame.became.name == "of_zeros"
    # The same losses as long as the definition held, and on.
    np.testing.assert_allclose(failed.losses, fixed.losses[: len(failed.losses)], 1e-3)
    assert fixed.losses[-1] < failed.losses[-1]


def test_the_report_of_the_failed_step_agrees_with_the_error(ran, loops):
    report, blame = ran[0]["nan_in_training"].data, loops[0].blame
    assert np.isnan(report.value)
    assert report.nonfinite.source.line == blame.source.line
    assert "nan_examples.py" in str(report) and report.nonfinite.hint in blame.hint


def test_a_finite_loss_with_a_nan_gradient(ran):
    report = ran[0]["nan_in_gradient"].data
    assert report.value == 5
    np.testing.assert_allclose(report.gradients, [[0.6, 0.8], [np.nan] * 2])
    assert report.nonfinite.phase == "backward"
    assert report.nonfinite.step.operation == "sqrt"
    assert "where" in report.nonfinite.hint
    vectors = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    safe_gradient = jax.grad(nan_examples.safe_lengths)(vectors)
    np.testing.assert_allclose(safe_gradient, [[0.6, 0.8], [0, 0]])


def test_a_finite_loop_is_not_stopped():
    separable = nan_examples.points(jax.random.key(3))
    few = nan_examples.descend(nan_examples.by_definition, separable, steps=3)
    assert few.blame is None and len(few.losses) == 3


def test_what_is_printed(ran):
    _, printed = ran
    for line in (
        "h1.retain_grad(); y.backward(); h1.grad",
        'report["h1"].gradient',
        "functions.py:",
        "digits: 1,440 training and 357 test images",
        "NonFiniteError",
        "The derivative of sqrt made 1 non-finite element",
        "[[0.6, 0.8], [0.0, 0.0]]",
    ):
        assert line in printed
    assert "<jaxgrad" not in printed


def test_the_pages_are_written(ran, folder):
    for suffix in ("html", "svg"):
        assert {path.stem for path in folder.glob(f"*.{suffix}")} == PAGES
    for path in folder.glob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert page.startswith("<!DOCTYPE html>") and "</html>" in page
    assert "params[&#x27;fc3&#x27;][&#x27;kernel&#x27;]" in (
        folder / "mnist_mlp.html"
    ).read_text(encoding="utf-8")


def test_it_reproduces_no_row(ran):
    assert experiment.reproduced(ran[0]) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch-size", "0"], "--batch-size: expected at least 1, got 0"),
        (["--steps", "-1"], "--steps: expected at least 1, got -1"),
        (["--data-dir", "."], "data_dir"),
        (["--dataset", "cifar"], "--dataset"),
    ],
)
def test_bad_options_end_in_one_line(options, message, capsys, tmp_path):
    fixed = ["--dataset", "digits", "--output-dir", str(tmp_path / "none")]
    with pytest.raises(SystemExit) as end:
        run_as_script(lambda: experiment.main([*fixed, *options]))
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (tmp_path / "none").exists()


def test_help(capsys):
    with pytest.raises(SystemExit) as end:
        experiment.main(["--help"])
    assert end.value.code == 0 and "--batch-size" in capsys.readouterr().out


@pytest.mark.mnist
def test_the_first_batch_of_real_mnist():
    dataset = load("mnist")
    section = experiment.explain_perceptron(dataset, 256, jax.random.key(0))
    perceptron = section.data
    assert section.note.startswith("mnist: 60,000")
    assert perceptron["h1"].shape == (256, 1024)
    assert abs(perceptron.value - np.log(10)) < 0.1


@pytest.mark.parity
def test_torch_retains_the_same_gradients(ran):
    import torch

    report = ran[0]["backprop"].data
    w1, b1, w2, b2 = (
        torch.tensor(v, requires_grad=True) for v in (2.0, -10.0, 4.0, 7.0)
    )
    h1 = w1 * 3.0 + b1
    y = w2 * h1 + b2
    h1.retain_grad()
    y.retain_grad()
    y.backward()
    for name, tensor in {"h1": h1, "y": y}.items():
        assert report[name].value.item() == tensor.item()
        assert tensor.grad is not None
        assert report[name].gradient.item() == tensor.grad.item()


@pytest.mark.parity
def test_torch_reports_the_function_without_its_operand(loops):
    import torch

    params, given = (
        loops[0].last,
        nan_examples.points(jax.random.split(jax.random.key(0), 3)[2]),
    )
    w = torch.tensor(np.array(params.w), requires_grad=True)
    x, y = (torch.tensor(np.array(part)) for part in given)
    p = torch.sigmoid(x @ w + float(params.b))
    loss = -((y * torch.log(p)) + (1 - y) * torch.log(1 - p)).mean()
    with (
        torch.autograd.set_detect_anomaly(True, check_nan=True),
        pytest.raises(RuntimeError, match="'LogBackward0' returned nan"),
        pytest.warns(UserWarning),
    ):
        loss.backward()
    assert torch.isfinite(torch.nn.functional.binary_cross_entropy(p, y))


def test_the_explained_functions_do_not_import_explain():
    assert not hasattr(functions, "jaxgrad") and not hasattr(functions, "explain")
