"""PyTorch and jaxgrad, from the same parameters over the same batches."""

import jax
import numpy as np
import optax
import pytest

torch = pytest.importorskip("torch")

from benchmarks import mnist_epoch as benchmark  # noqa: E402 (needs torch)
from jaxgrad.mnist import model, training  # noqa: E402
from jaxgrad.mnist.data import load  # noqa: E402

pytestmark = pytest.mark.parity


@pytest.mark.mnist
def test_235_steps_on_mnist_have_torchs_losses(capsys):
    result = benchmark.main(["--epochs", "1"])
    ours, theirs = result.jaxgrad, result.torch
    assert ours.losses.shape == (1, 235)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-5)
    assert abs(ours.accuracy - theirs.accuracy) <= 1e-3
    assert f"torch {theirs.accuracy:.2%}" in capsys.readouterr().out


def test_an_epoch_of_digits_in_double_precision_is_torchs(x64):
    """Value, gradient, update, order, the smaller last batch: nothing is left out."""
    del x64
    sizes, lr, batch_size = (64, 32, 16, 10), 0.5, 100
    dataset = load("digits")
    generator = np.random.default_rng(0)
    params = jax.tree.map(np.float64, benchmark.start(generator, sizes))
    order = generator.permutation(len(dataset.train.labels))
    net = benchmark.torch_net(params)
    images, labels = benchmark.torch_tensors(dataset.train, dataset.white)
    tensors = images.double(), labels  # sixteenths: exact in either precision
    theirs = benchmark.torch_epoch(net, lr, tensors, order, batch_size)
    apply, _ = model.mlp(jax.random.key(0), sizes)
    optimizer = optax.sgd(lr)
    state, ours = training.train_epoch(
        apply,
        benchmark.example_loss,
        optimizer,
        training.init(jax.random.key(0), params, optimizer),
        dataset.train,
        batch_size=batch_size,
        white=dataset.white,
        order=order,
    )
    assert len(ours) == 15  # the last batch has 40
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    for number, weight in enumerate(list(net.parameters())[::2], start=1):
        kernel = np.asarray(state.params[f"fc{number}"]["kernel"])
        np.testing.assert_allclose(kernel.T, weight.detach(), rtol=0, atol=1e-12)


def test_a_torch_linear_layer_starts_within_our_bounds():
    """Uniform with the bound 1/sqrt(inputs), for weight and bias."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(784, 1024)
    _, params = model.mlp(jax.random.key(0), (784, 1024))
    ours = params["fc1"]
    for theirs, mine in ((layer.weight, ours["kernel"]), (layer.bias, ours["bias"])):
        theirs, mine = theirs.detach().numpy(), np.asarray(mine)
        bound = 784**-0.5
        assert max(np.abs(theirs).max(), np.abs(mine).max()) <= bound
        error = 5 * bound / np.sqrt(mine.size)
        np.testing.assert_allclose(mine.std(), theirs.std(), rtol=0, atol=error)


def test_what_the_notebook_says_of_parameters_that_are_changed():
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
    from experiments.mnist_mlp._lessons import without_parentheses

    with pytest.raises((TypeError, AttributeError)) as raised:
        with torch.no_grad:
            pass
    assert without_parentheses().startswith(raised.type.__name__)
