"""PyTorch and jaxgrad train from the same parameters on the same batches."""

import jax
import numpy as np
import optax
import pytest

torch = pytest.importorskip("torch")

from benchmarks import mnist_epoch as benchmark  # noqa: E402 (needs torch)
from benchmarks import mnist_notebook, mnist_run  # noqa: E402
from experiments.mnist_mlp import mlp  # noqa: E402
from jaxgrad import optimizers, training  # noqa: E402
from jaxgrad.datasets import load  # noqa: E402

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On a busy machine PyTorch's threads wait for each other, for minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.mnist
def test_235_steps_on_mnist_have_the_losses_of_torch(capsys):
    result = benchmark.main(["--epochs", "1", "--no-dataloader"])
    ours, theirs = result.jaxgrad, result.torch
    assert ours.losses.shape == (1, 235)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-5)
    assert abs(ours.accuracy - theirs.accuracy) <= 1e-3
    assert f"torch {theirs.accuracy:.2%}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize(
    ("epochs", "least"), [(6, 0.88), pytest.param(20, 0.91, marks=pytest.mark.by_hand)]
)
def test_epochs_on_mnist_reach_the_accuracy_of_torch(epochs, least):
    """The notebook's settings, the same parameters and the same batches."""
    result = benchmark.run(benchmark.Config(epochs=epochs, dataloader=False))
    ours, theirs = result.jaxgrad, result.torch
    assert abs(ours.accuracy - theirs.accuracy) <= 2e-3
    assert theirs.accuracy > least
    np.testing.assert_allclose(ours.losses.mean(1), theirs.losses.mean(1), rtol=1e-3)


def epoch_of_both(dataset, sizes, batch_size, ours, theirs):
    """The losses of an epoch in double precision, and the networks after it."""
    generator = np.random.default_rng(0)
    params = jax.tree.map(np.float64, benchmark.start(generator, sizes))
    order = generator.permutation(len(dataset.train.labels))
    net = benchmark.torch_net(params)
    images = torch.from_numpy(np.array(dataset.train.images, np.float64))
    tensors = (
        images.div(dataset.white).flatten(1),
        torch.from_numpy(dataset.train.labels).long(),
    )
    expected = benchmark.torch_epoch(
        net,
        theirs(net.parameters()),
        benchmark.torch_batches(tensors, order, batch_size),
    )
    apply, _ = mlp(jax.random.key(0), sizes)
    state, losses = training.train_epoch(
        apply,
        benchmark.example_loss,
        ours,
        training.init(jax.random.key(0), params, ours),
        dataset.train,
        batch_size=batch_size,
        white=dataset.white,
        order=order,
    )
    return losses, expected, state.params, net


@pytest.mark.mnist
def test_235_steps_of_adam_in_double_precision_have_the_losses_of_torch(x64):
    """In single precision Adam is chaotic: it divides by the root of tiny numbers."""
    del x64
    ours, theirs, _, _ = epoch_of_both(
        load("mnist"), benchmark.SIZES, 256, optimizers.adam(), torch.optim.Adam
    )
    assert len(ours) == 235
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_an_epoch_of_digits_in_double_precision_equals_that_of_torch(x64):
    """Covers value, gradient, update, order and the smaller last batch."""
    del x64
    ours, theirs, params, net = epoch_of_both(
        load("digits"),
        (64, 32, 16, 10),
        100,
        optax.sgd(0.5),
        lambda parameters: torch.optim.SGD(parameters, lr=0.5),
    )
    assert len(ours) == 15  # the last batch has 40
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    for number, weight in enumerate(list(net.parameters())[::2], start=1):
        kernel = np.asarray(params[f"fc{number}"]["kernel"])
        np.testing.assert_allclose(kernel.T, weight.detach(), rtol=0, atol=1e-12)


def test_the_notebooks_data_loader_gives_the_same_batches():
    dataset = load("digits")
    order = np.random.default_rng(0).permutation(100)
    digits = mnist_notebook.Digits(dataset.train.images * 15, dataset.train.labels)
    loader = torch.utils.data.DataLoader(digits, batch_size=64, sampler=order.tolist())
    tensors = benchmark.torch_tensors(
        dataset.train._replace(images=dataset.train.images * 15), 255
    )
    pairs = zip(loader, benchmark.torch_batches(tensors, order, 64), strict=True)
    for (images, labels), (expected, expected_labels) in pairs:
        assert images.shape[1:] == (1, 8, 8)
        assert torch.equal(images.flatten(1), expected)
        assert torch.equal(labels, expected_labels)


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.mnist
def test_whole_runs_reach_the_same_accuracy(capsys):
    result = mnist_run.main(["--epochs", "1", "--turns", "1"])
    assert abs(result.accuracy["jaxgrad"] - result.accuracy["notebook"]) < 0.15
    assert "jaxgrad / notebook" in capsys.readouterr().out


def test_a_torch_linear_layer_starts_within_our_bounds():
    """Uniform with the bound 1/sqrt(inputs), for weight and bias."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(784, 1024)
    _, params = mlp(jax.random.key(0), (784, 1024))
    ours = params["fc1"]
    for theirs, mine in ((layer.weight, ours["kernel"]), (layer.bias, ours["bias"])):
        theirs, mine = theirs.detach().numpy(), np.asarray(mine)
        bound = 784**-0.5
        assert max(np.abs(theirs).max(), np.abs(mine).max()) <= bound
        error = 5 * bound / np.sqrt(mine.size)
        np.testing.assert_allclose(mine.std(), theirs.std(), rtol=0, atol=error)


def test_what_the_notebook_says_about_changing_parameters():
    """`.data` records nothing; the parameter itself may not be changed in place."""
    net = torch.nn.Linear(3, 2)
    start = net.weight.detach().clone()
    for parameter in net.parameters():
        parameter.data *= 2.0  # the notebook calls this an error
    net(torch.ones(1, 3)).sum().backward()
    assert torch.equal(net.weight, 2 * start)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        net.weight *= 2.0


def test_no_grad_without_its_parentheses_is_a_type_error():
    from experiments._mnist_mlp.side_runs import without_parentheses

    with pytest.raises((TypeError, AttributeError)) as raised:
        with torch.no_grad:
            pass
    assert without_parentheses().startswith(raised.type.__name__)
