"""Programs of PyTorch: what explain_torch enters, keeps whole and refuses."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def inside(x: Tensor) -> Tensor:
    """What each program runs."""
    return x.sin() * x


class Layer(nn.Module):
    """A module of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        return inside(self.linear(x))


def module(layer: Layer, x: Tensor) -> Tensor:
    """Your modules, and the ones they contain"""
    return layer(x).sum()


def loop(x: Tensor) -> Tensor:
    """Python's `for`, `while` and `if`, on values too"""
    while x.sum() < 9:
        x = inside(x) + 2
    return x.sum()


def in_place(x: Tensor) -> Tensor:
    """Changes in place (`x.add_()`, `x[0] = ...`), views, hooks, `no_grad`"""
    y = inside(x)
    y[0] = 2.0
    return y.mul_(3.0).sum()


def checkpointed(x: Tensor) -> Tensor:
    """`torch.utils.checkpoint` with `use_reentrant=False`"""
    result: Any = checkpoint(inside, x, use_reentrant=False)
    return result.sum()


def compiled(x: Tensor) -> Tensor:
    """`torch.compile`: runs uncompiled, and the report says so"""
    return torch.compile(inside, backend="eager")(x).sum()


def library(layer: nn.Linear, x: Tensor) -> Tensor:
    """A function of PyTorch: one step"""
    return nn.functional.gelu(layer(x)).sum()


class Rule(torch.autograd.Function):
    """A function with a derivative of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Run it."""
        return inside(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Pass the gradient on."""
        return gradients[0]


def custom_function(x: Tensor) -> Tensor:
    """`torch.autograd.Function`: one step, with the derivative that it gives"""
    result: Any = Rule.apply(x)
    return result.sum()


def function_transforms(x: Tensor) -> Tensor:
    """`torch.func.vmap`, `torch.func.grad`, `torch.jit.script`: one step each"""
    return torch.func.vmap(inside)(x).sum()


def reentrant(x: Tensor) -> Tensor:
    """`torch.utils.checkpoint` with `use_reentrant=True`: one step"""
    result: Any = checkpoint(inside, x, use_reentrant=True)
    return result.sum()


def lazy(layer: nn.Module, x: Tensor) -> Tensor:
    """A lazy module before its first call"""
    return layer(x).sum()


def several_numbers(x: Tensor) -> Tensor:
    """A result that is not a scalar"""
    return inside(x)


def _x() -> Tensor:
    return torch.ones(3, requires_grad=True)


ENTERED = [
    partial(module, Layer(), _x()),
    *(partial(f, _x()) for f in (loop, in_place, checkpointed, compiled)),
]
WHOLE = [
    partial(library, nn.Linear(3, 3), _x()),
    *(partial(f, _x()) for f in (custom_function, function_transforms, reentrant)),
]
REFUSED = [partial(lazy, nn.LazyLinear(2), _x()), partial(several_numbers, _x())]
