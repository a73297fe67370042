"""The place of each array of torch in a tree, by its name.

Names match if their words do, whatever is between them: `layer1.0.conv1` is
`layer1_0/conv1`. The containers that Flax puts in between, `layers` and `cell`, may be
missing in torch's name. What matches nothing, or two things, is an error that lists it.
"""

import re
from collections.abc import Mapping, Sequence

from jaxgrad._checks import wrong_value
from jaxgrad.torch_state._arrays import Arrays, memory
from jaxgrad.torch_state._fitting import (
    COUNTERPARTS,
    Rules,
    Target,
    check_rules,
    fitted,
)
from jaxgrad.torch_state._layout import Entry, Layout, Path, Source
from jaxgrad.torch_state._parts import Part, Shapes, parts

Names = Mapping[str, str | None]
Found = dict[Path, list[tuple[Source, Part]]]

NOT_IN_FLAX = {"num_batches_tracked"}
CONTAINERS = {"layers", "cell"}


def match(
    function: str,
    arrays: Arrays,
    targets: Sequence[Target],
    names: Names,
    rules: Rules,
) -> Layout:
    """The layout of a state dict in a tree; ValueError unless each fits the other."""
    check_rules(function, rules, arrays, targets)
    index = _Index(function, targets, names)
    shapes = {name: array.shape for name, array in arrays.items()}
    places = {
        name: index.places(name, shapes)
        for name in arrays
        if not index.is_left_out(name)
    }
    index.check_used()
    found: Found = {}
    for name, chosen in places.items():
        for part, target in chosen:
            rule = fitted(function, part, name, arrays[name], target, rules)
            found.setdefault(target.path, []).append((Source(name, rule), part))
    without = [name for name, chosen in places.items() if not chosen]
    without = _with_ties(arrays, without, found)
    _check_complete(function, shapes, without, targets, found)
    entries = {t.path: _entry(function, t, found[t.path]) for t in targets}
    return Layout(entries, shapes)


class _Index:
    """The arrays of a tree by the words of their names."""

    def __init__(self, function: str, targets: Sequence[Target], names: Names):
        self.function, self.names, self.used = function, names, set()
        self.strict: dict[Path, list[Target]] = {}
        self.loose: dict[Path, list[Target]] = {}
        for target in targets:
            words = _words(target.path)
            self.strict.setdefault(words, []).append(target)
            self.loose.setdefault(_without_containers(words), []).append(target)

    def places(self, name: str, shapes: Shapes) -> list[tuple[Part, Target]]:
        """The parts of torch's array with their targets; empty if there are none."""
        ways = []
        for way in parts(name, shapes):
            found = [self._targets(part.name) for part in way]
            if all(found):
                ways.append(list(zip(way, found, strict=True)))
        if len(ways) > 1 or any(len(found) > 1 for way in ways for _, found in way):
            options = [str(t) for way in ways for _, found in way for t in found]
            what, hint = f"one place for {name!r}", "choose one with names={...}"
            raise wrong_value(self.function, what, " and ".join(options), hint)
        return [(part, target) for way in ways for part, (target,) in way]

    def is_left_out(self, name: str) -> bool:
        return self._renamed(name) is None

    def check_used(self) -> None:
        unused = sorted(set(self.names) - self.used)
        if unused:
            what = "names with keys from the state dict"
            raise wrong_value(self.function, what, ", ".join(map(repr, unused)))

    def _targets(self, name: str) -> list[Target]:
        """The targets that a name of torch can mean."""
        renamed = self._renamed(name)
        if renamed is None:
            return []
        *module, leaf = renamed
        options = (leaf, *COUNTERPARTS.get(leaf, ()))
        wanted = [_words((*module, option)) for option in options]
        found = [target for words in wanted for target in self.strict.get(words, ())]
        return found or [
            target
            for words in map(_without_containers, wanted)
            for target in self.loose.get(words, ())
        ]

    def _renamed(self, name: str) -> list[str] | None:
        """The parts of a name, its longest beginning in `names` replaced."""
        words = name.split(".")
        for length in range(len(words), 0, -1):
            beginning = ".".join(words[:length])
            if beginning in self.names:
                self.used.add(beginning)
                new = self.names[beginning]
                return (
                    None if new is None else [*re.split("[./]", new), *words[length:]]
                )
        return words


def _words(path: Sequence[str]) -> Path:
    """What has to be equal in two names."""
    return tuple(word for word in re.split("[./_]", "/".join(path).lower()) if word)


def _without_containers(words: Path) -> Path:
    return tuple(word for word in words if word not in CONTAINERS)


def _with_ties(arrays: Arrays, without: list[str], found: Found) -> list[str]:
    """Give names without a place that of another view of the same elements."""
    homes = {
        memory(arrays[source.name]): (path, source, part)
        for path, sources in found.items()
        for source, part in sources
        if part.blocks == 1
    }
    homes.pop(None, None)
    for name in without:
        if home := homes.get(memory(arrays[name])):
            path, source, part = home
            found[path].append((Source(name, source.pick), part))
    return [name for name in without if memory(arrays[name]) not in homes]


def _check_complete(
    function: str,
    shapes: Shapes,
    without: list[str],
    targets: Sequence[Target],
    found: Found,
) -> None:
    theirs = [
        f"{name!r} of shape {shapes[name]}"
        for name in without
        if name.rpartition(".")[2] not in NOT_IN_FLAX
    ]
    ours = [str(target) for target in targets if target.path not in found]
    if theirs or ours:
        what = "a place in the tree for each array of torch, and the other way round"
        got = f"no place for {_listed(theirs)} and no array for {_listed(ours)}"
        hint = "names={...} says what belongs together, and None leaves an array out"
        hint = _hint_of_beginning(shapes, targets) or hint
        raise wrong_value(function, what, got, hint)


def _hint_of_beginning(shapes: Shapes, targets: Sequence[Target]) -> str:
    """How to leave out a word before all of torch's names, as DataParallel adds one."""
    first = {name.partition(".")[0] for name in shapes}
    second = {_words((name.partition(".")[2],))[:1] for name in shapes}
    ours = {_words(target.path)[:1] for target in targets}
    if len(first) != 1 or ours & {_words((*first,))[:1]} or not ours & second:
        return ""
    (word,) = first
    return (
        f"all names of torch begin with {word!r}: names={{{word!r}: ''}} leaves it out"
    )


def _listed(items: list[str]) -> str:
    shown = ", ".join(items[:8]) or "none"
    return f"{shown} and {len(items) - 8} more" if len(items) > 8 else shown


def _entry(function: str, target: Target, sources: list[tuple[Source, Part]]) -> Entry:
    terms = [part.is_term for _, part in sources]
    if any(terms) and (len(terms) != 2 or not all(terms)):
        names = ", ".join(repr(source.name) for source, _ in sources)
        raise wrong_value(function, f"two biases for {target}", names)
    return Entry(tuple(source for source, _ in sources), any(terms))
