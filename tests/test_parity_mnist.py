"""PyTorch and jaxgrad, from the same parameters over the same batches."""

from functools import partial

import jax
import numpy as np
import optax
import pytest

torch = pytest.importorskip("torch")

from benchmarks import mnist_epoch as benchmark  # noqa: E402 (needs torch)
from jaxgrad.losses import cross_entropy  # noqa: E402
from jaxgrad.mnist import model, training  # noqa: E402
from jaxgrad.mnist.data import load  # noqa: E402

pytestmark = pytest.mark.parity
LOSS = partial(cross_entropy, reduction="none")


def both(dataset, sizes, lr, batch_size, dtype="float32"):
    """The step losses of an epoch and the parameters after it, by torch and by us."""
    generator = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf.astype(dtype), benchmark.start(generator, sizes)
    )
    order = generator.permutation(len(dataset.train.labels))
    net = benchmark.torch_net(params)
    images, labels = benchmark.torch_tensors(dataset.train, dataset.white)
    tensors = images.to(getattr(torch, dtype)), labels
    theirs = benchmark.torch_epoch(net, lr, tensors, order, batch_size)
    apply, _ = model.mlp(jax.random.key(0), sizes)
    optimizer = optax.sgd(lr)
    state = training.init(jax.random.key(0), params, optimizer)
    state, ours = training.train_epoch(
        apply,
        LOSS,
        optimizer,
        state,
        dataset.train,
        batch_size=batch_size,
        white=dataset.white,
        order=order,
    )
    weights = [weight.detach().numpy().T for weight in list(net.parameters())[::2]]
    return np.asarray(ours), theirs, state.params, weights


@pytest.mark.mnist
def test_235_steps_on_mnist_have_torchs_losses():
    ours, theirs, params, weights = both(
        load("mnist"), benchmark.SIZES, lr=0.01, batch_size=256
    )
    assert ours.shape == (235,)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for number, weight in enumerate(weights, start=1):
        kernel = np.asarray(params[f"fc{number}"]["kernel"])
        np.testing.assert_allclose(kernel, weight, rtol=0, atol=1e-5)


def test_an_epoch_of_digits_in_double_precision_has_torchs_losses(x64):
    ours, theirs, params, weights = both(
        load("digits"), (64, 32, 16, 10), lr=0.5, batch_size=100, dtype="float64"
    )
    assert len(ours) == 15  # the last batch has 40
    # PyTorch scales the pixels, sixteenths, without rounding: all is in float64.
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    for number, weight in enumerate(weights, start=1):
        np.testing.assert_allclose(
            np.asarray(params[f"fc{number}"]["kernel"]), weight, rtol=0, atol=1e-12
        )


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
    from experiments._mnist_lessons import without_parentheses

    with pytest.raises((TypeError, AttributeError)) as raised:
        with torch.no_grad:
            pass
    assert without_parentheses().startswith(raised.type.__name__)
