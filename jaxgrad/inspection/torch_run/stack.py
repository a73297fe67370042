"""Where the user called PyTorch: the frames, the line and the module.

The frames are read from the running stack, from the explained function inward.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from jaxgrad.inspection.program import frames
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
    *("utils/_contextlib.py", "autograd/", "_dynamo/", "_compile.py", "utils/hooks.py"),
)


class Site(NamedTuple):
    """Where a call comes from."""

    frames: tuple[Frame, ...]  # Outermost first
    users: tuple[bool, ...]  # For each frame, whether it is the user's
    module: Any = None  # The innermost module that runs

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


def running() -> list[FrameType]:
    """The frames from the explained function to the call that is being recorded."""
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_name != "__torch_function__":
        frame = frame.f_back
    while frame and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    stack = []
    while frame and not frame.f_code.co_filename.startswith(OWN):
        stack.append(frame)
        frame = frame.f_back
    return stack[::-1]


def _is_ours(file: str) -> bool:
    """Whether a frame around the recorder is this package's, or a type checker's."""
    return file.startswith((OWN, "<@beartype")) or "/jaxtyping/" in file


def site_of(stack: Sequence[FrameType], home: str) -> Site:
    """The site of a call with this stack."""
    places = [Frame(frame.f_code, frame.f_lasti) for frame in stack]
    users = [not is_library(frame.code.co_filename, home) for frame in places]
    return Site(tuple(places), tuple(users), _module_in(stack))


def home_of(f: Callable[..., Any]) -> str:
    """The package of a library's function or module that is explained itself."""
    import torch

    code = f.forward if isinstance(f, torch.nn.Module) else f
    home = frames.home_of(code)
    return "" if torch_folder().startswith(home) else home


def _module_in(stack: Sequence[FrameType]) -> Any:
    import torch

    call = torch.nn.Module._call_impl.__code__
    inner = next((f for f in reversed(stack) if f.f_code is call), None)
    return None if inner is None else inner.f_locals["self"]


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
    return len(flags) - 1 - flags[::-1].index(True) if True in flags else -1
