# %% to-numpy [003:25] An array of the library as a NumPy array
import jax
import jax.numpy as jnp
import numpy as np

a = jnp.ones(5)
b = np.asarray(a)
print(b)

# %% add-in-place [003:28, 003:29] One is added to a, and b is looked at
a = a + 1
print(a, b)

# %% read-only
try:
    b += 1
except ValueError as error:
    print(error)

# %% copy [003:26] A copy for NumPy
b = np.array(a)
print(b)

# %% copy-differently [003:27] The same copy, written in another order
b = np.array(a.copy())
print(b)

# %% rebind [003:30] b becomes another object
b = [b[i] * 2 for i in range(5)]
print(a, *b)

# %% after-rebinding [003:31] One is added to a once more
a += 1
print(a, *b)

# %% from-numpy [003:32, 003:33] A NumPy array as an array of the library
a = np.ones(5)
b = jnp.array(a)
print(a, a.dtype)
print(b, b.dtype)

# %% numpy-add [003:34, 003:35] NumPy adds in place, with a function
np.add(a, 1, out=a)
print(a, b)

# %% numpy-plus-equals [003:36, 003:37] NumPy adds in place, with +=
a += 1
print(a, b)

# %% numpy-new-array [003:38, 003:39] NumPy makes a new array and rebinds the name
a = a + 1
print(a, b)

# %% convert-again [003:40] The conversion again
b = jnp.array(a)
print(b)

# %% change-the-other [003:41, 003:42] Five is added to b, and a is looked at
b += 5
print(a, b)

# %% replace-the-first [003:43, 003:44] a becomes an array of zeros
a = np.zeros(5)
print(a, b)

# %% wait
source = np.ones(1_000_000, np.float32)
copied = jnp.array(source).block_until_ready()
source[:] = 7
print(copied.min(), copied.max())

# %% time-to-library [003:45] Time of the conversion from NumPy
from timeit import repeat


def microseconds(line):
    return f"{min(repeat(line, number=1000)) * 1000:.4f} µs"


a = np.zeros(5)
print(microseconds(lambda: jnp.asarray(a.astype(np.float32)).block_until_ready()))

# %% time-to-library-copy [003:46] Time of the conversion from NumPy with a copy
print(microseconds(lambda: jnp.array(a.astype(np.float32)).block_until_ready()))

# %% time-to-numpy [003:47] Time of the conversion to NumPy
b = jnp.asarray(a.astype(np.float32))
print(microseconds(lambda: np.asarray(b)))

# %% time-to-numpy-copy [003:48] Time of the conversion to NumPy with a copy
print(microseconds(lambda: np.array(b)))

# %% one-axis [003:49] An array with one axis
a = jnp.arange(3)
print(a)

# %% one-axis-transposed [003:50] Its transpose
print(a.T)

# %% two-axes [003:51] An array with two axes
a = jnp.array([[0, 1, 2]])
print(a)

# %% two-axes-transposed [003:52] Its transpose
print(a.T)

# %% new-axis
print(jnp.arange(3)[:, None])

# %% devices [003:53] Which devices there are
print("devices:", jax.devices())
print("used by default:", jax.default_backend())

# %% device-object [003:54] A device as an object
device = jax.devices()[0]
print(device, jax.devices("cpu")[0])

# %% moving [003:55] Arrays created on a device and moved between devices
x = jnp.ones((2, 3), device=device)
g = jax.device_put(x, device)
f = jax.device_put(g, jax.devices("cpu")[0])
print(x.device == g.device, f.device.platform)
