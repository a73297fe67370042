"""What jaxgrad says of a port, and whether it is right."""

import functools
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax

import jaxgrad
from tests.ports.case import Bug, Planted
from tests.ports.running import original, port

MARK = re.compile(r"# <[-~!].*")  # which a guess that quotes a line may contain


@dataclass(frozen=True)
class Verdict:
    """jaxgrad's answer to a bug compared with the right one.

    Attributes:
        found: Whether it reports a difference at all, in a value or in a gradient.
        theirs: Whether it names PyTorch's line.
        ours: Whether it names the port's line.
        cause: Whether it guesses the cause.
        text: The answer, in short.
    """

    found: bool
    theirs: bool
    ours: bool
    cause: bool
    text: str

    @property
    def right(self) -> bool:
        """Whether the kind of the difference and both lines are right."""
        return self.found and self.theirs and self.ours


def comparison(module: ModuleType, program: str, dtype: str) -> Any:
    """PyTorch's program and the port in a module, compared."""
    double = jax.enable_x64(dtype == "float64")
    with double, jax.numpy_dtype_promotion("standard"):
        ours = port(module, program, dtype)
        explained = jaxgrad.explain(ours.function)(*ours.arguments)
        return jaxgrad.compare(_original(program, dtype), explained)


@functools.cache
def _original(program: str, dtype: str) -> Any:
    theirs = original(program, dtype)
    return jaxgrad.explain_torch(theirs.function)(*theirs.arguments)


def judge(bug: Bug, planted: Planted, dtype: str) -> Verdict:
    """jaxgrad's answer to a bug."""
    first = comparison(planted.module, bug.program, dtype).first
    if first is None:
        return Verdict(False, False, False, False, "no difference found")
    return Verdict(
        found=first.what == bug.kind,
        theirs=_place(first.theirs) in planted.theirs,
        ours=_place(first.ours) in planted.ours,
        cause=re.search(bug.cause, MARK.sub("", str(first.guess or ""))) is not None,
        text=_described(first, planted),
    )


def _place(step: Any) -> tuple[str, int] | None:
    return step and step.source and (step.source.file, step.source.line)


def _described(first: Any, planted: Planted) -> str:
    answer = [place and place[1] for place in map(_place, (first.theirs, first.ours))]
    expected = (planted.theirs, planted.ours)
    right = [sorted(line for _, line in each) for each in expected]
    return (
        f"{first.what} in lines {answer[0]} and {answer[1]}, "
        f"expected {right[0]} and {right[1]}; guess: {first.guess}"
    )
