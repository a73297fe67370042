"""The modules and tensors that a function can reach, each under a name.

Searched are the function's own module, its closure, the globals that it and the
user's functions that it calls mention, and its arguments. A name is written as in the
function: `model`, `trainer.model`, `layers[0]`.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from jaxgrad.inspection.program.frames import is_library

DEEPEST = 5  # Of nested containers, objects and functions


@dataclass
class Reached:
    """What a search has found, by name and in its order."""

    modules: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Any] = field(default_factory=dict)


def search(f: Callable[..., Any], arguments: Mapping[str, Any]) -> Reached:
    """The outermost modules, and the tensors outside of modules and arguments."""
    import torch

    found, seen = Reached(), set()

    def visit(name: str, value: Any, depth: int, tensors: bool) -> None:
        if id(value) in seen or depth > DEEPEST:
            return
        seen.add(id(value))
        if isinstance(value, torch.nn.Module):
            found.modules[_unused(name, found.modules)] = value
        elif isinstance(value, torch.Tensor):
            if tensors:
                found.tensors[_unused(name, found.tensors)] = value
        else:
            for inner, each in _parts(name, value):
                visit(inner, each, depth + 1, tensors)

    visit("", f, 0, tensors=True)
    for name, value in arguments.items():
        visit(name, value, 0, tensors=False)
    return Reached(_outermost(found.modules), found.tensors)


def _unused(name: str, names: Mapping[str, Any]) -> str:
    """The name, with a number if another thing has it."""
    numbered = (f"{name}_{i}" for i in itertools.count(2))
    return next(n for n in itertools.chain([name], numbered) if n not in names)


def _outermost(modules: Mapping[str, Any]) -> dict[str, Any]:
    """The modules that are not parts of others."""
    inner = {
        id(part) for m in modules.values() for part in m.modules() if part is not m
    }
    return {name: m for name, m in modules.items() if id(m) not in inner}


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    dot = f"{name}." if name else ""
    if isinstance(value, functools.partial):
        yield from _parts_of_a_partial(name, value)
    elif isinstance(value, MethodType):
        yield name, value.__self__
        yield name, value.__func__
    elif isinstance(value, FunctionType):
        if not is_library(value.__code__.co_filename):
            yield from _closed_over(value)
        if "__wrapped__" in value.__dict__:
            yield name, value.__dict__["__wrapped__"]
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield f"{name}[{key!r}]" if name else str(key), each
    elif isinstance(value, (tuple, list, set)):
        for i, each in enumerate(value):
            yield f"{name}[{i}]", each
    elif isinstance(value, type):
        yield from ((f"{dot}{key}", each) for key, each in _held_by_class(value))
    elif not isinstance(value, ModuleType) and _is_users(type(value)):
        for key, each in (*_attributes(value), *_held_by_class(type(value))):
            yield f"{dot}{key}", each
        if callable(value):
            yield name, type(value).__call__


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, slot):
                yield slot, getattr(value, slot)


def _held_by_class(kind: type) -> Iterator[tuple[str, Any]]:
    """What is assigned in a class, methods and such aside."""
    import torch

    holders = (torch.nn.Module, torch.Tensor, Mapping, tuple, list)
    for base in kind.__mro__:
        if _is_users(base):
            items = vars(base).items()
            yield from ((key, each) for key, each in items if isinstance(each, holders))


def _parts_of_a_partial(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield name, value.func
    for i, each in enumerate(value.args):
        yield f"{name}args[{i}]", each
    yield from value.keywords.items()


def _closed_over(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function reads from its closure, its defaults and its globals."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from (function.__kwdefaults__ or {}).items()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(names[len(names) - len(defaults) :], defaults, strict=True)
    mentioned = dict.fromkeys(_names_in(function.__code__))
    for name in mentioned:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and not is_library(_file_of(value)):
            inside = ((other, vars(value).get(other)) for other in mentioned)
            yield from ((f"{name}.{o}", v) for o, v in inside if v is not None)
        elif value is not None:
            yield name, value


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _is_users(kind: type) -> bool:
    """Whether objects of a class may hold the user's modules."""
    top = kind.__module__.partition(".")[0]
    return top not in ("torch", "jax", "jaxlib", "numpy", "builtins")


def _file_of(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "<frozen"


def prefixes(modules: Mapping[str, Any]) -> dict[str, str]:
    """The prefix of each module's parameters: none if only one module has a state."""
    holding = [name for name, module in modules.items() if _has_state(module)]
    bare = ["", *holding] if len(holding) == 1 else [""]
    return {name: "" if name in bare else f"{name}." for name in modules}


def _has_state(module: Any) -> bool:
    tensors = itertools.chain(module.parameters(), module.buffers())
    return next(tensors, None) is not None
