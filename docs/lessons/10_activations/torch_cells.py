# %% tools
import torch
import torch.nn.functional as F


def report(functions, span=(-6, 6)):
    for name, function in functions.items():
        x = torch.linspace(*span, 1000, requires_grad=True)
        y = function(x)
        y.sum().backward()
        print(f"{name:<14}{y.sum():>12.2f}{x.grad.sum():>12.2f}")


# %% rectifiers
report({"relu": F.relu, "hardtanh": F.hardtanh, "relu6": F.relu6})

# %% exponentials
report({"elu": F.elu, "selu": F.selu})
report({"celu": F.celu}, (-1, 1))

# %% leaky
report(
    {
        "leaky_relu": F.leaky_relu,
        "prelu": lambda x: F.prelu(x, torch.tensor([0.25])),
        "rrelu": F.rrelu,
    }
)

# %% gated
x = torch.linspace(-6, 6, 1000)
first = torch.linspace(-6, 0, 500, requires_grad=True)
second = torch.linspace(0, 6, 500, requires_grad=True)
y = first * torch.sigmoid(second)
y.sum().backward()
dy = first.grad + second.grad
print(f"by hand{y.sum():>12.2f}{dy.sum():>12.2f}")
print(f"glu(x) {F.glu(x).sum():>12.2f}")

# %% smooth
report({"gelu": F.gelu, "logsigmoid": F.logsigmoid, "softplus": F.softplus})

# %% shrinking
report(
    {
        "hardshrink": F.hardshrink,
        "softshrink": F.softshrink,
        "tanhshrink": F.tanhshrink,
        "softsign": F.softsign,
    }
)

# %% softmaxes
report(
    {
        "softmin": lambda x: F.softmin(x, 0),
        "softmax": lambda x: F.softmax(x, 0),
        "log_softmax": lambda x: F.log_softmax(x, 0),
    }
)
