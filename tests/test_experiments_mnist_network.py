"""The perceptron: its initial parameters, its function, its summary."""

import doctest
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments._mnist_mlp import network
from jaxgrad import training
from tests.tolerances import assert_close

SIZES = (12, 8, 6, 3)


@pytest.fixture(scope="module")
def net():
    return network.mlp(jax.random.key(1), sizes=SIZES)


def by_hand(params, images):
    """The network in NumPy, in float64."""
    x = np.asarray(images, np.float64).reshape(len(images), -1)
    *hidden, last = [jax.tree.map(np.float64, params[f"fc{i}"]) for i in (1, 2, 3)]
    for layer in hidden:
        x = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    return x @ last["kernel"] + last["bias"]


def test_the_net_of_the_notebook_has_1333770_parameters():
    _, params = network.mlp(jax.random.key(0))
    assert [network.parameter_count(layer) for layer in params.values()] == [
        784 * 1024 + 1024,
        1024 * 512 + 512,
        512 * 10 + 10,
    ]
    assert network.parameter_count(params) == 1_333_770


def test_is_initialized_like_a_torch_linear_layer():
    _, params = network.mlp(jax.random.key(0))
    for name, inputs in {"fc1": 784, "fc2": 1024, "fc3": 512}.items():
        bound = inputs**-0.5
        kernel, bias = (np.asarray(params[name][k]) for k in ("kernel", "bias"))
        assert kernel.shape[0] == inputs
        for values in (kernel, bias):
            assert np.abs(values).max() <= bound
        # Uniform: the standard deviation is bound / sqrt(3); 5 standard errors.
        error = 5 / np.sqrt(kernel.size)
        np.testing.assert_allclose(kernel.std(), bound / 3**0.5, rtol=error)
        assert abs(kernel.mean()) < error * bound
    assert np.abs(np.asarray(params["fc1"]["bias"])).max() > 0.9 * 784**-0.5


def test_no_two_layers_share_their_random_numbers():
    _, params = network.mlp(jax.random.key(0), sizes=(8, 8, 8, 8))
    kernels = [np.asarray(params[f"fc{i}"]["kernel"]) for i in (1, 2, 3)]
    assert len({kernel.tobytes() for kernel in kernels}) == 3


def test_computes_the_formula_of_its_docstring(net):
    apply, params = net
    images = jax.random.uniform(jax.random.key(2), (5, 4, 3))
    assert_close(apply(params, images), by_hand(params, images), "float32")
    assert_close(
        apply(params, images.reshape(5, 12)), by_hand(params, images), "float32"
    )


def test_parameters_are_plain_dictionaries_of_arrays(net):
    _, params = net
    assert type(params) is dict
    assert all(type(layer) is dict for layer in params.values())
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))


def test_works_under_grad_jit_and_vmap(net):
    apply, params = net
    images = jax.random.uniform(jax.random.key(2), (5, 12))
    gradients = jax.grad(lambda p: apply(p, images).sum())(params)
    assert jax.tree.structure(gradients) == jax.tree.structure(params)
    assert_close(gradients["fc3"]["bias"], np.full(3, 5.0), "float32")
    assert_close(jax.jit(apply)(params, images), apply(params, images), "float32")
    several = jax.vmap(lambda key: network.mlp(key, SIZES)[1])(
        jax.random.split(jax.random.key(0), 4)
    )
    assert jax.vmap(apply, (0, None))(several, images).shape == (4, 5, 3)


def test_in_double_precision(x64):
    apply, params = network.mlp(jax.random.key(1), SIZES, "float64")
    images = jax.random.uniform(jax.random.key(2), (5, 12), dtype="float64")
    assert apply(params, images).dtype == "float64"
    assert_close(apply(params, images), by_hand(params, images), "float64")


def test_an_empty_batch_has_no_logits(net):
    apply, params = net
    assert apply(params, jnp.zeros((0, 4, 3))).shape == (0, 3)


def test_equal_sizes_share_one_function():
    first, _ = network.mlp(jax.random.key(0), SIZES)
    again, _ = network.mlp(jax.random.key(5), SIZES)
    other, _ = network.mlp(jax.random.key(0), (12, 3))
    assert first is again
    assert first is not other


def test_the_key_determines_the_parameters(net):
    _, params = net
    assert training.sha256(params) == training.sha256(
        network.mlp(jax.random.key(1), SIZES)[1]
    )
    assert training.sha256(params) != training.sha256(
        network.mlp(jax.random.key(2), SIZES)[1]
    )


def test_sha256_hashes_the_leaves_in_the_order_of_the_tree():
    params = {"b": jnp.arange(3), "a": {"x": jnp.float32(2)}}
    expected = hashlib.sha256(
        np.float32(2).tobytes() + np.arange(3, dtype=np.int32).tobytes()
    )
    assert training.sha256(params) == expected.hexdigest()


def test_summary_names_every_layer_and_adds_up():
    lines = network.summary(network.mlp(jax.random.key(0))[1]).splitlines()
    assert [line.split()[0] for line in lines] == ["fc1", "fc2", "fc3", "total"]
    assert [line.split()[-1] for line in lines] == [
        "803,840",
        "524,800",
        "5,130",
        "1,333,770",
    ]
    assert "kernel (784, 1024)" in lines[0]
    assert "bias (1024,)" in lines[0]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.message
@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (jnp.zeros((5, 11)), ValueError, r"12 features.*\(5, 11\), which has 11"),
        (jnp.zeros((4, 3)), ValueError, r"12 features.*\(4, 3\), which has 3"),
        (jnp.zeros(12), ValueError, "at least 2 axes"),
        (jnp.zeros((5, 12), "uint8"), TypeError, "images of a floating dtype.*uint8"),
    ],
    ids=["features", "one image", "no batch", "uint8"],
)
def test_refuses_other_images(net, images, error, message):
    apply, params = net
    with pytest.raises(error, match=f"mlp: expected .*{message}"):
        apply(params, images)


@pytest.mark.message
@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((), ValueError, r"two or more sizes.*\(\)"),
        ((784,), ValueError, r"two or more sizes.*\(784,\)"),
        ((784, 0, 10), ValueError, r"sizes >= 1.*\(784, 0, 10\)"),
        ((784, 10.0), TypeError, "sizes to be ints, got float"),
    ],
)
def test_refuses_other_sizes(sizes, error, message):
    with pytest.raises(error, match=f"mlp: expected .*{message}"):
        network.mlp(jax.random.key(0), sizes)


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(network).failed == 0
