"""Calls whose inside is not recorded: of an `autograd.Function`, and of `torch.func`.

What they call inside does not belong to the graph that the backward pass runs through,
or works on wrapped tensors.
"""

from collections.abc import Mapping, Sequence
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
        if _transforms(frame):
            values = frame.f_locals
            name = frame.f_code.co_qualname.partition(".")[0]
            return Opaque(name, None, (values.get("args"), values.get("kwargs")), frame)
    return None


def _transforms(frame: FrameType) -> bool:
    folder, _, file = frame.f_code.co_filename.rpartition("/")
    return file in TRANSFORMS and folder == f"{torch_folder()}_functorch"
