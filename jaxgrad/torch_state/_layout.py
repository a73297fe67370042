"""Which elements of a torch state dict each array of a tree is made of.

A layout has an entry for each array of the tree; it moves values from the state dict to
the tree (`gather`) and back (`scatter`). Both use the same rules, which move elements
and compute nothing, except for two biases of recurrent layers that Flax has as a sum.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxgrad._checks import wrong_value
from jaxgrad._display import table
from jaxgrad.torch_state._arrays import Arrays, same_bits

Path = tuple[str, ...]


class Source(NamedTuple):
    """Elements of one array of the state dict, in the order of the tree's array."""

    name: str
    pick: Callable[[np.ndarray], np.ndarray]


class Entry(NamedTuple):
    """Where one array of the tree comes from."""

    sources: tuple[Source, ...]
    is_sum: bool  # of two sources; otherwise several are tied: they are all the same


@dataclass(frozen=True)
class Layout:
    """The places of torch's arrays in a tree; made by `layout`."""

    entries: Mapping[Path, Entry]
    shapes: Mapping[str, tuple[int, ...]]  # of torch's arrays

    def __repr__(self) -> str:
        torch, tree = len(self.shapes), len(self.entries)
        return f"<Layout: {torch} arrays of torch in {tree} arrays of a tree>"

    def _repr_html_(self) -> str:
        rows = [
            (" / ".join(path), (" + " if e.is_sum else " = ").join(s[0] for s in e[0]))
            for path, e in self.entries.items()
        ]
        return table("The tree's arrays, and torch's", ("tree", "torch"), rows)

    def gather(self, function: str, arrays: Arrays) -> dict[Path, np.ndarray]:
        """The tree's arrays whose sources are among torch's."""
        for name, array in arrays.items():
            expected = self.shapes.get(name)
            if array.shape != expected:
                what = f"{name!r} of shape {expected}" if expected else "another name"
                got = f"shape {array.shape}" if expected else repr(name)
                raise wrong_value(function, what, got)
        found = {}
        for path, entry in self.entries.items():
            values = [s.pick(arrays[s.name]) for s in entry.sources if s.name in arrays]
            if entry.is_sum and len(values) == 2:
                found[path] = values[0] + values[1]
            elif values:
                _check_tied(function, entry, values)
                found[path] = values[0]
        return found

    def scatter(
        self, function: str, values: Mapping[Path, np.ndarray], like: Arrays
    ) -> Arrays:
        """Torch's arrays from the tree's; of two terms, those of `like` if they fit."""
        parts: dict[str, list[tuple[Source, np.ndarray]]] = {}
        for path, value in values.items():
            entry = self.entries[path]
            for source, term in zip(
                entry.sources, self._terms(entry, value, like), strict=True
            ):
                parts.setdefault(source.name, []).append((source, term))
        return {name: self._joined(function, name, p) for name, p in parts.items()}

    def _terms(self, entry: Entry, value: np.ndarray, like: Arrays) -> list[np.ndarray]:
        if not entry.is_sum:
            return [value] * len(entry.sources)
        if all(source.name in like for source in entry.sources):
            one, other = (source.pick(like[source.name]) for source in entry.sources)
            if same_bits(one + other, value.astype(one.dtype)):
                return [one, other]
        return [value, np.zeros_like(value)]

    def _joined(
        self, function: str, name: str, parts: list[tuple[Source, np.ndarray]]
    ) -> np.ndarray:
        """One array of torch from those of the tree that hold its elements."""
        shape = self.shapes[name]
        array = np.empty(shape, parts[0][1].dtype)
        missing = np.ones(array.size, bool)
        for source, value in parts:
            where = positions(source, shape)
            array.reshape(-1)[where] = value
            missing[where] = False
        if missing.any():
            got = f"{missing.sum()} of {array.size} without a value"
            raise wrong_value(function, f"all elements of {name!r}", got)
        return array


def positions(source: Source, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of torch's elements, in the shape of the tree's array."""
    return source.pick(np.arange(np.prod(shape, dtype=int)).reshape(shape))


def _check_tied(function: str, entry: Entry, values: list[np.ndarray]) -> None:
    for source, value in zip(entry.sources, values, strict=False):
        if not same_bits(value, values[0]):
            names = f"{entry.sources[0].name!r} and {source.name!r}"
            what = f"{names}, which have one place in the tree, to be equal"
            raise wrong_value(function, what, "other values")
