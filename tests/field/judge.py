"""What jaxgrad, jax_debug_nans and checkify say about a case."""

import io
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import checkify

import jaxgrad
from tests.field.case import Case

FLOWS = ("vanishing", "exploding")
# A gradient that is this much smaller in the first layer than in the last has vanished.
SMALL = 1e-3
# A relative error that shows a fault.
WRONG = 4e-4


@dataclass(frozen=True)
class Verdict:
    """jaxgrad's answer compared with the right one.

    Attributes:
        kind: Whether it finds the fault at all.
        line: Whether it names the guilty line, or the argument that brought a NaN in.
        cause: Whether the phase, or the reason of a zero, is right.
        hint: Whether its hint says to write what the twin does.
        quiet: Whether it finds nothing in the twin.
        text: The answer as printed.
    """

    kind: bool
    line: bool
    cause: bool
    hint: bool
    quiet: bool
    text: str

    @property
    def right(self) -> bool:
        """Whether nothing is wrong with the answer."""
        return all((self.kind, self.line, self.cause, self.hint, self.quiet))


def judge(case: Case, wrap: Any = lambda f: f) -> Verdict:
    """jaxgrad's answer to a case; `wrap` is applied to its programs, as `jax.jit`."""
    with jax.numpy_dtype_promotion("standard"):  # Optax and JAX itself mix dtypes.
        found = findings(case, wrap(case.program))
        quiet = not findings(case, wrap(case.mended))
    digits = case.kind == "inaccurate"  # of the value, or of any argument
    right = (one for one in found if one.argument in (None, case.argument) or digits)
    answer = next((one for one in right if one.kind == case.kind), None)
    if answer is None:
        return Verdict(False, False, False, False, quiet, "nothing found")
    # Digits are lost in the value and in the gradient: each has a finding.
    same = [o for o in found if digits and found_line(case, o)] or [answer]
    return Verdict(
        kind=True,
        line=found_line(case, answer),
        cause=found_cause(case, answer),
        hint=any(re.search(case.hint, one.hint) for one in same),
        quiet=quiet,
        text=str(answer),
    )


def findings(case: Case, f: Any) -> tuple[Any, ...]:
    """What jaxgrad finds in one of the case's programs."""
    if case.kind == "zero":
        return jaxgrad.find_zero(f)(*case.arguments)
    if case.kind in (*FLOWS, "inaccurate"):
        return jaxgrad.diagnose(f)(*case.arguments).findings
    found = jaxgrad.find_nonfinite(f, argnums=0)(*case.arguments)
    return () if found is None else (found,)


def found_line(case: Case, answer: Any) -> bool:
    """Whether the finding names the guilty line, or the argument to blame."""
    if case.line is None:
        return answer.argument == case.argument
    at = answer.source and (answer.source.file, answer.source.line)
    return at == (case.file, case.line)


def found_cause(case: Case, answer: Any) -> bool:
    """Whether the finding has the right phase, or the right reason."""
    if case.kind != "nonfinite":
        return answer.reason == case.reason
    return case.phase in (answer.phase, "either")


def is_wrong(case: Case) -> bool:
    """Whether the program shows the fault, and its twin does not."""
    with jax.numpy_dtype_promotion("standard"):
        broken, mended = (
            jax.tree.leaves(jax.value_and_grad(f)(*case.arguments))
            for f in (case.program, case.mended)
        )
    if not all(np.isfinite(np.asarray(x, float)).all() for x in mended):
        return False
    if case.kind == "inaccurate":
        return (
            error(case.program, broken, case) > WRONG > error(case.mended, mended, case)
        )
    if case.kind in FLOWS:
        first, healthy = spread(broken[1:]), spread(mended[1:])
        limit = first < SMALL if case.kind == "vanishing" else first > 1 / SMALL
        return limit and SMALL < healthy < 1 / SMALL
    if case.kind == "nonfinite":
        return not all(np.isfinite(np.asarray(x, float)).all() for x in broken)
    return any(not np.any(x) for x in broken[1:])


def error(program: Any, numbers: list[Any], case: Case) -> float:
    """How far the value or the gradient is from that in float64, relative to it."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: np.asarray(x, np.float64), case.arguments)
        exact = jax.tree.leaves(jax.value_and_grad(program)(*wide))
    pairs = [
        (np.asarray(a, float), np.asarray(b))
        for a, b in zip(numbers, exact, strict=True)
    ]
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)


def spread(gradients: list[Any]) -> float:
    """The first layer's or iteration's gradient, relative to that of the last."""
    parts = gradients if len(gradients) > 1 else np.asarray(gradients[0], float)
    first, last = np.linalg.norm(parts[0]), np.linalg.norm(parts[-1])
    return float(first / last)


def debug_nans(case: Case) -> str:
    """What jax_debug_nans says of the gradient."""
    try:
        with (
            jax.debug_nans(True),
            jax.numpy_dtype_promotion("standard"),
            redirect_stdout(io.StringIO()),  # JAX prints that it runs a part again.
        ):
            jax.block_until_ready(jax.grad(case.program)(*case.arguments))
    except FloatingPointError as error:
        what = re.search(r"encountered in ([\w\-]+(\(\w+\))?)", str(error))
        return f"{what.group(1) if what else 'a NaN'}{_line(case, _frames(error))}"
    return "nothing"


def checkify_says(case: Case) -> str:
    """What checkify's float checks say of the gradient."""
    checked = checkify.checkify(jax.grad(case.program), errors=checkify.float_checks)
    with jax.numpy_dtype_promotion("standard"):
        found = checked(*case.arguments)[0]
    try:
        found.throw()
    except checkify.JaxRuntimeError as error:
        what = re.search(r"primitive: ([\w\-]+)|(division by zero)", str(error))
        said = next(filter(None, what.groups())) if what else "an error"
        return f"{said}{_line(case, _frames(error))}"
    return "nothing"


def _line(case: Case, lines: set[tuple[str, int]]) -> str:
    return ", line" if (case.file, case.line) in lines else ""


def _frames(error: BaseException | None) -> set[tuple[str, int]]:
    """The lines in the tracebacks of an error and of its causes."""
    lines: set[tuple[str, int]] = set()
    while error is not None:
        frame = error.__traceback__
        while frame is not None:
            lines.add((frame.tb_frame.f_code.co_filename, frame.tb_lineno))
            frame = frame.tb_next
        error = error.__cause__ or error.__context__
    return lines
