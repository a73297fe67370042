"""Which variable of the user's source holds each result of a block.

An assignment's right side is a region of the source; the items that were called
from inside it, in one pass of its function, together compute what is assigned.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.frames import takes_gradient
from jaxgrad.inspection.program.names import Assignment, assignment_of, words_of


def variables_of(block: Block) -> Iterable[tuple[Any, str]]:
    """Each (jaxpr variable, name in the source), inner assignments first."""
    regions: dict[tuple[int, int], tuple[Assignment, int, list[Item]]] = {}
    for item in block.items:
        for depth, assignment in _assignments(item):
            key = (item.site.passes[depth], id(assignment.node))
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
    home = items[0].site.frames[depth].code
    claims: dict[str, list[Any]] = {}
    for variable in live:
        said: set[str] = set()
        for reader in readers.get(variable, set()) - set(items):
            frames = reader.site.frames if reader else ()
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
    site = item.site
    if site.anchor is None:
        return
    frames = site.frames[: site.anchor + 1]
    if site.backward:
        # The backward pass of a gradient taken inside belongs to the line that takes
        # it, not to the lines that it runs backward through.
        takes = [i for i, frame in enumerate(frames) if takes_gradient(frame)]
        frames = frames[: max(takes, default=0)]
    for depth, frame in enumerate(frames):
        if site.counts[depth] and (assignment := assignment_of(frame)):
            yield depth, assignment


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
    return reader is None or not reader.site.backward


def _readers(block: Block) -> dict[Any, set[Item | None]]:
    """The items that read each variable; None stands for the block's result."""
    readers: dict[Any, set[Item | None]] = {}
    for item in block.items:
        for atom in item.operands:
            if not jaxprs.is_literal(atom):
                readers.setdefault(atom, set()).add(item)
    for atom in block.outputs:
        if not jaxprs.is_literal(atom):
            readers.setdefault(atom, set()).add(None)
    return readers
