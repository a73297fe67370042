"""Numbers, shapes and places as short text: what all renderings share."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxgrad.inspection.report.data import Argument, Report, Source, Step
from jaxgrad.inspection.report.summary import Summary

SHORT = {
    "float64": "f64",
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint32": "u32",
    "uint8": "u8",
    "complex64": "c64",
    "complex128": "c128",
}


def number(value: int | float | complex, digits: int = 4) -> str:
    """A number with so many significant digits; integers whole, minus as `-`."""
    if isinstance(value, complex):
        imaginary = number(value.imag, digits)
        joint = "" if imaginary.startswith("-") else "+"
        return f"{number(value.real, digits)}{joint}{imaginary}j"
    if np.isfinite(value) and value == int(value) and abs(value) < 10**6:
        return str(int(value))
    return f"{value:.{digits}g}"


def cut(text: str, width: int) -> str:
    """Text of at most so many letters; of a path (`params['w']`) the end tells most."""
    if len(text) <= width:
        return text
    if text.endswith("']") and width > 3:
        return "…" + text[1 - width :]
    return text[: width - 1] + "…"


def summary(
    numbers: Summary | None, why: str = "", short: bool = False, truth: bool = False
) -> str:
    """A scalar as it is, an array as `min .. mean .. max |norm|`, nothing as `why`.

    Args:
        numbers: The summary of the array.
        why: What to say if there is none.
        short: Whether to leave out the range.
        truth: Whether the elements are booleans.
    """
    if numbers is None:
        return why or "-"
    if numbers.size == 0:
        return "empty"
    if np.isnan(numbers.norm) and not numbers.nonfinite:
        return "-"  # keys of random numbers are no numbers
    if truth:
        return _truth(numbers)
    if numbers.size == 1:
        return number(numbers.mean, 6)
    if numbers.nonfinite:
        return f"{numbers.nonfinite} of {numbers.size} non-finite"
    low, mean, high = (
        number(x, 3) for x in (numbers.minimum, numbers.mean, numbers.maximum)
    )
    norm = f"|{number(numbers.norm, 3)}|"
    if numbers.zeros == numbers.size:
        return "all 0"
    if low == high:
        return f"{'all' if numbers.minimum == numbers.maximum else '~'} {mean} {norm}"
    return f"{mean} {norm}" if short else f"{low} .. {mean} .. {high} {norm}"


def _truth(numbers: Summary) -> str:
    true = numbers.size - numbers.zeros
    return str(bool(true)) if numbers.size == 1 else f"{true} of {numbers.size} true"


def form(shape: Any, dtype: Any) -> str:
    """Type and shape: `f32[2,4]`; of several results joined."""
    if isinstance(dtype, tuple):
        return " ".join(form(s, d) for s, d in zip(shape, dtype, strict=True))
    name = getattr(dtype, "name", str(dtype))
    return f"{SHORT.get(name, name)}[{','.join(map(str, shape))}]"


def place(source: Source) -> str:
    """`loss.py:12`; nothing if the line is not known."""
    return f"{Path(source.file).name}:{source.line}" if source.line else ""


def rows_of(step: Step, short: bool = False) -> list[tuple[str, str, str, str]]:
    """Name, form, value and gradient of each result of a step."""
    several = bool(step.outputs)
    names = step.outputs if several else (step.name,)
    shapes = step.shape if several else (step.shape,)
    dtypes = step.dtype if several else (step.dtype,)
    rows = []
    for name, shape, dtype, (value, gradient) in zip(
        names, shapes, dtypes, step.summaries, strict=True
    ):
        shown = summary(value, "-", short, truth=np.dtype(bool) == dtype)
        why = step.why or "no gradient"
        rows.append((name, form(shape, dtype), shown, summary(gradient, why, short)))
    return rows


def argument_row(argument: Argument, short: bool = False) -> tuple[str, str, str, str]:
    """Path, form, value and gradient of an argument."""
    value, gradient = argument.summaries
    return (
        argument.path,
        form(argument.shape, argument.dtype),
        summary(value, "", short, truth=np.dtype(bool) == argument.dtype),
        summary(gradient, argument.why, short),
    )


def headline(report: Report) -> str:
    """The function, its value, and how many steps and arguments it has."""
    value = report.value
    while isinstance(value, tuple):
        value = value[0]
    counts = f"{_count(report.steps, 'step')}, {_count(report.arguments, 'argument')}"
    return f"{report.name} = {number(float(value), 8)}   ({counts})"


def _count(things: tuple[Any, ...], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
