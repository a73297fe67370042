"""Where the user called PyTorch: the frames, the line, the module and the opaque call.

The frames are read from the running stack, from the explained function inward.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from jaxgrad.inspection.program.frames import (
    OWN,
    Frame,
    is_library,
    is_machinery,
    source_of,
)
from jaxgrad.inspection.report.data import Source

# The files between a call and PyTorch's kernels; reports do not mention them.
MACHINERY = (
    *("overrides.py", "_tensor.py", "functional.py", "nn/functional.py", "_VF.py"),
    *("nn/modules/module.py", "nn/_reduction.py", "_jit_internal.py"),
    *("utils/_contextlib.py", "autograd/", "_dynamo/", "_ops.py", "utils/hooks.py"),
)
# The functions of `torch.func` by the functions that implement them.
TRANSFORMS = {
    "vmap_impl": "vmap",
    "grad_impl": "grad",
    "grad_and_value_impl": "grad_and_value",
    "_vjp_with_argnums": "vjp",
    "_jvp_with_argnums": "jvp",
}


class Opaque(NamedTuple):
    """A call whose inside is not recorded: of an `autograd.Function` or a transform."""

    operation: str
    arguments: Any
    depth: int  # Of its frame in the stack


class Site(NamedTuple):
    """Where a call comes from."""

    frames: tuple[Frame, ...]  # Outermost first
    users: tuple[bool, ...]  # For each frame, whether it is the user's
    module: Any = None  # The innermost module that runs
    opaque: Opaque | None = None  # The outermost call around it that is not recorded

    @property
    def direct(self) -> bool:
        """Whether the user's own line makes the call, not a library's."""
        anchor = _last(self.users)
        return not any(not _is_machinery(f) for f in self.frames[anchor + 1 :])

    @property
    def anchor(self) -> Frame | None:
        """The frame that makes the call, PyTorch's machinery aside."""
        outside = [frame for frame in self.frames if not _is_machinery(frame)]
        return outside[-1] if outside else None

    @property
    def source(self) -> Source:
        """The innermost line of the user; without one, that of PyTorch's module."""
        user = _last(self.users)
        if user < 0:
            return source_of(self.anchor)
        inside = [f for f in self.frames[user + 1 :] if not _is_machinery(f)]
        return source_of(self.frames[user], inside)


def site_of(home: str) -> Site:
    """The site of the call that is being recorded, from the explained function on."""
    running = _running()
    frames = tuple(Frame(frame.f_code, frame.f_lasti) for frame in running)
    users = tuple(not is_library(f.code.co_filename, home) for f in frames)
    return Site(frames, users, _module_in(running), _opaque_in(running))


def outside_of(site: Site) -> Site:
    """The site of the call that is not recorded."""
    depth = site.opaque.depth if site.opaque else len(site.frames)
    return site._replace(frames=site.frames[:depth], users=site.users[:depth])


def _running() -> list[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith(OWN):
        frame = frame.f_back
    running = []
    while frame and not frame.f_code.co_filename.startswith(OWN):
        running.append(frame)
        frame = frame.f_back
    return running[::-1]


def _module_in(running: Sequence[FrameType]) -> Any:
    import torch

    call = torch.nn.Module._call_impl.__code__
    inner = next((f for f in reversed(running) if f.f_code is call), None)
    return None if inner is None else inner.f_locals["self"]


def _opaque_in(running: Sequence[FrameType]) -> Opaque | None:
    import torch

    apply = torch.autograd.Function.apply.__func__.__code__
    for depth, frame in enumerate(running):
        code = frame.f_code
        if code is apply:
            values: Mapping[str, Any] = frame.f_locals
            name = values["cls"].__name__
            return Opaque(name, (values["args"], values["kwargs"]), depth)
        if code.co_filename.startswith(torch_folder() + "_functorch/"):
            values = frame.f_locals
            inner = (TRANSFORMS.get(f.f_code.co_name) for f in running[depth:])
            name = next(filter(None, inner), "torch.func")
            return Opaque(name, (values.get("args"), values.get("kwargs")), depth)
    return None


def _is_machinery(frame: Frame) -> bool:
    return _between(frame.code.co_filename)


@functools.lru_cache(maxsize=4096)
def _between(file: str) -> bool:
    """Whether a file is PyTorch's or Python's machinery."""
    folder = torch_folder()
    if file.startswith(folder):
        return file.removeprefix(folder).startswith(MACHINERY)
    return is_machinery(file)


@functools.lru_cache(maxsize=1)
def torch_folder() -> str:
    """The folder of the installed PyTorch."""
    import torch

    return f"{Path(torch.__file__).parent}/"


def _last(flags: Sequence[bool]) -> int:
    return max((i for i, flag in enumerate(flags) if flag), default=-1)
