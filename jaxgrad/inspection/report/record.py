"""A report as arrays and a description in JSON, to save it and to load it elsewhere.

The description is the report's dataclasses, field by field; an array in it is a number
in the archive. Arrays come back as NumPy's, of the same dtype and bits.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad import _archive
from jaxgrad._checks import wrong_value
from jaxgrad.inspection.report.data import (
    Argument,
    ChainRule,
    Contribution,
    Operand,
    Report,
    Source,
    Step,
)
from jaxgrad.inspection.report.summary import Summary

FORMAT = 1
CLASSES = (Source, Operand, Argument, Step, Summary, ChainRule, Contribution)
KINDS = {kind.__name__: kind for kind in CLASSES}
# Larger contributions are saved as their summaries, which is what a page shows.
FEW = 64
# The fields of a report; what `nonfinite` finds and the chain rule are saved as well.
FIELDS = ("name", "value", "gradients", "arguments", "steps", "result", "note")
# What reading raises in a file that has the right checksum but another writer.
FAULTS = (
    *(AttributeError, LookupError, RecursionError, StopIteration),
    *(TypeError, ValueError),
)
NUMBERS = (jax.Array, np.ndarray, np.generic)


def packed(report: Report) -> dict[str, np.ndarray]:
    """The arrays of an archive that holds a report."""
    writer = _Writer()
    fields = {name: writer.write(getattr(report, name)) for name in FIELDS}
    writer.steps = {id(step): i for i, step in enumerate(report.steps)}
    found = report.nonfinite
    header = {
        "record": "jaxgrad explanation",
        "format": FORMAT,
        "report": fields,
        "nonfinite": None if found is None else writer.fields(found),
        "chain_rule": writer.write(report.chain_rule.brief(FEW)),
    }
    named = {f"array-{i}": array for i, array in enumerate(writer.arrays)}
    return {"header": np.array(json.dumps(header)), **named}


class Unpacked(NamedTuple):
    """What a file holds."""

    fields: dict[str, Any]  # Of the report
    found: dict[str, Any] | None  # The fields of what `nonfinite` found
    chain_rule: ChainRule


def unpacked(path: Path) -> Unpacked:
    """What `packed` gave, from a file.

    Raises:
        FileNotFoundError: If there is no such file.
        Damaged: If it is not what `packed` gave, whole (a ValueError).
        ValueError: If it has another format.
    """
    if not path.exists():
        raise FileNotFoundError(f"load_record: expected a file, got no {path} instead.")
    arrays = _archive.read(path)
    try:
        header = json.loads(arrays["header"].item())
        known, found = header["record"] == "jaxgrad explanation", header["format"]
    except FAULTS:
        known, header, found = False, {}, None
    if known and found != FORMAT:
        got, hint = f"format {found!r}", "another version of jaxgrad wrote it"
        raise wrong_value("load_record", f"{path} of format {FORMAT}", got, hint)
    try:
        return _fields(header, arrays)
    except FAULTS as fault:
        message = f"{path} is not a record: save_record did not write it."
        raise _archive.Damaged(message) from fault


def _fields(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Unpacked:
    """As `unpacked`; one of `FAULTS` if the file was not written by `packed`."""
    reader = _Reader(arrays)
    fields = {name: reader.read(header["report"][name]) for name in FIELDS}
    for name, kind in (("arguments", Argument), ("steps", Step)):
        if not all(isinstance(each, kind) for each in fields[name]):
            raise TypeError(name)
    if not isinstance(fields["name"], str) or not isinstance(fields["note"], str):
        raise TypeError("name or note")
    if fields["result"] is not None:
        fields["steps"][fields["result"]]
    reader.steps = fields["steps"]
    found = header["nonfinite"]
    found = found and {name: reader.read(each) for name, each in found.items()}
    chain = header.get("chain_rule")
    chain = (
        ChainRule((), "they were not recorded") if chain is None else reader.read(chain)
    )
    return Unpacked(fields, found, chain)


class _Writer:
    """From values to what JSON can hold; collects the arrays."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.steps: Mapping[int, int] = {}  # The numbers of the report's own steps
        # By identity: what was written, and the array itself, which must stay alive
        self._known: dict[int, tuple[Any, Any]] = {}

    def write(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, NUMBERS):
            if id(value) not in self._known:
                self._known[id(value)] = self._array(value), value
            return self._known[id(value)][0]
        if id(value) in self.steps:
            return {"step": self.steps[id(value)]}
        if type(value) in KINDS.values():
            return {"kind": type(value).__name__, "fields": self.fields(value)}
        return self._container(value)

    def fields(self, value: Any) -> dict[str, Any]:
        names = (field.name for field in dataclasses.fields(value))
        return {name: self.write(getattr(value, name)) for name in names}

    def _container(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return {"tuple": [self.write(each) for each in value]}
        if isinstance(value, list):
            return [self.write(each) for each in value]
        if isinstance(value, Mapping):
            items = [[self.write(k), self.write(v)] for k, v in value.items()]
            return {"mapping": items}
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, np.dtype) or _is_key_type(value):
            return {"dtype": str(value)}
        leaves = jax.tree.leaves_with_path(value)
        if [leaf for _, leaf in leaves if leaf is value]:
            return None  # what no tree holds, such as a function
        named = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
        return self._container(named)

    def _array(self, value: Any) -> dict[str, Any]:
        dtype = str(value.dtype)
        if _is_key_type(value.dtype):
            dtype = f"key:{jax.random.key_impl(value)}"
            value = jax.random.key_data(value)
        array = np.asarray(value)
        self.arrays.append(_archive.plain(array))
        return {"array": len(self.arrays) - 1, "dtype": dtype}


class _Reader:
    """From what JSON holds to values."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.steps: Sequence[Step] = ()
        self._arrays = arrays
        self._known: dict[int, Any] = {}  # An array that is used twice is read once

    def read(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.read(each) for each in value]
        if not isinstance(value, dict):
            return value
        key, inside = next(iter(value.items()))
        if key == "array":
            if inside not in self._known:
                array = self._arrays[f"array-{inside}"]
                self._known[inside] = _typed(array, value["dtype"])
            return self._known[inside]
        if key == "kind":
            fields = value["fields"].items()
            return KINDS[inside](**{name: self.read(each) for name, each in fields})
        if key == "step":
            return self.steps[inside]
        if key == "dtype":
            return _dtype(inside)
        if key == "complex":
            return complex(*inside)
        if key == "tuple":
            return tuple(self.read(each) for each in inside)
        return {self.read(k): self.read(v) for k, v in inside}


def _typed(array: np.ndarray, dtype: str) -> Any:
    if dtype.startswith("key:"):
        keys = jnp.asarray(array)
        return jax.random.wrap_key_data(keys, impl=dtype.removeprefix("key:"))
    return array.view(jnp.dtype(dtype))


def _is_key_type(dtype: Any) -> bool:
    try:
        return jnp.issubdtype(dtype, jax.dtypes.prng_key)
    except (TypeError, ValueError):
        return False


def _dtype(name: str) -> Any:
    if name.startswith("key<"):
        impl = {"key<fry>": "threefry2x32", "key<rbg>": "rbg"}.get(name, "unsafe_rbg")
        return jax.random.key(0, impl=impl).dtype
    return jnp.dtype(name)
