"""Through which values a derivative passes: they depend on the arguments, smoothly.

Only these have a cotangent. Perturbing another one could be an error, as in the
operands of `while`, which no reverse derivative passes.
"""

from collections.abc import Sequence
from typing import Any

from jaxgrad.inspection._graph import Block
from jaxgrad.inspection._jaxprs import (
    ENTERED,
    FLAT,
    OPAQUE,
    bodies_of,
    is_floating,
    is_literal,
    open_jaxpr,
    scan_parts,
)


def mark_active(block: Block, active: Sequence[bool]) -> list[bool]:
    """Note which values a derivative passes through; those of the outputs.

    Args:
        block: The block; its items' `active` is filled in.
        active: Whether each input of the block depends on the arguments.
    """
    known = dict(zip(block.inputs, active, strict=True))
    for item in block.items:
        flags = [_known(known, atom) for atom in item.operands]
        if item.kind == "call":
            results = _flow(item.equations, item.reads, item.writes, flags)
        else:
            results = _through(item.equation, flags, item.bodies, mark_active)
            results = item.written(results)
        item.active = tuple(results)
        item.cuts = any(flags) and not any(results)
        known.update(zip(item.writes, results, strict=True))
    return [_known(known, atom) for atom in block.outputs]


def _flow(equations, reads, writes, flags: Sequence[bool]) -> list[bool]:
    known = dict(zip(reads, flags, strict=True))
    for equation in equations:
        inside = [_known(known, atom) for atom in equation.invars]
        name = equation.primitive.name
        if name in OPAQUE or name in FLAT or not any(inside):
            results = [False] * len(equation.outvars)
        elif name in ENTERED:
            results = _through(equation, inside, bodies_of(equation), _jaxpr_flow)
        else:
            results = [is_floating(v.aval) for v in equation.outvars]
        known.update(zip(equation.outvars, results, strict=True))
    return [known[v] for v in writes]


def _jaxpr_flow(closed: Any, flags: Sequence[bool]) -> list[bool]:
    jaxpr = open_jaxpr(closed)
    constant = [False] * len(jaxpr.constvars)
    inputs = [*jaxpr.constvars, *jaxpr.invars]
    outputs = [v for v in jaxpr.outvars if not is_literal(v)]
    results = iter(_flow(jaxpr.eqns, inputs, outputs, [*constant, *flags]))
    return [not is_literal(v) and next(results) for v in jaxpr.outvars]


def _through(equation, flags, bodies, flow) -> list[bool]:
    """The activity of the results of an entered equation."""
    kind = ENTERED[equation.primitive.name]
    if kind == "cond":
        branches = [flow(body, flags[1:]) for body in bodies]
        results = [any(column) for column in zip(*branches, strict=True)]
    elif kind == "scan":
        constants, carries, _ = scan_parts(equation)
        while True:
            results = flow(bodies[0], flags)
            inner = slice(constants, constants + carries)
            grown = [a or b for a, b in zip(flags[inner], results, strict=False)]
            if grown == list(flags[inner]):
                break
            flags = [*flags[:constants], *grown, *flags[constants + carries :]]
    else:
        results = flow(bodies[0], flags)
    return [
        a and is_floating(v.aval)
        for a, v in zip(results, equation.outvars, strict=True)
    ]


def _known(known: dict[Any, bool], atom: Any) -> bool:
    return not is_literal(atom) and known.get(atom, False)
