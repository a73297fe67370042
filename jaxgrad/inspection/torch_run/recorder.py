"""Records every call of a function of PyTorch that the user's program makes.

A `TorchFunctionMode` sees each call from outside: what the function calls inside is
part of it. Values are copied at once, because a later call may change them in place.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxgrad.inspection.program.labels import Origin, constant_label
from jaxgrad.inspection.torch_run import calls
from jaxgrad.inspection.torch_run.arrays import dtype_of, tensors_in, version
from jaxgrad.inspection.torch_run.opaque import Opaque, opaque_at
from jaxgrad.inspection.torch_run.stack import Site, running, site_of
from jaxgrad.inspection.torch_run.unpacking import Unpacked, Unpacking


@dataclass(eq=False)
class Result:
    """One tensor that a call has made."""

    shape: tuple[int, ...]
    dtype: Any
    value: Any
    active: bool = False  # Whether a derivative passes through it
    gradient: Any = None


@dataclass(eq=False)
class Record:
    """One call."""

    operation: str
    inputs: tuple[Origin, ...]
    site: Site
    cuts: bool  # Whether a derivative reaches its operands
    results: list[Result] = field(default_factory=list)
    names: dict[int, list[str]] = field(default_factory=dict)  # By result, inner first


class _Known(NamedTuple):
    """A tensor that the recorder has seen."""

    tensor: Any  # A weak reference: the number of a dead object is used again
    origin: Origin
    version: int


@dataclass(eq=False)
class Recorder:
    """The calls so far, and where each living tensor comes from."""

    keep: Callable[[Any], Any]  # What to keep of a value
    keep_gradient: Callable[[Any], Any]
    home: str  # The package that counts as the user's own
    start: int  # PyTorch's number of the last operation before the run
    internal: set[int] = field(default_factory=set)  # The modules' buffers
    records: list[Record] = field(default_factory=list)
    hooks: list[Any] = field(default_factory=list)
    unpacking: Unpacking = field(default_factory=Unpacking)
    _known: dict[int, _Known] = field(default_factory=dict)
    _nodes: dict[Any, Origin] = field(default_factory=dict)  # By autograd node
    _writers: dict[Any, Origin] = field(default_factory=dict)  # By storage
    # Calls whose inside is not recorded, with the numbers of their records
    _opaque: list[tuple[Opaque, int]] = field(default_factory=list)
    _claimed: dict[Any, int] = field(default_factory=dict)  # By autograd node

    def introduce(self, tensor: Any, origin: Origin) -> None:
        """Say where a tensor comes from."""
        known = _Known(weakref.ref(tensor), origin, version(tensor))
        self._known[id(tensor)] = known

    def call(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Make a call of the program and record it."""
        if calls.only_reads(function):
            return function(*args, **kwargs)
        given = list(tensors_in((args, kwargs)))
        for tensor in given:
            self._claim(tensor)
        before = [version(tensor) for tensor in given]
        inputs = tuple(dict.fromkeys(self._operands(function, args, kwargs)))
        cuts = bool(inputs) and any(tensor.requires_grad for tensor in given)
        result = function(*args, **kwargs)
        pairs = zip(given, before, strict=True)
        changed = {id(t): t for t, old in pairs if version(t) != old}
        same = {id(tensor) for tensor in given} - changed.keys()
        outputs = [*changed.values()] if result is None else tensors_in(result)
        made = [tensor for tensor in outputs if id(tensor) not in same]
        if made:
            self._record(function, inputs, cuts, made, changed)
        elif calls.name_of(function) in ("requires_grad_", "requires_grad"):
            self._watch(given)
        return result

    def origins(self, tensor: Any) -> tuple[Origin, ...]:
        """Where a tensor comes from, and what has changed it through another name."""
        known = self._find(tensor)
        if known is None:
            return (Origin("constant", label=_label(tensor)),)
        if known.version != version(tensor):
            writer = self._writers.get(_storage(tensor))
            if writer is not None and writer != known.origin:
                return (known.origin, writer)
        return (known.origin,)

    def origin_of_result(self, tensor: Any) -> Origin:
        """The origin of what the program returns."""
        self._claim(tensor)
        return self.origins(tensor)[-1]

    def finished(self, result: Origin) -> tuple[list[Record], Origin, Unpacked]:
        """The records that have results, numbered anew."""
        self.unpacking.read((), self._find)
        kept = [number for number, record in enumerate(self.records) if record.results]
        numbers = {old: new for new, old in enumerate(kept)}

        def renumbered(origin: Origin) -> Origin:
            if origin.kind != "step":
                return origin
            return origin._replace(number=numbers[origin.number])

        for number in kept:
            record = self.records[number]
            record.inputs = tuple(map(renumbered, record.inputs))
        unpacked = {
            (numbers[number], node): {n: renumbered(o) for n, o in names.items()}
            for (number, node), names in self.unpacking.found.items()
        }
        records = [self.records[number] for number in kept]
        return records, renumbered(result), unpacked

    def knows(self, tensor: Any) -> bool:
        """Whether a tensor was given or made by a recorded call."""
        return self._find(tensor) is not None

    def _record(
        self,
        function: Any,
        inputs: tuple[Origin, ...],
        cuts: bool,
        made: Sequence[Any],
        changed: dict[int, Any],
    ) -> None:
        stack = running()
        if (opaque := opaque_at(stack)) is not None:
            self._enter(opaque, stack)
            return
        site = site_of(stack, self.home)
        if not site.direct and self._is_bookkeeping(inputs, made):
            for tensor in made:
                origin = Origin("constant", label=calls.name_of(function))
                self.introduce(tensor, origin)
            return
        self.unpacking.read(stack, self._find)
        self.records.append(
            Record(calls.operation_at(function, site), inputs, site, cuts)
        )
        self.unpacking.note(len(self.records) - 1, stack, site)
        for tensor in made:
            origin = self._add(len(self.records) - 1, tensor)
            if id(tensor) in changed:
                self._writers[_storage(tensor)] = origin

    def _is_bookkeeping(self, inputs: Sequence[Origin], made: Sequence[Any]) -> bool:
        """Whether a library makes constants, or counts in a module's buffers."""
        return not inputs or all(id(tensor) in self.internal for tensor in made)

    def _add(self, number: int, tensor: Any) -> Origin:
        """Add a result to a record."""
        results = self.records[number].results
        origin = Origin("step", number, len(results))
        shape, dtype = tuple(tensor.shape), dtype_of(tensor)
        results.append(Result(shape, dtype, self.keep(tensor)))
        self.introduce(tensor, origin)
        self._watch([tensor])
        return origin

    def _watch(self, tensors: Sequence[Any]) -> None:
        """Wait for the gradients of results."""
        for tensor in tensors:
            known = self._find(tensor)
            if known is None or known.origin.kind != "step":
                continue
            result = self.records[known.origin.number].results[known.origin.position]
            if tensor.requires_grad and not result.active:
                result.active = True
                self._nodes[tensor.grad_fn] = known.origin
                self.hooks.append(tensor.register_hook(self._storing(result)))

    def _storing(self, result: Result) -> Callable[[Any], None]:
        def store(gradient: Any) -> None:
            if gradient is not None:
                result.gradient = self.keep_gradient(gradient)

        return store

    def _operands(self, function: Any, args: Any, kwargs: Any) -> list[Origin]:
        if calls.uses_only_shapes(function):
            return []
        numbers = calls.is_arithmetic(function)
        operands: list[Origin] = []
        for each in (*args, *kwargs.values()):
            if numbers and isinstance(each, (int, float, complex)):
                operands.append(Origin("constant", label=constant_label(each)))
            for tensor in tensors_in(each):
                operands += self.origins(tensor)
        return operands[::-1] if calls.is_reversed(function) else operands

    def _find(self, tensor: Any) -> _Known | None:
        known = self._known.get(id(tensor))
        return known if known is not None and known.tensor() is tensor else None

    def _enter(self, opaque: Opaque, stack: Sequence[Any]) -> None:
        """Begin a record whose results are claimed when they appear."""
        if any(opaque.frame is known.frame for known, _ in self._opaque):
            return
        given = list(tensors_in(opaque.arguments))
        for tensor in given:
            self._claim(tensor)
        inputs = [origin for tensor in given for origin in self.origins(tensor)]
        self._opaque.append((opaque, len(self.records)))
        site = site_of(stack[: stack.index(opaque.frame)], self.home)
        inputs = tuple(dict.fromkeys(inputs))
        self.records.append(Record(opaque.operation, inputs, site, True))

    def _claim(self, tensor: Any) -> None:
        """Find the call behind a tensor that no recorded call has made."""
        made_by, known = tensor.grad_fn, self._find(tensor)
        if made_by is None or made_by._sequence_nr() < self.start:
            return
        function = getattr(type(made_by), "_forward_cls", None)
        if known is not None and (
            function is None
            or known.version == version(tensor)
            or made_by in self._nodes
        ):
            return
        if made_by not in self._claimed:
            self._claimed[made_by] = self._number_of(made_by, function)
        self._add(self._claimed[made_by], tensor)

    def _number_of(self, made_by: Any, function: Any) -> int:
        """The number of the record of a call that was not entered."""
        for i, (opaque, number) in reversed([*enumerate(self._opaque)]):
            if opaque.function is function:
                del self._opaque[i]
                return number
        inputs = tuple(dict.fromkeys(self._behind(made_by)))
        name = str(function.__name__ if function else made_by.name())
        name = calls.FUNCTIONS.get(name, name)
        self.records.append(Record(name, inputs, site_of(running(), self.home), True))
        return len(self.records) - 1

    def _behind(self, node: Any) -> Iterator[Origin]:
        """The origins that lead to an autograd node."""
        pending, seen = [node], set()
        while pending:
            for each, _ in pending.pop().next_functions:
                if each is None or each in seen:
                    continue
                seen.add(each)
                leaf = getattr(each, "variable", None)
                if each in self._nodes:
                    yield self._nodes[each]
                elif leaf is not None:
                    yield from self.origins(leaf)
                else:
                    pending.append(each)


def recording(recorder: Recorder) -> AbstractContextManager[Any]:
    """A mode in which all calls go through the recorder."""
    from torch.overrides import TorchFunctionMode

    class Recording(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return recorder.call(func, args, kwargs or {})

    return Recording()


def _storage(tensor: Any) -> Any:
    """What tensors share that are views of each other."""
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse and nested tensors
        return id(tensor)


def _label(tensor: Any) -> str:
    return f"{dtype_of(tensor)}[{','.join(map(str, tensor.shape))}]"
