"""From a recorded run to the steps and arguments of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.report.data import Argument, Operand, Step
from jaxgrad.inspection.report.summary import Summary, summarize
from jaxgrad.inspection.torch_run.arrays import array_of, dtype_of
from jaxgrad.inspection.torch_run.records import Record, Result
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


def steps_of(run: Run, scopes: Mapping[int, str]) -> tuple[Step, ...]:
    """The steps in the order of execution."""
    names = [_names_of(record) for record in run.records]
    return tuple(
        _step(i, record, names, scopes) for i, record in enumerate(run.records)
    )


def _step(
    index: int,
    record: Record,
    names: Sequence[tuple[str, ...]],
    scopes: Mapping[int, str],
) -> Step:
    several = len(record.results) > 1
    own = names[index]

    def whole(column: Sequence[Any]) -> Any:
        return tuple(column) if several else column[0]

    return Step(
        index=index,
        name=_joint_name(record, own),
        operation=record.operation,
        inputs=tuple(_operand(origin, names) for origin in record.inputs),
        shape=whole([result.shape for result in record.results]),
        dtype=whole([result.dtype for result in record.results]),
        value=whole([_value(result) for result in record.results]),
        gradient=whole([_gradient(result) for result in record.results]),
        source=record.site.source,
        scope=_scope(record.site.module, scopes),
        outputs=own if several else (),
        aliases=() if several else _aliases(record),
        why=_why(record),
    )


def _value(result: Result) -> Any:
    summary = isinstance(result.value, Summary)
    return result.value if summary else array_of(result.value)


def _gradient(result: Result) -> Any:
    """The gradient; zeros where the program's value does not depend on the result."""
    if not result.follows or result.gradient is not None:
        return result.gradient
    zeros = np.zeros(result.shape, result.dtype)
    return summarize(zeros) if isinstance(result.value, Summary) else zeros


def _why(record: Record) -> str:
    """Why a step has no gradient; empty if one of its results has one."""
    if any(result.follows for result in record.results):
        return ""
    if any(result.active for result in record.results):
        return "changed in place later"
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


def _aliases(record: Record) -> tuple[str, ...]:
    """The inner variables that hold the one result under another name."""
    *inner, name = record.names.get(0, [""])
    return tuple(dict.fromkeys(each for each in inner if each != name))


def _joint_name(record: Record, names: tuple[str, ...]) -> str:
    """`q, k` for unpacked results, `parts` for `parts[0]`, `parts[1]`."""
    if len(names) == 1 or not record.names:
        return names[0] if len(names) == 1 else record.operation
    roots = {name.rpartition("[")[0] for name in names}
    return roots.pop() if len(roots) == 1 and "" not in roots else ", ".join(names)


def _operand(origin: Origin, names: Sequence[tuple[str, ...]]) -> Operand:
    if origin.kind == "step":
        label = names[origin.number][origin.position]
        return Operand("step", label, origin.number)
    number = origin.number if origin.kind == "argument" else None
    return Operand(origin.kind, origin.label, number)
