"""Reader: runs a program in its own precision and in twice the precision, together.

Both runs take the same decisions: what the program computes as integers, comparisons,
orders and roundings is the same in both, and so are random numbers. Traced, it is the
program to compile; on concrete arrays, with a log, every result knows what made it.
A loop is run compiled, and its passes are opened one by one when they are needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgrad.inspection.faults.inaccurate import wide
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Block, CallSite, Item
from jaxgrad.inspection.program.interpreter import Reader, interpret

# What is rounded at random: nothing, the program's own float64, or everything.
Noise = Literal["", "float64", "all"]
# The carries of a loop that are kept take this much memory.
MOST_BYTES = 2**28
RANDOM = ("random_", "threefry", "rng_")


@dataclass(eq=False)
class Pair:
    """A value in the program's own precision, and in twice the precision."""

    own: Any
    true: Any
    random: bool = False  # Whether it was made from random numbers
    argument: bool = True  # Whether it depends on a floating input
    maker: "Operation | Pass | Loop | None" = None
    position: int = 0  # Among the results of its maker

    @property
    def error(self) -> np.ndarray:
        """The error of each element."""
        own, true = np.asarray(wide.widened(self.own)), np.asarray(self.true)
        with np.errstate(all="ignore"):
            error = np.asarray(own - true)
        same = (own == true) | (np.isnan(own) & np.isnan(true))
        return np.where(same, 0, error)


@dataclass(eq=False)
class Operation:
    """A primitive operation that was run in both precisions."""

    item: Item
    inputs: Sequence[Pair]
    outputs: Sequence[Pair]
    function: wide.Function  # In twice the precision
    number: int  # In the order of execution
    site: CallSite  # Where the user called it
    iteration: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The primitive."""
        return self.item.equation.primitive.name


@dataclass(eq=False)
class Loop:
    """A loop that was run in both precisions."""

    item: Item
    operands: jaxprs.ScanOperands
    kept: Sequence[Any]  # For each carry (own, true) before every n-th pass, stacked
    every: int
    sizes: Sequence[Any]  # For each carry its error and its size before each pass
    advance: Callable[..., list[Any]]  # The carry, from one pass to another
    outputs: Sequence[Pair]
    reader: "_Twin"
    opened: dict[int, list[Pair]] = field(default_factory=dict)

    def before(self, step: int) -> list[Any]:
        """The carry before a pass, (own, true) for each part."""
        last, passes = divmod(step, self.every)
        carry = jax.tree.map(lambda x: x[last], [*self.kept])
        return self.advance(carry, step - passes, step) if passes else carry

    @property
    def order(self) -> range:
        """The passes in the order in which they ran, by their index."""
        passes = range(self.item.equation.params["length"])
        return passes[::-1] if self.item.equation.params["reverse"] else passes

    def open(self, index: int) -> list[Pair]:
        """The results of one pass, run operation by operation."""
        if index not in self.opened:
            constants, _, sliced = self.operands
            step = self.order.index(index)
            before = [
                Pair(own, true, maker=Pass(self, step, i))
                for i, (own, true) in enumerate(self.before(step))
            ]
            rows = [
                Pair(
                    x.own[index],
                    x.true[index],
                    x.random,
                    x.argument,
                    Pass(self, step, i, x, index),
                )
                for i, x in enumerate(sliced)
            ]
            inside = self.reader.within(self.item)
            inside = replace(inside, iteration=self._iteration(index))
            given = [*constants, *before, *rows]
            self.opened[index] = interpret(self.item.bodies[0], given, inside)
        return self.opened[index]

    def _iteration(self, index: int) -> tuple[int, ...]:
        own = () if self.item.site.user is None else (index,)
        return (*self.reader.iteration, *own)


@dataclass(eq=False)
class Pass:
    """Where an input of one pass comes from: the pass before, or a row of an array."""

    loop: Loop
    step: int
    position: int
    whole: Pair | None = None
    index: int = 0


@dataclass(frozen=True)
class _Twin(Reader):
    """Runs a program twice; a value is a `Pair`."""

    noise: Noise = ""  # What is rounded at random in twice the precision
    log: list[Operation] | None = None  # On concrete arrays: the operations
    iteration: tuple[int, ...] = ()
    site: CallSite | None = None  # Of the call around the block

    def within(self, item: Item) -> "_Twin":
        """The reader for a body: of a library's operations the user's call is known."""
        return replace(self, site=self._site_of(item))

    def _site_of(self, item: Item) -> CallSite:
        known = item.site.user is not None
        return item.site if known or self.site is None else self.site

    def literal(self, atom: Any) -> Pair:
        own = wide.literal(atom)
        return Pair(own, wide.widened(own), argument=False)

    def constant(self, value: Any) -> Pair:
        value = jnp.asarray(value)
        return Pair(value, wide.widened(value))

    def equations(self, item: Item, operands: list[Pair]) -> Sequence[Pair]:
        if not item.is_primitive:
            return interpret(item.opened, operands, self.within(item))
        name = item.equation.primitive.name
        if name in jaxprs.PRINTING:
            return []
        if name in jaxprs.RUNNING:
            return self._inside(item, operands)
        own = jaxprs.run_jaxpr(item.jaxpr, [x.own for x in operands])
        own = [_typed(x, v.aval) for x, v in zip(own, item.writes, strict=True)]
        own = [wide.rounded(name, x) for x in own]
        function = wide.wide_function(item.equation, item.reads, item.writes)
        random = name.startswith(RANDOM) or any(x.random for x in operands)
        argument = any(x.argument for x in operands)
        if name.startswith(RANDOM):
            argument = False
        true = self._true(item, operands, own, function, random and not argument)
        outputs = [
            Pair(*both, random, argument) for both in zip(own, true, strict=True)
        ]
        self._keep(item, operands, outputs, function)
        return outputs

    def _true(
        self,
        item: Item,
        operands: Sequence[Pair],
        own: Sequence[Any],
        function: wide.Function,
        fixed: bool,
    ) -> list[Any]:
        """The results in twice the precision; those that are not computed are own."""
        name = item.equation.primitive.name
        same = [wide.widened(x) for x in own]
        floating = any(map(jaxprs.is_floating, own)) or name in wide.COMPARISONS
        if fixed or not floating or name in wide.CHOICES:
            return same
        try:
            if name in wide.ORDERING:
                given = both(self._given(item, item.equation.invars, operands))
                results = wide.in_the_order_of(item.equation, *zip(*given, strict=True))
                return _written(item, results)
            results = function(*(x.true for x in operands))
        except Exception:  # an operation that XLA has in narrow types only
            return same
        if name in wide.COMPARISONS:
            given = [x.own for x in operands]
            return [wide.decided(name, given, own[0], results[0])]
        return [
            self._rounded(item, operands, x, y) if jaxprs.is_floating(x) else x
            for x, y in zip(own, results, strict=True)
        ]

    def _rounded(self, item: Item, operands: Any, own: Any, true: Any) -> Any:
        if not self.noise or (self.noise == "float64" and own.dtype != true.dtype):
            return true
        given = [x.true for x in self._given(item, item.equation.invars, operands)]
        return wide.randomly_rounded(item.equation.primitive.name, given, true)

    def _given(self, item: Item, atoms: Sequence[Any], operands: Any) -> list[Pair]:
        """The operands in the equation's own order, literals among them."""
        known = dict(zip(item.reads, operands, strict=True))
        return [self.literal(a) if jaxprs.is_literal(a) else known[a] for a in atoms]

    def _keep(
        self, item: Item, inputs: Any, outputs: list[Pair], function: wide.Function
    ) -> None:
        if self.log is None:
            return
        place = len(self.log), self._site_of(item), self.iteration
        operation = Operation(item, inputs, outputs, function, *place)
        for i, output in enumerate(outputs):
            output.maker, output.position = operation, i
        self.log.append(operation)

    def _inside(self, item: Item, operands: list[Pair]) -> list[Pair]:
        """A function with a rule of its own, where no derivative is taken."""
        block, atoms = item.run
        given = self._given(item, atoms, operands)
        return _written(item, interpret(block, given, self.within(item)))

    def jit(self, item: Item, operands: list[Pair]) -> Sequence[Pair]:
        return interpret(item.bodies[0], operands, self.within(item))

    remat = jit

    def shard_map(self, item: Item, operands: list[Pair]) -> Sequence[Pair]:
        """It is not entered: both runs have the same results."""
        primitive, params = item.equation.primitive, item.equation.params
        params = primitive.get_bind_params(params)
        functions, params = params if isinstance(params, tuple) else ((), params)
        own = primitive.bind(*functions, *(x.own for x in operands), **params)
        return [Pair(x, wide.widened(x)) for x in own]

    def scan(self, item: Item, operands: jaxprs.ScanOperands) -> Sequence[Pair]:
        constants, carry, sliced = operands
        body, params = item.bodies[0], item.equation.params
        inside = replace(self, log=None)
        flags = [(x.random, x.argument) for x in sliced]

        def once(carry: list[Any], xs: list[Any]) -> Any:
            given = [*constants, *(Pair(*x) for x in carry), *_pairs(xs, flags)]
            results = both(interpret(body, given, inside))
            return results[: len(carry)], results[len(carry) :]

        options = {name: params[name] for name in ("length", "reverse")}
        if self.log is None:
            last, stacked = jax.lax.scan(once, both(carry), both(sliced), **options)
            return [Pair(*x) for x in (*last, *stacked)]
        every = _passes_between(both(carry), params["length"])
        state = 0, both(carry), _room(both(carry), -(-params["length"] // every))

        def kept(state: Any, xs: list[Any]) -> Any:
            step, carry, room = state
            place = jnp.where(step % every == 0, step // every, params["length"])
            room = jax.tree.map(
                lambda r, x: r.at[place].set(x, mode="drop"), room, carry
            )
            after, stacked = once(carry, xs)
            return (step + 1, after, room), (stacked, step, [*map(_error, carry)])

        @jax.jit
        def advance(carry: list[Any], start: Any, stop: Any) -> list[Any]:
            def run(step: Any, carry: list[Any]) -> list[Any]:
                index = params["length"] - 1 - step if params["reverse"] else step
                return once(carry, jax.tree.map(lambda x: x[index], both(sliced)))[0]

            return jax.lax.fori_loop(start, stop, run, carry)

        state, (stacked, steps, sizes) = jax.lax.scan(
            kept, state, both(sliced), **options
        )
        _, last, room = state
        sizes = jax.tree.map(lambda x: np.asarray(x)[np.argsort(steps)], sizes)
        outputs = [Pair(*x) for x in (*last, *stacked)]
        loop = Loop(item, operands, room, every, sizes, advance, outputs, self)
        for i, output in enumerate(outputs):
            output.maker, output.position = loop, i
        return outputs

    def cond(self, item: Item, index: Pair, operands: list[Pair]) -> Sequence[Pair]:
        if not isinstance(index.own, Tracer):
            chosen = int(np.clip(int(index.own), 0, len(item.bodies) - 1))
            return interpret(item.bodies[chosen], operands, self.within(item))
        flags = [(x.random, x.argument) for x in operands]

        def branch(body: Any) -> Callable[..., Any]:
            def taken(values: list[Any]) -> list[Any]:
                return both(interpret(body, _pairs(values, flags), self))

            return taken

        branches = [*map(branch, item.bodies)]
        results = jax.lax.switch(index.own, branches, both(operands))
        return [Pair(*x) for x in results]

    def while_loop(self, item: Item, operands: jaxprs.WhileOperands) -> Sequence[Pair]:
        of_test, of_body, start = operands
        test, body = item.bodies
        inside = replace(self, log=None)

        def running(carry: list[Any]) -> Any:
            given = [*of_test, *(Pair(*x) for x in carry)]
            return interpret(test, given, inside)[0].own

        def once(carry: list[Any]) -> Any:
            given = [*of_body, *(Pair(*x) for x in carry)]
            after, goes_on = both(interpret(body, given, inside)), running(carry)
            # Under vmap each element has its own test, and stays when it is done.
            return jax.tree.map(lambda x, y: _where(goes_on, x, y), after, carry)

        results = jax.lax.while_loop(
            lambda carry: jnp.any(running(carry)), once, both(start)
        )
        return [Pair(*x) for x in results]


def run_twice(
    block: Block,
    inputs: Sequence[Pair],
    noise: Noise,
    log: list[Operation] | None = None,
) -> list[Pair]:
    """The outputs of a block in both precisions, the second one with noise or without.

    With a `log`, on concrete arrays, every pair knows what made it.
    """
    return interpret(block, inputs, _Twin(noise, log))


def _written(item: Item, results: Sequence[Any]) -> list[Any]:
    """Of all results of an equation those that the program keeps."""
    made = dict(zip(item.equation.outvars, results, strict=True))
    return [made[variable] for variable in item.writes]


def _typed(array: Any, aval: Any) -> Any:
    """Without the weak type that a loop's carry would be widened for under x64."""
    if not getattr(array, "weak_type", False):  # concrete arrays of keys have none
        return array
    return jax.lax.convert_element_type(array, aval.dtype)


def _where(test: Any, x: Any, y: Any) -> Any:
    return jnp.where(jnp.expand_dims(test, [*range(test.ndim, x.ndim)]), x, y)


def _passes_between(carry: Any, length: int) -> int:
    """After how many passes of a loop its carry is kept once more."""
    size = sum(x.nbytes for x in jax.tree.leaves(carry))
    return max(1, -(-size * length // MOST_BYTES))


def _room(carry: Any, count: int) -> Any:
    return jax.tree.map(lambda x: jnp.zeros((count, *x.shape), x.dtype), carry)


def _error(pair: Any) -> tuple[Any, Any]:
    """The largest error of a carry's elements, and the size of the largest one."""
    own, true = map(wide.widened, pair)
    if not jaxprs.is_floating(true) or not true.size:
        return jnp.zeros(()), jnp.zeros(())
    return jnp.max(jnp.abs(own - true)), jnp.max(jnp.abs(true))


def both(pairs: Sequence[Pair]) -> list[Any]:
    """Pairs as JAX's trees."""
    return [(x.own, x.true) for x in pairs]


def _pairs(values: Sequence[Any], flags: Sequence[tuple[bool, bool]]) -> list[Pair]:
    """Pairs from JAX's trees, with what is known of them."""
    return [
        Pair(own, true, random, argument)
        for (own, true), (random, argument) in zip(values, flags, strict=True)
    ]
