"""Where each living tensor of a run comes from.

A tensor is known by its identity. A change in place reaches all tensors with the same
storage: views, and what `detach` gives.
"""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.torch_run.arrays import dtype_of, version


class Known(NamedTuple):
    """A tensor that was given, or made by a recorded call."""

    tensor: Any  # A weak reference: the number of a dead object is used again
    origin: Origin
    version: int


@dataclass(eq=False)
class Origins:
    """The tensors, the nodes of the autograd graph, and who has changed what."""

    nodes: dict[Any, Origin] = field(default_factory=dict)
    _known: dict[int, Known] = field(default_factory=dict)  # By identity
    _writers: dict[Any, Origin] = field(default_factory=dict)  # By storage

    def introduce(self, tensor: Any, origin: Origin) -> None:
        """Say where a tensor comes from."""
        known = Known(weakref.ref(tensor), origin, version(tensor))
        self._known[id(tensor)] = known

    def wrote(self, tensor: Any, origin: Origin) -> None:
        """Say what has changed a tensor, and all its views, in place."""
        self._writers[storage_of(tensor)] = origin

    def is_overwritten(self, storage: Any, number: int) -> bool:
        """Whether a step after this one has changed a storage in place."""
        writer = self._writers.get(storage)
        return writer is not None and writer.number > number

    def find(self, tensor: Any) -> Known | None:
        """What is known of a tensor."""
        known = self._known.get(id(tensor))
        return known if known is not None and known.tensor() is tensor else None

    def of(self, tensor: Any) -> tuple[Origin, ...]:
        """Where a tensor comes from, and what has changed it through another name."""
        known = self.find(tensor)
        if known is None:
            return (Origin("constant", label=_label(tensor)),)
        origin = known.origin
        writer = self._writers.get(storage_of(tensor)) if self._writers else None
        if writer and (origin.kind != "step" or origin.number < writer.number):
            return (origin, writer)
        return (origin,)

    def behind(self, node: Any) -> Iterator[Origin]:
        """The origins that lead to an autograd node."""
        pending, seen = [node], {None}
        while pending:
            for each, _ in pending.pop().next_functions:
                if each in seen:
                    continue
                seen.add(each)
                leaf = getattr(each, "variable", None)
                if each in self.nodes:
                    yield self.nodes[each]
                elif leaf is not None:
                    yield from self.of(leaf)
                else:
                    pending.append(each)


def storage_of(tensor: Any) -> Any:
    """What tensors share that are views of each other."""
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse and nested tensors
        return id(tensor)


def _label(tensor: Any) -> str:
    shape = "nested" if tensor.is_nested else ",".join(map(str, tensor.shape))
    return f"{dtype_of(tensor)}[{shape}]"
