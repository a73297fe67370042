# %% network
import jax
import jax.numpy as jnp
import numpy as np

import jaxgrad
from jaxgrad import plots
from jaxgrad.activations import relu

N, D_IN, H, D_OUT = 64, 1000, 100, 10


def start(seed):
    draw = np.random.RandomState(seed).standard_normal
    x, y = draw((N, D_IN)), draw((N, D_OUT))
    w1, w2 = draw((D_IN, H)), draw((H, D_OUT))
    return jax.tree.map(jnp.float32, ((w1, w2), (x, y)))


def loss(weights, data):
    w1, w2 = weights
    x, y = data
    hidden = relu(x @ w1)
    y_pred = hidden @ w2
    return jnp.sum((y_pred - y) ** 2)


# %% training [002:1] A network of two layers, trained for 500 steps with its gradients
def step(weights, _, data, learning_rate=1e-6):
    value, gradient = jax.value_and_grad(loss)(weights, data)
    weights = jax.tree.map(lambda w, g: w - learning_rate * g, weights, gradient)
    return weights, value


@jax.jit
def train(weights, data):
    return jax.lax.scan(lambda w, t: step(w, t, data), weights, jnp.arange(500))


weights, data = start(0)
trained, losses = train(weights, data)
for t in range(99, 500, 100):
    print(f"{t} {losses[t]:.3g}")

# %% loss-curve
plots.curves({"loss": losses}, xlabel="step", ylabel="sum of squares", log=True)

# %% explained
jaxgrad.explain(loss)(weights, data)


# %% by-hand
def gradient_by_hand(weights, data):
    (w1, w2), (x, y) = weights, data
    hidden = x @ w1
    active = jnp.maximum(hidden, 0)
    d_y_pred = 2 * (active @ w2 - y)
    d_w2 = active.T @ d_y_pred
    d_hidden = jnp.where(hidden > 0, d_y_pred @ w2.T, 0)
    return x.T @ d_hidden, d_w2


ours, by_hand = jax.grad(loss)(weights, data), gradient_by_hand(weights, data)
for i in (0, 1):
    print(ours[i].shape, "agree:", jnp.allclose(ours[i], by_hand[i], rtol=1e-3))

# %% twenty-starts
last = jnp.stack([train(*start(seed))[1] for seed in range(20)])
print("t    notebook      lowest      median     highest")
printed = {
    99: 1054.776,
    199: 13.26118,
    299: 0.2438094,
    399: 5.378918e-3,
    499: 3.115542e-4,
}
for t, value in printed.items():
    spread = jnp.quantile(last[:, t], jnp.array([0.0, 0.5, 1.0]))
    print(t, f"{value:>11.3g}", *(f"{number:>11.3g}" for number in spread))


# %% at-zero
def clamp(x):
    return jnp.where(x >= 0, x, 0.0)


print("relu:", jax.grad(relu)(0.0), " clamp:", jax.grad(clamp)(0.0))
