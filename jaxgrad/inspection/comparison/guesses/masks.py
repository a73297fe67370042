"""Trials on masks: attention masks that are inverted or missing, dropout."""

import numpy as np

from jaxgrad.inspection.comparison.guesses.case import Array, Case
from jaxgrad.inspection.comparison.guesses.elementwise import Guess


def mask(case: Case) -> Guess:
    """Other elements are masked (filled with minus infinity, or zero)."""
    if case.aligned is None:
        return _added(case)
    a, b = case.aligned
    for filled in (_minus_infinity, _zero):
        masked = filled(a), filled(b)
        if not (masked[0].any() or masked[1].any()):
            continue
        if not _otherwise_equal(a, b, masked, case.close):
            continue
        return _compared(*masked)
    return None


def _added(case: Case) -> Guess:
    """A mask of zeros and large negative numbers against scores that are filled."""
    filled = [_minus_infinity(x) for x in case.values]
    added = [
        bool(((x == 0) | f).all()) for x, f in zip(case.values, filled, strict=True)
    ]
    if not any(added) or not all(f.any() for f in filled):
        return None
    a, b = np.broadcast_arrays(*filled)
    return None if (a == b).all() else _compared(a, b)


def weights(case: Case) -> Guess:
    """Weights of an attention that are masked on one side, or after the softmax."""
    if case.aligned is None or "softmax" not in case.kinds:
        return None
    a, b = case.aligned
    if a.ndim < 2 or min(a.min(), b.min()) < 0:
        return None
    none = np.abs(a) < 1e-30, np.abs(b) < 1e-30
    if not (none[0] | none[1]).any():
        return None
    ratio = np.where(none[0] | none[1], np.nan, a / b)
    middle = np.nanmedian(ratio, -1, keepdims=True)
    if not np.nanmax(np.abs(ratio - middle)) <= 1e3 * case.close:
        return None
    if (none[0] == none[1]).all():
        text = "One side applies the mask after the softmax"
        return "mask", f"{text}: what is left does not add up to 1."
    return _compared(*none)


def _minus_infinity(x: Array) -> Array:
    return np.isneginf(x) | (x <= -9e3)


def _zero(x: Array) -> Array:
    return x == 0


def _otherwise_equal(
    a: Array, b: Array, masked: tuple[Array, Array], close: float
) -> bool:
    """Whether what neither masks is equal, and enough is masked differently."""
    kept = ~(masked[0] | masked[1])
    if (masked[0] == masked[1]).all():
        return False
    scale = np.max(np.abs(a[kept]), initial=0.0)
    return bool((np.abs(a[kept] - b[kept]) <= close * max(scale, 1e-30)).all())


def _compared(theirs: Array, ours: Array) -> Guess:
    if (theirs == ~ours).all():
        return "mask", "The mask is inverted: ours masks what theirs keeps."
    if theirs.ndim > 1 and not (theirs == ours).all():
        if theirs.shape[-1] == theirs.shape[-2]:
            if (theirs == np.swapaxes(ours, -1, -2)).all():
                text = "The masked scores are transposed: queries and keys are swapped"
                return "order", f"{text}, or the mask looks ahead."
    counts = f"theirs masks {theirs.mean():.0%}, ours {ours.mean():.0%} of the elements"
    if not ours.any() or not theirs.any():
        who = "Ours" if not ours.any() else "Theirs"
        return "mask", f"{who} has no mask: {counts}."
    shifted = (theirs & ~ours).sum(), (ours & ~theirs).sum()
    if 0 in shifted:
        return "mask", f"The mask of one side contains the other's: {counts}."
    return "mask", f"The masks differ: {counts}."


def dropout(case: Case) -> Guess:
    """One side drops elements and scales the others by 1/(1-p)."""
    if case.aligned is None:
        return None
    a, b = case.aligned
    found = [_dropped(x, y) for x, y in ((a, b), (b, a))]
    for who, other, factor in (
        ("Theirs", "ours", found[0]),
        ("Ours", "theirs", found[1]),
    ):
        if factor is not None:
            p = 1 - 1 / factor
            if abs(factor - 1) < 1e-6:
                text = f"{who} sets elements to 0 that {other} keeps"
                return "mask", f"{text}: a mask, or a dropout without its scale."
            return "dropout", f"{who} applies dropout (p = {p:.3g}), {other} does not."
    if "dropout" in case.kinds and (a == 0).any() and (b == 0).any():
        both = (a != 0) & (b != 0)
        ratios = a[both] / b[both]
        if ratios.size and np.ptp(ratios) < 1e-4 and abs(ratios[0] - 1) > 1e-4:
            return "dropout", f"Both drop; theirs scales {ratios[0]:.4g} times ours."
        return "dropout", "Both apply dropout, with other random masks."
    return None


def _dropped(x: Array, y: Array) -> float | None:
    """The factor on the kept elements of `x`, if it is `y` after a dropout."""
    dropped = (x == 0) & (y != 0)
    kept = (x != 0) & (y != 0)
    if not dropped.any() or not kept.any() or ((y == 0) & (x != 0)).any():
        return None
    ratios = x[kept] / y[kept]
    middle = float(np.median(ratios))
    return middle if np.ptp(ratios) <= 1e-4 * abs(middle) and middle >= 1 else None
