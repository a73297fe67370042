"""Which variable of the user's source holds each result of a block.

An assignment's right side is a region of the source; the items that were called
from inside it, in one pass of its function, together compute what is assigned.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, Item
from jaxgrad.inspection.program.frames import takes_gradient
from jaxgrad.inspection.program.names import Assignment, assignment_of, words_of


def variables_of(block: Block) -> Iterable[tuple[Any, str]]:
    """Each (jaxpr variable, name in the source), inner assignments first."""
    # By pass and assignment: the assignment, the depth of its frame, and its items.
    regions: dict[tuple[int, int], tuple[Assignment, int, list[Item]]] = {}
    for item in block.items:
        for depth, assignment in _assignments(item):
            key = (item.site.passes[depth], id(assignment.node))
            regions.setdefault(key, (assignment, depth, []))[2].append(item)
    consumers = _consumers(block)
    for assignment, depth, items in sorted(regions.values(), key=lambda r: -r[1]):
        live = _live(items, consumers)
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
            yield from _named_by_consumers(live, names, items, depth, consumers)


def _named_by_consumers(
    live: Sequence[Any],
    names: Sequence[str],
    items: list[Item],
    depth: int,
    consumers: Mapping[Any, set[Item | None]],
) -> Iterable[tuple[Any, str]]:
    """After `logits, state = model(x)` what `loss(logits, y)` reads is the logits."""
    home = items[0].site.frames[depth].code
    candidates: dict[str, list[Any]] = defaultdict(list)
    for variable in live:
        mentioned: set[str] = set()
        for consumer in consumers[variable] - set(items):
            frames = consumer.site.frames if consumer else ()
            if len(frames) > depth and frames[depth].code is home:
                words = words_of(frames[depth]) & set(names)
                mentioned |= words if len(words) == 1 else set()
        if len(mentioned) == 1:
            candidates[mentioned.pop()].append(variable)
    for name, variables in candidates.items():
        if len(variables) == 1:
            yield variables[0], name


def _assignments(item: Item) -> Iterable[tuple[int, Assignment]]:
    """The assignments that an item helps to compute, and the depth of their frames."""
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


def _live(items: list[Item], consumers: Mapping[Any, set[Item | None]]) -> list[Any]:
    """What the items compute for others; if nothing, their last result."""
    made = [v for item in items for v in item.writes]
    outside = {v: consumers[v] - set(items) for v in made}
    live = [v for v in made if outside[v]]
    # The gradient of a call also keeps results that only its backward pass reads.
    forward = [
        v for v in live if any(c is None or not c.site.backward for c in outside[v])
    ]
    return forward or live or list(items[-1].writes)


def _consumers(block: Block) -> dict[Any, set[Item | None]]:
    """The items that read each variable; None is the block's result."""
    consumers: dict[Any, set[Item | None]] = defaultdict(set)
    for item in block.items:
        for variable in jaxprs.variables(item.operands):
            consumers[variable].add(item)
    for variable in jaxprs.variables(block.outputs):
        consumers[variable].add(None)
    return consumers
