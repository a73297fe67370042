# %% empty [003:1] An array without chosen content
import jax
import jax.numpy as jnp

jnp.set_printoptions(precision=4)  # as many digits as PyTorch prints
x = jnp.empty((5, 3))
print(x)

# %% uniform [003:2] Random numbers, uniform on [0, 1)
key = jax.random.key(0)
key, draw = jax.random.split(key)
x = jax.random.uniform(draw, (5, 3))
print(x)

# %% zeros [003:3] Zeros of 64-bit integers
with jax.enable_x64(True):
    x = jnp.zeros((5, 3), dtype=jnp.int64)
print(x, x.dtype)

# %% literal [003:4] An array from numbers
x = jnp.array(
    [
        [0.2417, 0.2270, 0.5315],
        [0.4860, 0.9984, 0.3871],
        [0.4769, 0.8593, 0.2609],
        [0.0173, 0.1879, 0.9608],
        [0.1309, 0.9766, 0.6346],
    ]
)
print(x)

# %% ones [003:5] Ones in the shape of another array, in float64
with jax.enable_x64(True):
    x = jnp.ones_like(x, dtype=jnp.float64)
print(x, x.dtype)

# %% normal [003:6] Random numbers, standard normal, in the shape of another array
key, draw = jax.random.split(key)
x = jax.random.normal(draw, x.shape, dtype=jnp.float32)
print(x)

# %% integers [003:7, 003:8] An array of integers and its type
x = jnp.array([1, 2, 3, 4, 5, 6])
print(x, x.dtype)

# %% floats [003:9, 003:10] An array of floats and its type
x = jnp.array([1, 2, 3, 4, 5, 6], dtype=jnp.float32)
print(x, x.dtype)

# %% capital-letter [003:11] torch.Tensor against torch.tensor: the type as an argument
x = jnp.array([1, 2, 3, 4, 5, 6], dtype=float)
print(x.dtype)

# %% normal-again [003:12] Normal numbers again, now six
key, draw = jax.random.split(key)
x = jax.random.normal(draw, x.shape)
print(x)

# %% size [003:13] The shape and the number of elements
print(x.shape, x.size)

# %% plus [003:14] Addition with +
x = jnp.arange(15.0).reshape(5, 3)
y = jnp.full((5, 3), 100.0)
print(x + y)

# %% add [003:15] Addition with a function
print(jnp.add(x, y))

# %% out [003:16] Addition into a prepared tensor
result = jnp.add(x, y)
print(result)

# %% in-place [003:17] In-place addition through two names
y1 = y
y2 = y
y1 = y1 + x
y2 += x
print("one array:", y1 is y2)
print(y1)
print(y2)
print(y)

# %% row [003:18] A row
print(result[1])

# %% column [003:19] A column
print(result[:, 1])

# %% part [003:20] A part of a column
print(result[2:4, 1])

# %% set-element
changed = result.at[2, 1].set(-1.0)
print(result[2:4, 1], changed[2:4, 1])

# %% reshape [003:21] The same elements in other shapes
x = jnp.arange(16.0).reshape(4, 4)
y = x.reshape(16)
z = x.reshape(-1, 8)
print(x.shape, y.shape, z.shape)

# %% reshaped [003:22] All three shapes printed
print(x, "\n", y, "\n", z)

# %% transposed
print(x.T.reshape(16))

# %% uneven
try:
    x.reshape(-1, 7)
except TypeError as error:
    print(error)

# %% item [003:23] An element as a Python number
for i in range(3):
    print(y[i].item())

# %% several [003:24] Several elements by a list of positions
print(y[jnp.array([0, 1, 2])])

# %% several-items
for line in ("y[[0, 1, 2]]", "y[:3].item()"):
    try:
        eval(line)
    except (TypeError, ValueError) as error:
        print(f"{line}: {error}")

# %% types
import numpy as np

for (
    name
) in "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64".split():
    array = np.zeros(1, jnp.dtype(name))
    print(f"{name:<9}{8 * array.itemsize:>3} bits   in JAX: {jnp.asarray(array).dtype}")

# %% exercise-blocks
block = jnp.array([[1, 2], [4, 5], [7, 8]])
t = jnp.stack([block, -block, 10 * block, -10 * block])
print(t, t.shape)

# %% exercise-last-rows
print(t[:, -1, :])

# %% exercise-first-blocks
print(jnp.array_equal(t[:-1:], t[0:-1:1]))
print(t[0:-1:1])
