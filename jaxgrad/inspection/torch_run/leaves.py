"""The tensors that a program takes its gradient with respect to, and their names."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jaxgrad._arguments import named_leaves
from jaxgrad._checks import wrong_value
from jaxgrad.inspection.torch_run.reach import Reached, prefixes, search

Modules = Sequence[tuple[str, Any]]  # The prefix of each module's names


@dataclass(eq=False)
class Leaf:
    """A tensor that enters the program: an argument, a parameter, a closed-over one."""

    path: str
    tensor: Any
    aliases: tuple[str, ...] = ()  # Further names of a shared parameter


@dataclass(eq=False)
class Inputs:
    """What enters a call."""

    leaves: list[Leaf]
    modules: dict[str, Any]
    scopes: dict[int, str]  # The name of each module, by its identity
    constants: dict[str, Any]  # Buffers and closed-over tensors
    chosen: list[Any]  # Tensors that are to require a gradient during the run

    @property
    def parameters(self) -> list[Any]:
        """The parameters of the modules."""
        return [p for module in self.modules.values() for p in module.parameters()]


def inputs_of(f: Callable[..., Any], args: Any, kwargs: Any) -> Inputs:
    """The tensors and modules that a call of `f` can reach."""
    import torch

    signature = f.forward if isinstance(f, torch.nn.Module) else f
    named, _ = named_leaves(signature, args, kwargs)
    given = [leaf for leaf in named if isinstance(leaf.value, torch.Tensor)]
    reached = search(f, {leaf.path: leaf.value for leaf in named})
    modules = _prefixed(reached)
    leaves = [Leaf(leaf.path, leaf.value) for leaf in given]
    leaves = _unique([*leaves, *_parameters(modules)])
    _check_initialized(leaves)
    known = {id(leaf.tensor) for leaf in leaves}
    buffers = dict(_buffers(modules))
    outer = {n: t for n, t in reached.tensors.items() if id(t) not in known}
    leaves += [Leaf(name, t) for name, t in outer.items() if t.requires_grad]
    constants = buffers | {n: t for n, t in outer.items() if not t.requires_grad}
    chosen = []
    if not any(leaf.tensor.requires_grad for leaf in leaves):
        chosen = [v for _, _, v, _ in given if v.is_floating_point() or v.is_complex()]
    return Inputs(leaves, reached.modules, _scopes(modules), constants, chosen)


def _unique(leaves: Sequence[Leaf]) -> list[Leaf]:
    """One leaf for each tensor, with all of its names."""
    first: dict[int, Leaf] = {}
    for leaf in leaves:
        known = first.setdefault(id(leaf.tensor), leaf)
        if known is not leaf and leaf.path not in (known.path, *known.aliases):
            known.aliases += (leaf.path,)
    return list(first.values())


def _check_initialized(leaves: Sequence[Leaf]) -> None:
    import torch

    lazy = [x.path for x in leaves if torch.nn.parameter.is_lazy(x.tensor)]
    if lazy:
        expected, hint = "initialized parameters", "call the lazy module once before"
        raise wrong_value("explain_torch", expected, ", ".join(lazy), hint)


def _prefixed(reached: Reached) -> Modules:
    prefix = prefixes(reached.modules)
    return [(prefix[name], module) for name, module in reached.modules.items()]


def _parameters(modules: Modules) -> Iterator[Leaf]:
    for prefix, module in modules:
        for name, parameter in module.named_parameters(remove_duplicate=False):
            yield Leaf(f"{prefix}{name}", parameter)


def _buffers(modules: Modules) -> Iterator[tuple[str, Any]]:
    for prefix, module in modules:
        for name, buffer in module.named_buffers():
            yield f"{prefix}{name}", buffer


def _scopes(modules: Modules) -> dict[int, str]:
    scopes: dict[int, str] = {}
    for prefix, module in modules:
        for name, part in module.named_modules():
            scopes[id(part)] = f"{prefix}{name}".rstrip(".")
    return scopes
