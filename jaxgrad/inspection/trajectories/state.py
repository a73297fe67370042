"""The state that a training step changes: found from the step, saved, restored, mapped.

Searched are the step's closure, the globals that it mentions, the attributes of its
object, and what these hold: containers, the user's objects, modules and optimizers of
PyTorch and Flax NNX. Arrays of JAX are replaced where they are held; arrays of NumPy
and tensors are written to.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._modules import Split, is_object
from jaxgrad.inspection.program.frames import is_library

DEEPEST = 12
LIBRARIES = {"torch", "jax", "jaxlib", "numpy", "optax", "flax", "builtins", "logging"}
Change = Callable[[Any], Any]


class State:
    """What a step can reach that may change.

    Attributes:
        tensors: The tensors of PyTorch, with those of modules and optimizers.
        trees: The arrays, and the trees of arrays, that are held in some variable.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self.tensors: list[Any] = []
        self._restores: list[Callable[[], None]] = []
        self._places: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = []
        self._seen: dict[int, Any] = {}
        self._visit(step, 0)
        self._random = torch_of("get_rng_state")

    @property
    def trees(self) -> list[Any]:
        """The values in all variables, in the order in which they were found."""
        return [get() for get, _ in self._places]

    def restore(self, seed: float | None = None) -> None:
        """Set everything back to what it was when it was found.

        With a seed, the random numbers of PyTorch are others than at that time.
        """
        for restore in self._restores:
            restore()
        torch = sys.modules.get("torch")
        if torch is not None and seed is not None:
            torch.manual_seed(hash(seed))
        elif torch is not None and self._random is not None:
            torch.set_rng_state(self._random)

    def map(self, change: Change) -> None:
        """Replace every floating array and tensor by what `change` makes of it."""
        for tensor in self.tensors:
            if tensor.is_floating_point():
                tensor.data = change(tensor.data)
        for get, put in self._places:
            before = get()
            after = changed(before, change)
            if after is not before:
                put(after)
        for node in [x for x in self._seen.values() if is_object(x)]:
            changed(Split.of(node), change).write_to(node)

    def _visit(self, value: Any, depth: int) -> None:
        if id(value) in self._seen or depth > DEEPEST or isinstance(value, ModuleType):
            return
        self._seen[id(value)] = value
        if is_tensor(value):
            self._tensor(value)
        elif isinstance(value, np.ndarray):
            saved = value.copy()
            if value.flags.writeable:
                self._restores.append(lambda: np.copyto(value, saved))
        elif isinstance(value, np.random.Generator):
            bits, state = value.bit_generator, value.bit_generator.state
            self._restores.append(lambda: setattr(bits, "state", state))
        elif is_object(value):
            split = copied(Split.of(value))
            self._restores.append(lambda: copied(split).write_to(value))
        else:
            self._inside(value, depth + 1)

    def _inside(self, value: Any, depth: int) -> None:
        if isinstance(value, FunctionType):
            self._function(value, depth)
        elif isinstance(value, (MethodType, functools.partial)) or _wraps(value):
            for part in _parts(value):
                self._visit(part, depth)
        elif isinstance(value, dict):
            self._dictionary(value, [*value], depth)
        elif isinstance(value, list):
            items = [frozen(x) for x in value]
            self._restores.append(
                lambda: value.__setitem__(slice(None), [thawed(x) for x in items])
            )
            for i in range(len(value)):
                self._place(value, i, depth)
        elif isinstance(value, (tuple, set, frozenset)):
            for each in value:
                self._visit(each, depth)
        elif _holds_state(value):
            self._dictionary(vars(value), [*vars(value)], depth)

    def _function(self, function: FunctionType, depth: int) -> None:
        if is_library(function.__code__.co_filename):
            return
        for cell in function.__closure__ or ():
            self._cell(cell, depth)
        names = [n for n in _names_in(function.__code__) if n in function.__globals__]
        self._dictionary(function.__globals__, names, depth, whole=False)

    def _cell(self, cell: Any, depth: int) -> None:
        try:
            value = cell.cell_contents
        except ValueError:  # not assigned yet
            return
        if id(cell) in self._seen:
            return
        self._seen[id(cell)] = cell
        saved = frozen(value)
        put = functools.partial(setattr, cell, "cell_contents")
        self._restores.append(lambda: put(thawed(saved)))
        self._places.append((lambda: cell.cell_contents, put))
        self._visit(value, depth)

    def _dictionary(
        self, held: dict[Any, Any], names: list[Any], depth: int, whole: bool = True
    ) -> None:
        saved = {name: frozen(held[name]) for name in names}

        def restore() -> None:
            if whole:
                for name in [n for n in held if n not in saved]:
                    del held[name]
            held.update({name: thawed(value) for name, value in saved.items()})

        self._restores.append(restore)
        for name in names:
            self._place(held, name, depth)

    def _place(self, container: Any, key: Any, depth: int) -> None:
        put = functools.partial(container.__setitem__, key)
        if not is_tensor(container[key]):
            self._places.append((lambda: container[key], put))
        self._visit(key, depth)
        self._visit(container[key], depth)

    def _tensor(self, tensor: Any) -> None:
        data = tensor.detach().clone()
        gradient = (
            tensor.grad.detach().clone()
            if tensor.is_leaf and tensor.grad is not None
            else None
        )
        self.tensors.append(tensor)

        def restore() -> None:
            tensor.data = data.clone()
            if tensor.is_leaf:
                tensor.grad = None if gradient is None else gradient.clone()

        self._restores.append(restore)


def changed(value: Any, change: Change) -> Any:
    """A value with its floating arrays replaced; the same object if it has none."""
    if not is_tree(value):
        return value
    return jax.tree.map(lambda x: change(x) if is_float(x) else x, value)


def frozen(value: Any) -> Any:
    """A value as it is now: arrays of JAX are copied, since they may be donated."""
    return (
        copied(value) if is_tree(value) and not isinstance(value, np.ndarray) else value
    )


def thawed(value: Any) -> Any:
    """A copy of what was frozen, so that it can be restored again."""
    return frozen(value)


def copied(tree: Any) -> Any:
    """A tree with copies of the arrays of JAX in it."""

    def copy(x: Any) -> Any:
        if not isinstance(x, jax.Array) or jnp.issubdtype(x.dtype, jax.dtypes.extended):
            return x
        return jnp.array(x, x.dtype, copy=True)

    return jax.tree.map(copy, tree)


def is_tree(value: Any) -> bool:
    """Whether it is an array, or an unchangeable tree with an array in it."""
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return True
    if value is None or isinstance(value, (dict, list, str)) or is_object(value):
        return False
    leaves = jax.tree.leaves(value)
    if len(leaves) == 1 and leaves[0] is value:
        return False
    return any(isinstance(x, (jax.Array, np.ndarray, np.generic)) for x in leaves)


def is_float(value: Any) -> bool:
    """Whether it is a floating array of JAX or NumPy."""
    if not isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return False
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of PyTorch; without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def torch_of(name: str) -> Any:
    """What a function of PyTorch without arguments returns, if PyTorch is imported."""
    torch = sys.modules.get("torch")
    return None if torch is None else getattr(torch, name)()


def _wraps(value: Any) -> bool:
    return (
        callable(value)
        and hasattr(value, "__wrapped__")
        and not isinstance(value, type)
    )


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    else:
        yield value.__wrapped__


def _holds_state(value: Any) -> bool:
    """Whether it is an object whose attributes a step may change."""
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return False
    saves = hasattr(value, "state_dict") and hasattr(value, "load_state_dict")
    return saves or type(value).__module__.partition(".")[0] not in LIBRARIES


def _names_in(code: Any) -> list[str]:
    inner = [c for c in code.co_consts if isinstance(c, type(code))]
    return [*code.co_names, *(name for c in inner for name in _names_in(c))]
