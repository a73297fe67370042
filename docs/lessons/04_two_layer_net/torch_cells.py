# %% network
import numpy as np
import torch

N, D_in, H, D_out = 64, 1000, 100, 10
draw = np.random.RandomState(0).standard_normal
x, y = draw((N, D_in)), draw((N, D_out))
w1, w2 = draw((D_in, H)), draw((H, D_out))
x, y, w1, w2 = (torch.tensor(array, dtype=torch.float) for array in (x, y, w1, w2))
for w in (w1, w2):
    w.requires_grad_(True)

# %% training
learning_rate = 1e-6
for t in range(500):
    y_pred = x.mm(w1).clamp(min=0).mm(w2)
    loss = (y_pred - y).pow(2).sum()
    if t % 100 == 99:
        print(f"{t} {loss.item():.3g}")
    loss.backward()
    with torch.no_grad():
        w1 -= learning_rate * w1.grad
        w2 -= learning_rate * w2.grad
        w1.grad.zero_()
        w2.grad.zero_()

# %% at-zero
zero = torch.tensor(0.0, requires_grad=True)
print("relu:", torch.autograd.grad(zero.relu(), zero)[0].item(), end="  ")
print("clamp:", torch.autograd.grad(zero.clamp(min=0), zero)[0].item())
