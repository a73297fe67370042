"""From a recorded run to the steps and arguments of a report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgrad.inspection.report.data import Argument, Operand, Step
from jaxgrad.inspection.report.summary import Summary, summarize
from jaxgrad.inspection.torch_run.arrays import array_of, dtype_of
from jaxgrad.inspection.torch_run.recorder import Record, Result
from jaxgrad.inspection.torch_run.run import Run

UNUSED = "the result does not depend on it"


def arguments_of(run: Run) -> tuple[Argument, ...]:
    """The arguments, parameters and other leaves."""
    arguments = []
    columns = zip(run.leaves, run.values, run.gradients, strict=True)
    for i, (leaf, value, gradient) in enumerate(columns):
        array = None if gradient is None else array_of(gradient)
        why = UNUSED if leaf.tensor.requires_grad else "not differentiated"
        shape, dtype = tuple(value.shape), dtype_of(value)
        why = why if array is None else ""
        given = i, leaf.path, shape, dtype, array_of(value), array, why
        arguments.append(Argument(*given, aliases=leaf.aliases))
    return tuple(arguments)


def steps_of(run: Run, scopes: Mapping[int, str], summary: bool) -> tuple[Step, ...]:
    """The steps in the order of execution."""
    names = [_names_of(record) for record in run.records]
    return tuple(
        _step(i, record, names, run, scopes, summary)
        for i, record in enumerate(run.records)
    )


def _step(
    index: int,
    record: Record,
    names: Sequence[tuple[str, ...]],
    run: Run,
    scopes: Mapping[int, str],
    summary: bool,
) -> Step:
    several = len(record.results) > 1
    own = names[index]

    def whole(column: Sequence[Any]) -> Any:
        return tuple(column) if several else column[0]

    return Step(
        index=index,
        name=_joint_name(record, own),
        operation=record.operation,
        inputs=tuple(_operand(origin, names, run) for origin in record.inputs),
        shape=whole([result.shape for result in record.results]),
        dtype=whole([result.dtype for result in record.results]),
        value=whole([_value(result) for result in record.results]),
        gradient=whole([_gradient(r, summary) for r in record.results]),
        source=record.site.source,
        scope=_scope(record.site.module, scopes),
        outputs=own if several else (),
        aliases=() if several else tuple(record.names.get(0, ())[:-1]),
        why=_why(record),
    )


def _value(result: Result) -> Any:
    if isinstance(result.value, Summary):
        return result.value
    return array_of(result.value)


def _gradient(result: Result, summary: bool) -> Any:
    """The gradient; zeros where the result does not depend on an active value."""
    if not result.active:
        return None
    if result.gradient is None:
        array = np.zeros(result.shape, result.dtype)
    elif isinstance(result.gradient, Summary):
        return result.gradient
    else:
        array = array_of(result.gradient)
    return summarize(array) if summary else array


def _why(record: Record) -> str:
    """Why a step has no gradient; empty if one of its results has one."""
    if any(result.active for result in record.results):
        return ""
    dtype = record.results[0].dtype
    if dtype.kind in "iub":
        return f"{dtype}: no gradient"
    return "cuts the gradient" if record.cuts else "not differentiated"


def _scope(module: Any, scopes: Mapping[int, str]) -> str:
    if module is None:
        return ""
    return scopes.get(id(module), type(module).__name__)


def _names_of(record: Record) -> tuple[str, ...]:
    """For each result the outermost variable that holds it, else the operation."""
    count, operation = len(record.results), record.operation
    plain = [f"{operation}[{i}]" if count > 1 else operation for i in range(count)]
    return tuple(record.names.get(i, [name])[-1] for i, name in enumerate(plain))


def _joint_name(record: Record, names: tuple[str, ...]) -> str:
    """`q, k` for unpacked results, `parts` for `parts[0]`, `parts[1]`."""
    if len(names) == 1 or not record.names:
        return names[0] if len(names) == 1 else record.operation
    roots = {name.rpartition("[")[0] for name in names}
    return roots.pop() if len(roots) == 1 and "" not in roots else ", ".join(names)


def _operand(origin: Any, names: Sequence[tuple[str, ...]], run: Run) -> Operand:
    if origin.kind == "step":
        label = names[origin.number][origin.position]
        return Operand("step", label, origin.number)
    number = origin.number if origin.kind == "argument" else None
    return Operand(origin.kind, origin.label, number)


Keep = Callable[[Any], Any]


def copied(tensor: Any) -> Any:
    """A copy of a value: the program may change it later."""
    return tensor.detach().clone()


def summarized(tensor: Any) -> Summary:
    """The summary of a value."""
    return summarize(array_of(tensor))
