# %% imports [001:1] Import the library
import jax
import jax.numpy as jnp

from jaxgrad import derivatives, explain, optimizers, plots

# %% line [001:2] The derivative of 2x at 1 and at 3
slope = jax.grad(lambda x: x * 2)
print(slope(1.0))
print(slope(3.0))

# %% powers [001:3] The derivatives of the square and the cube at 3
print(jax.grad(lambda x: x**2)(3.0))
print(jax.grad(lambda x: x**3)(3.0))

# %% polynomial [001:4] The derivative of a polynomial at 3, asked for twice
slope = jax.grad(lambda x: x**2 + x * 2 + 2)
print(slope(3.0))
print(slope(3.0))


# %% orders [001:5] A cubic and its first three derivatives at 2
def cubic(x):
    return x**3 + x**2 + x + 1


for value in derivatives(cubic, 3)(2.0):
    print(value)

# %% functions [001:6] The exponential and the sine, and three derivatives of each
print("exp", *derivatives(jnp.exp, 3)(1.0))
print("sin", *derivatives(jnp.sin, 3)(3.141))


# %% chain [001:7] Two layers of one weight and one bias each
def chain(w1, b1, w2, b2, x):
    h1 = w1 * x + b1
    y = w2 * h1 + b2
    return y


print(chain(2.0, -10.0, 4.0, 7.0, 3.0))

# %% one-by-one [001:8] The gradient of each parameter, one by one
print(jax.grad(chain, argnums=0)(2.0, -10.0, 4.0, 7.0, 3.0))
print(jax.grad(chain, argnums=1)(2.0, -10.0, 4.0, 7.0, 3.0))
print(jax.grad(chain, argnums=2)(2.0, -10.0, 4.0, 7.0, 3.0))
print(jax.grad(chain, argnums=3)(2.0, -10.0, 4.0, 7.0, 3.0))

# %% all-at-once [001:9] The gradients of all parameters in one call
gradients = jax.grad(chain, argnums=(0, 1, 2, 3))
print(*gradients(2.0, -10.0, 4.0, 7.0, 3.0))

# %% twice
print(*gradients(2.0, -10.0, 4.0, 7.0, 3.0))

# %% chain-explained
explain(chain, argnums=(0, 1, 2, 3))(2.0, -10.0, 4.0, 7.0, 3.0)

# %% error [001:10] The squared error of w x + b, and its gradient
x, true = 3.0, 10.0
w, b = jnp.float32(5.0), jnp.float32(1.0)


def squared_error(w, b):
    pred = w * x + b
    return (pred - true) ** 2, pred


value_and_grad = jax.value_and_grad(squared_error, argnums=(0, 1), has_aux=True)
(loss, pred), (w_grad, b_grad) = value_and_grad(w, b)
print(w, b)
print(f"pred = {pred}, true = {true}, loss = {loss}")
print(w_grad, b_grad)

# %% error-explained
explain(squared_error, argnums=(0, 1), has_aux=True)(w, b)

# %% step [001:11] One step of gradient descent by hand
lr = 0.01  # the learning rate
w = w - lr * w_grad
b = b - lr * b_grad
loss, pred = squared_error(w, b)
print(w, b)
print(f"pred = {pred.item()}, true = {true}, loss = {loss.item()}")

# %% second-step [001:12] A second step
_, (w_grad, b_grad) = value_and_grad(w, b)
w = w - lr * w_grad
b = b - lr * b_grad
loss, pred = squared_error(w, b)
print(f"pred = {pred.item()}, true = {true}, loss = {loss.item()}")

# %% optimizer [001:13] The first step with an optimizer
w, b = jnp.float32(5.0), jnp.float32(1.0)
optimizer = optimizers.sgd(0.01)
state = optimizer.init((w, b))
(loss, pred), grads = value_and_grad(w, b)
print(f"pred = {pred.item()}, true = {true}, loss = {loss.item()}")

updates, state = optimizer.update(grads, state, (w, b))
w, b = w + updates[0], b + updates[1]
loss, pred = squared_error(w, b)
print(w, b)
print(f"pred = {pred.item()}, true = {true}, loss = {loss.item()}")

# %% forget [001:14] Delete the two names
del w, b

# %% model [001:15] The parameters in one object, a step of training in one function
from typing import NamedTuple

import optax


class Model(NamedTuple):
    w: jax.Array
    b: jax.Array

    def __call__(self, x):
        return self.w * x + self.b


def loss_of(model, x, true):
    pred = model(x)
    return (pred - true) ** 2, pred


def train_step(model, state):
    (loss, pred), grads = jax.value_and_grad(loss_of, has_aux=True)(model, x, true)
    updates, state = optimizer.update(grads, state, model)
    return optax.apply_updates(model, updates), state, loss, pred


# %% train [001:16] Twenty steps of training
model = Model(jnp.float32(5.0), jnp.float32(1.0))
state = optimizer.init(model)
losses = []
for epoch in range(20):
    model, state, loss, pred = train_step(model, state)
    print(f"pred = {pred.item()}, true = {true}, loss = {loss.item()}")
    losses.append(loss.item())

# %% curve [001:17] Draw the loss of each step
plots.curves({"loss": jnp.array(losses)}, title="w x + b, true value 10 at x = 3")

# %% compiled
model = Model(jnp.float32(5.0), jnp.float32(1.0))
state = optimizer.init(model)
compiled_step = jax.jit(train_step)
for epoch in range(20):
    model, state, loss, pred = compiled_step(model, state)
print(f"pred = {pred.item()}, true = {true}, loss = {loss.item()}")


# %% rates
def losses_at(lr, steps=20):
    w, b, losses = 5.0, 1.0, []
    for _ in range(steps):
        (loss, _), (w_grad, b_grad) = value_and_grad(w, b)
        w, b = w - lr * w_grad, b - lr * b_grad
        losses.append(loss.item())
    return jnp.array(losses)


rates = (0.01, 0.095, 0.1, 0.105)
curves = {f"lr {lr}": losses_at(lr) for lr in rates}
plots.curves(curves, title="Four learning rates", log=True)


# %% yours [001:18] An empty cell: derive every gradient of two layers by hand
def error_of_chain(w1, b1, w2, b2):
    return (chain(w1, b1, w2, b2, 3.0) - 1.0) ** 2


by_jax = jax.grad(error_of_chain, argnums=(0, 1, 2, 3))
print(*by_jax(2.0, -10.0, 4.0, 7.0))
