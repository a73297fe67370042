# %% wrong-rule
import jax
import jax.numpy as jnp

import jaxgrad

jnp.set_printoptions(precision=4)


@jax.custom_vjp
def softplus(x):
    return jnp.log1p(jnp.exp(x))


def forward(x):
    return softplus(x), x


def backward(x, gradient):
    return (gradient * jax.nn.sigmoid(-x),)


softplus.defvjp(forward, backward)
x = jnp.array([-2.0, 0.0, 2.0])
print(softplus(x))
print(jax.grad(lambda x: softplus(x).sum())(x))

# %% wrong-rule-checked
print(jaxgrad.check_gradients(softplus)(x))


# %% right-rule-checked
def backward(x, gradient):
    return (gradient * jax.nn.sigmoid(x),)


softplus.defvjp(forward, backward)
print(jaxgrad.check_gradients(softplus)(x))


# %% nan
def total_length(vectors):
    squares = jnp.sum(vectors**2, axis=1)
    lengths = jnp.where(squares > 0, jnp.sqrt(squares), 0.0)
    return lengths.sum()


vectors = jnp.array([[3.0, 4.0], [0.0, 0.0]])
print(total_length(vectors))
print(jax.grad(total_length)(vectors))

# %% nan-explained
jaxgrad.explain(total_length)(vectors)

# %% nan-found
print(jaxgrad.find_nonfinite(total_length)(vectors))


# %% nan-fixed
def safe_total_length(vectors):
    squares = jnp.sum(vectors**2, axis=1)
    positive = squares > 0
    lengths = jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
    return lengths.sum()


print(jax.grad(safe_total_length)(vectors))
print(jaxgrad.diagnose(safe_total_length)(vectors))


# %% dead
def score(params, x):
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    return jnp.mean((hidden @ params["w2"] - 1.0) ** 2)


params = {
    "w1": jnp.full((3, 4), 0.1),
    "b1": jnp.array([-5.0, -5.0, 0.0, 0.0]),
    "w2": jnp.ones((4, 1)),
}
x = jnp.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
print(jax.grad(score)(params, x)["b1"])

# %% dead-found
print(jaxgrad.diagnose(score)(params, x))


# %% vanishing
def recurrent(w, xs):
    def step(h, x):
        h = jnp.tanh(w * h + x)
        return h, h

    h, _ = jax.lax.scan(step, 0.5, xs)
    return h**2


xs = jnp.full(40, 0.8)
print(jax.grad(recurrent, argnums=1)(0.5, xs)[:3])

# %% vanishing-found
print(jaxgrad.diagnose(recurrent, argnums=1)(0.5, xs))


# %% digits-lost
def spread(x):
    mean = x.mean()
    variance = (x**2).mean() - mean**2
    return variance


x = jnp.array([1000.1, 1000.2, 1000.3])
print(spread(x), jnp.var(x))
print(jax.grad(spread)(x), jax.grad(jnp.var)(x))

# %% digits-lost-found
print(jaxgrad.diagnose(spread)(x))


# %% in-training
def log_loss(w, x, y):
    p = jax.nn.sigmoid(x @ w)
    return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))


x = jnp.array([[1.0, 3.0], [2.0, -1.0], [-1.0, 4.0], [-3.0, -2.0]])
y = jnp.array([1.0, 0.0, 1.0, 0.0])
w = jnp.zeros(2)
checked = jaxgrad.checked_value_and_grad(log_loss)
try:
    for i in range(1000):
        value, gradient = checked(w, x, y)
        w = w - 2.0 * gradient
except jaxgrad.NonFiniteError as error:
    print("step", i)
    print(error)

# %% watched
from functools import partial

import optax

from jaxgrad import datasets, losses, plots, training

digits = datasets.load("digits")
shapes = {"fc1": (64, 32), "fc2": (32, 32), "fc3": (32, 32), "fc4": (32, 10)}


def init(scale):
    normal = jax.nn.initializers.variance_scaling(scale, "fan_in", "normal")
    return {name: normal(jax.random.key(0), shape) for name, shape in shapes.items()}


def apply(params, images):
    x = images.reshape(len(images), -1)
    for name in ("fc1", "fc2", "fc3"):
        x = jax.nn.relu(x @ params[name])
    return x @ params["fc4"]


loss = partial(losses.cross_entropy, reduction="none")


sgd = optax.sgd(0.1)


def fit(params, optimizer=sgd, watch=5):
    start = training.init(jax.random.key(1), params, optimizer)
    options = {"epochs": 10, "batch_size": 64, "watch": watch}
    run = training.fit(apply, loss, optimizer, start, digits, **options)
    epochs = [epoch for state, epoch in run]
    print(f"accuracy {epochs[-1].test_accuracy:.0%}")
    return plots.watched(epochs, of="parameters")


fit(init(scale=0.1))

# %% watched-again
fit(init(scale=2.0))

# %% stopped
try:
    fit(init(scale=2.0), optax.sgd(1e4), watch=None)
except training.NonFinite as error:
    print(error)
