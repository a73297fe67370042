# %% surface-function
import torch
from torch import optim


def height(x, y):
    return x**2 + y**2


# %% surface-picture
import matplotlib.pyplot as plt

grid = torch.linspace(-10, 10, 50)
X, Y = torch.meshgrid(grid, grid, indexing="xy")
axes = plt.figure().add_subplot(projection="3d")
axes.plot_surface(X, Y, height(X, Y))
plt.show()

# %% six-paths
chosen = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "Adagrad": lambda params: optim.Adagrad(params, lr=1.0),
    "RMSprop": lambda params: optim.RMSprop(params, lr=1.0),
    "Adadelta": lambda params: optim.Adadelta(params, lr=1.0),
    "Adam": lambda params: optim.Adam(params, lr=1.0),
    "AdamW": lambda params: optim.AdamW(params, lr=1.0),
}
paths = {name: [] for name in chosen}
for name, make in chosen.items():
    x = torch.tensor(-75.0, requires_grad=True)
    y = torch.tensor(-10.0, requires_grad=True)
    optimizer = make([x, y])
    for _ in range(5000):
        optimizer.zero_grad()
        height(x, y).backward()
        optimizer.step()
        paths[name].append((x.item(), y.item()))
print(f"{'':<10}{'x after 1':>12}{'x after 10':>12}{'x after 100':>12}")
for name, path in paths.items():
    xs = [path[n - 1][0] for n in (1, 10, 100)]
    print(f"{name:<10}" + "".join(f"{x:>12.3f}" for x in xs))
