"""Write experiments/torch_results.npz: PyTorch's float64 results, by name.

    python -m tests.golden.generate_experiments

The curves of notebook 003 at all their points, the listed activations, the six paths,
and what PyTorch computes from the experiments' starts without randomness. RMSprop's
path is there in float32 too.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from experiments import optimizers, two_layer_net
from experiments._activations import listed
from experiments._backprop import linear_layer
from experiments._mnist_mlp.config import Config
from experiments._mnist_mlp.learning import prepare
from experiments._reproduction import TORCH_RESULTS
from jaxgrad.training._batches import shuffle

TORCH = "2.13.0"
DOUBLE = torch.float64
CURVES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "ReLU": F.relu,
    "HardTanh": F.hardtanh,
    "ReLU6": F.relu6,
    "eLU": F.elu,
    "SeLU": F.selu,
    "CeLU": F.celu,
    "LeakyReLU": F.leaky_relu,
    "PReLU": lambda x: F.prelu(x, torch.full((1,), 0.25, dtype=DOUBLE)),
    "RReLU": F.rrelu,
    "GeLU": F.gelu,
    "LogSigmoid": F.logsigmoid,
    "HardShrink": F.hardshrink,
    "TanhShrink": F.tanhshrink,
    "Softsign": F.softsign,
    "Softplus": F.softplus,
    "Softmin": lambda x: F.softmin(x, 0),
    "SoftShrink": F.softshrink,
    "LogSoftmax": lambda x: F.log_softmax(x, 0),
}


def results() -> dict[str, np.ndarray]:
    """Every array, by the name under which the seed results look it up."""
    parts = (curves, classes, paths, fixed_network, fixed_layer, digits)
    return {name: array for part in parts for name, array in part().items()}


def curves() -> dict[str, np.ndarray]:
    """y and the gradient of its sum, for each figure of the notebook."""
    found = {}
    for title, f in CURVES.items():
        end = 1 if title == "CeLU" else 6
        x = torch.linspace(-end, end, 1000, dtype=DOUBLE, requires_grad=True)
        found |= _curve(title, f(x), [x])
    x1, x2 = (
        torch.linspace(*ends, 500, dtype=DOUBLE, requires_grad=True)
        for ends in ((-6, 0), (0, 6))
    )
    points = torch.linspace(-6, 6, 200, dtype=DOUBLE)
    found |= _curve("GLU", x1 * torch.sigmoid(x2), [x1, x2])
    return found | {"softmax of 200 points": _numpy(F.softmax(points, 0))}


def _curve(title: str, y: torch.Tensor, x: list[torch.Tensor]) -> dict[str, np.ndarray]:
    slopes = torch.autograd.grad(y.sum(), x)
    return {f"{title} y": _numpy(y), f"{title} dy": _numpy(sum(slopes))}


def classes() -> dict[str, np.ndarray]:
    """The value of every class in the notebook's list, at the experiment's points."""
    x = torch.tensor(listed.POINTS)
    arguments: dict[str, tuple[Any, ...]] = {
        "PReLU": (1, 0.25, None, DOUBLE),
        "Threshold": (listed.THRESHOLD, listed.REPLACEMENT),
        "Softmin": (0,),
        "Softmax": (0,),
        "LogSoftmax": (0,),
    }
    found = {"MultiheadAttention": _attention(), "AdaptiveLogSoftmaxWithLoss": _rare()}
    for name in listed.LISTED:
        if name not in found:
            module = getattr(nn, name)(*arguments.get(name, ())).eval()
            shape = listed.PIXELS if name == "Softmax2d" else x.shape
            found[name] = module(x.reshape(shape)).ravel()
    return {f"class {name}": _numpy(value) for name, value in found.items()}


def _cosines(*shape: int) -> torch.Tensor:
    return torch.tensor(listed.cosines(*shape))


def _attention() -> torch.Tensor:
    module = nn.MultiheadAttention(4, listed.HEADS, dtype=DOUBLE)
    _set(module.in_proj_weight, _cosines(12, 4))
    _set(module.in_proj_bias, _cosines(12))
    _set(module.out_proj.weight, _cosines(4, 4))
    _set(module.out_proj.bias, _cosines(4))
    return module(*(_cosines(n, 4) for n in (3, 5, 5)))[0]


def _rare() -> torch.Tensor:
    module: Any = nn.AdaptiveLogSoftmaxWithLoss(4, 4, [2], div_value=4.0, dtype=DOUBLE)
    _set(module.head.weight, _cosines(3, 4))
    _set(module.tail[0][0].weight, _cosines(1, 4))
    _set(module.tail[0][1].weight, _cosines(2, 1))
    output, loss = module(_cosines(3, 4), torch.tensor(listed.LABELS))
    return torch.cat([output, loss[None]])


def _set(parameter: Any, value: torch.Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(value)


def paths() -> dict[str, np.ndarray]:
    """The points of the six optimizers at the experiment's checkpoints."""
    found = {f"path {name}": path(name, DOUBLE) for name in optimizers.FACTORIES}
    return found | {"path RMSprop float32": path("RMSprop", torch.float32)}


def path(name: str, dtype: torch.dtype) -> np.ndarray:
    """The notebook's loop."""
    x, y = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in optimizers.START)
    optimizer = getattr(torch.optim, name)([x, y], lr=optimizers.LRS[name])
    points = []
    for _ in range(optimizers.STEPS):
        optimizer.zero_grad()
        (x**2 + y**2).backward()
        optimizer.step()
        points.append((x.item(), y.item()))
    return np.array(points)[optimizers.CHECKPOINTS - 1]


def fixed_network() -> dict[str, np.ndarray]:
    """The losses of notebook 002's loop from the fixed start."""
    with jax.enable_x64(True):
        weights, data = two_layer_net.fixed_start()
    x, y = map(_tensor, data)
    w1, w2 = both = [_tensor(w).requires_grad_() for w in weights]
    losses = []
    for _ in range(two_layer_net.STEPS):
        loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for w in both:
                assert w.grad is not None
                w -= 1e-6 * w.grad
                w.grad = None
    return {f"loss {t}": np.array(losses[t]) for t in two_layer_net.TIMES}


def fixed_layer() -> dict[str, np.ndarray]:
    """Loss, gradient and step of notebook 004's layer from the fixed start."""
    with jax.enable_x64(True):
        layer, x, y = linear_layer.fixed_problem()
    linear = nn.Linear(3, 2, dtype=DOUBLE)
    _set(linear.weight, _tensor(layer.weight))
    _set(linear.bias, _tensor(layer.bias))
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.01)
    loss = nn.MSELoss()(linear(_tensor(x)), _tensor(y))
    loss.backward()
    gradient = _flat(p.grad for p in linear.parameters())
    optimizer.step()
    return {
        "layer loss": _numpy(loss.reshape(1)),
        "layer gradient": gradient,
        "layer step": _flat(linear.parameters()),
    }


def digits() -> dict[str, np.ndarray]:
    """Train loss, test loss and accuracy of three epochs on the digits."""
    task = prepare(Config(dataset="digits", epochs=3))
    train, test = (
        (
            torch.tensor(np.asarray(images), dtype=DOUBLE),
            torch.tensor(np.asarray(labels)).long(),
        )
        for images, labels in (task.dataset.train, task.dataset.test)
    )
    layers = [
        nn.Linear(*layer["kernel"].shape, dtype=DOUBLE)
        for layer in task.start.params.values()
    ]
    for linear, layer in zip(layers, task.start.params.values(), strict=True):
        _set(linear.weight, _tensor(layer["kernel"]).T)
        _set(linear.bias, _tensor(layer["bias"]))
    network = nn.Sequential(
        nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    white, n, rows = task.dataset.white, len(train[1]), []
    for epoch in range(3):
        order = torch.tensor(np.array(shuffle(task.start.key, epoch, n=n))).long()
        losses = []
        for batch in order.split(256):
            loss = F.cross_entropy(network(train[0][batch] / white), train[1][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            logits = network(test[0] / white)
        right = (logits.argmax(1) == test[1]).double().mean().item()
        rows.append([np.mean(losses), F.cross_entropy(logits, test[1]).item(), right])
    return {"digits": np.array(rows)}


def _tensor(array: Any) -> torch.Tensor:
    return torch.tensor(np.array(array, np.float64))


def _numpy(tensor: Any) -> np.ndarray:
    return tensor.numpy(force=True)


def _flat(tensors: Any) -> np.ndarray:
    return np.concatenate([np.ravel(_numpy(tensor)) for tensor in tensors])


def main() -> None:
    assert torch.__version__.startswith(TORCH), f"expected torch {TORCH}"
    arrays: Any = results()
    np.savez_compressed(TORCH_RESULTS, **arrays)
    print(f"{TORCH_RESULTS}: {TORCH_RESULTS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
