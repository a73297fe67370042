"""Whose line made an equation: the user's, a library's, or JAX's machinery.

JAX keeps with every equation the Python frames that were active when it was
traced, down to the bytecode instruction, which Python maps to a line *and* a
column. So two calls on one line are told apart, and a loop that runs the same
instruction again is seen, because the code only goes backward in a loop.
"""

import dis
import functools
import importlib.util
import inspect
import itertools
import site
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from traceback import walk_tb
from types import CodeType, MethodType, TracebackType
from typing import Any, NamedTuple

import numpy as np

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.cells import in_cell, lines_of
from jaxgrad.inspection.report.data import Source

PACKAGES = ("jax", "jaxlib", "optax", "flax", "jaxgrad")
# The files between a library function and its primitive; reports do not mention them.
MACHINERY = (
    *(f"_src/{name}" for name in ("core", "api", "pjit", "linear_util", "tree")),
    *(f"_src/{name}" for name in ("source_info", "traceback", "profiler", "custom_")),
    *(f"_src/{name}" for name in ("interpreters", "lax", "dispatch", "numpy/array")),
    *(f"_src/{name}" for name in ("numpy/ufunc_api", "ad_", "util", "config")),
    *(f"_src/{name}" for name in ("stages", "mesh", "array", "scipy/linalg")),
)
# What binds a primitive: a loop in these files only retries.
BINDING = ("core.py", "pjit.py", "api.py", "interpreters/", "linear_util.py")


def _package_folders(*names: str) -> tuple[str, ...]:
    specs = (importlib.util.find_spec(name) for name in names)
    found = (spec.submodule_search_locations or () for spec in specs if spec)
    return tuple(f"{folder}/" for folders in found for folder in folders)


_PATHS = sysconfig.get_paths()
_SITES = dict.fromkeys((_PATHS["purelib"], _PATHS["platlib"], *site.getsitepackages()))
OWN = f"{Path(__file__).parents[1]}/"
# A step of training calls the user's network and loss; other packages are libraries.
TRAINING = f"{Path(__file__).parents[2] / 'training'}/"
STANDARD = _PATHS["stdlib"] + "/"
SITES = tuple(f"{folder}/" for folder in _SITES)
JAX = _package_folders("jax")
LIBRARIES = (*_package_folders(*PACKAGES), *SITES, STANDARD)


Span = tuple[int | None, int | None, int | None, int | None]


class Frame(NamedTuple):
    """One Python frame: its code and the offset of the running instruction."""

    code: CodeType
    offset: int


@functools.lru_cache(maxsize=4096)
def frames_of(stack: Any) -> tuple[Frame, ...]:
    """The frames inside the innermost trace, outermost first."""
    if stack is None:
        return ()
    inside = []
    for code, offset in zip(*stack.raw_frames(), strict=True):
        # Older versions of JAX continue with the frames of the first trace.
        if code.co_name in jaxprs.TRACING and is_library(code.co_filename):
            break
        inside.append(Frame(code, offset))
    return tuple(reversed(inside))


def takes_gradient(frame: Frame) -> bool:
    """Whether a frame is JAX's own, differentiating a function."""
    name, file = frame.code.co_name, frame.code.co_filename
    return name in jaxprs.DIFFERENTIATING and is_machinery(file)


@functools.lru_cache(maxsize=4096)
def is_library(file: str, home: str = "") -> bool:
    """Whether a file belongs to a library, `home` not being counted as one."""
    if file.startswith(OWN):
        return True
    if home and file.startswith(home):
        return is_machinery(file)
    return file.startswith(("<frozen", "<@beartype", *LIBRARIES))


@functools.lru_cache(maxsize=4096)
def is_machinery(file: str) -> bool:
    """Whether a file is JAX's machinery, this package, or the standard library."""
    if file.startswith((*JAX, OWN)):
        inner = file.removeprefix(JAX[0])
        return inner.startswith(MACHINERY) or file.startswith(OWN)
    return file.startswith("<frozen") or (
        file.startswith(STANDARD) and not file.startswith(SITES)
    )


def home_of(function: Callable[..., Any]) -> str:
    """The package of a library function that is explained itself, else ""."""
    code = getattr(inspect.unwrap(_innermost(function)), "__code__", None)
    if code is None or not is_library(code.co_filename):
        return ""
    for folder in (TRAINING, *_package_folders(*PACKAGES), *SITES):
        if code.co_filename.startswith(folder):
            inner = Path(code.co_filename.removeprefix(folder)).parts[0]
            return folder + inner if folder in SITES else folder
    return ""


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function, whatever wraps it."""
    function = _innermost(function)
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else name


def closed_over_name(function: Callable[..., Any], value: Any) -> str:
    """The name under which a function closes over an array, or ""."""
    try:
        closed = inspect.getclosurevars(inspect.unwrap(function))
    except (TypeError, ValueError):
        return ""
    for name, each in {**closed.globals, **closed.nonlocals}.items():
        numpy = isinstance(each, np.ndarray)
        if each is value or (numpy and np.may_share_memory(each, np.asarray(value))):
            return name
    return ""


class _Place(NamedTuple):
    """Where the last equation of a trace was."""

    frames: tuple[Frame, ...] = ()
    numbers: tuple[int, ...] = ()
    stack: Any = None


class Passes:
    """Tells the passes of loops and the activations of functions apart.

    `advance` gives each frame of the next equation a number, which changes with a new
    activation of its function and with each pass of a loop. An equation that JAX moved
    here from another trace starts with another frame; each trace counts separately.
    """

    def __init__(self) -> None:
        self._places: dict[CodeType | None, _Place] = {}
        self._fresh = itertools.count()

    def advance(
        self, frames: tuple[Frame, ...], stack: Any, reverse: bool
    ) -> tuple[int, ...]:
        """The pass of each frame of the next equation; `reverse` in a backward pass."""
        trace = frames[0].code if frames else None
        last = self._places.get(trace, _Place())
        # All equations that a helper inlines have the stack of the helper's call.
        same = stack is last.stack
        kept = len(frames) if same else _kept(last.frames, frames, reverse)
        numbers = last.numbers[:kept]
        numbers += tuple(next(self._fresh) for _ in frames[kept:])
        self._places[trace] = _Place(frames, numbers, stack)
        return numbers


def _kept(before: Sequence[Frame], frames: Sequence[Frame], reverse: bool) -> int:
    """How many of the outer frames are still in the pass they were in."""
    pairs = zip(before, frames, strict=False)
    apart = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])
    if reverse:  # it goes through the lines in reverse, without any loop
        return apart
    both = apart < len(before) and apart < len(frames)
    if both and before[apart].code is frames[apart].code:
        if frames[apart].offset > before[apart].offset:
            return apart + 1
        if loops(frames[apart].code, frames[apart].offset, before[apart].offset):
            return apart
    # The same instruction ran again: in a pass of the innermost loop around it.
    looping = (
        i
        for i in reversed(range(apart))
        if loops(*frames[i]) and not _binds(frames[i].code.co_filename)
    )
    return next(looping, apart)


def source_of(frame: Frame | None, via: Sequence[Frame] = ()) -> Source:
    """The line of a frame, with the library functions below it."""
    if frame is None:
        return Source("<unknown>", 0, "", "", ())
    line = position(*frame)[0] or frame.code.co_firstlineno
    text = "".join(lines_of(frame.code)[line - 1 : line]).strip()
    library = [f for f in via if not is_machinery(f.code.co_filename)]
    file, line = in_cell(frame.code, line)
    return Source(
        file, line, frame.code.co_name, text, tuple(map(_library_name, library))
    )


def fault_line(trace: TracebackType | None) -> Source | None:
    """The user's innermost line in a traceback, or None."""
    frames = [Frame(frame.f_code, frame.f_lasti) for frame, _ in walk_tb(trace)]
    users = [f for f in frames if not is_library(f.code.co_filename)]
    return source_of(users[-1]) if users else None


def definition_of(function: Callable[..., Any]) -> Source:
    """The line where a function begins."""
    code = getattr(inspect.unwrap(_innermost(function)), "__code__", None)
    return source_of(None if code is None else Frame(code, 0))


def position(code: CodeType, offset: int) -> Span:
    """First line, last line, first column, last column of an instruction."""
    return _positions(code)[offset // 2]


@functools.lru_cache(maxsize=1024)
def _positions(code: CodeType) -> list[Any]:
    return list(code.co_positions())


@functools.lru_cache(maxsize=1024)
def _loop_ranges(code: CodeType) -> tuple[tuple[int, int], ...]:
    return tuple(
        (instruction.argval, instruction.offset)
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith("JUMP_BACKWARD")
    )


def loops(code: CodeType, *offsets: int) -> bool:
    """Whether one loop of `code` encloses all the offsets."""
    low, high = min(offsets), max(offsets)
    return any(first <= low and high <= last for first, last in _loop_ranges(code))


def helper_name(info: str) -> str:
    """A library's helper, from JAX's `name at file:line`; "" for the user's own."""
    name, _, place = info.partition(" at ")
    if not is_library(place):
        return ""
    for folder in SITES:
        place = place.removeprefix(folder)
    return f"{name} ({place})"


@functools.lru_cache(maxsize=4096)
def _binds(file: str) -> bool:
    """Whether a file binds primitives."""
    return file.startswith(JAX) and any(f"/_src/{name}" in file for name in BINDING)


def _library_name(frame: Frame) -> str:
    place = f"{frame.code.co_filename}:{position(*frame)[0]}"
    return helper_name(f"{frame.code.co_qualname} at {place}")


def _innermost(function: Any) -> Any:
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        else:
            return function
