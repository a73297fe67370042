"""Calls whose inside is not recorded: of an `autograd.Function`, and of `torch.func`.

What they call inside does not belong to the graph that the backward pass runs through,
or works on wrapped tensors.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NamedTuple

from jaxgrad.inspection.torch_run.calls import name_of_node
from jaxgrad.inspection.torch_run.stack import torch_folder

# The files that implement the transformations of `torch.func`.
TRANSFORMS = ("apis.py", "eager_transforms.py", "vmap.py")


class Opaque(NamedTuple):
    """A running call whose inside is not recorded."""

    operation: str
    function: Any  # The node's class of an `autograd.Function`; None for a transform
    arguments: Any
    frame: FrameType


@dataclass(eq=False)
class _Entered:
    """Such a call, the number of its record, and the operations that it makes."""

    opaque: Opaque
    number: int
    begin: int
    end: float = float("inf")


@dataclass(eq=False)
class OpaqueCalls:
    """The calls whose results have not been seen yet.

    PyTorch numbers the nodes of the autograd graph, so a node tells its call.
    """

    _entered: list[_Entered] = field(default_factory=list)

    def knows(self, opaque: Opaque) -> bool:
        """Whether a call has been entered."""
        return any(opaque.frame is each.opaque.frame for each in self._entered)

    def enter(self, opaque: Opaque, number: int, operation: int) -> None:
        """Begin a call with the next operation."""
        # The node of an `autograd.Function` is made before its forward pass runs.
        begin = operation - (opaque.function is not None)
        self._entered.append(_Entered(opaque, number, begin))

    def leave(self, stack: Sequence[FrameType], operation: int) -> None:
        """End the calls that run no more."""
        for entered in self._entered:
            if entered.opaque.frame not in stack:
                entered.end = min(entered.end, operation)

    def claim(self, node: Any) -> int | None:
        """The number of the record of the call that has made a node."""
        operation, function = node._sequence_nr(), function_of(node)
        for entered in self._entered:
            inside = entered.begin <= operation < entered.end
            if inside and entered.opaque.function is function:
                self._entered.remove(entered)
                return entered.number
        return None


def function_of(node: Any) -> Any:
    """The `autograd.Function` of a node, or None."""
    return getattr(type(node), "_forward_cls", None)


def opaque_at(stack: Sequence[FrameType]) -> Opaque | None:
    """The outermost such call in a stack."""
    import torch

    apply = torch.autograd.Function.apply.__func__.__code__
    for frame in stack:
        if frame.f_code is apply:
            values: Mapping[str, Any] = frame.f_locals
            function, name = values["cls"], str(values["cls"].__name__)
            arguments = values["args"], values["kwargs"]
            return Opaque(name_of_node(name), function, arguments, frame)
        if _transforms(frame.f_code.co_filename):
            values = frame.f_locals
            name = frame.f_code.co_qualname.partition(".")[0]
            return Opaque(name, None, (values.get("args"), values.get("kwargs")), frame)
    return None


@functools.lru_cache(maxsize=4096)
def _transforms(path: str) -> bool:
    folder, _, file = path.rpartition("/")
    return file in TRANSFORMS and folder == f"{torch_folder()}_functorch"
