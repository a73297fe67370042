# %% versions [000:1] Download tutorials, list files; here: list the versions
import jax

import jaxgrad

jax.numpy.set_printoptions(precision=4)  # as many digits as PyTorch prints
print("JAX", jax.__version__)
print("jaxgrad", jaxgrad.__version__)

# %% empty [000:2] A matrix whose numbers are not set
import jax.numpy as jnp

x = jnp.empty((5, 3))
print(x)

# %% uniform [000:3] A matrix of uniform random numbers, and its shape
key = jax.random.key(0)
x = jax.random.uniform(key, (5, 3))
print(x)
print(x.shape)

# %% same-numbers
x = jnp.array(
    [
        [0.5246, 0.8948, 0.8550],
        [0.0660, 0.7591, 0.6264],
        [0.9002, 0.4140, 0.1190],
        [0.6253, 0.7102, 0.8339],
        [0.7086, 0.9752, 0.2164],
    ]
)
y = jnp.array(
    [
        [0.7259, 0.3501, 0.0083],
        [0.4279, 0.7327, 0.9480],
        [0.3363, 0.6859, 0.7227],
        [0.5300, 0.4858, 0.5265],
        [0.7666, 0.9776, 0.2342],
    ]
)

# %% sum [000:4] Add two matrices with +
print(x + y)

# %% add [000:5] Add two matrices with a function
print(jnp.add(x, y))

# %% in-place [000:6] Write a sum into an existing matrix, and add to a matrix in place
result = jnp.add(x, y)
print(result)
old_y = y
y = y + x
print(y)

# %% unchanged
print(old_y[0])
try:
    y[0, 0] = 9.0
except TypeError as error:
    print("TypeError:", str(error).split(".")[0])
print(y.at[0, 0].set(9.0)[0])
print(y[0])

# %% column [000:7] Take one column of a matrix
print(x[:, 1])

# %% to-numpy [000:8] From an array of the library to NumPy
import numpy as np

a = jnp.ones(5)
print(a, a.dtype)
print(np.asarray(a), type(np.asarray(a)))

# %% from-numpy [000:9] From NumPy to an array of the library
a = np.ones(5)
print(a.dtype)
print(jnp.asarray(a), jnp.asarray(a).dtype)

# %% variable [000:10] Import what differentiates
from jax import grad

from jaxgrad import explain

# %% ones [000:11] A matrix of ones to differentiate with respect to
x = jnp.ones((2, 2))
print(x)

# %% plus-two [000:12] The first step of a computation
y = x + 2
print(y)

# %% recorded [000:13] What is recorded of that step
print(jax.make_jaxpr(lambda x: x + 2)(x))

# %% mean [000:14] Two more steps: three times the square, and the mean
z = y * y * 3
out = z.mean()
print(z)
print(out)


# %% gradient [000:15] The gradient of the mean with respect to the matrix
def mean_of_squares(x):
    y = x + 2
    z = y * y * 3
    return z.mean()


print(grad(mean_of_squares)(x))

# %% every-gradient
report = explain(mean_of_squares)(x)
report


# %% network
def network(params, x):
    hidden = jnp.tanh(params["w1"] @ x)
    return jnp.tanh(params["w2"] @ hidden)


def error(params, x, target):
    return 0.5 * (network(params, x) - target) ** 2


params = {
    "w1": jnp.array([[0.1, -0.2, 0.3, 0.4], [0.5, 0.2, -0.1, 0.3]]),
    "w2": jnp.array([0.6, -0.4]),
}
inputs = jnp.array([1.0, 2.0, -1.0, 0.5])
report = explain(error)(params, inputs, 1.0)
report
