# %% imports
import numpy as np
import torch
from torch import nn

# %% line
x = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(2.0, requires_grad=True)
y = w * x + b
y.backward()
print(x.grad, w.grad, b.grad)

# %% square
x = torch.tensor(2.0, requires_grad=True)
y = x**2
y.backward()
print(x.grad)

# %% exponential
x = torch.tensor(2.0, requires_grad=True)
y = torch.exp(x)
y.backward()
print(x.grad)

# %% sine
x = torch.tensor(np.pi, requires_grad=True)
y = torch.sin(x)
y.backward()
print(x.grad)

# %% product
x = torch.tensor(0.0, requires_grad=True)
y = (x - 4) * (x**2 + 6)
y.backward()
print(x.grad)

# %% root
x = torch.tensor(2.0, requires_grad=True)
y = (torch.sqrt(x) + 1) ** 3
y.backward()
print(x.grad)

# %% partial
x = torch.tensor(1.0, requires_grad=True)
y = torch.tensor(2.0, requires_grad=True)
z = (x + 2 * y) ** 2
z.backward()
print(x.grad, y.grad)

# %% linear differs
torch.manual_seed(0)
linear = nn.Linear(3, 2)
print("w:", linear.weight)
print("b:", linear.bias)

# %% same-start
with torch.no_grad():
    weight = [[0.3974, -0.1892, -0.2784], [0.3327, -0.3742, 0.5401]]
    linear.weight.copy_(torch.tensor(weight))
    linear.bias.copy_(torch.tensor([-0.5308, -0.5098]))
x = torch.cos(torch.arange(15.0)).reshape(5, 3)  # 5 samples with 3 features
y = torch.sin(torch.arange(10.0)).reshape(5, 2)  # their 2 targets

# %% loss
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(linear.parameters(), lr=0.01)
pred = linear(x)
loss = criterion(pred, y)
print("loss:", loss)

# %% reductions
print(nn.MSELoss(reduction="mean")(pred, y))
print(nn.MSELoss(reduction="sum")(pred, y))

# %% backward
loss.backward()

# %% gradients
print("dL/dw:", linear.weight.grad)
print("dL/db:", linear.bias.grad)

# %% by-hand
print("*** by hand")
print(linear.weight - 0.01 * linear.weight.grad)
print(linear.bias - 0.01 * linear.bias.grad)

# %% step
optimizer.step()

# %% after-step
print("*** by the optimizer")
print(linear.weight)
print(linear.bias)
