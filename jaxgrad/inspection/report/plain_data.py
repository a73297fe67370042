"""A result as JSON that any program reads: its fields by name, arrays as numbers.

An array has its dtype, shape and summary, and its numbers unless it is large. A step
or argument outside of its report is only its number and name. NaN and infinities,
which JSON does not have, are strings.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.report.data import Argument, Report, Step
from jaxgrad.inspection.report.summary import summarize

# Larger arrays are only summarized.
MOST = 1000


def json_text(result: Any) -> str:
    """A report, a diagnosis or a comparison as JSON."""
    return json.dumps(_plain(result), allow_nan=False, indent=1) + "\n"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (complex, np.dtype)):
        return str(value)
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return _array(value)
    if isinstance(value, (Step, Argument)):
        name = value.name if isinstance(value, Step) else value.path
        kind = "step" if isinstance(value, Step) else "argument"
        return {kind: value.index, "name": name}
    if isinstance(value, Report):
        return _report(value)
    if dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, (Sequence, set, frozenset)):
        return [_plain(each) for each in value]
    return _tree(value)


def _fields(value: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(value)]
    return {n: _plain(getattr(value, n)) for n in names if not n.startswith("_")}


def _report(report: Report) -> dict[str, Any]:
    """The fields, with all steps and arguments in full and what is computed of them."""
    things = {"arguments": report.arguments, "steps": report.steps}
    full = {name: [_fields(each) for each in some] for name, some in things.items()}
    found, chain = report.nonfinite, report.chain_rule
    return (
        _fields(report)
        | full
        | {"nonfinite": found and _fields(found), "chain_rule": _fields(chain)}
    )


def _array(value: Any) -> dict[str, Any]:
    found = {"dtype": str(value.dtype), "shape": list(value.shape)}
    if jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return found
    array = np.asarray(value)
    if array.size <= MOST:
        return found | {"numbers": _numbers(array)}
    return found | {"summary": _plain(summarize(array))}


def _numbers(array: np.ndarray) -> Any:
    if array.dtype.kind in "biu":
        return array.tolist()
    if array.dtype.kind == "c":
        real, imaginary = np.real(array), np.imag(array)
        return {"real": _numbers(real), "imaginary": _numbers(imaginary)}
    return _strings(array.astype(np.float64).tolist())


def _strings(numbers: Any) -> Any:
    if isinstance(numbers, list):
        return [_strings(each) for each in numbers]
    return numbers if np.isfinite(numbers) else str(numbers)


def _tree(value: Any) -> Any:
    """Any other container as its leaves by path; None if it is not a container."""
    leaves = jax.tree.leaves_with_path(value)
    if [leaf for _, leaf in leaves if leaf is value]:
        return None
    return {jax.tree_util.keystr(path): _plain(leaf) for path, leaf in leaves}
