"""Which variable of the user's source holds each result.

As for JAX: an assignment's right side is a region of the source, and the calls made
from inside it, in one pass of its function, together compute what is assigned.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.program.names import Assignment, assignment_of
from jaxgrad.inspection.torch_run.records import Record
from jaxgrad.inspection.torch_run.unpacking import Unpacked

Readers = Mapping[tuple[int, int], set[int]]


def name_results(records: Sequence[Record], result: Origin, unpacked: Unpacked) -> None:
    """Give the results the names of the variables that hold them, inner ones first."""
    readers = _readers(records, result)
    for assignment, _, numbers in sorted(_regions(records), key=lambda r: -r[1]):
        if assignment.unpacks:
            known = unpacked.get((numbers[-1], id(assignment.node)), {})
            named = _unpacked(assignment, numbers, records, known)
        else:
            named = _named(assignment, numbers, records, readers)
        for number, position, name in named:
            records[number].names.setdefault(position, []).append(name)


def _named(
    assignment: Assignment,
    numbers: Sequence[int],
    records: Sequence[Record],
    readers: Readers,
) -> Iterator[tuple[int, int, str]]:
    """The result, or the results, that one variable takes."""
    results = [(numbers[-1], i) for i in range(len(records[numbers[-1]].results))]
    live = _live(numbers, records, readers) or results
    node, name = assignment.node, "".join(assignment.names[:1])
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        name = ast.unparse(node.value)  # the whole tensor that `h[0] = ...` changes
    if name and len(live) == 1:
        yield (*live[0], name)
    elif name and set(live) <= set(results):
        yield from ((n, i, f"{name}[{i}]") for n, i in live)


def _unpacked(
    assignment: Assignment,
    numbers: Sequence[int],
    records: Sequence[Record],
    known: Mapping[str, Origin],
) -> Iterator[tuple[int, int, str]]:
    """The results that several variables take."""
    steps = {name: origin for name, origin in known.items() if origin.kind == "step"}
    if steps:
        yield from ((o.number, o.position, name) for name, o in steps.items())
    elif len(records[numbers[-1]].results) == len(assignment.names):
        pairs = enumerate(assignment.names)
        yield from ((numbers[-1], i, name) for i, name in pairs)


def _live(
    numbers: Sequence[int], records: Sequence[Record], readers: Readers
) -> list[tuple[int, int]]:
    """What the records of a region compute for others."""
    inside = set(numbers)
    made = [(n, i) for n in numbers for i in range(len(records[n].results))]
    return [place for place in made if readers.get(place, set()) - inside]


def _readers(records: Sequence[Record], result: Origin) -> Readers:
    """The records that read each result; -1 is the caller."""
    readers: dict[tuple[int, int], set[int]] = defaultdict(set)
    for number, record in enumerate(records):
        for origin in record.inputs:
            if origin.kind == "step":
                readers[origin.number, origin.position].add(number)
    if result.kind == "step":
        readers[result.number, result.position].add(-1)
    return readers


def _regions(records: Sequence[Record]) -> list[tuple[Assignment, int, list[int]]]:
    """Each assignment that was run, the depth of its frame, and its records."""
    regions: dict[tuple[int, int], tuple[Assignment, int, list[int]]] = {}
    for number, record in enumerate(records):
        frames, users = record.site.frames, record.site.users
        for depth, (frame, user) in enumerate(zip(frames, users, strict=True)):
            assignment = assignment_of(frame) if user else None
            if assignment is not None:
                key = record.turns[depth], id(assignment.node)
                regions.setdefault(key, (assignment, depth, []))[2].append(number)
    return list(regions.values())
