"""Matrices that cannot be inverted or factorised, and repeated eigenvalues."""

from typing import Any

import numpy as np

from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint
from jaxgrad.inspection.run.tape import Entry, Value

# The values and the vectors of each decomposition.
SPECTRA = {
    "eigh": ("eigenvalues", "eigenvectors"),
    "eig": ("eigenvalues", "eigenvectors"),
    "svd": ("singular values", "singular vectors"),
}
SOLVING = frozenset(
    "lu triangular_solve custom_linear_solve linear_solve lu_solve "
    "tridiagonal_solve".split()
)
FULL_RANK = frozenset("qr lu cholesky triangular_solve custom_linear_solve".split())
ADVICE = "add a small multiple of the identity, or use jnp.linalg.lstsq or pinv"


def not_positive_definite(case: Case) -> Hint | None:
    """A Cholesky factor of a matrix with an eigenvalue that is not positive."""
    entry = _of_step(case, {"cholesky"})
    if entry is None:
        return None
    value, matrix = entry.inputs[0], _matrix(entry.inputs[0])
    if matrix is None:
        return None
    values = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)
    if values[0] > _smallest(matrix):
        return None
    name = case.label(value) or "the matrix"
    text = (
        f"the matrix is not positive definite (smallest eigenvalue {values[0]:.3g}): "
        "make sure that it is symmetric, and add a small multiple of the identity"
    )
    return Hint(text, {name: matrix.reshape(-1), f"eigenvalues of {name}": values})


def singular(case: Case) -> Hint | None:
    """A linear system whose matrix has a singular value of 0."""
    entry = _of_step(case, SOLVING)
    if entry is None and case.operation in ("det", "slogdet"):
        entry = case.entry
    for value in entry.inputs if entry else ():
        matrix = _matrix(value)
        if matrix is None:
            continue
        values = np.linalg.svd(matrix, compute_uv=False)
        if values[-1] <= _smallest(matrix):
            name = case.label(value) or "the matrix"
            text = (
                f"the matrix is singular (smallest singular value {values[-1]:.3g}): "
                f"{ADVICE}"
            )
            shown = {name: matrix.reshape(-1), f"singular values of {name}": values}
            return Hint(text, shown)
        return None
    return None


def rank_deficient(case: Case) -> Hint | None:
    """The derivative of a factorisation that needs a matrix of full rank."""
    if case.entry.primitive not in FULL_RANK:
        return None
    value = case.entry.inputs[0]
    array = np.asarray(value.array)
    if array.ndim != 2 or not np.isfinite(array).all():
        return None
    wide = array.astype(complex if array.dtype.kind == "c" else float)
    values = np.linalg.svd(wide, compute_uv=False)
    if not values.size or values[-1] > _smallest(wide):
        return None
    name = case.label(value) or "the matrix"
    text = (
        f"The derivative of {case.entry.primitive} needs a matrix of full rank "
        f"(smallest singular value {values[-1]:.3g})"
    )
    return Hint(text, {f"singular values of {name}": values})


def coinciding(case: Case) -> Hint | None:
    """Eigenvectors or singular vectors whose values coincide or are 0."""
    if case.entry.primitive not in SPECTRA:
        return None
    values_word, vectors_word = SPECTRA[case.entry.primitive]
    spectrum = _spectrum(case.entry)
    if spectrum is None:
        return None
    ordered = np.sort(spectrum)[::-1]
    rounding = ordered.size * float(np.finfo(ordered.dtype).eps)
    exact, near = (_found(case, ordered, apart) for apart in (0.0, rounding))
    if not near:
        return None
    found = exact or f"{near} within rounding"
    text = f"The {vectors_word} of {values_word} that {found} have no derivative"
    name = case.label(case.entry.inputs[0]) or "the matrix"
    return Hint(text, {f"{values_word} of {name}": ordered})


def _found(case: Case, ordered: np.ndarray, apart: int | float) -> str:
    """What is wrong with a spectrum: values that are not further apart, or 0."""
    least = apart * np.abs(ordered).max(initial=0)
    close = np.abs(np.diff(ordered)) <= least
    equal = np.append(close, False) | np.append(False, close)
    zero = (np.abs(ordered) <= least) & (case.entry.primitive == "svd")
    if equal.any() and (zero & ~equal).any():
        return "coincide or are 0"
    return "coincide" if equal.any() else "are 0" if zero.any() else ""


def _of_step(case: Case, primitives: Any) -> Entry | None:
    """The factorisation that the culprit belongs to."""
    if case.entry.primitive in primitives:
        return case.entry
    entries = (e for e in case.of_the_step() if e.primitive in primitives)
    return next(entries, None)


def _matrix(value: Value) -> np.ndarray | None:
    """A square matrix in double precision; of a batch, the most singular finite one."""
    array = np.asarray(value.array)
    square = array.ndim >= 2 and array.shape[-1] == array.shape[-2] and array.size
    if not square or array.dtype.kind not in "fcV":
        return None
    wide = array.astype(complex if array.dtype.kind == "c" else float)
    stack = wide.reshape(-1, *array.shape[-2:])
    finite = [matrix for matrix in stack if np.isfinite(matrix).all()]
    worst = sorted(finite, key=lambda m: np.linalg.svd(m, compute_uv=False)[-1])
    return worst[0] if worst else None


def _smallest(matrix: np.ndarray) -> float:
    """The largest number that counts as 0, given the rounding of float32."""
    return float(np.abs(matrix).max() * max(matrix.shape) * np.finfo(np.float32).eps)


def _spectrum(entry: Entry) -> np.ndarray | None:
    """The eigenvalues or singular values that a decomposition returned."""
    rank = entry.inputs[0].array.ndim
    for output in entry.outputs:
        array = np.asarray(output.array)
        if array.ndim == rank - 1:
            rows = array.reshape(-1, array.shape[-1])
            gaps = [np.diff(np.sort(np.abs(row))).min(initial=np.inf) for row in rows]
            return rows[int(np.argmin(gaps))]
    return None
