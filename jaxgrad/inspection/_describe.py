"""What the items of a graph are called, where they stand and what they read.

No values here: a `Draft` is a step before its value and gradient are known.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxgrad.inspection._frames import helper_name, source_of
from jaxgrad.inspection._graph import Block, Item
from jaxgrad.inspection._jaxprs import helper_in, is_literal, name_in, scan_parts
from jaxgrad.inspection._names import Assignment, assignment_of, operation_of, words_of
from jaxgrad.inspection.report.data import Source


class Origin(NamedTuple):
    """Where an operand comes from, by slot (`step`) or number (`argument`)."""

    kind: Literal["step", "argument", "constant"]
    number: int = -1
    position: int = 0
    label: str = ""
    previous: bool = False


Origins = Mapping[Any, tuple[Origin, ...]]


@dataclass(eq=False)
class Draft:
    """A step without its value and gradient; `names` are by result, inner first."""

    item: Item
    operation: str
    inputs: tuple[Origin, ...]
    source: Source
    loop: tuple[int, ...]
    part: str
    branch: tuple[tuple[int, int], ...]
    names: dict[int, list[str]] = field(default_factory=dict)

    @property
    def avals(self) -> list[Any]:
        """The types of the results."""
        return [self.item.writes[i].aval for i in self.item.shown]

    def name(self, position: int) -> str:
        """The outermost variable that holds a result, else the operation."""
        return self.names.get(position, [self.operation])[-1]


class _Around(NamedTuple):
    """What an item stands in: the line, the loops and the branches (slot, index)."""

    source: Source
    loop: tuple[int, ...] = ()
    part: str = ""
    branch: tuple[tuple[int, int], ...] = ()


def describe(
    block: Block, inputs: Sequence[Origin]
) -> tuple[list[Draft], list[tuple[Origin, ...]]]:
    """The drafts in the order of execution, and the origins of the outputs.

    Args:
        block: The whole function.
        inputs: The origin of each input of the block.
    """
    known = {v: (o,) for v, o in zip(block.inputs, inputs, strict=True)}
    drafts: dict[int, Draft] = {}
    outputs = _walk(block, known, _Around(source_of(None)), drafts)
    return list(drafts.values()), outputs


def _walk(
    block: Block, known: Origins, around: _Around, drafts: dict[int, Draft]
) -> list[tuple[Origin, ...]]:
    origins = dict(known)
    for variable, value in block.constants:
        origins[variable] = (Origin("constant", label=constant_label(value)),)
    for item in block.items:
        read = [_origin(origins, atom) for atom in item.operands]
        here = around
        if item.place.user is not None:
            frames, user = item.place.frames, item.place.user
            here = around._replace(source=source_of(frames[user], frames[user + 1 :]))
        results = item.written(_ENTER[item.kind](item, read, here, drafts))
        if item.visible:
            inputs = read if item.kind == "call" else [*read[:1], *results]
            if item.kind == "scan":
                inputs = results
            drafts[item.slot] = _draft(item, _joined(inputs), here)
            places = {i: at for at, i in enumerate(item.shown)}
            results = [
                (Origin("step", item.slot, places.get(i, 0)),)
                for i in range(len(item.writes))
            ]
        origins.update(zip(item.writes, results, strict=True))
    _name(block, origins, drafts)
    return [_origin(origins, atom) for atom in block.outputs]


def _draft(item: Item, inputs: tuple[Origin, ...], around: _Around) -> Draft:
    operation = name_in(item.equation)
    if item.place.anchor is not None:
        operation = operation_of(item.place.frames[item.place.anchor]) or operation
    if item.place.transposed:
        operation += " (backward)"
    if item.kind == "call" and len(item.equations) > 1:
        # The numbers inside a library's formula are not the user's.
        inputs = tuple(o for o in inputs if o.kind != "constant" or o.number >= 0)
    source = around.source
    if helper := helper_name(helper_in(item.equation)):
        source = replace(source, via=(*source.via, helper))
    return Draft(item, operation, inputs, source, *around[1:])


def _enter_call(item: Item, read, around, drafts):
    return [_joined(read)] * len(item.writes)


def _enter_body(item: Item, read, around, drafts):
    body = item.bodies[0]
    return _walk(body, dict(zip(body.inputs, read, strict=True)), around, drafts)


def _enter_scan(item: Item, read, around, drafts):
    body = item.bodies[0]
    constants, carries, _ = scan_parts(item.equation)
    around = around._replace(
        loop=(*around.loop, item.equation.params["length"]), part="loop"
    )
    # Once to learn what an iteration hands to the next, once more knowing it.
    outputs = _walk(body, dict(zip(body.inputs, read, strict=True)), around, {})
    for i in range(carries):
        handed = tuple(
            o._replace(previous=True) for o in outputs[i] if o.kind == "step"
        )
        read[constants + i] = _joined([read[constants + i], handed])
    return _walk(body, dict(zip(body.inputs, read, strict=True)), around, drafts)


def _enter_cond(item: Item, read, around, drafts):
    columns = []
    for index, body in enumerate(item.bodies):
        inside = around._replace(
            part=f"branch {index + 1} of {len(item.bodies)}",
            branch=(*around.branch, (item.slot, index)),
        )
        known = dict(zip(body.inputs, read[1:], strict=True))
        columns.append(_walk(body, known, inside, drafts))
    return [_joined(column) for column in zip(*columns, strict=True)]


_ENTER = {
    "call": _enter_call,
    "jit": _enter_body,
    "remat": _enter_body,
    "scan": _enter_scan,
    "cond": _enter_cond,
}


def _name(block: Block, origins: Origins, drafts: dict[int, Draft]) -> None:
    """Give the drafts the names of the variables that take their values."""
    for variable, name in _variables(block):
        sources = origins.get(variable, ())
        if len(sources) == 1 and sources[0].kind == "step":
            _, slot, position, *_ = sources[0]
            if slot in drafts:
                drafts[slot].names.setdefault(position, []).append(name)


def _variables(block: Block) -> Iterable[tuple[Any, str]]:
    """Each (jaxpr variable, name in the source), inner assignments first."""
    regions: dict[tuple[int, int], tuple[Assignment, int, list[Item]]] = {}
    for item in block.items:
        for depth, assignment in _assignments(item):
            key = (item.place.passes[depth], id(assignment.node))
            regions.setdefault(key, (assignment, depth, []))[2].append(item)
    readers = _readers(block)
    for assignment, depth, items in sorted(regions.values(), key=lambda r: -r[1]):
        live = _live(items, readers)
        last = items[-1].equation.outvars
        names = assignment.names
        if not assignment.unpacks and len(live) == 1:
            yield live[0], names[0]
        elif not assignment.unpacks and set(live) <= set(items[-1].writes):
            for i, variable in enumerate(live):
                yield variable, f"{names[0]}[{i}]"
        elif assignment.unpacks and len(last) == len(names):
            yield from zip(last, names, strict=True)
        else:
            yield from _as_read(live, names, items, depth, readers)


def _as_read(
    live: Sequence[Any],
    names: Sequence[str],
    items: list[Item],
    depth: int,
    readers: Mapping[Any, set[Item | None]],
) -> Iterable[tuple[Any, str]]:
    """Which of several results has a name, where only one line tells: its reader's.

    After `logits, state = model(x)` what `loss(logits, y)` reads is the logits.
    """
    home = items[0].place.frames[depth].code
    claims: dict[str, list[Any]] = {}
    for variable in live:
        said: set[str] = set()
        for reader in readers.get(variable, set()) - set(items):
            frames = reader.place.frames if reader else ()
            if len(frames) > depth and frames[depth].code is home:
                words = words_of(frames[depth]) & set(names)
                said |= words if len(words) == 1 else set()
        if len(said) == 1:
            claims.setdefault(said.pop(), []).append(variable)
    for name, variables in claims.items():
        if len(variables) == 1:
            yield variables[0], name


def _assignments(item: Item) -> Iterable[tuple[int, Assignment]]:
    """The assignments that the item works for, with the depth of their frames."""
    place = item.place
    if place.anchor is None:
        return
    frames = place.frames[: place.anchor + 1]
    if place.transposed:
        # The backward pass of a gradient taken inside belongs to the line that takes
        # it, not to the lines that it runs backward through.
        takes = [i for i, f in enumerate(frames) if _differentiates(f.code.co_name)]
        frames = frames[: max(takes, default=0)]
    for depth, frame in enumerate(frames):
        if place.counts[depth] and (assignment := assignment_of(frame)):
            yield depth, assignment


def _differentiates(function: str) -> bool:
    return any(word in function for word in ("grad_f", "vjp", "linearize", "jacrev"))


def _live(items: list[Item], readers: Mapping[Any, set[Item | None]]) -> list[Any]:
    """What the items compute for others; if nothing, their last result."""
    inside = set(items)
    made = [v for item in items for v in item.writes]
    live = [v for v in made if readers.get(v, set()) - inside]
    if len(live) > 1:
        # A gradient taken around them also keeps what only its backward pass reads.
        forward = [v for v in live if any(_forward(r) for r in readers[v] - inside)]
        live = forward or live
    return live or list(items[-1].writes)


def _forward(reader: Item | None) -> bool:
    return reader is None or not reader.place.transposed


def _readers(block: Block) -> dict[Any, set[Item | None]]:
    """The items that read each variable; None stands for the block's result."""
    readers: dict[Any, set[Item | None]] = {}
    for item in block.items:
        for atom in item.operands:
            if not is_literal(atom):
                readers.setdefault(atom, set()).add(item)
    for atom in block.outputs:
        if not is_literal(atom):
            readers.setdefault(atom, set()).add(None)
    return readers


def _origin(origins: Origins, atom: Any) -> tuple[Origin, ...]:
    if is_literal(atom):
        return (Origin("constant", label=constant_label(atom.val)),)
    return origins.get(atom, ())


def _joined(columns: Iterable[tuple[Origin, ...]]) -> tuple[Origin, ...]:
    return tuple(dict.fromkeys(itertools.chain.from_iterable(columns)))


def constant_label(value: Any) -> str:
    """A constant in a few characters: `2.0`, or `float32[3,4]`."""
    shape = np.shape(value)
    if shape == () and not hasattr(value, "_impl"):
        number = np.asarray(value).item()
        return f"{number:.6g}" if isinstance(number, float) else str(number)
    dtype = getattr(value, "dtype", type(value).__name__)
    return f"{dtype}[{','.join(map(str, shape))}]"
