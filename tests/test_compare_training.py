"""compare_training without PyTorch: steps of NumPy and JAX on both sides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad import compare_training
from jaxgrad.inspection import TrainingComparison

STEPS = 14
GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((STEPS, 8, 4))
Y = GENERATOR.standard_normal((STEPS, 8, 2))
START = {"w": GENERATOR.standard_normal((4, 2)), "b": np.full(2, 0.1)}


def loss_and_gradients(p, x, y):
    """Of a linear layer and the mean squared error."""
    residual = x @ p["w"] + p["b"] - y
    slope = 2 * residual / residual.size
    return np.mean(residual**2), {"b": slope.sum(0), "w": x.T @ slope}


def training(
    update, dtype: type = np.float64, batch=lambda i: i, gradients=lambda g, p: g
):
    """A step of NumPy that changes its parameters in place."""
    params = {name: value.astype(dtype) for name, value in START.items()}
    memory = {name: [np.zeros_like(p), np.zeros_like(p)] for name, p in params.items()}

    def step(i):
        data = (z[batch(i)].astype(params["w"].dtype) for z in (X, Y))
        loss, grads = loss_and_gradients(params, *data)
        grads = gradients(grads, params)
        for name, p in params.items():
            p += update(grads[name], p, i, memory[name])
        return {"loss": loss, "gradients": grads, "parameters": params}

    return step


def sgd(lr=lambda i: 0.05, momentum=0.9, dampening=0.0, nesterov=False, decay=0.0):
    def update(g, p, i, memory):
        g = g + decay * p
        memory[0] = momentum * memory[0] + (1 - dampening) * g
        return -lr(i) * (g + momentum * memory[0] if nesterov else memory[0])

    return update


def adam(eps=1e-8, betas=(0.9, 0.999), corrected=True, inside=False, decay=0.0):
    def update(g, p, i, memory):
        memory[0] = betas[0] * memory[0] + (1 - betas[0]) * g
        memory[1] = betas[1] * memory[1] + (1 - betas[1]) * g * g
        c1, c2 = (1 - b ** (i + 1) if corrected else 1.0 for b in betas)
        v = memory[1] / c2
        root = np.sqrt(v + eps) if inside else np.sqrt(v) + eps
        return -0.01 * (memory[0] / c1 / root + decay * p)

    return update


def decayed_from(step):
    return lambda i: 0.05 if i < step else 0.005


BUGS = {
    "the schedule is one step late": (
        training(sgd(decayed_from(6))),
        training(sgd(decayed_from(7))),
        (6, "update", "schedule"),
    ),
    "another learning rate": (
        training(sgd()),
        training(sgd(lambda i: 0.06)),
        (0, "update", "learning rate"),
    ),
    "dampening": (
        training(sgd()),
        training(sgd(dampening=0.9)),
        (0, "update", "dampening"),
    ),
    "nesterov": (
        training(sgd()),
        training(sgd(nesterov=True)),
        (0, "update", "nesterov"),
    ),
    "weight decay": (
        training(adam()),
        training(adam(decay=0.1)),
        (0, "update", "weight decay"),
    ),
    "eps": (training(adam()), training(adam(1e-5)), (0, "update", "eps")),
    "eps inside the root": (
        training(adam()),
        training(adam(inside=True)),
        (0, "update", "eps"),
    ),
    "betas": (
        training(adam()),
        training(adam(betas=(0.9, 0.99))),
        (1, "update", "betas"),
    ),
    "no bias correction": (
        training(adam()),
        training(adam(corrected=False)),
        (0, "update", "bias correction"),
    ),
    "a sum for a mean": (
        training(adam()),
        training(adam(), gradients=lambda g, p: {n: 4 * x for n, x in g.items()}),
        (0, "gradient", "reduction"),
    ),
    "L2 in the gradients": (
        training(sgd()),
        training(
            sgd(), gradients=lambda g, p: {n: x + 0.01 * p[n] for n, x in g.items()}
        ),
        (0, "gradient", "weight decay"),
    ),
    "clipped by value": (
        training(sgd()),
        training(
            sgd(), gradients=lambda g, p: {n: x.clip(-0.1, 0.1) for n, x in g.items()}
        ),
        (0, "gradient", "clipping"),
    ),
    "batches in another order": (
        training(sgd()),
        training(sgd(), batch=lambda i: {3: 5, 5: 3}.get(i, i)),
        (3, "loss", "batch order"),
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_at_its_first_step(name):
    theirs, ours, expected = BUGS[name]
    found = compare_training(theirs, ours, steps=STEPS)
    assert found.verdict == "real"
    assert found.first is not None
    assert (found.first.step, found.first.what, found.first.cause) == expected
    assert found.first.difference > 1
    assert found.first.guess in str(found).replace("\n  ", " ")


def test_a_small_eps_is_found_in_float32_by_the_run_in_float64():
    theirs, ours = (training(adam(eps), np.float32) for eps in (1e-8, 3e-6))
    first = compare_training(theirs, ours, steps=6).first
    assert first is not None
    assert first.what == "update"
    assert first.cause == "eps"


def logistic(order):
    """The map x -> 4 x (1 - x), which is chaotic, as the update of a parameter."""
    p = np.linspace(0.1, 0.9, 16, dtype=np.float32)

    def step(i):
        new = 4 * p * (1 - p) if order else (4 * p) - (4 * p) * p
        loss, gradients = np.sum(p, dtype=p.dtype), p - new
        p[:] = new
        return loss, gradients, p

    return step


def test_chaos_is_rounding_that_grows():
    found = compare_training(logistic(True), logistic(False), steps=60)
    assert found.first is None
    assert found.verdict == "rounding that grows"
    assert max(row.apart or 0 for row in found.rows) > 0.1
    assert "rounding that grows" in repr(found)


def quadratic(params, x):
    return jnp.mean((x @ params["w"] + params["b"]) ** 2)


def pure(state, batch):
    loss, gradients = jax.value_and_grad(quadratic)(state[0], batch)
    params = jax.tree.map(lambda p, g: p - 0.1 * g, state[0], gradients)
    return (params, state[1] + 1), loss, gradients


def closure():
    params = {n: jnp.asarray(p, jnp.float32) for n, p in START.items()}

    def step(batch):
        nonlocal params
        (params, _), loss, gradients = pure((params, 0), batch)
        return loss, gradients, params

    return step


def test_the_forms_of_a_step_agree_and_leave_their_state_as_it_was():
    batches = [x.astype(np.float32) for x in X[:4]]
    params = {n: jnp.asarray(p, jnp.float32) for n, p in START.items()}
    step = closure()
    for other in (step, closure, (pure, (params, 0))):
        found = compare_training((pure, (params, 0)), other, steps=batches)
        assert found.verdict == "agree"
        assert "float64, which decides" in found.note
        assert [tuple(leaf) for leaf in found.leaves] == [("b", "b"), ("w", "w")]
    again = compare_training((pure, (params, 0)), step, steps=batches)
    assert again.first is None


def test_batches_of_jax_arrays_become_float64_too():
    with jax.enable_x64(False):  # where float64 is a warning
        batches = [jnp.asarray(x, jnp.float32) for x in X[:4]]
        params = {n: jnp.asarray(p, jnp.float32) for n, p in START.items()}
        found = compare_training((pure, (params, 0)), closure(), steps=batches)
    assert found.verdict == "agree"
    assert "float64, which decides" in found.note


def test_transposed_parameters_with_other_names_are_matched():
    step = training(sgd())

    def renamed(i):
        r = step(i)
        turned = [
            {"kernel": r[k]["w"].T.copy(), "offset": r[k]["b"]}
            for k in ("gradients", "parameters")
        ]
        return r["loss"], *turned

    found = compare_training(training(sgd()), renamed, steps=3)
    assert found.first is None
    assert [tuple(leaf) for leaf in found.leaves] == [("b", "offset"), ("w", "kernel")]
    names = {"w": "kernel"}
    assert compare_training(training(sgd()), renamed, 3, names).first is None
    with pytest.raises(ValueError, match="names to be parameters of ours"):
        compare_training(training(sgd()), renamed, 3, {"w": "weight"})


def test_a_step_that_cannot_start_again_is_compared_once():
    theirs = training(sgd(), np.float32)
    numbers = iter(range(1000))
    step = training(sgd(), np.float32)
    found = compare_training(theirs, lambda _: step(next(numbers)), steps=4)
    assert found.first is None
    assert "does not repeat" in found.note


def test_it_shows_itself_as_text_and_as_a_table(tmp_path):
    theirs, ours, _ = BUGS["betas"]
    found = compare_training(theirs, ours, steps=STEPS)
    assert isinstance(found, TrainingComparison)
    assert "<- first" in str(found)
    assert len(repr(found)) < 120
    assert found._repr_html_().count("<tr") == STEPS + 1
    assert 'class="blamed"' in found._repr_html_()
    found.save(tmp_path / "page.html")
    assert "Our betas are" in (tmp_path / "page.html").read_text()


@pytest.mark.message
@pytest.mark.parametrize(
    ("steps", "step", "error", "text"),
    [
        (0, training(sgd()), ValueError, "steps >= 1, got 0"),
        ([], training(sgd()), ValueError, "at least one step"),
        ("abc", training(sgd()), TypeError, "a number or the batches"),
        (2, 3, TypeError, "torch_step to be a function"),
        (2, lambda i: {"cost": 1}, TypeError, "a dictionary of"),
        (2, lambda i: "loss", TypeError, "a loss of type str"),
    ],
)
def test_wrong_arguments(steps, step, error, text):
    with pytest.raises(error, match=text):
        compare_training(step, training(sgd()), steps=steps)
