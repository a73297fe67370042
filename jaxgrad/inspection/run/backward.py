"""The backward pass over a tape, with every part of every cotangent kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._types import Array
from jaxgrad.inspection.run.tape import Entry, Value


@dataclass(frozen=True)
class Backward:
    """Sends cotangents back over a tape, and keeps what every reader sent."""

    tape: Sequence[Entry]
    _pulls: dict[Any, Callable[..., Any]] = field(default_factory=dict)

    def run(self, result: Value) -> None:
        """Send the cotangent 1 of a scalar result back to the inputs."""
        result.parts.append((None, jnp.ones_like(result.array)))
        self._send(self.tape)

    def open(self, entry: Entry) -> None:
        """Send the cotangents of a stretch back through its passes."""
        assert entry.open
        inputs = {id(value): value for value in entry.inputs}.values()
        later: list[Any] = []  # What was sent after the stretch stays after it
        for value in inputs:
            place = next((i for i, p in enumerate(value.parts) if p[0] is entry), None)
            place = len(value.parts) if place is None else place
            later.append([p for p in value.parts[place:] if p[0] is not entry])
            del value.parts[place:]
        self._send(entry.open())
        for value, parts in zip(inputs, later, strict=True):
            value.parts.extend(parts)

    def _send(self, entries: Sequence[Entry]) -> None:
        for entry in reversed(entries):
            cotangents = [total(output) for output in entry.outputs]
            if all(c is None for c in cotangents):
                continue
            parts = self.pull(entry, [v.array for v in entry.inputs], cotangents)
            for position, part in parts.items():
                entry.inputs[position].parts.append((entry, part))

    def pull(
        self, entry: Entry, arrays: Sequence[Any], cotangents: Sequence[Any]
    ) -> dict[int, Array]:
        """The cotangents of the active inputs, by position."""
        if entry.moves:
            return _moved_back(entry, cotangents)
        active = tuple(i for i, value in enumerate(entry.inputs) if value.active)
        sent = tuple(i for i, c in enumerate(cotangents) if c is not None)
        run = partial(_pull, entry.function, active, sent)
        if entry.compiled:
            key = (id(entry.function), active, sent)
            run = self._pulls.setdefault(key, jax.jit(run))
        parts = run(list(arrays), list(cotangents))
        return dict(zip(active, parts, strict=True))


def total(value: Value) -> Array | None:
    """The cotangent of a value: its parts added up as JAX adds them."""
    if not value.parts:
        return None
    (_, sum_), *rest = value.parts
    for _, part in rest:
        sum_ = sum_ + part
    return sum_


def replaced(arrays: Sequence[Any], new: dict[int, Any]) -> list[Any]:
    """The arrays, with those of `new` instead of the old ones."""
    return [new.get(i, array) for i, array in enumerate(arrays)]


def _moved_back(entry: Entry, cotangents: Sequence[Any]) -> dict[int, Array]:
    if entry.primitive == "stack":
        whole = np.asarray(cotangents[0])
        active = [i for i, value in enumerate(entry.inputs) if value.active]
        return {i: jnp.asarray(whole[entry.places[i]]) for i in active}
    (whole,) = entry.inputs
    sent = np.zeros(whole.array.shape, whole.array.dtype)
    for place, cotangent in zip(entry.places, cotangents, strict=True):
        if cotangent is not None:
            sent[place] = np.asarray(cotangent)
    return {0: jnp.asarray(sent)} if whole.active else {}


def _pull(function, active, sent, arrays, cotangents) -> tuple[Array, ...]:
    def differentiable(*chosen: Array) -> list[Any]:
        results = function(*replaced(arrays, dict(zip(active, chosen, strict=True))))
        return [results[i] for i in sent]

    _, back = jax.vjp(differentiable, *(arrays[i] for i in active))
    return back([cotangents[i] for i in sent])
