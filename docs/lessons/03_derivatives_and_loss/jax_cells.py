# %% imports [004:1] Import the libraries
import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad import (
    check_gradients,
    explain,
    initializers,
    losses,
    optimizers,
)

jnp.set_printoptions(precision=4)


# %% line [004:2] The gradients of w x + b with respect to x, w and b
def line(x, w, b):
    return w * x + b


report = explain(line, argnums=(0, 1, 2))(1.0, 2.0, 2.0)
print(*report.gradients)
report


# %% square [004:3] The derivative of the square at 2
def square(x):
    return x**2


report = explain(square)(2.0)
print(report.gradients)
report

# %% exponential [004:4] The derivative of the exponential at 2
report = explain(jnp.exp)(2.0)
print(report.gradients)
report

# %% sine [004:5] The derivative of the sine at pi
report = explain(jnp.sin)(np.pi)
print(report.gradients)
report


# %% product [004:6] The derivative of a product at 0
def product(x):
    return (x - 4) * (x**2 + 6)


report = explain(product)(0.0)
print(report.gradients)
report


# %% root [004:7] The derivative of a cube of a square root at 2
def cube_of_root(x):
    return (jnp.sqrt(x) + 1) ** 3


report = explain(cube_of_root)(2.0)
print(report.gradients)
report


# %% partial [004:8] Both partial derivatives of a function of two variables
def square_of_sum(x, y):
    return (x + 2 * y) ** 2


report = explain(square_of_sum, argnums=(0, 1))(1.0, 2.0)
print(*report.gradients)
report

# %% checked
print(check_gradients(square_of_sum)(1.0, 2.0))

# %% linear [004:9] Random data and a linear layer with three inputs and two outputs
weight, bias = initializers.linear(jax.random.key(0), 3, 2)
print("w:", weight)
print("b:", bias)

# %% same-start
weight = jnp.array([[0.3974, -0.1892, -0.2784], [0.3327, -0.3742, 0.5401]])
bias = jnp.array([-0.5308, -0.5098])
params = {"weight": weight, "bias": bias}
x = jnp.cos(jnp.arange(15.0)).reshape(5, 3)  # 5 samples with 3 features
y = jnp.sin(jnp.arange(10.0)).reshape(5, 2)  # their 2 targets


# %% loss [004:10] The mean squared error of the layer, and the optimizer
def loss_of(params, x, y):
    pred = x @ params["weight"].T + params["bias"]
    return losses.mse_loss(pred, y)


optimizer = optimizers.sgd(0.01)
state = optimizer.init(params)
print("loss:", loss_of(params, x, y))

# %% reductions
pred = x @ weight.T + bias
print(losses.mse_loss(pred, y, reduction="mean"))
print(losses.mse_loss(pred, y, reduction="sum"))

# %% backward [004:11] Backpropagation
grads = jax.grad(loss_of)(params, x, y)

# %% gradients [004:12] Print the gradients of weight and bias
print("dL/dw:", grads["weight"])
print("dL/db:", grads["bias"])

# %% loss-explained
explain(loss_of)(params, x, y)

# %% formula
error = 2 / pred.size * (pred - y)
print("dL/dw:", error.T @ x)
print("dL/db:", error.sum(axis=0))

# %% by-hand [004:13] One step of gradient descent by hand
by_hand = jax.tree.map(lambda p, g: p - 0.01 * g, params, grads)
print("*** by hand")
print(by_hand["weight"])
print(by_hand["bias"])

# %% step [004:14] The same step with the optimizer
updates, state = optimizer.update(grads, state, params)
by_optimizer = jax.tree.map(jnp.add, params, updates)

# %% after-step [004:15] Print the parameters after the step
print("*** by the optimizer")
print(by_optimizer["weight"])
print(by_optimizer["bias"])

# %% equal
print(jax.tree.map(lambda a, b: bool((a == b).all()), by_hand, by_optimizer))
print(loss_of(params, x, y), "->", loss_of(by_optimizer, x, y))
