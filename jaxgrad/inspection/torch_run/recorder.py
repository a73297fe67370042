"""Records every call of a function of PyTorch that the user's program makes.

A `TorchFunctionMode` sees each call from outside: what the function calls inside is
part of it. Values are copied at once, because a later call may change them in place.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from jaxgrad.inspection.program.labels import Origin, constant_label
from jaxgrad.inspection.torch_run import calls
from jaxgrad.inspection.torch_run.arrays import (
    dtype_of,
    is_differentiated,
    part_of,
    shape_of,
    tensors_in,
    version,
)
from jaxgrad.inspection.torch_run.opaque import (
    Opaque,
    OpaqueCalls,
    function_of,
    opaque_at,
)
from jaxgrad.inspection.torch_run.origins import Origins, storage_of
from jaxgrad.inspection.torch_run.records import Record, Result, compact
from jaxgrad.inspection.torch_run.stack import running, site_of
from jaxgrad.inspection.torch_run.turns import Turns
from jaxgrad.inspection.torch_run.unpacking import Unpacked, Unpacking


@dataclass(eq=False)
class Recorder:
    """The calls so far."""

    keep: Callable[[Any], Any]  # What to keep of a value
    keep_gradient: Callable[[Any], Any]
    home: str  # The package that counts as the user's own
    internal: set[int] = field(default_factory=set)  # The modules' buffers
    differentiating: bool = False  # Whether the run's own backward pass is on
    records: list[Record] = field(default_factory=list)
    hooks: list[Any] = field(default_factory=list)
    origins: Origins = field(default_factory=Origins)
    unpacking: Unpacking = field(default_factory=Unpacking)
    _turns: Turns = field(default_factory=Turns)
    _opaque: OpaqueCalls = field(default_factory=OpaqueCalls)
    _claimed: dict[Any, int] = field(default_factory=dict)  # By autograd node
    _operation: int = 0  # PyTorch's number of the next operation, before the call

    def call(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Make a call of the program and record it."""
        if calls.only_reads(function):
            return function(*args, **kwargs)
        given = tensors_in((args, kwargs))
        self._operation = next_operation()
        for tensor in given:
            self._look_at(tensor)
        before = [version(tensor) for tensor in given]
        inputs = tuple(dict.fromkeys(self._operands(function, args, kwargs)))
        cuts = bool(inputs) and any(tensor.requires_grad for tensor in given)
        result = function(*args, **kwargs)
        pairs = zip(given, before, strict=True)
        changed = {id(t): t for t, old in pairs if version(t) != old}
        same = {id(tensor) for tensor in given} - changed.keys()
        outputs = _distinct(changed) if result is None else tensors_in(result)
        made = [t for t in outputs if id(t) not in same and self._is_new(t, changed)]
        if made:
            self._record(function, inputs, cuts, made, changed)
        elif calls.name_of(function) in ("requires_grad_", "requires_grad"):
            self._watch(given)
        return result

    def finished(self, value: Any) -> tuple[list[Record], Origin, Unpacked]:
        """The records, the origin of the program's value, and unpacked variables."""
        result = self._origin(value) or self.origins.of(value)[-1]
        for number, record in enumerate(self.records):
            for each in record.results:
                each.overwritten = self.origins.is_overwritten(each.viewed, number)
        self.unpacking.read((), self._origin)
        self._turns.forget()
        return compact(self.records, result, self.unpacking.found)

    def _record(
        self,
        function: Any,
        inputs: tuple[Origin, ...],
        cuts: bool,
        made: Sequence[Any],
        changed: dict[int, Any],
    ) -> None:
        stack = running()
        self._opaque.leave(stack, self._operation)
        if (opaque := opaque_at(stack)) is not None:
            self._enter(opaque, stack)
            return
        site = site_of(stack, self.home)
        if not site.direct and self._is_bookkeeping(inputs, made):
            for tensor in made:
                origin = Origin("constant", label=calls.name_of(function))
                self.origins.introduce(tensor, origin)
            return
        self.unpacking.read(stack, self._origin)
        operation = calls.operation_at(function, site)
        turns = self._turns.next(stack)
        self.records.append(Record(operation, inputs, site, turns, cuts))
        self.unpacking.note(len(self.records) - 1, stack, site)
        for tensor in made:
            origin = self._add(len(self.records) - 1, tensor)
            if id(tensor) in changed:
                self.origins.wrote(tensor, origin)
                self._watch_base(tensor, self._result(origin))

    def _is_new(self, tensor: Any, changed: dict[int, Any]) -> bool:
        return id(tensor) in changed or self.origins.find(tensor) is None

    def _is_bookkeeping(self, inputs: Sequence[Origin], made: Sequence[Any]) -> bool:
        """Whether a library makes constants, or counts in a module's buffers."""
        return not inputs or all(id(tensor) in self.internal for tensor in made)

    def _add(self, number: int, tensor: Any) -> Origin:
        """Add a result to a record."""
        results = self.records[number].results
        origin = Origin("step", number, len(results))
        shape, dtype = shape_of(tensor), dtype_of(tensor)
        viewed = storage_of(tensor) if tensor._is_view() else None
        results.append(Result(shape, dtype, self.keep(tensor), viewed=viewed))
        self.origins.introduce(tensor, origin)
        self._watch([tensor])
        return origin

    def _watch(self, tensors: Sequence[Any]) -> None:
        """Wait for the gradients of results."""
        for tensor in tensors:
            known = self.origins.find(tensor)
            if known is None or known.origin.kind != "step":
                continue
            result = self._result(known.origin)
            if is_differentiated(tensor) and not result.active:
                result.active = True
                self.origins.nodes[tensor.grad_fn] = known.origin
                self.hooks.append(tensor.register_hook(self._storing(result)))

    def _watch_base(self, view: Any, result: Result) -> None:
        """Wait for the gradient of a view that was changed: a part of its base's."""
        base = view._base
        if base is None or not base.requires_grad or base.is_leaf:
            return
        if base.dtype.to_real() == view.dtype.to_real() and not base.is_nested:
            result.active, store = True, self._storing(result)
            part = part_of(base, view)
            self.hooks.append(base.register_hook(lambda g: store(part(g))))

    def _result(self, origin: Origin) -> Result:
        return self.records[origin.number].results[origin.position]

    def _storing(self, result: Result) -> Callable[[Any], None]:
        def store(gradient: Any) -> None:
            if self.differentiating and gradient is not None:
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
                operands += self.origins.of(tensor)
        return operands[::-1] if calls.is_reversed(function) else operands

    def _origin(self, value: Any) -> Origin | None:
        """The origin of a variable's value, if it is a tensor of the run."""
        if not hasattr(value, "grad_fn"):
            return None
        self._look_at(value)
        known = self.origins.find(value)
        return None if known is None else self.origins.of(value)[-1]

    def _enter(self, opaque: Opaque, stack: Sequence[Any]) -> None:
        """Begin a record whose results are claimed when they appear."""
        if self._opaque.knows(opaque):
            return
        inputs: list[Origin] = []
        for tensor in tensors_in(opaque.arguments):
            if self._is_unclaimed(tensor):
                self._claim(tensor)
            inputs += self.origins.of(tensor)
        self._opaque.enter(opaque, len(self.records), self._operation)
        outside = stack[: stack.index(opaque.frame)]
        site = site_of(outside, self.home)
        self.unpacking.note(len(self.records), outside, site)
        unique = tuple(dict.fromkeys(inputs))
        turns = self._turns.next(outside)
        self.records.append(Record(opaque.operation, unique, site, turns, True))

    def _look_at(self, tensor: Any) -> None:
        """Find the call behind a tensor that no recorded call has made."""
        if self._is_unclaimed(tensor):
            stack = running()
            self._opaque.leave(stack, self._operation)
            if (opaque := opaque_at(stack)) is not None:
                self._enter(opaque, stack)
            else:
                self._claim(tensor)

    def _is_unclaimed(self, tensor: Any) -> bool:
        """Whether a call that is not recorded has made a tensor."""
        known = self.origins.find(tensor)
        if known is not None and known.version == version(tensor):
            return False
        made_by = tensor.grad_fn if is_differentiated(tensor) else None
        if made_by is None or known is None:
            return made_by is not None
        # A custom function may return its argument, changed in place.
        return made_by not in self.origins.nodes and function_of(made_by) is not None

    def _claim(self, tensor: Any) -> None:
        """Make a tensor the result of a call that is not entered."""
        made_by = tensor.grad_fn
        if made_by not in self._claimed:
            number = self._opaque.claim(made_by)
            number = self._unseen(made_by) if number is None else number
            self._claimed[made_by] = number
        self._add(self._claimed[made_by], tensor)

    def _unseen(self, node: Any) -> int:
        """The number of a record of a call that made no call inside."""
        inputs = tuple(dict.fromkeys(self.origins.behind(node)))
        function = function_of(node)
        name = calls.name_of_node(function.__name__ if function else node.name())
        stack = running()
        site, turns = site_of(stack, self.home), self._turns.next(stack)
        self.records.append(Record(name, inputs, site, turns, True))
        return len(self.records) - 1


def _distinct(changed: dict[int, Any]) -> Sequence[Any]:
    """Of tensors that share their memory only the first."""
    first: dict[Any, Any] = {}
    for tensor in changed.values():
        first.setdefault(storage_of(tensor), tensor)
    return [*first.values()]


def recording(recorder: Recorder) -> AbstractContextManager[Any]:
    """A mode in which all calls go through the recorder."""
    from torch.overrides import TorchFunctionMode

    class Recording(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return recorder.call(func, args, kwargs or {})

    return Recording()


def next_operation() -> int:
    """The number that PyTorch will give to the next operation with a derivative."""
    import torch

    autograd: Any = torch.autograd
    return autograd._get_sequence_nr()
