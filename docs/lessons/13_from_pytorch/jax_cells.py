# %% original
from pathlib import Path

import jax
import jax.numpy as jnp

import jaxgrad

folder = next(
    place / "docs/lessons/13_from_pytorch"
    for place in (Path.cwd(), *Path.cwd().parents)
    if (place / "docs/lessons/13_from_pytorch").exists()
)
theirs = jaxgrad.load_record(folder / "original.npz")
print(f"{theirs.value:.4f}", theirs.gradients["fc2.bias"])

# %% original-explained
theirs

# %% template
from jaxgrad import torch_state

state = torch_state.read_safetensors(folder / "weights.safetensors")
template = {
    "fc1": {"kernel": jnp.zeros((4, 5)), "bias": jnp.zeros(5)},
    "fc2": {"kernel": jnp.zeros((5, 3)), "bias": jnp.zeros(3)},
}
params = torch_state.from_torch(state, template)
for path, leaf in jax.tree.leaves_with_path(params):
    print(jax.tree_util.keystr(path), leaf.shape)

# %% first-port
from jaxgrad.losses import cross_entropy

x = jnp.linspace(-2, 2, 24).reshape(6, 4)
labels = jnp.array([0, 1, 2, 2, 1, 0])


def dense(params, x):
    return x @ params["kernel"] + params["bias"]


def first_port(params, x, labels):
    hidden = jax.nn.gelu(dense(params["fc1"], x))
    logits = dense(params["fc2"], hidden)
    return cross_entropy(logits, labels)


print(f"{first_port(params, x, labels):.4f}")

# %% first-port-compared
comparison = jaxgrad.compare(theirs, jaxgrad.explain(first_port)(params, x, labels))
print(comparison)


# %% port-compared
def port(params, x, labels):
    hidden = jaxgrad.activations.gelu(dense(params["fc1"], x))
    logits = dense(params["fc2"], hidden)
    return cross_entropy(logits, labels)


print(jaxgrad.compare(theirs, jaxgrad.explain(port)(params, x, labels)))

# %% trained
import optax

from jaxgrad import optimizers


def make_step(optimizer):
    @jax.jit
    def step(state, batch):
        params, opt_state = state
        loss, gradients = jax.value_and_grad(port)(params, *batch)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss, gradients

    return step


optimizer = optimizers.adam(lr=0.01, weight_decay=0.1)
step = make_step(optimizer)
trained = params, optimizer.init(params)
for _ in range(5):
    trained, loss, _ = step(trained, (x, labels))
    print(f"{loss:.6f}")


# %% training-compared
def training(optimizer):
    return make_step(optimizer), (params, optimizer.init(params))


torch_like = training(optimizers.adam(lr=0.01, weight_decay=0.1))
with_optax = training(optax.adamw(0.01, weight_decay=0.1))
batches = [(x, labels)] * 10
print(jaxgrad.compare_training(torch_like, with_optax, batches))
