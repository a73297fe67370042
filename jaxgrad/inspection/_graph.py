"""From a jaxpr to the calls that the user wrote.

A jaxpr is JAX's list of primitive equations. Consecutive equations that one call of
the user produced become one `Item`; the user's own functions behind `jit`, `scan`,
`cond` and `checkpoint` are entered and become `Block`s inside the item.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxgrad.inspection._frames import (
    Frame,
    Passes,
    frames_of,
    is_library,
    is_machinery,
)
from jaxgrad.inspection._jaxprs import (
    ENTERED,
    Kind,
    bodies_of,
    constants_of,
    is_literal,
    jaxpr_of,
    open_jaxpr,
)

Depth = Literal["user", "library", "primitive"]

TRANSPOSED = "transpose("


@dataclass(frozen=True)
class Place:
    """Where an equation comes from.

    Attributes:
        frames: The Python frames inside the tracing, outermost first.
        passes: A number per frame that tells activations and loop passes apart.
        anchor: Index of the innermost frame that counts as a step, or None.
        user: Index of the innermost frame of the user's, or None.
        counts: For each frame, whether it counts as a step.
        stack: Named scopes and transformations.
    """

    frames: tuple[Frame, ...]
    passes: tuple[int, ...]
    anchor: int | None
    user: int | None
    counts: tuple[bool, ...]
    stack: str

    @property
    def transposed(self) -> bool:
        """Whether it belongs to the backward pass of a gradient taken inside."""
        return TRANSPOSED in self.stack

    @property
    def scope(self) -> str:
        """The named scopes and Flax modules alone: `jvp(MLP)/Dense_0` is in two."""
        scope, before = self.stack, ""
        while scope != before:
            before, scope = scope, re.sub(r"\w+\(([^()]*)\)", r"\1", scope)
        return "/".join(part for part in scope.split("/") if part)

    @property
    def key(self) -> tuple[Any, ...] | None:
        """Equal for equations of the same call."""
        if self.anchor is None:
            return None
        at = self.anchor
        return (self.passes[at], self.frames[at], self.transposed)


@dataclass(eq=False)
class Item:
    """One call of the user: equations that are run together, or an entered body.

    Attributes:
        kind: "call", or how the one equation is entered.
        equations: The primitive equations.
        reads: Variables from outside.
        writes: Variables that are used outside.
        place: Where it comes from.
        visible: Whether it is a step of its own.
        bodies: The blocks of an entered equation.
        slot: Number of the item in the whole graph.
        shown: The positions in `writes` that are the user's; the others are what a
            gradient taken inside keeps for its backward pass.
        active: For each of `writes`, whether a derivative passes through it.
        cuts: Whether a derivative reaches its operands, but none of its results.
        jaxpr: Of a call: its equations as a closed jaxpr, `reads` to `writes`.
    """

    kind: Kind
    equations: tuple[Any, ...]
    reads: tuple[Any, ...]
    writes: tuple[Any, ...]
    place: Place
    visible: bool = True
    bodies: tuple["Block", ...] = ()
    slot: int = -1
    shown: tuple[int, ...] = ()
    active: tuple[bool, ...] = ()
    cuts: bool = False
    jaxpr: Any = None

    @property
    def equation(self) -> Any:
        """The equation that gives the results."""
        return self.equations[-1]

    def written(self, results: Sequence[Any]) -> list[Any]:
        """Of the results of an entered equation those that are used."""
        if self.kind == "call":
            return list(results)
        named = dict(zip(self.equation.outvars, results, strict=True))
        return [named[v] for v in self.writes]

    @property
    def operands(self) -> Sequence[Any]:
        """What it is called with: an entered equation takes literals as well."""
        return self.reads if self.kind == "call" else self.equation.invars


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
    """Builds blocks.

    Attributes:
        depth: How far to enter.
        home: The package that counts as the user's own.
        loops: Whether `while` is entered as well: it can be run, but a step inside
            has no cotangent.
    """

    depth: Depth
    home: str = ""
    loops: bool = False
    _slots: Iterator[int] = field(default_factory=itertools.count)
    _ours: dict[int, bool] = field(default_factory=dict)

    def program(self, closed: Any) -> Block:
        """The block of a whole function; its last inputs are its constants."""
        block = self.block(closed)
        variables = (variable for variable, _ in block.constants)
        return Block((*block.inputs, *variables), (), block.items, block.outputs)

    def block(self, closed: Any) -> Block:
        """The block of a closed jaxpr."""
        jaxpr = open_jaxpr(closed)
        items = self._items(jaxpr)
        _hide_preparations(items)
        _hide_residuals(items, jaxpr.outvars)
        for item in items:
            item.bodies = tuple(
                self.block(body) for body in self._bodies(item.equation, item.kind)
            )
            item.slot = next(self._slots)
        constants = zip(jaxpr.constvars, constants_of(closed), strict=True)
        return Block(tuple(jaxpr.invars), tuple(constants), items, tuple(jaxpr.outvars))

    def knows(self, equation: Any) -> bool:
        """Whether the user wrote something in a body of the equation."""
        return any(map(self._written_by_user, bodies_of(equation)))

    def _items(self, jaxpr: Any) -> list[Item]:
        passes = Passes()
        places = [self._place(equation, passes) for equation in jaxpr.eqns]
        inside = self.depth != "primitive" and any(p.key for p in places)
        items = []
        outside = _readers(jaxpr)
        for equations, place, kind in self._groups(jaxpr.eqns, places):
            reads = _reads(equations)
            writes = _writes(equations, outside)
            visible = bool(writes) and kind not in ("jit", "remat")
            visible = visible and not (inside and place.key is None)
            item = Item(kind, equations, reads, writes, place, visible)
            if kind == "call":
                item.jaxpr = jaxpr_of(equations, reads, writes, jaxpr)
            items.append(item)
        return items

    def _groups(
        self, equations: Sequence[Any], places: Sequence[Place]
    ) -> Iterator[tuple[tuple[Any, ...], Place, Kind]]:
        group: list[Any] = []
        first: Place | None = None
        for equation, place in zip(equations, places, strict=True):
            kind = self._kind(equation)
            alone = kind != "call" or self.depth == "primitive"
            if first is not None and (alone or place.key != first.key):
                yield tuple(group), first, "call"
                group, first = [], None
            if alone:
                yield (equation,), place, kind
            else:
                group.append(equation)
                first = first or place
        if first is not None:
            yield tuple(group), first, "call"

    def _place(self, equation: Any, passes: Passes) -> Place:
        frames = frames_of(equation.source_info.traceback)
        files = [frame.code.co_filename for frame in frames]
        ours = [not is_library(file, self.home) for file in files]
        counts = ours
        if self.depth == "library":
            counts = [
                mine or not (is_machinery(file) or "/jax/_src/numpy/" in file)
                for mine, file in zip(ours, files, strict=True)
            ]
        stack = str(equation.source_info.name_stack)
        trace = equation.source_info.traceback
        return Place(
            frames=frames,
            passes=passes.advance(frames, trace, reverse=TRANSPOSED in stack),
            anchor=_last(counts),
            user=_last(ours),
            counts=tuple(counts),
            stack=stack,
        )

    def _kind(self, equation: Any) -> Kind:
        kind = ENTERED.get(equation.primitive.name, "call")
        if self.loops and equation.primitive.name == "while":
            kind = "while"
        return kind if self._bodies(equation, kind) else "call"

    def _bodies(self, equation: Any, kind: Kind) -> list[Any]:
        """The bodies to enter: those in which the user wrote something."""
        if kind == "call":
            return []
        bodies = bodies_of(equation)
        return bodies if any(map(self._written_by_user, bodies)) else []

    def _written_by_user(self, closed: Any) -> bool:
        jaxpr = open_jaxpr(closed)
        if id(jaxpr) not in self._ours:
            self._ours[id(jaxpr)] = self.depth == "primitive" or any(
                self._place(equation, Passes()).anchor is not None
                or any(map(self._written_by_user, bodies_of(equation)))
                for equation in jaxpr.eqns
            )
        return self._ours[id(jaxpr)]


def _hide_preparations(items: list[Item]) -> None:
    """Let what a library computes ahead of an entered body be no step."""
    for item, after in itertools.pairwise(items):
        if after.kind != "call" and item.kind == "call":
            item.visible = item.visible and item.place.key != after.place.key


def _hide_residuals(items: list[Item], results: Sequence[Any]) -> None:
    """Show of each item what the user's source reads, not only a backward pass."""
    read = {v for v in results if not is_literal(v)}
    for item in items:
        if not item.place.transposed:
            read.update(v for v in item.operands if not is_literal(v))
    for item in items:
        positions = range(len(item.writes))
        shown = tuple(i for i in positions if item.writes[i] in read)
        only = item.place.transposed or not shown
        item.shown = tuple(positions) if only else shown


def _last(flags: Sequence[bool]) -> int | None:
    return max((i for i, flag in enumerate(flags) if flag), default=None)


def _readers(jaxpr: Any) -> dict[Any, int]:
    """How often each variable is read by equations and as a result."""
    counts: dict[Any, int] = {}
    for equation in jaxpr.eqns:
        for atom in equation.invars:
            if not is_literal(atom):
                counts[atom] = counts.get(atom, 0) + 1
    for atom in jaxpr.outvars:
        if not is_literal(atom):
            counts[atom] = counts.get(atom, 0) + 1
    return counts


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
        if is_literal(atom) or atom in seen:
            continue
        seen.add(atom)
        if atom in made:
            pending.extend(reversed(made[atom].invars))
        else:
            order.append(atom)
    return tuple(order)


def _writes(equations: Sequence[Any], readers: dict[Any, int]) -> tuple[Any, ...]:
    """What is read outside; if nothing is, what the last equation gives."""
    inside: dict[Any, int] = {}
    for equation in equations:
        for atom in equation.invars:
            if not is_literal(atom):
                inside[atom] = inside.get(atom, 0) + 1
    made = [v for equation in equations for v in equation.outvars]
    used = tuple(v for v in made if readers.get(v, 0) > inside.get(v, 0))
    return used or tuple(equations[-1].outvars)
