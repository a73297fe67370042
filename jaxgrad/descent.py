"""Optimizers on surfaces of two variables: their paths, and races between them.

A path is one `lax.scan`, so thousands of steps cost one compilation. A race maps that
scan over starts and learning rates, and runs all optimizers in one compiled program.
It keeps the paths only on request.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float, Int

from jaxgrad._checks import check_floating, check_int, check_shape, wrong_value
from jaxgrad._display import columns_of, fields_html, padded, plain, short_repr, table
from jaxgrad._types import Array, ArrayLike, Scalar

Objective = Callable[[Array], Array]
Factory = Callable[..., optax.GradientTransformation]
Point = tuple[float, float]


@dataclass(frozen=True)
class Surface:
    """A function of two variables to descend, with its minima and bounds."""

    name: str
    function: Objective  # from points, shape (..., 2), to heights, shape (...)
    minimum: tuple[Point, ...]  # every global minimum
    bounds: tuple[Point, Point]  # the lower left and upper right corner of the drawing

    __repr__ = short_repr
    _repr_html_ = fields_html


def sphere(point: Float[Array, "*grid 2"]) -> Float[Array, "*grid"]:
    """$x^2 + y^2$."""
    return jnp.sum(point**2, -1)


def bowl(point: Float[Array, "*grid 2"]) -> Float[Array, "*grid"]:
    """$(x^2 + 100 y^2) / 2$: a hundred times steeper in one direction."""
    x, y = point[..., 0], point[..., 1]
    return (x**2 + 100 * y**2) / 2


def rosenbrock(point: Float[Array, "*grid 2"]) -> Float[Array, "*grid"]:
    """$(1 - x)^2 + 100 (y - x^2)^2$: a bent valley, almost flat along its floor."""
    x, y = point[..., 0], point[..., 1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(point: Float[Array, "*grid 2"]) -> Float[Array, "*grid"]:
    """Beale's function: a plateau with steep corners."""
    x, y = point[..., 0], point[..., 1]
    return (
        (1.5 - x + x * y) ** 2
        + (2.25 - x + x * y**2) ** 2
        + (2.625 - x + x * y**3) ** 2
    )


def himmelblau(point: Float[Array, "*grid 2"]) -> Float[Array, "*grid"]:
    """$(x^2 + y - 11)^2 + (x + y^2 - 7)^2$: four minima of the same depth."""
    x, y = point[..., 0], point[..., 1]
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def rastrigin(point: Float[Array, "*grid 2"]) -> Float[Array, "*grid"]:
    """A bowl full of dents: a local minimum near every integer point."""
    return jnp.sum(point**2 + 10 * (1 - jnp.cos(2 * math.pi * point)), -1)


def saddle(point: Float[Array, "*grid 2"]) -> Float[Array, "*grid"]:
    """$x^2 - y^2 + y^4 / 4$: a saddle at the origin between two minima."""
    x, y = point[..., 0], point[..., 1]
    return x**2 - y**2 + y**4 / 4


_SADDLE_MINIMA = (0.0, math.sqrt(2.0)), (0.0, -math.sqrt(2.0))

SURFACES: Mapping[str, Surface] = {
    surface.name: surface
    for surface in (
        Surface("sphere", sphere, ((0.0, 0.0),), ((-10.0, -10.0), (10.0, 10.0))),
        Surface("bowl", bowl, ((0.0, 0.0),), ((-10.0, -2.0), (10.0, 2.0))),
        Surface("rosenbrock", rosenbrock, ((1.0, 1.0),), ((-2.0, -1.0), (2.0, 3.0))),
        Surface("beale", beale, ((3.0, 0.5),), ((-4.5, -4.5), (4.5, 4.5))),
        Surface(
            "himmelblau",
            himmelblau,
            (
                (3.0, 2.0),
                (-2.8051180869527447, 3.1313125182505730),
                (-3.7793102533777469, -3.2831859912861695),
                (3.5844283403304917, -1.8481265269644035),
            ),
            ((-6.0, -6.0), (6.0, 6.0)),
        ),
        Surface("rastrigin", rastrigin, ((0.0, 0.0),), ((-5.12, -5.12), (5.12, 5.12))),
        Surface("saddle", saddle, _SADDLE_MINIMA, ((-2.5, -2.5), (2.5, 2.5))),
    )
}


class Path(NamedTuple):
    """The steps of an optimizer."""

    points: Float[Array, "steps *shape"]  # the point after each step
    values: Float[Array, "steps"]  # the value before each step, as a loop records it

    __repr__ = short_repr
    _repr_html_ = fields_html


def descend(
    optimizer: optax.GradientTransformation,
    f: Objective,
    start: Float[ArrayLike, "*shape"],
    num_steps: SupportsIndex,
) -> Path:
    """Follow an optimizer down a function.

    Compiled once for each optimizer, function and number of steps.

    Args:
        optimizer: Any Optax transformation.
        f: A function from a point to a scalar.
        start: The first point, any shape, floating.
        num_steps: How many steps to take, >= 0.

    Returns: The path. Its first value is `f(start)`; its last point lies one step after
        its last value.
    Raises: TypeError if `start` is not floating or `num_steps` not an int; ValueError
        if `num_steps` is negative.

    Examples:
        >>> path = descend(optax.sgd(0.25), lambda x: x**2, 8.0, 3)
        >>> path.points.tolist(), path.values.tolist()
        ([4.0, 2.0, 1.0], [64.0, 16.0, 4.0])
    """
    start = check_floating("descend", "start", start)
    num_steps = check_int("descend", "num_steps", num_steps, least=0)
    # Not weakly typed, like the result of a step.
    return _descend(optimizer, f, num_steps, jnp.asarray(start, start.dtype))


@partial(jax.jit, static_argnums=(0, 1, 2))
def _descend(
    optimizer: optax.GradientTransformation, f: Objective, num_steps: int, start: Array
) -> Path:
    def step(carry: tuple[Array, optax.OptState], _: None):
        point, state = carry
        value, point, state = _step(optimizer, f, point, state)
        return (point, state), Path(point, value)

    return jax.lax.scan(step, (start, optimizer.init(start)), length=num_steps)[1]


@dataclass(frozen=True)
class Standing:
    """One row of the table of a race."""

    optimizer: str
    # The rate at which most starts arrive; ties go to the fewest steps, then to the
    # smallest final distance. The next three are for this rate.
    best_lr: float
    arrived: float  # fraction of the starts that arrive
    steps: float  # median number of steps of the arrivals; inf if none
    distance: float  # median final distance from the nearest minimum
    # Fraction of the rates at which fewer than half of the starts arrive: 0 if every
    # rate works, 1 if none does.
    sensitivity: float
    diverged: float  # fraction of all descents that end higher, or at NaN or inf

    __repr__ = short_repr
    _repr_html_ = fields_html


@dataclass(frozen=True, eq=False)
class Race:
    """The result for every optimizer, learning rate and start.

    Prints as a table; the arrays hold every single descent.
    """

    surface: Surface
    optimizers: tuple[str, ...]
    lrs: Float[np.ndarray, "lrs"]
    starts: Float[np.ndarray, "starts 2"]
    num_steps: int
    tolerance: float  # a descent arrives when it stays this close to a minimum
    # Steps after which it stays within the tolerance; -1 if never.
    steps: Int[np.ndarray, "optimizers lrs starts"]
    # From the last point to the nearest minimum.
    distance: Float[np.ndarray, "optimizers lrs starts"]
    # Whether it ended higher than it began, or at NaN or inf.
    diverged: Bool[np.ndarray, "optimizers lrs starts"]
    # The point after each step; None unless `keep_paths`.
    paths: Float[np.ndarray, "optimizers lrs starts steps 2"] | None

    @property
    def standings(self) -> tuple[Standing, ...]:
        """The table, in the order of the optimizers."""
        return tuple(_standing(self, i) for i in range(len(self.optimizers)))

    @property
    def _title(self) -> str:
        return (
            f"{self.surface.name}: {len(self.lrs)} learning rates x {len(self.starts)} "
            f"starts x {self.num_steps} steps, tolerance {self.tolerance:g}"
        )

    def __repr__(self) -> str:
        return f"<Race of {len(self.optimizers)} optimizers on {self._title}>"

    def __str__(self) -> str:
        rows = [(*_COLUMNS,), *map(_cells, self.standings)]
        longest = max(columns_of(name) for name, *_ in rows)
        return "\n".join([self._title, *(_line(row, longest) for row in rows)])

    def _repr_html_(self) -> str:
        return table(self._title, tuple(_COLUMNS), map(_cells, self.standings))


def race(
    optimizers: Mapping[str, Factory],
    surface: Surface,
    starts: Float[ArrayLike, "starts 2"],
    lrs: Float[ArrayLike, "lrs"],
    num_steps: SupportsIndex,
    *,
    tolerance: float = 1e-2,
    keep_paths: bool = False,
) -> Race:
    """Run optimizers from the same starts with the same learning rates.

    All runs are one compiled program: a scan over the steps for each optimizer, mapped
    over the starts and the learning rates. It is compiled again only for other
    factories, shapes or numbers of steps.

    Args:
        optimizers: Names, and functions from a learning rate to an optimizer, such
            as `adam`.
        surface: What to descend.
        starts: The starting points; their dtype is that of the computation.
        lrs: The learning rates.
        num_steps: Steps of every descent, >= 1.
        tolerance: The distance from a minimum within which a descent has arrived.
        keep_paths: Whether to keep every point. Otherwise the memory does not grow
            with the number of steps.

    Returns: The results of all descents.
    Raises: TypeError if `starts` or `lrs` are not floating, or `num_steps` not an int;
        ValueError if a shape is wrong, `optimizers` is empty, or `num_steps` < 1.

    Examples:
        >>> starts, lrs = jnp.array([[3.0, 4.0]]), jnp.array([0.25, 2.0])
        >>> result = race({"sgd": optax.sgd}, SURFACES["sphere"], starts, lrs, 20)
        >>> result.steps.tolist(), result.diverged.tolist()
        ([[[9], [-1]]], [[[False], [True]]])
    """
    if not optimizers:
        raise wrong_value("race", "at least one optimizer", "none")
    starts = check_floating("race", "starts", starts)
    if starts.ndim != 2 or starts.shape[1] != 2:
        raise wrong_value("race", "starts of shape (n, 2)", f"shape {starts.shape}")
    lrs = check_floating("race", "lrs", lrs)
    check_shape("race", "lrs", lrs, (lrs.size,))
    num_steps = check_int("race", "num_steps", num_steps, least=1)
    factories = tuple(optimizers.values())
    summary, paths = _race(
        factories, surface, num_steps, keep_paths, starts, lrs, tolerance
    )
    return Race(
        surface=surface,
        optimizers=tuple(optimizers),
        lrs=np.asarray(lrs),
        starts=np.asarray(starts),
        num_steps=num_steps,
        tolerance=tolerance,
        **jax.tree.map(np.asarray, summary)._asdict(),
        paths=None if paths is None else np.asarray(paths),
    )


class _Summary(NamedTuple):
    steps: Array
    distance: Array
    diverged: Array


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _race(
    factories: tuple[Factory, ...],
    surface: Surface,
    num_steps: int,
    keep_paths: bool,
    starts: Array,
    lrs: Array,
    tolerance: Scalar,
) -> tuple[_Summary, Array | None]:
    """The summaries and paths of all factories, stacked."""

    def run(factory: Factory, lr: Array, start: Array) -> tuple[_Summary, Array | None]:
        return _run(factory(lr), surface, start, num_steps, tolerance, keep_paths)

    results = [
        jax.vmap(jax.vmap(partial(run, factory), (None, 0)), (0, None))(lrs, starts)
        for factory in factories
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)


def _run(
    optimizer: optax.GradientTransformation,
    surface: Surface,
    start: Array,
    num_steps: int,
    tolerance: Scalar,
    keep_paths: bool,
) -> tuple[_Summary, Array | None]:
    """One descent, with the number of its last step outside the tolerance."""

    def step(carry: tuple[Array, optax.OptState, Array, Array], _: None):
        point, state, count, outside = carry
        point, state = _step(optimizer, surface.function, point, state)[1:]
        count = count + 1
        inside = _distance(point, surface) <= tolerance
        outside = jnp.where(inside, outside, count)
        return (point, state, count, outside), point if keep_paths else None

    zero = jnp.zeros([], jnp.int32)
    carry = (start, optimizer.init(start), zero, zero)
    (point, _, _, outside), path = jax.lax.scan(step, carry, length=num_steps)
    higher = surface.function(point) > surface.function(start)
    finite = jnp.isfinite(surface.function(point))
    steps = jnp.where(outside < num_steps, outside + 1, -1)
    return _Summary(steps, _distance(point, surface), higher | ~finite), path


def _step(
    optimizer: optax.GradientTransformation,
    f: Objective,
    point: Array,
    state: optax.OptState,
) -> tuple[Array, Array, optax.OptState]:
    """The value at `point`, the next point and the next state."""
    value, gradient = jax.value_and_grad(f)(point)
    updates, state = optimizer.update(gradient, state, point)
    return value, point + jnp.asarray(updates, point.dtype), state


def _distance(point: Array, surface: Surface) -> Array:
    offsets = point - jnp.asarray(surface.minimum, point.dtype)
    return jnp.min(jnp.sqrt(jnp.sum(offsets * offsets, -1)))


def _standing(race: Race, row: int) -> Standing:
    arrived = np.mean(race.steps[row] >= 0, axis=1)
    medians = [_median(steps[steps >= 0]) for steps in race.steps[row]]
    distance = np.where(np.isnan(race.distance[row]), np.inf, race.distance[row])
    ends = [_median(of_lr) for of_lr in distance]
    best = min(range(len(ends)), key=lambda i: (-arrived[i], medians[i], ends[i]))
    return Standing(
        optimizer=race.optimizers[row],
        best_lr=float(race.lrs[best]),
        arrived=float(arrived[best]),
        steps=medians[best],
        distance=ends[best],
        sensitivity=float(np.mean(arrived < 0.5)),
        diverged=float(np.mean(race.diverged[row])),
    )


def _median(values: np.ndarray) -> float:
    return float(np.median(values.astype(float))) if values.size else math.inf


_COLUMNS = {"optimizer": 12, "best lr": 10, "arrived": 9, "steps": 8}
_COLUMNS |= {"distance": 11, "sensitivity": 13, "diverged": 10}


def _cells(row: Standing) -> tuple[str, ...]:
    return (
        *(plain(row.optimizer), f"{row.best_lr:.3g}", f"{row.arrived:.0%}"),
        *(f"{row.steps:.6g}", f"{row.distance:.2e}"),
        *(f"{row.sensitivity:.0%}", f"{row.diverged:.0%}"),
    )


def _line(cells: Iterable[str], longest: int) -> str:
    (name, width), *rest = zip(cells, _COLUMNS.values(), strict=True)
    numbers = "".join(f"{cell:>{w}}" for cell, w in rest)
    return padded(name, max(width, longest)) + numbers
