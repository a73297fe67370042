# %% to-numpy
import numpy as np
import torch

a = torch.ones(5)
b = a.numpy()
print(b)

# %% add-in-place differs
a.add_(1)
print(a, b)

# %% copy
b = a.to("cpu").detach().numpy().copy()
print(b)

# %% copy-differently
b = a.to("cpu").detach().clone().numpy()
print(b)

# %% rebind
b = [b[i] * 2 for i in range(5)]
print(a, *b)

# %% after-rebinding
a.add_(1)
print(a, *b)

# %% from-numpy
a = np.ones(5)
b = torch.from_numpy(a)
print(a, a.dtype)
print(b, b.dtype)

# %% numpy-add differs
np.add(a, 1, out=a)
print(a, b)

# %% numpy-plus-equals differs
a += 1
print(a, b)

# %% numpy-new-array differs
a = a + 1
print(a, b)

# %% convert-again
b = torch.from_numpy(a)
print(b)

# %% change-the-other differs
b += 5
print(a, b)

# %% replace-the-first
a = np.zeros(5)
print(a, b)

# %% time-to-library differs
from timeit import repeat


def microseconds(line):
    return f"{min(repeat(line, number=1000)) * 1000:.4f} µs"


a = np.zeros(5)
print(microseconds(lambda: torch.from_numpy(a.astype(np.float32))))

# %% time-to-library-copy differs
print(microseconds(lambda: torch.from_numpy(a.astype(np.float32)).clone()))

# %% time-to-numpy differs
b = torch.from_numpy(a.astype(np.float32))
print(microseconds(lambda: b.to("cpu").detach().numpy()))

# %% time-to-numpy-copy differs
print(microseconds(lambda: b.to("cpu").detach().numpy().copy()))

# %% one-axis
a = np.arange(3)
print(a)

# %% one-axis-transposed
print(a.T)

# %% two-axes
a = np.array([[0, 1, 2]])
print(a)

# %% two-axes-transposed
print(a.T)

# %% devices differs
if torch.cuda.is_available():
    print("devices:", torch.cuda.device_count())
    print("used by default:", torch.cuda.current_device())
    print("the first is", torch.cuda.get_device_name(0))
else:
    print("no GPU")

# %% device-object differs
device = torch.device("cuda")
device0 = torch.device("cuda:0")
print(device, device0)

# %% moving
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
x = torch.ones(2, 3, device=device)
g = x.to(device)
f = g.cpu()
print(x.device == g.device, f.device)
