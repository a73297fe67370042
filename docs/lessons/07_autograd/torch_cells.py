# %% imports
import numpy as np
import torch

# %% start
x = torch.ones(2, 2, requires_grad=True)
print(x)

# %% add-two
y = x + 2
print(y)

# %% recorded differs
print(type(y.grad_fn).__name__)

# %% square-times-three
z = y * y * 3
print(z)

# %% mean
out = z.mean()
print(out)

# %% random differs
torch.manual_seed(0)
a = torch.randn(2, 2)
print(a)

# %% asked-for-gradient differs
print(a.requires_grad)

# %% ask-for-gradient
a.requires_grad_(True)
print(a.requires_grad)

# %% sum-of-squares
b = (a * a).sum()
b.backward()
print("at least 0:", bool(b >= 0))
print("gradient is 2a:", bool((a.grad == 2 * a).all()))

# %% backward
out.backward()
print(x.grad)

# %% line
x = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(3.0, requires_grad=True)
y = w * x + b
y.backward()
print(x.grad)
print(w.grad)
print(b.grad)

# %% square
x = torch.tensor(2.0, requires_grad=True)
y = x**2
y.backward()
print(x.grad)

# %% square-as-tuple
x = torch.tensor(2.0, requires_grad=True)
y = x**2
print(torch.autograd.grad(y, x))

# %% exponential
x = torch.tensor(2.0, requires_grad=True)
y = torch.exp(x)
y.backward()
print(x.grad)

# %% numpy-function
try:
    np.exp(x)
except RuntimeError as error:
    print(error)

# %% sine
x = torch.tensor(np.pi, requires_grad=True)
y = torch.sin(x)
y.backward()
print(x.grad)

# %% power-of-root
x = torch.tensor(2.0, requires_grad=True)
y = (torch.sqrt(x) + 1) ** 3
y.backward()
print(x.grad)

# %% two-variables
x = torch.tensor(1.0, requires_grad=True)
y = torch.tensor(2.0, requires_grad=True)
z = (x + 2 * y) ** 2
z.backward()
print(x.grad)
print(y.grad)


# %% chain
def calc(x):
    x = x * 2 + 1
    x = x**2
    x = x / (x + 2)
    return x.mean()


x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = calc(x)
y.backward()
print(x.grad.tolist())

# %% differences
delta = 0.001
x = torch.tensor([1.0, 2.0, 3.0])
for i in range(3):
    moved = x.clone()
    moved[i] += delta
    print(f"{(calc(moved) - calc(x)).item() / delta:.3f}")

# %% exercise-cubic
x = torch.tensor(1.0, requires_grad=True)
y = 2 * x**3 - 3 * x**2 - 12 * x + 1
y.backward()
print(y.item(), x.grad)
