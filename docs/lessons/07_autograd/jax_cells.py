# %% imports [003:56] The imports
import jax
import jax.numpy as jnp

import jaxgrad

jnp.set_printoptions(precision=4)  # as many digits as PyTorch prints

# %% start [003:57] The tensor to differentiate with respect to
x = jnp.ones((2, 2))
print(x)

# %% add-two [003:58] y = x + 2
y = x + 2
print(y)

# %% recorded [003:59] How y was made
print(jax.make_jaxpr(lambda x: x + 2)(x))

# %% square-times-three [003:60] z = 3 y^2
z = y * y * 3
print(z)

# %% mean [003:61] The mean of z
print(z.mean())

# %% random [003:62] Four random numbers
a = jax.random.normal(jax.random.key(0), (2, 2))
print(a)

# %% asked-for-gradient [003:63] Whether a gradient is recorded
print(jax.typeof(a))

# %% ask-for-gradient [003:64] Asking for a gradient
gradient_of_squares = jax.grad(lambda a: (a * a).sum())
print(callable(gradient_of_squares))

# %% sum-of-squares [003:65] The sum of the squares
b = (a * a).sum()
print("at least 0:", bool(b >= 0))
print("gradient is 2a:", bool((gradient_of_squares(a) == 2 * a).all()))


# %% backward [003:66] The gradient of the mean
def out(x):
    y = x + 2
    z = y * y * 3
    return z.mean()


print(jax.grad(out)(x))

# %% backward-explained
jaxgrad.explain(out)(x)


# %% line [003:67] The three derivatives of w x + b
def line(x, w, b):
    return w * x + b


for gradient in jax.grad(line, argnums=(0, 1, 2))(1.0, 2.0, 3.0):
    print(gradient)

# %% line-explained
jaxgrad.explain(line, argnums=(0, 1, 2))(1.0, 2.0, 3.0)

# %% square [003:68] The derivative of x^2
print(jax.grad(lambda x: x**2)(2.0))

# %% square-as-tuple [003:69] The same as a tuple, without storing it anywhere
print(jax.grad(lambda x: x**2, argnums=(0,))(2.0))

# %% exponential [003:70] The derivative of e^x
print(jax.grad(jnp.exp)(2.0))

# %% numpy-function
import numpy as np

try:
    jax.grad(np.exp)(2.0)
except jax.errors.TracerArrayConversionError as error:
    print(str(error).splitlines()[0])

# %% sine [003:71] The derivative of sin x at pi
print(jax.grad(jnp.sin)(jnp.pi))


# %% power-of-root [003:72] The derivative of (sqrt(x) + 1)^3
def power_of_root(x):
    return (jnp.sqrt(x) + 1) ** 3


print(jax.grad(power_of_root)(2.0))

# %% power-of-root-explained
jaxgrad.explain(power_of_root)(2.0)


# %% two-variables [003:73] Two partial derivatives
def square_of_sum(x, y):
    return (x + 2 * y) ** 2


for gradient in jax.grad(square_of_sum, argnums=(0, 1))(1.0, 2.0):
    print(gradient)


# %% chain [003:74] The gradient of a chain of operations
def calc(x):
    x = x * 2 + 1
    x = x**2
    x = x / (x + 2)
    return x.mean()


x = jnp.array([1.0, 2.0, 3.0])
print(jax.grad(calc)(x).tolist())

# %% chain-explained
jaxgrad.explain(calc)(x)

# %% differences [003:75] The gradient by finite differences
delta = 0.001
for i in range(3):
    moved = x.at[i].add(delta)
    print(f"{(calc(moved) - calc(x)) / delta:.3f}")

# %% checked
print(jaxgrad.check_gradients(calc)(x))


# %% exercise-cubic
def f(x):
    return 2 * x**3 - 3 * x**2 - 12 * x + 1


print(jax.value_and_grad(f)(1.0))

# %% exercise-cubic-orders
print([float(order) for order in jaxgrad.derivatives(f, max_order=3)(1.0)])
