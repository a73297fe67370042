"""Calls whose inside is not recorded: of an `autograd.Function`, and of `torch.func`.

What they call inside does not belong to the graph that the backward pass runs through,
or works on wrapped tensors.
"""

from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

from jaxgrad.inspection.torch_run.calls import FUNCTIONS
from jaxgrad.inspection.torch_run.stack import torch_folder

# The functions of `torch.func` by the functions that implement them.
TRANSFORMS = {
    "vmap_impl": "vmap",
    "grad_impl": "grad",
    "grad_and_value_impl": "grad_and_value",
    "_vjp_with_argnums": "vjp",
    "_jvp_with_argnums": "jvp",
}


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
    for depth, frame in enumerate(stack):
        if frame.f_code is apply:
            values: Mapping[str, Any] = frame.f_locals
            function, name = values["cls"], str(values["cls"].__name__)
            arguments = values["args"], values["kwargs"]
            return Opaque(FUNCTIONS.get(name, name), function, arguments, frame)
        if frame.f_code.co_filename.startswith(f"{torch_folder()}_functorch/"):
            values = frame.f_locals
            inside = [inner.f_code.co_name for inner in stack[depth:]]
            names = (TRANSFORMS[name] for name in inside if name in TRANSFORMS)
            name = next(names, "torch.func")
            return Opaque(name, None, (values.get("args"), values.get("kwargs")), frame)
    return None
