"""What a training step of PyTorch does, seen from outside: gradients and updates.

A hook in front of every optimizer's step sees the gradients that it uses; a hook on
every parameter sees them as backward left them, before they are clipped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jaxgrad.inspection.torch_run.arrays import array_of
from jaxgrad.inspection.torch_run.reach import prefixes, search

Arrays = dict[str, np.ndarray]


class Watched:
    """The parameters that a step can reach, and what happened in its last call."""

    def __init__(self, step: Callable[..., Any]) -> None:
        reached = search(step, {})
        prefix = prefixes(reached.modules)
        self.modules = reached.modules
        self.parameters: dict[str, Any] = {
            f"{prefix[name]}{inner}": parameter
            for name, module in reached.modules.items()
            for inner, parameter in module.named_parameters()
        }
        leaves = {
            n: t for n, t in reached.tensors.items() if t.requires_grad and t.is_leaf
        }
        self.parameters |= leaves
        self.optimized: dict[str, None] = {}
        self.raw: Arrays = {}
        self.used: Arrays = {}
        self.settings: dict[str, Any] = {}

    def clear(self) -> None:
        """Forget the last call."""
        self.raw, self.used, self.settings = {}, {}, {}

    def values(self) -> Arrays:
        """Copies of the parameters: those of the optimizers, once these are known."""
        names = self.optimized or [*self.parameters]
        return {name: copy(self.parameters[name]) for name in names}

    def gradients(self) -> Arrays:
        """What the optimizer used; without an optimizer, what `.grad` holds."""
        if self.used:
            return self.used
        held = {n: p.grad for n, p in self.parameters.items() if p.grad is not None}
        return {n: copy(g) for n, g in held.items()} or self.raw

    def before_update(self, optimizer: Any, *_: Any) -> None:
        """The hook in front of an optimizer's step."""
        names = {id(p): name for name, p in self.parameters.items()}
        for g, group in enumerate(optimizer.param_groups):
            settings = {k: v for k, v in group.items() if k != "params"}
            for i, p in enumerate(group["params"]):
                name = names.get(id(p), f"param_groups[{g}][{i}]")
                self.parameters.setdefault(name, p)
                self.optimized[name] = None
                if p.grad is not None:
                    self.used[name] = copy(p.grad)
                    kind = type(optimizer).__name__
                    self.settings[name] = {"kind": kind, **_numbers(settings)}

    def after_backward(self, name: str) -> Callable[[Any], None]:
        """The hook on a parameter."""

        def hook(parameter: Any) -> None:
            self.raw[name] = copy(parameter.grad)

        return hook


def _numbers(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with tensors as numbers."""
    return {k: v.item() if hasattr(v, "item") else v for k, v in settings.items()}


def copy(tensor: Any) -> np.ndarray:
    """A copy as an array of NumPy."""
    return np.array(array_of(tensor))


@contextmanager
def watching(step: Callable[..., Any]) -> Iterator[Watched]:
    """Watch the parameters and optimizers of PyTorch while a step is called."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    seen = Watched(step)
    hooks = [register_optimizer_step_pre_hook(seen.before_update)]
    hooks += [
        p.register_post_accumulate_grad_hook(seen.after_backward(name))
        for name, p in seen.parameters.items()
        if p.requires_grad and p.is_leaf
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def in_double() -> Iterator[None]:
    """New tensors have double precision."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def switched_off(modules: dict[str, Any], kind: str) -> Iterator[bool]:
    """Put the modules whose class is called like `kind` into evaluation mode."""
    found = [
        part
        for module in modules.values()
        for part in module.modules()
        if kind in type(part).__name__ and part.training
    ]
    try:
        for part in found:
            part.training = False
        yield bool(found)
    finally:
        for part in found:
            part.training = True
