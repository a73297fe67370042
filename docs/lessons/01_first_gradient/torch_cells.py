# %% versions differs
import torch

print("PyTorch", torch.__version__)

# %% empty differs
x = torch.empty(5, 3)
print(x.shape)  # the numbers are whatever was in memory

# %% uniform differs
torch.manual_seed(0)
x = torch.rand(5, 3)
print(x)
print(x.size())

# %% same-numbers
x = torch.tensor(
    [
        [0.5246, 0.8948, 0.8550],
        [0.0660, 0.7591, 0.6264],
        [0.9002, 0.4140, 0.1190],
        [0.6253, 0.7102, 0.8339],
        [0.7086, 0.9752, 0.2164],
    ]
)
y = torch.tensor(
    [
        [0.7259, 0.3501, 0.0083],
        [0.4279, 0.7327, 0.9480],
        [0.3363, 0.6859, 0.7227],
        [0.5300, 0.4858, 0.5265],
        [0.7666, 0.9776, 0.2342],
    ]
)

# %% sum
print(x + y)

# %% add
print(torch.add(x, y))

# %% in-place
result = torch.empty(5, 3)
torch.add(x, y, out=result)
print(result)
print(y.add_(x))

# %% column
print(x[:, 1])

# %% to-numpy
import numpy as np

a = torch.ones(5)
print(a, a.dtype)
print(a.numpy(), type(a.numpy()))

# %% from-numpy
a = np.ones(5)
print(a.dtype)
print(torch.from_numpy(a), torch.from_numpy(a).dtype)

# %% variable
from torch.autograd import Variable  # today the same as a tensor

# %% ones
x = torch.ones(2, 2, requires_grad=True)
print(x)

# %% plus-two
y = x + 2
print(y)

# %% recorded differs
print(y.grad_fn.name())

# %% mean
z = y * y * 3
out = z.mean()
print(z)
print(out)

# %% gradient
out.backward()
print(x.grad)
