"""compare_training with an original of PyTorch: planted bugs, and correct ports."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import compare_training, optimizers

pytestmark = pytest.mark.parity
STEPS = 8
GENERATOR = np.random.default_rng(1)
BATCHES = [
    (
        GENERATOR.standard_normal((8, 5)).astype(np.float32),
        GENERATOR.standard_normal((8, 3)).astype(np.float32),
    )
    for _ in range(STEPS)
]


@pytest.fixture(autouse=True)
def _standard_promotion():
    """Optax's Adam needs it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def network(dropout=0.0):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Linear(5, 12),
        torch.nn.LayerNorm(12),
        torch.nn.Tanh(),
        torch.nn.Dropout(dropout),
        torch.nn.Linear(12, 3),
    )


def theirs(model, optimizer, schedule=None, clip=0.0):
    """The body of a loop of PyTorch."""
    import torch

    optimizer = optimizer(model.parameters())
    scheduler = schedule(optimizer) if schedule else None

    def step(batch):
        x, y = map(torch.as_tensor, batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if scheduler:
            scheduler.step()
        return loss

    return step


def predicted(p, x):
    h = x @ p["in"]["kernel"] + p["in"]["bias"]
    h = h - h.mean(-1, keepdims=True)
    h = h / jnp.sqrt((h * h).mean(-1, keepdims=True) + 1e-5)
    h = jnp.tanh(h * p["norm"]["scale"] + p["norm"]["bias"])
    return h @ p["out"]["kernel"] + p["out"]["bias"]


def error(p, batch):
    x, y = batch
    return jnp.mean((predicted(p, x) - y) ** 2)


def ours(model, optimizer):
    """The port as a pure step and its start."""
    arrays = {
        name: jnp.asarray(t.detach().numpy().T.copy())
        for name, t in model.named_parameters()
    }
    params = {
        "in": {"kernel": arrays["0.weight"], "bias": arrays["0.bias"]},
        "norm": {"scale": arrays["1.weight"], "bias": arrays["1.bias"]},
        "out": {"kernel": arrays["4.weight"], "bias": arrays["4.bias"]},
    }

    @jax.jit
    def step(state, batch):
        params, inner = state
        loss, gradients = jax.value_and_grad(error)(params, batch)
        updates, inner = optimizer.update(gradients, inner, params)
        return (optax.apply_updates(params, updates), inner), loss, gradients

    return step, (params, optimizer.init(params))


def optim(name, **settings):
    torch = pytest.importorskip("torch")
    return functools.partial(getattr(torch.optim, name), **settings)


def rates(name, *args):
    torch = pytest.importorskip("torch")
    return lambda o: getattr(torch.optim.lr_scheduler, name)(o, *args)


def dropped(step):
    return lambda t: jnp.where(t < step, 0.05, 0.005)


def matrices(params):
    return jax.tree.map(lambda x: x.ndim > 1, params)


BUGS = {
    "schedule": (
        lambda m: theirs(m, optim("SGD", lr=0.05), rates("MultiStepLR", [5])),
        lambda: optax.sgd(dropped(6)),
        (5, "update", "schedule"),
    ),
    "coupled weight decay": (
        lambda m: theirs(m, optim("AdamW", lr=0.01, weight_decay=0.1)),
        lambda: optimizers.adam(0.01, weight_decay=0.1),
        (0, "update", "weight decay"),
    ),
    "weight decay of matrices only": (
        lambda m: theirs(m, optim("AdamW", lr=0.01, weight_decay=0.1)),
        lambda: optax.adamw(0.01, weight_decay=0.1, mask=matrices),
        (0, "update", "weight decay"),
    ),
    "eps": (
        lambda m: theirs(m, optim("RMSprop", lr=0.01, eps=1e-5)),
        lambda: optax.rmsprop(0.01, decay=0.99, eps=1e-5),
        (0, "update", "eps"),
    ),
    "no clipping": (
        lambda m: theirs(m, optim("SGD", lr=0.05), clip=0.5),
        lambda: optax.sgd(0.05),
        (0, "update", "clipping"),
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_of_a_port_is_found_at_its_first_step(name):
    original, port, expected = BUGS[name]
    model = network()
    found = compare_training(original(model), ours(model, port()), steps=BATCHES)
    assert found.first is not None
    assert (found.first.step, found.first.what, found.first.cause) == expected
    assert "float64, which decides" in found.note


def test_correct_ports_raise_no_alarm_and_all_stays_as_it_was():
    model = network()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    original = theirs(model, optim("SGD", lr=0.05, momentum=0.9), clip=0.5)
    port = optax.chain(optimizers.clip_grad_norm(0.5), optax.sgd(0.05, 0.9))
    for _ in range(2):
        found = compare_training(original, ours(model, port), steps=BATCHES)
        assert found.first is None
        assert found.unmatched == ([], [])
        assert dict(found.leaves)["0.weight"] == "['in']['kernel']"
    assert all((before[name] == t).all() for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_port_of_adam_agrees_in_float32_without_the_run_in_float64():
    import torch

    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def original(batch):
        x, y = (torch.tensor(z, dtype=torch.float32) for z in batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    found = compare_training(original, ours(model, optax.adam(0.01)), steps=BATCHES)
    assert found.first is None
    assert "No run in float64" in found.note
    wrong = ours(model, optax.adam(0.01, eps=1e-4))
    first = compare_training(original, wrong, steps=BATCHES).first
    assert first is not None
    assert (first.step, first.cause) == (0, "eps")


def test_dropout_in_theirs_only_is_told_from_other_losses():
    model = network(dropout=0.5)
    original = theirs(model, optim("SGD", lr=0.05))
    first = compare_training(
        original, ours(model, optax.sgd(0.05)), steps=BATCHES[:3]
    ).first
    assert first is not None
    assert (first.step, first.what, first.cause) == (0, "loss", "dropout")
