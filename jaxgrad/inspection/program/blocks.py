"""From a jaxpr to the calls that the user wrote.

A jaxpr is JAX's list of primitive equations. Consecutive equations that one call of
the user produced become one `Item`; the user's own functions behind `jit`, `scan`,
`cond` and `checkpoint` are entered and become `Block`s inside the item.
"""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.frames import (
    Frame,
    Passes,
    frames_of,
    is_library,
    is_machinery,
)

Depth = Literal["user", "library", "primitive"]


@dataclass(frozen=True)
class CallSite:
    """Where an equation comes from."""

    frames: tuple[Frame, ...]  # The Python frames inside the trace, outermost first
    passes: tuple[int, ...]  # Per frame a number for its activation and loop pass
    anchor: int | None  # Index of the innermost frame that counts as a step, or None
    user: int | None  # Index of the innermost frame of the user's, or None
    counts: tuple[bool, ...]  # For each frame, whether it counts as a step
    scope: str  # The named scopes and Flax modules around it: `MLP/Dense_0`
    transforms: tuple[str, ...]  # JAX's transformations that made it, outermost first

    @property
    def derivative(self) -> bool:
        """Whether it belongs to a gradient that the user takes inside."""
        return "jvp" in self.transforms or self.backward

    @property
    def backward(self) -> bool:
        """Whether it belongs to the backward pass of such a gradient."""
        return "transpose" in self.transforms

    @property
    def key(self) -> tuple[Any, ...] | None:
        """Equal for equations of the same call."""
        if self.anchor is None:
            return None
        at = self.anchor
        return (self.passes[at], self.frames[at], self.backward)


@dataclass(eq=False)
class Item:
    """One call of the user: equations that are run together, or an entered body."""

    kind: jaxprs.Kind  # How it is entered; "equations" if it is not
    equations: tuple[Any, ...]
    reads: tuple[Any, ...]  # Variables from outside
    writes: tuple[Any, ...]  # Variables that are used outside
    site: CallSite
    visible: bool = True  # Whether it is a step of its own
    bodies: tuple["Block", ...] = ()  # The blocks of an entered equation
    slot: int = -1  # Number of the item in the whole program
    # The positions in `writes` without those that only a backward pass inside reads
    shown: tuple[int, ...] = ()
    active: tuple[bool, ...] = ()  # Per result, whether a derivative passes through it
    cuts: bool = False  # Whether a derivative reaches its operands but not its results
    jaxpr: Any = None  # Of a call: its equations as a closed jaxpr, `reads` to `writes`

    @property
    def equation(self) -> Any:
        """The equation that gives the results."""
        return self.equations[-1]

    @property
    def lengths(self) -> tuple[int, ...]:
        """How often its body runs: the length of a scan, the number of shards."""
        if self.kind == "scan":
            return (self.equation.params["length"],)
        if self.kind == "shard_map":
            return (math.prod(jaxprs.shard_parameters(self.equation).sizes),)
        return ()

    @property
    def is_primitive(self) -> bool:
        """Whether it is one primitive operation, with nothing to open."""
        return len(self.equations) == 1 and not jaxprs.bodies_of(self.equation)

    @functools.cached_property
    def opened(self) -> "Block":
        """The primitive operations of a call, one item each, loops entered."""
        return Builder("primitive", loops=True).block(self.jaxpr, self.site.transforms)

    @functools.cached_property
    def runs_users(self) -> bool:
        """Whether it runs a function of the user; a library's solver is not opened."""
        name = self.equation.primitive.name
        if name in jaxprs.CUSTOM_RULES or name not in jaxprs.RUNNING:
            return name in jaxprs.CUSTOM_RULES
        return any(item.site.user is not None for item in self.run[0].all_items())

    @functools.cached_property
    def run(self) -> tuple["Block", Sequence[Any]]:
        """The operations of the function that an operation runs, and its operands."""
        body, operands = jaxprs.run_by(self.equation)
        builder = Builder("primitive", loops=True)
        return builder.block(body, self.site.transforms), operands

    def written(self, results: Sequence[Any]) -> list[Any]:
        """Of the results of an entered equation those that are used."""
        if self.kind == "equations":
            return list(results)
        named = dict(zip(self.equation.outvars, results, strict=True))
        return [named[v] for v in self.writes]

    @property
    def operands(self) -> Sequence[Any]:
        """What it is called with: an entered equation takes literals as well."""
        return self.reads if self.kind == "equations" else self.equation.invars


@dataclass(eq=False)
class Block:
    """A straight list of items: the function itself, or the body of an item."""

    inputs: tuple[Any, ...]
    constants: tuple[tuple[Any, Any], ...]
    items: list[Item]
    outputs: tuple[Any, ...]

    def all_items(self) -> Iterator[Item]:
        """Every item, those of the bodies before the item that holds them."""
        for item in self.items:
            for body in item.bodies:
                yield from body.all_items()
            yield item


@dataclass
class Builder:
    """Builds blocks."""

    depth: Depth  # How far to enter
    home: str = ""  # The package that counts as the user's own
    loops: bool = False  # Whether to enter `while`, where no step has a cotangent
    _slots: Iterator[int] = field(default_factory=itertools.count)
    _cached_user: dict[int, bool] = field(default_factory=dict)

    def root_block(self, closed: Any) -> Block:
        """The block of a whole function; its last inputs are its constants."""
        block = self.block(closed)
        variables = (variable for variable, _ in block.constants)
        return Block((*block.inputs, *variables), (), block.items, block.outputs)

    def block(self, closed: Any, outer: tuple[str, ...] = ()) -> Block:
        """The block of a closed jaxpr, under the transformations `outer`."""
        jaxpr = jaxprs.open_jaxpr(closed)
        items = self._items(jaxpr, outer)
        _hide_preparations(items)
        _hide_residuals(items, jaxpr.outvars)
        for item in items:
            if item.kind != "equations":
                item.bodies = tuple(
                    self.block(body, item.site.transforms)
                    for body in jaxprs.bodies_of(item.equation)
                )
            item.slot = next(self._slots)
        constants = zip(jaxpr.constvars, jaxprs.constants_of(closed), strict=True)
        return Block(tuple(jaxpr.invars), tuple(constants), items, tuple(jaxpr.outvars))

    def knows(self, equation: Any) -> bool:
        """Whether the user wrote something in a body of the equation."""
        return any(map(self._written_by_user, jaxprs.bodies_of(equation)))

    def _items(self, jaxpr: Any, outer: tuple[str, ...]) -> list[Item]:
        passes = Passes()
        sites = [self._site(equation, passes, outer) for equation in jaxpr.eqns]
        inside = self.depth != "primitive" and any(site.key for site in sites)
        items = []
        consumers = _count_consumers(jaxpr.eqns, jaxpr.outvars)
        for equations, site, kind in self._groups(jaxpr.eqns, sites):
            reads = _reads(equations)
            writes = _writes(equations, consumers)
            values = any(not jaxprs.is_reference(variable.aval) for variable in writes)
            visible = values and kind not in ("jit", "remat", "shard_map")
            visible = visible and not (inside and site.key is None)
            item = Item(kind, equations, reads, writes, site, visible)
            if kind == "equations":
                item.jaxpr = jaxprs.jaxpr_of(equations, reads, writes, jaxpr)
            items.append(item)
        return items

    def _groups(
        self, equations: Sequence[Any], sites: Sequence[CallSite]
    ) -> Iterator[tuple[tuple[Any, ...], CallSite, jaxprs.Kind]]:
        kinds: list[jaxprs.Kind] = [self._kind(e) for e in equations]

        def same(number: int) -> Any:
            alone = kinds[number] != "equations" or self.depth == "primitive"
            return number if alone else ("one call", sites[number].key)

        for _, numbers in itertools.groupby(range(len(equations)), same):
            first, *others = numbers
            group = tuple(equations[i] for i in (first, *others))
            yield group, sites[first], kinds[first]

    def _site(self, equation: Any, passes: Passes, outer: Any = ()) -> CallSite:
        trace = equation.source_info.traceback
        frames = frames_of(trace)
        files = [frame.code.co_filename for frame in frames]
        users = [not is_library(file, self.home) for file in files]
        counts = users
        if self.depth == "library":
            counts = [
                user or not (is_machinery(file) or "/jax/_src/numpy/" in file)
                for user, file in zip(users, files, strict=True)
            ]
        transforms = (*outer, *jaxprs.transforms_of(equation))
        numbers = passes.advance(frames, trace, reverse="transpose" in transforms)
        steps = _last(counts), _last(users), tuple(counts)
        return CallSite(frames, numbers, *steps, jaxprs.scope_of(equation), transforms)

    def _kind(self, equation: Any) -> jaxprs.Kind:
        """How to enter an equation, if the user wrote something in a body."""
        kind = jaxprs.ENTERED.get(equation.primitive.name, "equations")
        if kind == "while" and not self.loops:
            return "equations"
        return kind if self.knows(equation) else "equations"

    def _written_by_user(self, closed: Any) -> bool:
        jaxpr = jaxprs.open_jaxpr(closed)
        if id(jaxpr) not in self._cached_user:
            self._cached_user[id(jaxpr)] = self.depth == "primitive" or any(
                self._site(each, Passes()).anchor is not None or self.knows(each)
                for each in jaxpr.eqns
            )
        return self._cached_user[id(jaxpr)]


def _hide_preparations(items: list[Item]) -> None:
    """Hide what a library computes just before an entered body: it is not a step."""
    for item, after in itertools.pairwise(items):
        if after.kind != "equations" and item.kind == "equations":
            item.visible = item.visible and item.site.key != after.site.key


def _hide_residuals(items: list[Item], results: Sequence[Any]) -> None:
    """Show of each item what the user's source reads, not only a backward pass."""
    read = set(jaxprs.variables(results))
    for item in items:
        if not item.site.backward:
            read.update(jaxprs.variables(item.operands))
    for item in items:
        references = [jaxprs.is_reference(v.aval) for v in item.writes]
        positions = [i for i, hidden in enumerate(references) if not hidden]
        shown = tuple(i for i in positions if item.writes[i] in read)
        only = item.site.backward or not shown
        item.shown = tuple(positions) if only else shown


def _last(flags: Sequence[bool]) -> int | None:
    return max((i for i, flag in enumerate(flags) if flag), default=None)


def _count_consumers(equations: Sequence[Any], results: Any = ()) -> Counter[Any]:
    """How often each variable is read by equations and as a result."""
    atoms = itertools.chain(results, *(equation.invars for equation in equations))
    return Counter(jaxprs.variables(atoms))


def _reads(equations: Sequence[Any]) -> tuple[Any, ...]:
    """What comes from outside, as the user would name the operands.

    A library may widen the second operand before it takes the first; the operands
    of the last equation have the order of the source.
    """
    made = {v: equation for equation in equations for v in equation.outvars}
    order: list[Any] = []
    pending: list[Any] = [a for e in equations for a in e.invars]
    pending += [v for e in equations for v in reversed(e.outvars)]
    seen = set()
    while pending:
        atom = pending.pop()
        if jaxprs.is_literal(atom) or atom in seen:
            continue
        seen.add(atom)
        if atom in made:
            pending.extend(reversed(made[atom].invars))
        else:
            order.append(atom)
    return tuple(order)


def _writes(equations: Sequence[Any], consumers: Counter[Any]) -> tuple[Any, ...]:
    """What is read outside; if nothing is, what the last equation gives."""
    inside = _count_consumers(equations)
    made = (v for equation in equations for v in equation.outvars)
    used = tuple(v for v in made if consumers[v] > inside[v])
    return used or tuple(equations[-1].outvars)
