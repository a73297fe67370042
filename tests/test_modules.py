"""Equinox and Flax NNX modules, unchanged, as arguments of all four entry points.

The references are `eqx.filter_value_and_grad` and `nnx.value_and_grad`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxgrad
from jaxgrad.inspection import NonFiniteError

X = np.array([[0.5, -1.0], [2.0, 0.25], [1.0, 1.5], [-0.5, 0.75]], np.float32)
ENTRY_POINTS = (
    jaxgrad.explain,
    jaxgrad.find_nonfinite,
    jaxgrad.checked_value_and_grad,
    jaxgrad.check_gradients,
)


@pytest.fixture(autouse=True)
def standard_promotion():
    """Libraries mix dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def assert_same_trees(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5), found, expected)


def loss(model, x):
    return jnp.mean(model(x) ** 2)


# Equinox


@pytest.fixture
def eqx() -> Any:
    return pytest.importorskip("equinox")


@pytest.fixture
def affine(eqx):
    """A module with every kind of leaf: arrays, a key, numbers, text, a function."""

    class Affine(eqx.Module):  # pyright: ignore[reportInvalidTypeForm]
        weight: jax.Array
        inner: Any
        offsets: jax.Array
        key: jax.Array
        table: np.ndarray
        scale: float
        flag: bool
        name: str
        nothing: None
        activation: Any

        def __call__(self, x):
            assert isinstance(self.scale, float)
            assert self.flag is True
            assert self.name == "affine"
            noise = jax.random.normal(self.key, x.shape)
            y = jax.vmap(self.inner)(x * self.weight + 0.01 * noise)
            return self.activation(y) * self.scale + self.offsets + self.table

    mlp = eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(1))
    key, table = jax.random.key(2), np.ones(2, np.float32)
    rest = (jnp.arange(2), key, table, 0.5, True, "affine", None, jnp.tanh)
    return Affine(jnp.ones(2), mlp, *rest)


def test_explain_differentiates_what_equinox_does(eqx, affine):
    value, gradients = eqx.filter_value_and_grad(loss)(affine, X)
    report = jaxgrad.explain(loss)(affine, X)
    np.testing.assert_allclose(report.value, value, 1e-6)
    assert_same_trees(report.gradients, gradients)
    paths = {argument.path for argument in report.arguments}
    assert "model.inner.layers[1].weight" in paths
    assert "model.scale" not in paths


def test_checked_value_and_grad_differentiates_what_equinox_does(eqx, affine):
    value, gradients = eqx.filter_value_and_grad(loss)(affine, X)
    step = jaxgrad.checked_value_and_grad(loss)
    for found in (step(affine, X), step(affine, X)):
        np.testing.assert_allclose(found[0], value, 1e-6)
        assert_same_trees(found[1], gradients)
    # Another number is another program.
    twice = eqx.tree_at(lambda model: model.scale, affine, 1.0)
    assert step(twice, X)[0] != value
    with pytest.raises(NonFiniteError, match=r"model\.weight holds 1 non-finite"):
        step(eqx.tree_at(lambda m: m.weight, affine, jnp.array([1, jnp.nan])), X)


def test_checked_value_and_grad_compiles_a_module_once(eqx, affine):
    traces = []

    def counted(model, x):
        traces.append(1)
        return loss(model, x)

    step = jaxgrad.checked_value_and_grad(counted)
    step(affine, X)
    step(eqx.tree_at(lambda model: model.weight, affine, 2 * affine.weight), X)
    assert len(traces) == 1


def test_only_parameters_of_a_module_are_checked(affine):
    report = jaxgrad.check_gradients(loss)(affine, X)
    assert report.ok
    assert report.dtype == "float64"
    assert report.checked == 2 + (4 * 2 + 4) + (2 * 4 + 2) + 2 + X.size


def test_a_module_finds_its_nan_through_filter_jit(eqx):
    class Pooled(eqx.Module):
        dropout: Any  # asks whether its number is a float

        def __call__(self, x):
            total = self.dropout(x).sum()
            return x / (total - total)

    model = Pooled(eqx.nn.Dropout(0.0))
    blame = jaxgrad.find_nonfinite(eqx.filter_jit(loss))(model, X)
    assert blame is not None and blame.source is not None
    assert blame.source.text == "return x / (total - total)"


# Flax NNX


class Block(nnx.Module):
    """Shared weights, statistics, random keys, numbers and names."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(2, 2, rngs=rngs)
        self.norm = nnx.BatchNorm(2, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(2, 2, rngs=rngs)])
        self.tied = self.layers[0]
        self.scale = 0.5
        self.name = "block"

    def __call__(self, x):
        assert isinstance(self.scale, float)
        x = self.dropout(self.norm(self.linear(x)))
        return self.tied(self.layers[0](x)) * self.scale


def block():
    return Block(nnx.Rngs(0))


def assert_same_state(found, expected):
    pairs = zip(
        *(jax.tree.leaves(nnx.state(m)) for m in (found, expected)), strict=True
    )
    assert all(bool((a == b).all()) for a, b in pairs)


def test_explain_differentiates_what_nnx_does_and_changes_nothing():
    model = block()
    report = jaxgrad.explain(loss)(model, X)
    assert_same_state(model, block())
    value, gradients = nnx.value_and_grad(loss)(model, X)
    np.testing.assert_allclose(report.value, value, 1e-5)
    assert isinstance(report.gradients, nnx.State)
    assert jax.tree.structure(report.gradients) == jax.tree.structure(gradients)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 1e-3, 1e-5),
        report.gradients,
        gradients,
    )
    given = {a.path: a.gradient is not None for a in report.arguments}
    assert given["model.linear.kernel"]
    assert given["model.layers[0].kernel"]
    assert not given["model.norm.mean"]


def test_checked_value_and_grad_trains_a_module_as_nnx_does():
    ours, theirs = block(), block()
    checked = jaxgrad.checked_value_and_grad(loss)
    reference = nnx.jit(nnx.value_and_grad(loss))
    for _ in range(3):
        value, gradients = reference(theirs, X)
        found = checked(ours, X)
        assert found[0] == value
        assert_same_trees(found[1], gradients)
        assert_same_state(ours, theirs)
    with pytest.raises(NonFiniteError, match=r"x holds 1 non-finite element"):
        checked(ours, np.where(X == 2, np.nan, X))
    assert_same_state(ours, theirs)


def test_nnx_parameters_are_checked_in_float64():
    report = jaxgrad.check_gradients(loss)(block(), X)
    assert report.ok
    assert report.dtype == "float64"


def test_find_nonfinite_names_a_line_inside_an_nnx_module():
    class Root(nnx.Module):
        def __init__(self):
            self.weight = nnx.Param(jnp.zeros(2))

        def __call__(self, x):
            return x * jnp.sqrt(self.weight[...])

    model = Root()
    for f in (loss, nnx.jit(loss)):
        blame = jaxgrad.find_nonfinite(f)(model, X)
        assert blame is not None and blame.source is not None
        assert blame.phase == "backward"
        assert blame.source.text == "return x * jnp.sqrt(self.weight[...])"
        assert blame.operands["model.weight"].tolist() == [0.0, 0.0]


def test_modules_in_containers_keep_the_structure():
    models = {"a": block(), "b": [block()]}

    def both(models, x):
        return loss(models["a"], x) + loss(models["b"][0], x)

    gradients = jaxgrad.explain(both)(models, X).gradients
    assert set(gradients) == {"a", "b"}
    assert isinstance(gradients["b"][0], nnx.State)


# Any tree


TREE = {"w": jnp.array([0.5, 1.0]), "n": jnp.arange(2), "name": "x", "lr": 0.1}


def of_tree(tree):
    assert isinstance(tree["lr"], float)
    return jnp.sum(jnp.sin(tree["w"]) * tree["n"]) * tree["lr"]


def test_a_tree_with_other_leaves_is_differentiated_by_its_arrays():
    expected = 0.1 * jnp.cos(TREE["w"]) * TREE["n"]
    for entry in (jaxgrad.explain, jaxgrad.checked_value_and_grad):
        result = entry(lambda tree: jnp.sum(jnp.sin(tree["w"]) * tree["n"]) * 0.1)(TREE)
        gradients = result[1] if isinstance(result, tuple) else result.gradients
        np.testing.assert_allclose(gradients["w"], expected, 1e-6)
        assert [gradients[key] for key in ("n", "name", "lr")] == [None] * 3


def test_what_jax_differentiates_is_differentiated_in_the_same_way():
    tree = {"w": jnp.ones(2), "scale": 2.0}

    def f(tree):
        return jnp.sum(tree["w"] ** 2) * tree["scale"]

    expected = jax.grad(f)(tree)
    assert_same_trees(jaxgrad.explain(f)(tree).gradients, expected)
    assert_same_trees(jaxgrad.checked_value_and_grad(f)(tree)[1], expected)


@pytest.mark.parametrize("entry", [jaxgrad.explain, jaxgrad.checked_value_and_grad])
def test_an_argument_without_inexact_arrays_is_refused(entry):
    with pytest.raises(TypeError, match=r"expected n.* of a floating dtype"):
        entry(lambda n: jnp.sum(n["a"]) * 1.0)({"a": jnp.arange(3), "b": "x"})


def test_complex_parameters_are_differentiated():
    w = jnp.array([1 + 2j, 0.5 - 1j])

    def f(w):
        return jnp.sum(jnp.abs(w) ** 2)

    report = jaxgrad.explain(f)(w)
    np.testing.assert_allclose(report.gradients, jax.grad(f)(w))
