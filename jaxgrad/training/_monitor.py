"""Is the training healthy: gradients, updates and dead units, by parameter and layer.

The numbers come from the gradients that the step has anyway, so `fit(watch=10)` adds
only a few sums over them at every tenth step. `monitor` measures the same in a loop of
your own.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from jaxgrad._checks import check_callable, wrong_value
from jaxgrad._display import brief, described, fields_html, short_repr, table
from jaxgrad._numerics import promoted
from jaxgrad._types import Array, PyTree


class Metrics(NamedTuple):
    """The health of one parameter, or of all parameters of a layer.

    Each is a number, or one for each watched step, shape `(watched,)`. An array with
    fewer than two axes counts as one row. The last two axes of any other are rows and
    columns: with kernels `(inputs, outputs)`, a column belongs to a unit.
    """

    gradient_norm: Array  # Euclidean
    update_ratio: Array  # norm of the update / norm of the weights; about 1e-3 is usual
    dead: Array  # share of the gradient's elements that are exactly 0
    dead_rows: Array  # share of its rows that are 0 as a whole
    dead_columns: Array  # share of its columns that are 0 as a whole

    __repr__ = short_repr
    _repr_html_ = fields_html


class Watched(NamedTuple):
    """What a step, or every watched step, measured."""

    parameters: dict[str, Metrics]  # by path: params['fc1']['kernel']
    layers: dict[str, Metrics]  # by the path that the parameters share: params['fc1']
    steps: Any = ()  # (watched,), int: completed steps before each; () for one step

    def __repr__(self) -> str:
        count = len(self.parameters)
        return f"<Watched: {count} parameters, steps {brief(self.steps)}>"

    def _repr_html_(self) -> str:
        groups = (*self.parameters.items(), *self.layers.items())
        rows = [(path, *map(described, metrics)) for path, metrics in groups]
        title = f"parameters, then layers; steps {brief(self.steps)}"
        return table(title, ("", *Metrics._fields), rows)


class _Counts(NamedTuple):
    """How many elements, rows and columns of a gradient are zero, and there are."""

    zeros: Array  # (3,), int32
    sizes: np.ndarray  # (3,)


def monitor(
    loss: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    *,
    has_aux: bool = False,
) -> Callable[..., Watched]:
    """The health of the step that would follow, for a training loop of your own.

        watch = monitor(loss, optimizer)
        if step % 100 == 0:
            watched = watch(params, opt_state, images, labels)
            print(watched.layers["params['fc1']"].gradient_norm)

    Args:
        loss: `(params, *batch) -> loss`, a scalar.
        optimizer: Any `optax.GradientTransformation`.
        has_aux: Whether `loss` returns a pair of the scalar and further results.

    Returns:
        A pure function `(params, opt_state, *batch) -> Watched`. It changes nothing,
        and is compiled once for each shape of its arguments. It takes the gradient
        itself, as long as a step; `gradient_metrics` measures gradients that you have.

    Raises:
        TypeError: If `loss` is not callable; on the call, as in `jax.grad`.
    """
    check_callable("monitor", "loss", loss)

    @jax.jit
    def watch(params: PyTree, opt_state: Any, *batch: Any, **options: Any) -> Watched:
        taken = jax.grad(loss, has_aux=has_aux)(params, *batch, **options)
        gradients = taken[0] if has_aux else taken
        updates, _ = optimizer.update(gradients, opt_state, params)
        return gradient_metrics(params, gradients, updates)

    return watch


def gradient_metrics(params: PyTree, gradients: PyTree, updates: PyTree) -> Watched:
    """The health of a step from its gradients and updates; works under `jit`.

    Norms neither overflow nor underflow while they are in the range of their dtype.

    Args:
        params: The parameters before the step.
        gradients: Their gradients, with the same structure.
        updates: What the optimizer adds to the parameters.

    Returns:
        A number for each metric. A layer is all parameters whose paths differ in the
        last key only. The update ratio of weights that are all 0 is infinite, or 0 if
        the update is 0 too.

    Raises:
        ValueError: If the three differ in structure.

    Examples:
        >>> params = {"fc": {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)}}
        >>> kernel, bias = jnp.array([[3.0, 0.0], [4.0, 0.0]]), jnp.zeros(2)
        >>> gradients = {"fc": {"kernel": kernel, "bias": bias}}
        >>> watched = gradient_metrics(params, gradients, gradients)
        >>> metrics = watched.parameters["params['fc']['kernel']"]
        >>> metrics.gradient_norm.item(), metrics.update_ratio.item()
        (5.0, 2.5)
        >>> metrics.dead.item(), metrics.dead_columns.item(), metrics.dead_rows.item()
        (0.5, 0.5, 0.0)
        >>> round(watched.layers["params['fc']"].dead.item(), 2)
        0.67
    """
    structures = [jax.tree.structure(tree) for tree in (gradients, updates, params)]
    if len({*structures}) > 1:
        expected = "params, gradients and updates of one structure"
        got = ", ".join(map(str, structures))
        raise wrong_value("gradient_metrics", expected, got)
    paths = [path for path, _ in jax.tree.leaves_with_path(gradients)]
    arrays = [*map(jnp.asarray, jax.tree.leaves((gradients, updates, params)))]
    norms = _norms(arrays).reshape(3, -1)  # of the gradients, updates and weights
    counts = [*map(_counts, arrays[: len(paths)])]
    layers: dict[str, list[int]] = {}
    for number, path in enumerate(paths):
        layers.setdefault(_name(path[:-1]), []).append(number)

    def metrics(chosen: list[int]) -> Metrics:
        return _metrics(norms[:, np.array(chosen)], [counts[i] for i in chosen])

    return Watched(
        {_name(path): metrics([number]) for number, path in enumerate(paths)},
        {name: metrics(chosen) for name, chosen in layers.items()},
    )


def _name(path: tuple[Any, ...]) -> str:
    return f"params{jax.tree_util.keystr(path)}"


def _metrics(norms: Array, counts: Sequence[_Counts]) -> Metrics:
    """From the norms, (3, parameters), and the counts of these parameters."""
    gradient, update, weight = map(_scaled_norm, norms)
    ratio = jnp.where(update == 0, 0, update / weight)
    sizes = np.maximum(sum(each.sizes for each in counts), 1)
    zeros = sum(each.zeros for each in counts)
    return Metrics(gradient, ratio, *(zeros / sizes).astype(gradient.dtype))


def _counts(gradient: Array) -> _Counts:
    zero = gradient.reshape(1, -1) == 0 if gradient.ndim < 2 else gradient == 0
    *rest, rows, columns = range(zero.ndim)
    masks = zero, zero.all((*rest, columns)), zero.all((*rest, rows))
    zeros = jnp.stack([jnp.sum(mask, dtype=jnp.int32) for mask in masks])
    return _Counts(zeros, np.array([mask.size for mask in masks]))


def _norms(arrays: Sequence[Array]) -> Array:
    """The Euclidean norm of each array, in one dtype of at least single precision.

    A dot product is the fastest sum of squares. If one may have left the range of the
    dtype, all are computed again with scaling.
    """
    dtype = jnp.finfo(promoted(*arrays, jnp.zeros((), jnp.float32))).dtype
    sizes = [jnp.abs(array).astype(dtype).ravel() for array in arrays]
    squares = jnp.stack([jnp.vdot(x, x, precision="highest") for x in sizes])
    info = jnp.finfo(dtype)
    least = float(info.tiny) / float(info.eps) ** 2
    return jax.lax.cond(
        ((squares > least) & (squares < info.max)).all(),
        lambda: jnp.sqrt(squares),
        lambda: jnp.stack([*map(_scaled_norm, sizes)]),
    )


def _scaled_norm(size: Array) -> Array:
    """The Euclidean norm of numbers >= 0, scaled so that no square overflows."""
    largest = jnp.max(size, initial=0)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return scale * jnp.sqrt(jnp.sum((size / scale) ** 2))


# As rows of numbers, which the loop of an epoch fills and a checkpoint holds.

Rows = Float[Array, "watched metrics"] | None
# A step: from its number and what a loop carries, first the state, to the next
Body = Callable[[Array, Any], Any]
Loop = Callable[[Array, Array, Any], Any]


class Recorder(NamedTuple):
    """Measures every `every`-th step of a run, inside a compiled loop."""

    optimizer: optax.GradientTransformation
    every: int | None  # None: no step
    start: Array | int  # completed steps before the loop

    def no_rows(self, params: PyTree, steps: int) -> Rows:
        """Room for the metrics of a loop of so many steps."""
        if self.every is None:
            return None
        row = jax.eval_shape(_row, params, params, params)
        return jnp.zeros((-(-steps // self.every), *row.shape), row.dtype)

    def record(
        self, rows: Rows, step: Array, params: PyTree, gradients: PyTree, opt_state: Any
    ) -> Rows:
        """The rows with that of a step."""
        assert rows is not None and self.every is not None
        index = step // self.every - -(-self.start // self.every)
        updates, _ = self.optimizer.update(gradients, opt_state, params)
        return rows.at[index].set(_row(params, gradients, updates))

    def loop(self, plain: Body, watched: Body) -> Loop:
        """A loop that runs `watched` in every `every`-th step, and `plain` between.

        A branch in each step would copy the state of the training each time.
        """
        if self.every is None:
            return partial(_loop, plain)

        def turn(stop: Array, at: tuple[Array, Any]) -> tuple[Array, Any]:
            i, carry = at
            due = jnp.minimum(i + -carry[0].step % self.every, stop)
            carry = _loop(plain, i, due, carry)
            is_due = due < stop
            carry = jax.lax.cond(is_due, watched, lambda _, x: x, due, carry)
            return due + 1, carry

        def run(first: Array, stop: Array, carry: Any) -> Any:
            start, turns = (first, carry), partial(turn, stop)
            return jax.lax.while_loop(lambda at: at[0] < stop, turns, start)[1]

        return run

    def watched(self, params: PyTree, rows: Rows, stop: int) -> "Watched | None":
        """What a loop that ended after `stop` steps has measured."""
        if rows is None or self.every is None:
            return None
        steps = np.arange(-(-int(self.start) // self.every), -(-stop // self.every))
        return unpacked(params, steps * self.every, np.asarray(rows)[: len(steps)])


def _loop(body: Body, first: Array, stop: Array, carry: Any) -> Any:
    return jax.lax.fori_loop(first, stop, body, carry)


def _row(params: PyTree, gradients: PyTree, updates: PyTree) -> Array:
    return jnp.stack(jax.tree.leaves(gradient_metrics(params, gradients, updates)))


def unpacked(params: PyTree, steps: np.ndarray, rows: np.ndarray) -> Watched:
    """The metrics of these steps, from a row for each."""
    form = jax.tree.structure(jax.eval_shape(gradient_metrics, params, params, params))
    return jax.tree.unflatten(form, rows.T)._replace(steps=steps)


def packed(watched: Watched) -> np.ndarray:
    """The inverse: a row for each step, (watched, metrics)."""
    return np.stack(jax.tree.leaves(watched._replace(steps=())), axis=1)


def joined(before: Watched | None, after: Watched | None) -> Watched | None:
    """The steps of both, in this order."""
    if before is None or after is None:
        return after if before is None else before
    return jax.tree.map(lambda *parts: np.concatenate(parts), before, after)
