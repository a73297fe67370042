# %% empty differs
import torch

torch.manual_seed(0)
x = torch.empty(5, 3)
print(x.shape)

# %% uniform differs
x = torch.rand(5, 3)
print(x)

# %% zeros
x = torch.zeros(5, 3, dtype=torch.long)
print(x, x.dtype)

# %% literal
x = torch.tensor(
    [
        [0.2417, 0.2270, 0.5315],
        [0.4860, 0.9984, 0.3871],
        [0.4769, 0.8593, 0.2609],
        [0.0173, 0.1879, 0.9608],
        [0.1309, 0.9766, 0.6346],
    ]
)
print(x)

# %% ones
x = torch.ones_like(x, dtype=torch.double)
print(x)

# %% normal differs
x = torch.randn_like(x, dtype=torch.float)
print(x)

# %% integers
x = torch.tensor([1, 2, 3, 4, 5, 6])
print(x, x.type())

# %% floats
x = torch.tensor([1, 2, 3, 4, 5, 6], dtype=torch.float)
print(x, x.type())

# %% capital-letter
x = torch.Tensor([1, 2, 3, 4, 5, 6])
print(x.type())

# %% normal-again differs
x = torch.randn_like(x)
print(x)

# %% size
print(x.size(), x.numel())

# %% plus
x = torch.arange(15.0).view(5, 3)
y = torch.full((5, 3), 100.0)
print(x + y)

# %% add
print(torch.add(x, y))

# %% out
result = torch.empty(5, 3)
torch.add(x, y, out=result)
print(result)

# %% in-place differs
y1 = y
y2 = y
y1.add_(x)
y2 += x
print("one tensor:", y1 is y2)
print(y1)
print(y2)
print(y)

# %% row
print(result[1])

# %% column
print(result[:, 1])

# %% part
print(result[2:4, 1])

# %% set-element differs
changed = result
changed[2, 1] = -1.0
print(result[2:4, 1], changed[2:4, 1])

# %% reshape
x = torch.arange(16.0).view(4, 4)
y = x.view(16)
z = x.view(-1, 8)
print(x.size(), y.size(), z.size())

# %% reshaped
print(x, "\n", y, "\n", z)

# %% transposed
try:
    x.T.view(16)
except RuntimeError as error:
    print(type(error).__name__)
print(x.T.contiguous().view(16))

# %% uneven differs
try:
    x.view(-1, 7)
except RuntimeError as error:
    print(error)

# %% item
for i in range(3):
    print(y[[i]].item())

# %% several
print(y[[0, 1, 2]])

# %% exercise-blocks
block = torch.tensor([[1, 2], [4, 5], [7, 8]])
t = torch.stack([block, -block, 10 * block, -10 * block])
print(t, t.size())

# %% exercise-last-rows
print(t[:, -1, :])

# %% exercise-first-blocks
print(torch.equal(t[:-1:], t[0:-1:1]))
print(t[0:-1:1])
