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
from jaxgrad.inspection.torch_run.stack import Site, outside_of, site_of


@dataclass(eq=False)
class Result:
    """One tensor that a call has made."""

    shape: tuple[int, ...]
    dtype: Any
    value: Any
    active: bool  # Whether a derivative passes through it
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

    keep: Callable[[Any], Any]  # What to keep of a value or gradient, now
    home: str  # The package that counts as the user's own
    start: int  # PyTorch's number of the last operation before the run
    internal: set[int] = field(default_factory=set)  # The modules' buffers
    records: list[Record] = field(default_factory=list)
    hooks: list[Any] = field(default_factory=list)
    _known: dict[int, _Known] = field(default_factory=dict)
    _writers: dict[Any, Origin] = field(default_factory=dict)  # By storage
    _opaque: list[tuple[Site, tuple[Origin, ...]]] = field(default_factory=list)
    _entered: dict[Any, int] = field(default_factory=dict)

    def introduce(self, tensor: Any, origin: Origin) -> None:
        """Say where a tensor comes from."""
        known = _Known(weakref.ref(tensor), origin, version(tensor))
        self._known[id(tensor)] = known

    def call(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Make a call of the program and record it."""
        if calls.reads(function):
            return function(*args, **kwargs)
        given = list(tensors_in((args, kwargs)))
        for tensor in given:
            self._claim(tensor)
        before = [version(tensor) for tensor in given]
        cuts = any(tensor.requires_grad for tensor in given)
        inputs = self._inputs(function, args, kwargs)
        result = function(*args, **kwargs)
        pairs = zip(given, before, strict=True)
        changed = {id(t): t for t, old in pairs if version(t) != old}
        same = {id(tensor) for tensor in given} - changed.keys()
        outputs = [*changed.values()] if result is None else tensors_in(result)
        made = [tensor for tensor in outputs if id(tensor) not in same]
        if made:
            self._record(function, inputs, cuts, given, made, changed)
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

    def result_of(self, tensor: Any) -> Origin:
        """The origin of the program's result."""
        self._claim(tensor)
        return self.origins(tensor)[-1]

    def _record(
        self,
        function: Any,
        inputs: tuple[Origin, ...],
        cuts: bool,
        given: Sequence[Any],
        made: Sequence[Any],
        changed: dict[int, Any],
    ) -> None:
        site = site_of(self.home)
        if site.opaque is not None:
            self._enter(site)
            return
        if not site.direct:
            if all(id(tensor) in self.internal for tensor in made):
                return
            if not given:  # a library's zeros
                for tensor in made:
                    name = calls.name_of(function)
                    self.introduce(tensor, Origin("constant", label=name))
                return
        operation = calls.operation_at(function, site)
        self.records.append(Record(operation, inputs, site, cuts))
        for tensor in made:
            self._add(len(self.records) - 1, tensor)
            if id(tensor) in changed:
                origin = self._known[id(tensor)].origin
                self._writers[_storage(tensor)] = origin

    def _add(self, number: int, tensor: Any) -> None:
        """Add a result to a record, and wait for its gradient."""
        record = self.records[number]
        result = Result(tuple(tensor.shape), dtype_of(tensor), None, False)
        result.value = self.keep(tensor)
        result.active = tensor.requires_grad
        origin = Origin("step", number, len(record.results))
        record.results.append(result)
        self.introduce(tensor, origin)
        if result.active:

            def store(gradient: Any) -> None:
                result.gradient = gradient

            self.hooks.append(tensor.register_hook(store))

    def _inputs(self, function: Any, args: Any, kwargs: Any) -> tuple[Origin, ...]:
        operands = list(self._operands(calls.name_of(function), (args, kwargs)))
        if calls.is_reversed(function):
            operands.reverse()
        return tuple(dict.fromkeys(operands))

    def _operands(self, name: str, arguments: Any) -> Iterator[Origin]:
        args, kwargs = arguments
        numbers = name in calls.WORDS and name not in ("getitem", "setitem")
        for each in (*args, *kwargs.values()):
            if numbers and isinstance(each, (int, float, complex)):
                yield Origin("constant", label=constant_label(each))
            for tensor in tensors_in(each):
                yield from self.origins(tensor)

    def _find(self, tensor: Any) -> _Known | None:
        known = self._known.get(id(tensor))
        return known if known is not None and known.tensor() is tensor else None

    def _enter(self, site: Site) -> None:
        """Remember a call whose inside is not recorded, until its results appear."""
        assert site.opaque is not None
        given = tensors_in(site.opaque.arguments)
        inputs = [origin for tensor in given for origin in self.origins(tensor)]
        self._opaque = [(site, tuple(dict.fromkeys(inputs)))]

    def _claim(self, tensor: Any) -> None:
        """Record the call behind a tensor that no recorded call has made."""
        made_by = tensor.grad_fn
        if self._find(tensor) is not None or made_by is None:
            return
        if made_by._sequence_nr() < self.start:
            return
        if made_by not in self._entered:
            self._entered[made_by] = len(self.records)
            self.records.append(self._opaque_record(made_by))
        self._add(self._entered[made_by], tensor)

    def _opaque_record(self, made_by: Any) -> Record:
        """The record of a call that was not entered, from its autograd node."""
        cls = getattr(type(made_by), "_forward_cls", None)
        site, inputs = self._opaque.pop() if self._opaque else (None, ())
        if site is None or site.opaque is None:
            name = cls.__name__ if cls else made_by.name()
            return Record(name, (), site_of(self.home), True)
        name = cls.__name__ if cls else site.opaque.operation
        if name != site.opaque.operation:
            return Record(name, (), site_of(self.home), True)
        return Record(name, inputs, outside_of(site), True)


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
    return tensor.untyped_storage()._cdata


def _label(tensor: Any) -> str:
    return f"{dtype_of(tensor)}[{','.join(map(str, tensor.shape))}]"
