"""Trials on functions of single elements: activations, scales, offsets, casts."""

import math

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.formulas import names

Guess = tuple[str, str] | None  # A word for the cause, and a sentence


def activation(case: Case) -> Guess:
    """Each side is another function of the same input."""
    if case.nodes[0].part == "probabilities":  # Of a loss: another step is meant
        return None
    found = [_names(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    if "the identity" in found:
        side = found.index("the identity")
        who, other = ("Theirs", "ours") if side == 0 else ("Ours", "theirs")
        word = "activation"
        return word, f"{who} applies no {found[1 - side]}, which {other} does."
    word = "slope" if found[0].split()[0] == found[1].split()[0] else "activation"
    if "log" in (found[0][:3], found[1][:3]) and found[0][:3] == found[1][:3]:
        word = "log"
    word = "activation" if "gelu" in found[0] + found[1] else word
    if "exp(x / 2)" in found:
        word = "scale"
    return word, f"Theirs computes {found[0]}, ours {found[1]}."


def _names(case: Case, side: int) -> str:
    y = case.values[side]
    for x in case.inputs[side]:
        if x.size == y.size and x.size > 1:
            for name in names(x.reshape(y.shape), y, case.same):
                return name
    return ""


def bounded(case: Case) -> Guess:
    """Each side bounds the same array by another number, or at the other end."""
    found = [_bounded(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    return "clamp", f"Theirs is {found[0]}, ours {found[1]}."


def _bounded(case: Case, side: int) -> str:
    y = case.values[side]
    for x in case.inputs[side]:
        if x.size != y.size or y.size < 2:
            continue
        x = x.reshape(y.shape)
        changed = np.abs(x - y) > case.close * np.abs(x).max()
        ends = []
        for word, there in (("most", changed & (y < x)), ("least", changed & (y > x))):
            if there.any() and np.ptp(y[there]) <= case.close * np.abs(y).max():
                ends.append(f"at {word} {y[there][0]:.6g}")
            elif there.any():
                return ""
        if ends:
            return " and ".join(ends)
    return ""


TWO = {
    "sum": np.add,
    "difference": np.subtract,
    "product": np.multiply,
    "quotient": np.divide,
    "larger": np.maximum,
    "smaller": np.minimum,
    "power": np.power,
}


def of_two(case: Case) -> Guess:
    """Each side is another function of the same two arrays."""
    found = [_of_two(case, side) for side in (0, 1)]
    if not (found[0] and found[1]) or found[0] == found[1]:
        return None
    text = f"Theirs is the {found[0]} of two arrays, ours the {found[1]}"
    return "operation", f"{text}."


def _of_two(case: Case, side: int) -> str:
    y = case.values[side]
    nodes = case.both.graph(side).nodes
    read = [np.asarray(nodes[p].value, float) for p in case.nodes[side].parents]
    for i, a in enumerate(read):
        for b in read[:i] + read[i + 1 :]:
            for name, function in TWO.items():
                if a.shape == b.shape == y.shape and case.same(function(a, b), y):
                    return name
    return ""


def ratio(case: Case) -> Guess:
    """One side is a constant multiple of the other."""
    if case.aligned is None:
        return None
    a, b = case.aligned
    factor = _constant_ratio(a, b, case.close)
    if factor is None:
        return None
    if abs(factor + 1) < case.close:
        return "sign", "Theirs and ours have opposite signs: one is negated."
    return _named_factor(case, factor)


def _constant_ratio(a: Array, b: Array, close: float) -> float | None:
    ok = np.isfinite(a) & np.isfinite(b)
    total = float(np.sum(np.where(ok, b * b, 0.0)))
    if not ok.any() or total == 0:
        return None
    factor = float(np.sum(np.where(ok, a * b, 0.0)) / total)
    size = float(np.max(np.abs(a[ok])))
    if factor == 0 or size == 0 or abs(factor - 1) <= 10 * close:
        return None
    apart = np.abs(a - factor * b)[ok]
    equal_rest = bool((a[~ok] == b[~ok]).all())
    return factor if equal_rest and float(apart.max()) <= close * size else None


def _named_factor(case: Case, factor: float) -> Guess:
    """What a factor probably is: a count, the root of a dimension, a half."""
    more, less = ("Theirs", "ours") if abs(factor) > 1 else ("Ours", "theirs")
    times = abs(factor) if abs(factor) > 1 else 1 / abs(factor)
    shown = f"{times:.6g}"
    scalar = case.values[0].size == 1
    whole = round(times)
    reducing = case.kinds & {"sum", "mean", "loss"} or case.values[0].size == 1
    counts = _counts(case)
    if reducing and abs(times - whole) < 1e-4 * times and whole in counts:
        text = f"{more} is {whole} times {less}: a sum against a mean over {whole}"
        return "reduction", f"{text} {counts[whole]}."
    square = round(times**2)
    if abs(times - 2) < 1e-5:
        root = "" if scalar else ", or a scale of 1/sqrt(4)"
        text = f"{more} is twice {less}: a factor of 0.5 (one half{root}) on one side."
        return "scale" if root and 4 in counts else "half", text
    if (
        not scalar
        and square in counts
        and abs(times - math.sqrt(square)) < 1e-5 * times
        and square > 1
    ):
        text = f"{more} is {shown} = sqrt({square}) times {less}"
        return "scale", f"{text}: one side scales by the root of a dimension."
    kept = 1 / times
    if "dropout" in case.kinds:
        return (
            "dropout",
            f"{more} is 1/{kept:.4g} times {less}: dropout scales by 1/(1-p).",
        )
    for name, value in (("log(10)", math.log(10)), ("log(2)", math.log(2))):
        if abs(times - value) < 1e-5 or abs(times - 1 / value) < 1e-5:
            return (
                "log",
                f"{more} is {shown} times {less}, which is {name}: another log.",
            )
    if reducing and _quotient(times, counts):
        text = f"{more} is {shown} = {_quotient(times, counts)} times {less}"
        return "reduction", f"{text}: means over another number of elements."
    round_one = abs(times - round(times, 3)) < 1e-6 * times
    if scalar and not (case.gradient and round_one):  # Any two numbers have a ratio
        return None
    return "scale", f"{more} is {shown} times {less}: a factor that one side lacks."


def _quotient(times: float, counts: dict[int, str]) -> str:
    for a in counts:
        for b in counts:
            if b > 1 and a > b and abs(times - a / b) < 1e-6 * times:
                return f"{a} / {b}"
    return ""


def _counts(case: Case) -> dict[int, str]:
    """The sizes around the place, and what they count."""
    found: dict[int, str] = {}
    for nodes in case.sources:
        for node in nodes:
            shape = np.shape(node.value)
            for n in shape:
                found.setdefault(n, f"along an axis of {node.name}")
            for start in range(len(shape)):
                for end in range(start + 2, len(shape) + 1):
                    n = math.prod(shape[start:end])
                    found.setdefault(n, f"elements of {node.name}")
            if shape:
                found.setdefault(shape[0], f"along an axis of {node.name}")
    for report in (case.both.theirs.report, case.both.ours.report):
        for argument in report.arguments:
            for n in argument.shape:
                found.setdefault(n, f"along an axis of {argument.path}")
    return {n: text for n, text in found.items() if n > 1}


def constant(case: Case) -> Guess:
    """Each side is another constant: an initial state, a mask of ones."""
    lows = [x.min() for x in case.values if x.size]
    highs = [x.max() for x in case.values if x.size]
    if len(lows) < 2 or lows[0] == lows[1] or min(x.size for x in case.values) < 2:
        return None
    fixed = [low == high for low, high in zip(lows, highs, strict=True)]
    if fixed[0] != fixed[1] and lows[fixed.index(True)] == 0:
        who, other = ("Theirs", "ours") if fixed[0] else ("Ours", "theirs")
        text = f"{who} is 0 everywhere, {other} is not"
        return "constant", f"{text}: a state starts at zero, or is not carried over."
    if not all(fixed):
        return None
    text = f"Theirs is {lows[0]:.6g} everywhere, ours {lows[1]:.6g}"
    return "constant", f"{text}: another constant, such as an initial state."


def offset(case: Case) -> Guess:
    """One side is the other plus a constant."""
    if case.aligned is None or case.aligned[0].size < 2:
        return None
    a, b = case.aligned
    apart = (a - b)[np.isfinite(a - b)]
    if apart.size < 2 or not np.median(apart):
        return None
    shift, scale = float(np.median(apart)), float(np.max(np.abs(a[np.isfinite(a)])))
    small = abs(shift) < 10 * case.close * scale
    if small and not any("eps" in n.part for n in case.nodes):
        return None
    if float(np.max(np.abs(apart - shift))) > case.close * scale + 1e-3 * abs(shift):
        return None
    parts = {n.part for n in case.nodes} | {
        n.kind for n in (*case.sources[0], *case.sources[1])
    }
    if abs(shift) < 0.1 and ("variance + eps" in parts or "variance" in parts):
        return "eps", _eps_text(case, shift)
    more, less = ("Theirs", "ours") if shift > 0 else ("Ours", "theirs")
    return "offset", f"{more} is {less} plus {abs(shift):.6g}."


def _eps_text(case: Case, shift: float) -> str:
    variance = [
        n.value
        for nodes in case.sources
        for n in nodes
        if n.kind in ("variance", "mean") and np.size(n.value) == case.values[0].size
    ]
    if variance:
        known = np.asarray(variance[0], np.float64)
        own = [
            float(np.median(v - known.reshape(-1)))
            for v in (case.values[0].reshape(-1), case.values[1].reshape(-1))
        ]
        return f"Theirs adds eps = {own[0]:.3g} to the variance, ours {own[1]:.3g}."
    more, less = ("Theirs", "ours") if shift > 0 else ("Ours", "theirs")
    return (
        f"{more} adds {abs(shift):.3g} more to the variance than {less}: another eps."
    )


def cast(case: Case) -> Guess:
    """One side is the other, rounded to a dtype of less precision."""
    if case.aligned is None:
        return None
    a, b = case.aligned
    for name in ("float32", "float16", "bfloat16"):
        dtype = jnp.dtype(name)
        unit = float(jnp.finfo(dtype).eps) / 2
        if unit <= 2 * max(case.both.units):
            continue
        for who, exact, rounded in (("Ours", a, b), ("Theirs", b, a)):
            with np.errstate(all="ignore"):
                again = exact.astype(dtype).astype(np.float64)
            close = np.abs(again - rounded) <= 2 * unit * np.abs(exact) + 1e-30
            if (
                close.all()
                and (rounded.astype(dtype).astype(np.float64) == rounded).all()
            ):
                return "dtype", f"{who} rounds to {name} here."
    return None


def precision(case: Case) -> Guess:
    """A difference of the size of another dtype's rounding."""
    apart, unit = case.both.verdict(*case.pair).distance.relative, max(case.both.units)
    for name, size in (("float32", 2.0**-24), ("tfloat32", 2.0**-11)):
        fits = "matmul" in case.kinds or name == "float32"
        if fits and size > 1e3 * unit and 0.01 * size < apart < 16 * size:
            text = f"The difference is of the size of {name}'s rounding"
            return "dtype", f"{text}: one side computes this in lower precision."
    return None


def named_dtype(case: Case) -> Guess:
    """The steps, or those before them on one side, have another dtype."""
    dtypes = [str(getattr(n.dtype, "name", n.dtype)) for n in case.nodes]
    if dtypes[0] == dtypes[1]:
        return None
    if any(not name.startswith(("float", "bfloat")) for name in dtypes):
        return None
    return "dtype", f"Theirs computes in {dtypes[0]}, ours in {dtypes[1]}."
