# %% wrong-rule
import torch


class Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.log1p(torch.exp(x))

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * torch.sigmoid(-x)


x = torch.tensor([-2.0, 0.0, 2.0], requires_grad=True)
y = Softplus.apply(x)
y.sum().backward()
print(y.detach())
print(x.grad)

# %% wrong-rule-checked differs
try:
    torch.autograd.gradcheck(Softplus.apply, x.double())
except RuntimeError as error:
    print(error)

# %% nan
vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
squares = (vectors**2).sum(1)
total_length = torch.where(squares > 0, squares.sqrt(), 0.0).sum()
total_length.backward()
print(total_length.detach())
print(vectors.grad)

# %% nan-found differs
import warnings

with warnings.catch_warnings(action="ignore"), torch.autograd.detect_anomaly():
    squares = (vectors**2).sum(1)
    total_length = torch.where(squares > 0, squares.sqrt(), 0.0).sum()
    try:
        total_length.backward()
    except RuntimeError as error:
        print(error)

# %% dead
w1 = torch.full((3, 4), 0.1)
b1 = torch.tensor([-5.0, -5.0, 0.0, 0.0], requires_grad=True)
w2 = torch.ones(4, 1)
x = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
hidden = torch.relu(x @ w1 + b1)
((hidden @ w2 - 1.0) ** 2).mean().backward()
print(b1.grad)

# %% vanishing
xs = torch.full((40,), 0.8, requires_grad=True)
h = torch.tensor(0.5)
for x in xs:
    h = torch.tanh(0.5 * h + x)
(h**2).backward()
print(xs.grad[:3])
