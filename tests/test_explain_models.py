"""Flax and Optax: one step for each call that the user writes, not their insides."""

# The names of variables are what is tested, also of those returned at once.
# ruff: noqa: RET504

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxgrad
from experiments.mnist_mlp import mlp
from jaxgrad import checked_value_and_grad, explain


@pytest.fixture(autouse=True)
def standard_promotion():
    """Optax's Adam mixes its counter with floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def find_nonfinite(f, has_aux=False) -> Any:
    """jaxgrad's; the tests that read a blame fail at None by themselves."""
    return jaxgrad.find_nonfinite(f, has_aux)


X, Y = jnp.linspace(-1, 1, 40).reshape(8, 5), jnp.arange(8)


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(16)(x)
        x = nn.relu(x)
        x = nn.LayerNorm()(x)
        logits = nn.Dense(10)(x)
        return logits


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(5, 16, rngs=rngs)
        self.norm = nnx.LayerNorm(16, rngs=rngs)
        self.last = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        h = nnx.relu(self.first(x))
        h = self.norm(h)
        return self.last(h)


def linen():
    model = Linen()
    params = model.init(jax.random.key(0), X)

    def loss(params, x, y):
        logits: Any = model.apply(params, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return losses.mean()

    return loss, params


def close(report, loss, params):
    value, gradients = jax.jit(jax.value_and_grad(loss))(params, X, Y)
    np.testing.assert_allclose(report.value, value, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        report.gradients,
        gradients,
    )


def test_linen_gives_a_step_per_call():
    loss, params = linen()
    report = explain(loss)(params, X, Y)
    close(report, loss, params)
    assert [(s.name, s.operation) for s in report.steps] == [
        ("x", "Dense"),
        ("x", "relu"),
        ("x", "LayerNorm"),
        ("logits", "Dense"),
        ("losses", "softmax_cross_entropy_with_integer_labels"),
        ("mean", "mean"),
    ]
    assert [s.scope for s in report.steps[:4]] == [
        "Linen/Dense_0",
        "Linen",
        "Linen/LayerNorm_0",
        "Linen/Dense_1",
    ]
    labels = [o.label for o in report.steps[0].inputs]
    assert labels[:2] == ["x", "params['params']['Dense_0']['kernel']"]
    assert any("Dense.__call__ (flax/linen" in v for v in report.steps[0].source.via)


def test_nnx_gives_a_step_per_call():
    graph, params = nnx.split(Net(nnx.Rngs(0)))

    def loss(params, x, y):
        logits = nnx.merge(graph, params)(x)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return losses.mean()

    report = explain(loss)(params, X, Y)
    close(report, loss, params)
    assert [(s.name, s.operation) for s in report.steps] == [
        ("first", "first"),
        ("h", "relu"),
        ("h", "norm"),
        ("logits", "last"),
        ("losses", "softmax_cross_entropy_with_integer_labels"),
        ("mean", "mean"),
    ]


def test_an_optimizer_s_update_is_a_step():
    loss, params = linen()
    optimizer = optax.adam(1e-2)
    state = optimizer.init(params)

    def after_a_step(params, x, y):
        grads = jax.grad(loss)(params, x, y)
        updates, _ = optimizer.update(grads, state, params)
        moved = optax.apply_updates(params, updates)
        return loss(moved, x, y)

    report = explain(after_a_step)(params, X, Y)
    close(report, after_a_step, params)
    operations = [step.operation for step in report.steps]
    assert operations.count("update") == operations.count("apply_updates") == 1
    assert len(operations) <= 6 + 6 + 2 + 6
    assert report["moved"].operation == "apply_updates"
    assert len(report["moved"].value) == len(jax.tree.leaves(params))


def test_clipping_by_the_global_norm_is_a_step_and_is_blamed_at_zero():
    def loss(w):
        g = jax.grad(lambda v: (v**2).sum())(w)
        norm = optax.tree.norm({"a": g, "b": 2 * g})
        return norm

    report = explain(loss)(jnp.ones(3))
    assert report["norm"].operation == "norm"
    blame = find_nonfinite(loss)(jnp.zeros(3))
    assert blame.step.name == "norm" and "norm at 0" in blame.hint


BATCH = 256


def mnist():
    apply, params = mlp(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (BATCH, 28, 28))
    labels = jnp.arange(BATCH) % 10

    def loss(params, images, labels):
        logits = apply(params, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    return loss, params, images, labels


def test_the_mnist_network_at_its_batch_size():
    loss, params, images, labels = mnist()
    value, gradients = jax.jit(jax.value_and_grad(loss))(params, images, labels)
    for keep in ("arrays", "summary"):
        report = explain(loss, keep=keep)(params, images, labels)
        np.testing.assert_allclose(report.value, value, rtol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
            report.gradients,
            gradients,
        )
        assert report["logits"].shape == (BATCH, 10)
        assert len(report) <= 10
        assert all(step.gradient is not None for step in report.steps[1:])
    assert report.nonfinite is None
    assert "params['fc1']['kernel']" in {each.path for each in report.arguments}
    checked = checked_value_and_grad(loss)(params, images, labels)
    np.testing.assert_array_equal(checked[0], value)


def test_a_weight_gone_wrong_is_named():
    loss, params, images, labels = mnist()
    params["fc2"]["kernel"] = params["fc2"]["kernel"].at[3, 4].set(jnp.nan)
    blame = find_nonfinite(loss)(params, images[:4], labels[:4])
    assert (blame.phase, blame.argument) == ("input", "params['fc2']['kernel']")
    params["fc2"]["kernel"] = jnp.full((1024, 512), 1e38)
    blame = find_nonfinite(loss)(params, images[:4], labels[:4])
    assert blame.step is not None and "leaves the range" in blame.hint


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4)(x)
        x = nn.BatchNorm(use_running_average=False)(x)
        return nn.Dense(3)(x)


def test_what_a_network_returns_beside_its_statistics_has_its_name():
    model = Normed()
    variables: Any = model.init(jax.random.key(0), X)

    def loss(params, x, y):
        given = {"params": params, "batch_stats": variables["batch_stats"]}
        logits, moved = model.apply(given, x, mutable=["batch_stats"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return losses.mean(), moved

    report = explain(loss, has_aux=True)(variables["params"], X, Y % 3)
    assert (report["logits"].operation, report["logits"].shape) == ("Dense", (8, 3))
