"""One public bug report as a small program, and what a good answer to it says."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax

MARK = "# GUILTY"


@dataclass(frozen=True)
class Case:
    """A program with a wrong gradient, rewritten from a report, and its corrected twin.

    Attributes:
        program: Returns a scalar; the gradient of its first argument is wrong. Where it
            vanishes or explodes, that is a list or an array of what enters at each
            layer or iteration.
        mended: The same program, changed as the hint says; nothing is wrong with it.
        arguments: The arguments of both.
        source: The report: `owner/repository#number`.
        kind: What is wrong with the gradient.
        phase: Of a NaN or an Inf: where it comes from. "either" where the forward pass
            makes an infinity that only the backward pass turns into NaN.
        reason: Of a zero and of lost digits: why, in one word; else "depth" or "time".
        argument: The path of the argument to report; of a zero, or of the phase input.
        hint: A regular expression for the advice that leads to `mended`.
        shortcoming: What is wrong with jaxgrad's answer; empty if nothing is.
        mended_in: The first minor version of JAX without the fault, if JAX is to blame.
    """

    program: Callable[..., Any]
    mended: Callable[..., Any]
    arguments: tuple[Any, ...]
    source: str
    kind: Literal["nonfinite", "zero", "vanishing", "exploding", "inaccurate"] = (
        "nonfinite"
    )
    phase: str = ""
    reason: str = ""
    argument: str = ""
    hint: str = ""
    shortcoming: str = ""
    mended_in: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The name of the program in words."""
        return self.program.__name__.replace("_", " ")

    @property
    def gone(self) -> bool:
        """Whether this version of JAX no longer has the fault."""
        version = tuple(map(int, jax.__version__.split(".")[:2]))
        return self.mended_in is not None and version >= self.mended_in

    @property
    def line(self) -> int | None:
        """The number of the guilty line; None if the program has none."""
        lines, first = inspect.getsourcelines(self.program)
        marked = [first + i for i, line in enumerate(lines) if MARK in line]
        return marked[0] if marked else None

    @property
    def file(self) -> str:
        """The file of the program."""
        return inspect.getsourcefile(self.program) or ""
