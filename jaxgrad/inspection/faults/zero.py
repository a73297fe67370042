"""The fault of a gradient that is zero: what stops it, and why.

An argument is reported if its whole gradient is zero. Of a part of it (a column of a
weight matrix, an element of a bias) only units are reported that cannot recover: dead
far from the kink, saturated, or cut by a custom rule. Rows that are not in the batch,
features that are zero in the data, and units that are off in this batch are normal.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgrad._checks import check_callable, wrong_type
from jaxgrad.inspection.faults.blocked import Block, nonzero, search_blocks
from jaxgrad.inspection.faults.describe import (
    Describer,
    guarded,
    iteration_of,
    line_of,
)
from jaxgrad.inspection.faults.moved import elsewhere
from jaxgrad.inspection.faults.unconnected import dependence
from jaxgrad.inspection.faults.zero_hints import hint
from jaxgrad.inspection.faults.zero_reasons import (
    CUTS,
    EXPONENTIALS,
    ORDER,
    ROUNDING,
    Cause,
    cause_of,
)
from jaxgrad.inspection.program.call import (
    Call,
    bind,
    refusal,
    trace_at_best,
    undisturbed,
)
from jaxgrad.inspection.program.failures import NotEntered, naming_the_line
from jaxgrad.inspection.program.frames import definition_of
from jaxgrad.inspection.program.jaxprs import has_references
from jaxgrad.inspection.program.program import take_apart
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.run.backward import total
from jaxgrad.inspection.run.replay import Replay, replay
from jaxgrad.inspection.run.tape import Entry, Value

# How many elements of an operand a finding keeps, and how many units it looks at.
KEPT = 100
UNITS = 64
# A unit that is further from its kink than this many times what is usual is dead.
FAR = 5.0
# From this many samples on their spread tells how far is usual.
SAMPLES = 8


NOTHING: Mapping[Any, Any] = {}


class Zeros(NamedTuple):
    """What was found, and what is zero without a fault."""

    findings: tuple[Blame, ...]
    remarks: tuple[Blame, ...]


def find_zero(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., tuple[Blame, ...]]:
    """Which arguments have a gradient of zero, at which step, and why.

    The function is run operation by operation, forward and backward. For each array
    among the differentiated arguments whose gradient is zero everywhere there is one
    finding. Its `reason` is

    - "unconnected": the result does not depend on it;
    - "stopped": by `stop_gradient`;
    - "integer": it passes an integer, a comparison, argmax, round, floor, sign;
    - "branch": of `where`, `cond`, `max`: the other one was taken;
    - "multiplied": by zero, also in a matrix product;
    - "saturated": sigmoid, tanh, softmax, clip: exactly flat in this dtype;
    - "dead": relu and its like on negative numbers;
    - "underflow": it is too small for the dtype;
    - "rule": a custom derivative returns zero although the function moves;
    - "cancelled": parts that are not zero add up to zero, wherever it is moved.

    Of an array whose gradient is zero in a row, a column or an element, only units that
    cannot recover are reported, after the others: saturated, cut by a custom rule, or
    dead and far from the kink. Rows that are not in the batch, features that are zero
    in the data, and units that are off in one batch are normal. So is a stationary
    point: the minimum of a loss, the square at 0.

    Args:
        f: The function, which may be jitted; it returns a floating scalar.
        argnums: The arguments to differentiate, as in `jax.value_and_grad`.
        has_aux: Whether `f` returns a pair of the scalar and further results.

    Returns:
        A function of the arguments of `f` that returns a tuple of `Blame`, the gravest
        first; it is empty if nothing is wrong.

    Raises:
        TypeError: If `f` is not callable; on the call, if a differentiated argument is
            not floating, the result is not a floating scalar, or an argument is traced.
        Exception: On the call, what `jax.value_and_grad` raises.

    Examples:
        >>> import jax.numpy as jnp
        >>> def loss(w, b):
        ...     hidden = jax.nn.relu(w - 100)
        ...     return jnp.sum(hidden) + b
        >>> (blame,) = find_zero(loss)(jnp.ones(3), 1.0)
        >>> blame.argument, blame.reason, blame.step.name, blame.source.line
        ('w', 'dead', 'hidden', 2)
        >>> find_zero(loss, argnums=1)(jnp.ones(3), 1.0)
        ()
    """
    check_callable("find_zero", "f", f)

    def found(*args: Any, **kwargs: Any) -> tuple[Blame, ...]:
        call = bind("find_zero", f, args, kwargs, argnums)
        with jax.disable_jit(False), undisturbed():
            return _in_call(call, has_aux)

    return found


def search(replay: Replay, names: Describer) -> Zeros:
    """The arguments of a run whose gradient is zero, the gravest first."""
    finder = _Finder(replay, names)
    whole, parts, remarks = [], [], []
    for value, gradient in replay.gradients():
        zero = np.asarray(gradient) == 0
        if zero.size and zero.all():
            cause = finder.cause(value, zero)
            blame = finder.blame(value, zero, cause)
            (remarks if cause.normal else whole).append(blame)
        elif zero.any():
            for blame, hopeless in finder.units(value, zero):
                (parts if hopeless else remarks).append(blame)
    whole.sort(key=lambda blame: ORDER.index(blame.reason))
    return Zeros((*whole, *parts), tuple(remarks))


@dataclass(frozen=True)
class _Finder:
    """Finds causes in a run and describes them."""

    replay: Replay
    names: Describer

    def cause(
        self, value: Value, mask: np.ndarray, known: Mapping[Any, Cause] = NOTHING
    ) -> Cause:
        """Why the elements `mask` of an argument have no gradient."""
        causes, missing = self._causes(value, mask, known)
        if not causes:
            return missing
        best = min(causes, key=lambda cause: ORDER.index(cause.reason))
        return self._confirmed(best, causes, value, mask)

    def _causes(
        self, value: Value, mask: np.ndarray, known: Mapping[Any, Cause] = NOTHING
    ) -> tuple[list[Cause], Cause]:
        """The causes, and the one if there are none; `known` are those of a group."""
        walk = search_blocks(self.replay, value, mask)
        causes = []
        for alike in _grouped(walk.blocks):
            block, *_ = alike
            cause = known.get(_place(block)) or cause_of(block)
            if cause is not None:
                place = {"block": block, "entry": block.entry, "alike": tuple(alike)}
                causes.append(replace(cause, **place))
        if causes or walk.connected:
            return causes, Cause("unconnected", entry=walk.last)
        return [], self._static_cause(value, mask)

    def _static_cause(self, value: Value, mask: np.ndarray) -> Cause:
        """Whether a branch not taken uses it, or a condition."""
        inputs = enumerate(self.replay.inputs)
        position = next(i for i, each in inputs if each is value)
        sources, met = dependence(self.replay.program.block)
        ways = {source.way for source in sources if source.position == position}
        if not ways:
            return Cause("unconnected")
        if "value" not in ways:
            for block in search_blocks(self.replay, value, mask, True).blocks:
                cause = cause_of(block)
                if cause is not None and cause.reason in ("integer", "stopped"):
                    return replace(cause, entry=block.entry)
        slot = met.get(position, -1)
        entry = Entry(-1, "cond", lambda *_: [], [], [], slot, None, ())
        return Cause("branch" if "value" in ways else "integer", entry=entry)

    def _confirmed(
        self, best: Cause, causes: list[Cause], value: Value, mask: np.ndarray
    ) -> Cause:
        """The cause, once the whole program was moved if that decides."""
        cancelled = [c for c in causes if c.reason == "cancelled"]
        normalised = any(_is_exponential(cause) for cause in cancelled)
        flat = best.reason == "saturated" and not best.clips and not normalised
        if best.reason == "stationary":
            return replace(best, normal=True)
        if best.reason == "cancelled" or (flat and (cancelled or best.unbounded)):
            least = ROUNDING * max(map(_size, cancelled), default=0.0)
            moved = elsewhere(self.replay, value, mask, least)
            if best.reason == "cancelled" and not (moved.near or moved.far):
                return replace(best, normal=_is_shift(best))
            if moved.near or not (moved.lower or normalised):
                return replace(best, reason="stationary", normal=True)
            return replace(best, reason="saturated")
        return best

    def units(self, value: Value, zero: np.ndarray) -> Iterator[tuple[Blame, bool]]:
        """Findings for the slices of an argument that are zero as a whole."""
        for axis in reversed(range(zero.ndim)):
            others = tuple(i for i in range(zero.ndim) if i != axis)
            indices = np.flatnonzero(zero.all(axis=others))
            if not 0 < len(indices) < zero.shape[axis]:
                continue
            causes, _ = self._causes(value, _slices(zero.shape, axis, indices))
            if any(cause.reason in CUTS for cause in causes):
                known = {_place(cause.block): cause for cause in causes}
                yield from self._units_along(value, axis, indices[:UNITS], known)
                return

    def _units_along(
        self,
        value: Value,
        axis: int,
        indices: Sequence[int],
        known: Mapping[Any, Cause],
    ) -> Iterator[tuple[Blame, bool]]:
        shape = np.shape(value.array)
        groups: dict[Any, tuple[Cause, list[int]]] = {}
        for index in indices:
            cause = self.cause(value, _slices(shape, axis, [index]), known)
            if cause.reason in CUTS and not cause.normal and cause.entry:
                key = cause.entry.slot, cause.reason, _hopeless(cause)
                groups.setdefault(key, (cause, []))[1].append(int(index))
        for (_, _, hopeless), (cause, units) in groups.items():
            mask = _slices(shape, axis, units)
            where = _subscript(value.label, len(shape), axis, units)
            yield self.blame(value, mask, cause, where), hopeless

    def blame(
        self, value: Value, mask: np.ndarray, cause: Cause, where: str = ""
    ) -> Blame:
        """The finding for the elements `mask` of an argument."""
        entry = cause.entry
        step = guarded(lambda: self.names.step(entry), None)
        operation = step.operation if step else entry.primitive if entry else ""
        dtype = str(cause.block.value.array.dtype if cause.block else value.array.dtype)
        advice = guarded(lambda: hint(cause, operation, dtype), "")
        count = f"{int(mask.sum())} of {mask.size}"
        part = f"Zero in {where} ({count} elements). " if where else ""
        return Blame(
            phase="backward",
            step=step,
            argument=value.label,
            iteration=iteration_of(entry),
            count=int(mask.sum()),
            operands=guarded(lambda: self._operands(cause), {}),
            hint=part + advice,
            primitive=entry.primitive if entry else "",
            source=line_of(entry, step),
            kind="zero",
            reason=cause.reason,
        )

    def _operands(self, cause: Cause) -> dict[str, np.ndarray]:
        """By name, the numbers that prove the cause."""
        block = cause.block
        if block is None:
            return {}
        if block.position is None:
            parts = enumerate(part for _, part in block.value.parts)
            return {f"cotangent {i}": _kept(part, block.mask) for i, part in parts}
        shown = {self._label(block, block.value): _kept(block.value.array, block.mask)}
        others = [cause.zero] if cause.zero is not None else []
        if block.entry.primitive == "select_n":
            others.append(block.entry.inputs[0])
        for other in others:
            alike = np.shape(other.array) == block.mask.shape
            mask = block.mask if alike else np.asarray(other.array) == 0
            shown[self._label(block, other)] = _kept(other.array, mask)
        for output, live in zip(block.entry.outputs, block.live, strict=True):
            cotangent = total(output)
            if cotangent is not None and live is not None and live.any():
                shown["cotangent"] = _kept(cotangent, live)
        return shown

    def _label(self, block: Block, value: Value) -> str:
        position = next((i for i, v in enumerate(block.entry.inputs) if v is value), 0)
        known = self.names.label(value)
        return known or f"operand {position} of {block.entry.primitive}"


def _place(block: Block | None) -> tuple[Any, ...]:
    return (block.entry.number, block.position, id(block.value)) if block else ()


def _grouped(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks, with those of the same operation in different iterations together."""
    seen: dict[Any, int] = {}
    groups: dict[Any, list[Block]] = {}
    for block in blocks:
        entry = block.entry
        key = entry.slot, entry.primitive, block.position
        number = seen[key, entry.iteration] = seen.get((key, entry.iteration), -1) + 1
        groups.setdefault((key, number), []).append(block)
    return list(groups.values())


def _size(cause: Cause) -> float:
    """The largest part that cancels."""
    assert cause.block is not None
    block = cause.block
    sent = [part for _, part in block.value.parts]
    if block.position is not None:
        sent = [c for c in map(total, block.entry.outputs) if c is not None]
    return max(
        (float(np.abs(np.asarray(part)).max(initial=0)) for part in sent), default=0
    )


def _is_exponential(cause: Cause) -> bool:
    """Whether an exponential is divided by the sum of all, as in softmax."""
    maker = cause.block and cause.block.value.maker
    return maker is not None and maker.primitive in EXPONENTIALS


def _is_shift(cause: Cause) -> bool:
    """Whether the argument is only added to a value through which others learn."""
    block = cause.block
    if block is None or block.entry.primitive != "broadcast_in_dim":
        return False
    (output,) = block.entry.outputs
    readers = [reader for reader, _ in output.parts if reader is not None]
    return bool(readers) and all(
        reader.primitive in ("add", "sub")
        and any(v.active and v is not output for v in reader.inputs)
        for reader in readers
    )


def _hopeless(cause: Cause) -> bool:
    """Whether units are so far from the kink that no usual batch brings them back."""
    if cause.edge is None:
        return True
    return all(_far(block, cause.edge) for block in cause.alike)


def _far(block: Block, edge: float) -> bool:
    distance = np.abs(np.asarray(block.value.array, np.float64) - edge)
    alive = np.logical_or.reduce(
        [nonzero(part, block.mask.shape) for _, part in block.value.parts]
    )
    own = distance[block.mask]
    if alive.any() and own.min() > FAR * np.median(distance[alive]):
        return True
    return own.size >= SAMPLES and bool(own.mean() > FAR * own.std() > 0)


def _slices(shape: tuple[int, ...], axis: int, indices: Any) -> np.ndarray:
    mask = np.zeros(shape, bool)
    np.moveaxis(mask, axis, 0)[indices] = True
    return mask


def _subscript(path: str, ndim: int, axis: int, units: Sequence[int]) -> str:
    """The units as the user would index them: `params['w'][:, 2]`."""
    chosen = str(units[0]) if len(units) == 1 else f"[{', '.join(map(str, units))}]"
    return f"{path}[{', '.join([':'] * axis + [chosen] + [':'] * (ndim - axis - 1))}]"


def _kept(array: Any, mask: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    return (array[mask] if array.shape == mask.shape else array.reshape(-1))[:KEPT]


def _in_call(call: Call, has_aux: bool) -> tuple[Blame, ...]:
    try:
        traced = trace_at_best(call)
    except NotEntered as reason:
        return _as_one_step(call, has_aux, reason)
    if not traced.scalar or (traced.tree.num_leaves > 1 and not has_aux):
        remedy = "reduce it, for example with a sum"
        expected = "f to return one floating scalar"
        raise wrong_type("find_zero", expected, traced.description, remedy)
    if has_references(traced.jaxpr):
        reason = NotEntered("it changes arrays in place", definition_of(call.f))
        return _as_one_step(call, has_aux, reason)
    program = take_apart(call, traced)
    refused = refusal(traced, program.leaves, program.active)
    if refused is not None:
        raise refused
    run = replay(program)
    return search(run, Describer(program.drafts, run.tape)).findings


def _as_one_step(call: Call, has_aux: bool, reason: NotEntered) -> tuple[Blame, ...]:
    """The arguments whose gradient is zero, of a function that JAX runs as a whole."""
    args, kwargs = call.arguments
    positions = sorted({leaf.argument for leaf in call.differentiated})
    with naming_the_line("find_zero"):
        gradients = jax.grad(call.f, positions, has_aux)(*args, **kwargs)
    leaves = jax.tree.leaves(gradients[0] if has_aux else gradients)
    hint = f"The function could not be entered: {reason}."
    return tuple(
        Blame(
            *("backward", None, leaf.path, None, int(np.size(gradient)), {}, hint),
            source=reason.source,
            kind="zero",
        )
        for leaf, gradient in zip(call.differentiated, leaves, strict=True)
        if np.size(gradient) and not np.any(np.asarray(gradient))
    )
