# %% data [003:76] MNIST, and how it is divided into batches
from functools import partial

import jax
import jax.numpy as jnp

from jaxgrad import activations, datasets, losses, optimizers, plots, training

dataset = datasets.load("auto")
batch_size = 256 if dataset.name == "mnist" else 16
batches = training.count_batches(len(dataset.train.labels), batch_size)
print(dataset)
print(f"{batches.steps} batches of {batch_size}, the last of {batches.last}")

# %% network [003:77] A network of three linear layers
from jaxgrad.initializers import linear

pixels = dataset.train.images[0].size


def init(key):
    sizes = [(pixels, 1024), (1024, 512), (512, 10)]
    keys = jax.random.split(key, len(sizes))
    layers = (linear(k, *size) for k, size in zip(keys, sizes, strict=True))
    return {f"fc{i}": layer for i, layer in enumerate(layers, 1)}


def apply(params, images):
    x = images.reshape(len(images), -1)
    for name in ("fc1", "fc2"):
        weight, bias = params[name]
        x = activations.relu(x @ weight.T + bias)
    weight, bias = params["fc3"]
    return x @ weight.T + bias


params = init(jax.random.key(0))
for name, (weight, bias) in params.items():
    print(name, weight.shape, bias.shape)
print(sum(leaf.size for leaf in jax.tree.leaves(params)), "parameters")

# %% training [003:78] Twenty epochs of training, each followed by a test
optimizer = optimizers.sgd(lr=0.01)
loss = partial(losses.cross_entropy, reduction="none")
state = training.init(jax.random.key(1), params, optimizer)
run = training.fit(
    apply, loss, optimizer, state, dataset, epochs=20, batch_size=batch_size
)
epochs = []
for state, epoch in run:
    epochs.append(epoch)
    if epoch.epoch % 5 in (0, 4):
        print(f"epoch {epoch.epoch:>2}  train {epoch.train_loss:.4f}", end="  ")
        print(f"test {epoch.test_loss:.4f}")

# %% loss-curves [003:79] The losses of all epochs in one picture
plots.curves(
    {
        "train": jnp.array([epoch.train_loss for epoch in epochs]),
        "test": jnp.array([epoch.test_loss for epoch in epochs]),
    }
)

# %% accuracy [003:80] The accuracy on the test images
from jaxgrad.training.assessment import assess

result = assess(apply, state.params, dataset.test, white=dataset.white)
print(f"{result.accuracy:.2%}, by class", result.classes.recall.round(2))

# %% confusion
plots.confusion(result.confusion)

# %% one-step
images = jnp.asarray(dataset.train.images[:256], jnp.float32) / dataset.white
labels = jnp.asarray(dataset.train.labels[:256])


def batch_loss(params, images, labels):
    return losses.cross_entropy(apply(params, images), labels)


@jax.jit
def step(params, images, labels):
    value, gradients = jax.value_and_grad(batch_loss)(params, images, labels)
    params = jax.tree.map(lambda p, g: p - 0.01 * g, params, gradients)
    return params, value


stepped = init(jax.random.key(0))
for _ in range(3):
    stepped, value = step(stepped, images, labels)
    print(f"{value:.4f}")

# %% memory
for name, program in {
    "evaluation": batch_loss,
    "training": jax.value_and_grad(batch_loss),
}.items():
    compiled = jax.jit(program).lower(params, images, labels).compile()
    print(f"{name}: {compiled.memory_analysis().temp_size_in_bytes / 1e6:.2f} MB")

# %% doubled
doubled = jax.tree.map(lambda p: 2 * p, state.params)
for params in (state.params, doubled):
    print(f"{batch_loss(params, images, labels):.4f}")
