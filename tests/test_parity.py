"""Side by side with PyTorch: the table of cases, and calls drawn at random.

Both run in float64. The random calls combine what the table lists one by one: every
option with every shape, labels ignored or not, and logits from 1 to 1e300, with -inf
and NaN.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from tests import golden
from tests.cases import CASES, FAMILIES, Case, in_jaxgrad
from tests.golden.generate import TORCH, evaluate, in_torch
from tests.test_cases import value_and_gradients
from tests.tolerances import assert_close

pytestmark = pytest.mark.parity

SHAPES = [(3,), (1, 4), (5, 3), (4, 1), (0, 3), (2, 3, 4), (2, 3, 0), (2, 3, 1, 2)]
SCALES = [1.0, 1.0, 1e4, 1e30, 1e300]


def test_torch_is_the_version_of_the_golden_values():
    import torch

    assert torch.__version__.split("+")[0] == TORCH
    for family in FAMILIES:
        text = (golden.FOLDER / f"{family}.json").read_text()
        assert text.startswith(f'{{"torch": "{TORCH}"')


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_golden_values_are_current(case):
    family = next(name for name, cases in FAMILIES.items() if case in cases)
    stored, now = golden.load(family)[case.id], evaluate(case)
    assert_close(now.value, stored.value, err_msg=golden.REGENERATE)
    for part in ("gradients", "second"):
        ours, theirs = getattr(stored, part), getattr(now, part)
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert_close(theirs[name], ours[name], err_msg=golden.REGENERATE)


@pytest.mark.parametrize("seed", range(24))
def test_random_calls_of_the_losses(seed, x64):
    case = random_case(np.random.default_rng(seed))
    arrays = {name: jnp.asarray(array) for name, array in case.arrays.items()}
    value, gradients = value_and_gradients(case)(arrays)
    expected = evaluate(case)
    assert_close(value, expected.value, err_msg=repr(case))
    for name, gradient in expected.gradients.items():
        assert_close(gradients[name], gradient, err_msg=f"{name} of {case!r}")


def random_case(rng):
    shape = SHAPES[rng.integers(len(SHAPES))]
    scores = rng.normal(size=shape) * rng.choice(SCALES)
    scores[rng.random(shape) < rng.choice([0.0, 0.0, 0.2])] = rng.choice(
        [-np.inf, np.nan]
    )
    options: dict[str, Any] = {"reduction": str(rng.choice(["none", "mean", "sum"]))}
    kind = rng.choice(["nll_loss", "cross_entropy", "probabilities", "mse_loss"])
    if kind == "mse_loss":
        arrays = {"input": scores, "target": rng.normal(size=shape)}
        return Case("mse_loss", "random", arrays, options, second=False)
    axis = 0 if len(shape) == 1 else 1
    weight = rng.uniform(0.5, 2, shape[axis])
    if kind != "nll_loss":
        options["label_smoothing"] = float(rng.choice([0.0, 0.1, 1.0]))
    if kind == "probabilities":
        arrays = {"logits": scores, "target": rng.random(shape), "weight": weight}
        return Case("cross_entropy", "random", arrays, options, second=False)
    samples = shape[:axis] + shape[axis + 1 :]
    labels = rng.integers(0, shape[axis], samples)
    options["ignore_index"] = int(rng.choice([-100, 0, 255]))
    ignored = rng.random(samples) < rng.choice([0.0, 0.5, 1.0])
    options["target"] = np.where(ignored, options["ignore_index"], labels)
    if rng.random() < 0.7:
        options["weight"] = weight
    name = "log_probs" if kind == "nll_loss" else "logits"
    return Case(str(kind), "random", {name: scores}, options, second=False)


X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("function", "arrays", "options"),
    [
        ("softmax", {"x": X}, {"axis": 2}),
        ("softmax", {"x": np.asarray(0.5)}, {"axis": 1}),
        ("softmax2d", {"x": X}, {}),
        ("cross_entropy", {"logits": X}, {"target": np.array([0, 3])}),
        ("cross_entropy", {"logits": X}, {"target": np.array([0, -1])}),
        ("cross_entropy", {"logits": X}, {"target": np.array([0, 1, 2])}),
        ("cross_entropy", {"logits": X}, {"target": np.array([[0], [1]])}),
        ("cross_entropy", {"logits": X}, {"target": np.array([True, False])}),
        ("cross_entropy", {"logits": X}, {"target": X.astype(int)}),
        ("cross_entropy", {"logits": X, "target": X[0]}, {}),
        ("cross_entropy", {"logits": X, "target": X}, {"ignore_index": 1}),
        ("cross_entropy", {"logits": X, "target": X}, {"label_smoothing": 1.5}),
        ("cross_entropy", {"logits": X, "target": X, "weight": X}, {}),
        ("cross_entropy", {"logits": X[0, 0]}, {"target": np.asarray(0)}),
        ("nll_loss", {"log_probs": X}, {"target": np.array([0, 1]), "weight": X[:, 0]}),
        ("nll_loss", {"log_probs": X}, {"target": np.array([0, 1]), "reduction": "a"}),
        ("mse_loss", {"input": X, "target": X[:, :2]}, {}),
        ("mse_loss", {"input": X, "target": X, "weight": X[0]}, {}),
    ],
)
def test_calls_that_torch_rejects_are_rejected(function, arrays, options):
    import torch

    case = Case(function, "bad", arrays, options)
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        in_torch(case, **{name: torch.tensor(array) for name, array in arrays.items()})
    with pytest.raises((TypeError, ValueError)):
        in_jaxgrad(case)(**{name: jnp.asarray(array) for name, array in arrays.items()})
