"""Which variable of the user's source holds each result.

As for JAX: an assignment's right side is a region of the source, and the calls made
from inside it, in one pass of its function, together compute what is assigned.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from jaxgrad.inspection.program.frames import Passes
from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.program.names import Assignment, assignment_of
from jaxgrad.inspection.torch_run.recorder import Record

Readers = Mapping[tuple[int, int], set[int]]


def name_results(records: Sequence[Record], result: Origin) -> None:
    """Give the results the names of the variables that hold them, inner ones first."""
    readers = _readers(records, result)
    regions = _regions(records)
    for assignment, _, numbers in sorted(regions, key=lambda region: -region[1]):
        for number, position, name in _named(assignment, numbers, records, readers):
            records[number].names.setdefault(position, []).append(name)


def _named(
    assignment: Assignment,
    numbers: Sequence[int],
    records: Sequence[Record],
    readers: Readers,
) -> Iterator[tuple[int, int, str]]:
    last, names = numbers[-1], assignment.names
    results = [(last, i) for i in range(len(records[last].results))]
    live = _live(numbers, records, readers) or results
    if not names:
        return
    if assignment.unpacks:
        if len(results) == len(names):
            pairs = zip(results, names, strict=True)
            yield from ((*place, name) for place, name in pairs)
    elif len(live) == 1:
        yield (*live[0], names[0])
    elif set(live) <= set(results):
        yield from ((n, i, f"{names[0]}[{i}]") for n, i in live)


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
    passes = Passes()
    for number, record in enumerate(records):
        frames, users = record.site.frames, record.site.users
        turns = passes.advance(frames, record, reverse=False)
        for depth, (frame, user) in enumerate(zip(frames, users, strict=True)):
            assignment = assignment_of(frame) if user else None
            if assignment is not None:
                key = turns[depth], id(assignment.node)
                regions.setdefault(key, (assignment, depth, []))[2].append(number)
    return list(regions.values())
