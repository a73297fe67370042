"""A card for an activation: the function, its derivatives, the rule at each kink."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from jaxgrad import activations
from jaxgrad._checks import check_choice
from jaxgrad._display import fields_html, short_repr
from jaxgrad.differentiation import derivatives
from jaxgrad.plots._colours import BLACK, BLUE, GREEN, PURPLE, VERMILION
from jaxgrad.plots._curves import broken, lone
from jaxgrad.plots._figure import Figure
from jaxgrad.plots._numbers import number, wrapped


class Kink(NamedTuple):
    """A point without a derivative, and the value that each library chooses."""

    x: float
    torch: float  # the choice of PyTorch and jaxgrad
    jax_nn: float | None  # the choice of jax.nn, if it has the function

    __repr__ = short_repr
    _repr_html_ = fields_html


class Curve(NamedTuple):
    """A function of one variable with its derivatives, each of shape `(points,)`."""

    x: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    second: np.ndarray | None = None
    kinks: tuple[Kink, ...] = ()

    __repr__ = short_repr
    _repr_html_ = fields_html


def activation_card(
    name: str, *, span: tuple[float, float] = (-6.0, 6.0), **options: Any
) -> Figure:
    """A card of an activation: the function on the left, its derivatives on the right.

    Args:
        name: An elementwise function of `jaxgrad.activations`.
        span: The first and the last x.
        **options: Its options, such as `alpha=2.0`.

    Returns: The figure, 12 x 4 inches. At a kink a dot is PyTorch's derivative, a ring
        that of `jax.nn`.
    Raises: ValueError if `name` is unknown.
    """
    curve = activation_curve(name, span=span, **options)
    given = ", ".join(f"{key}={number(value)}" for key, value in options.items())
    return curve_card(f"{name}({given})" if given else name, curve)


def activation_curve(
    name: str,
    *,
    span: tuple[float, float] = (-6.0, 6.0),
    points: int = 1000,
    **options: Any,
) -> Curve:
    """The curve that `activation_card` draws, in float64.

    Args: as in `activation_card`, and the number of equidistant `points`.
    Returns: The curve with the kinks that lie on it.
    Raises: ValueError if `name` is unknown.
    """
    check_choice("activation_card", "name", name, tuple(activations.CATALOGUE))
    entry = activations.CATALOGUE[name]
    given, options = options, dict(entry.options) | options
    with jax.enable_x64(True):
        tower = derivatives(lambda x: getattr(activations, name)(x, **options), 2)
        x = jnp.linspace(*span, points, dtype=jnp.float64)
        value, slope, second = map(np.asarray, tower(x))
        other = None if given else entry.jax_nn
        kinks = tuple(
            Kink(
                kink,
                float(tower(kink)[1]),
                None if other is None else float(jax.grad(other)(kink)),
            )
            for kink in map(float, entry.kinks(**options))
            if span[0] <= kink <= span[1]
        )
        return Curve(np.asarray(x), value, slope, second, kinks)


def curve_card(title: str, curve: Curve) -> Figure:
    """A function on the left, its derivatives and their kinks on the right.

    The function is not joined across a jump. Differences that are rounding errors are
    drawn as 0.

    Args:
        title: The title of the card.
        curve: The curve to draw.

    Returns: The figure, 12 x 4 inches.
    """
    curve = _without_noise(curve)
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _line(left, curve.x, curve.value, color=BLUE)
    left.set(title=wrapped(title, 60), xlabel="x", ylabel="f(x)")
    _draw_derivatives(right, curve)
    label = "derivative of f" if curve.second is None else "derivatives of f"
    right.set(title=wrapped(f"{title}: gradient", 60), xlabel="x", ylabel=label)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    if curve.second is not None:
        _legend(figure, right)
    return figure


def overview(cards: Mapping[str, Curve], columns: int = 6) -> Figure:
    """All curves on one sheet, each with its gradient in a small panel.

    Args:
        cards: Curves by title.
        columns: The number of panels in a row.

    Returns: The figure, 2.6 x 2.2 inches for each panel, and a legend below.
    """
    rows = -(-len(cards) // columns)
    size = 2.6 * columns, 2.2 * rows + 0.4
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, curve) in zip(panels, cards.items(), strict=False):
        curve = _without_noise(curve)
        # The gradient is wider and below: where both are equal, both are visible.
        gradient: Any = {"color": VERMILION, "linewidth": 3, "label": "gradient"}
        _line(axes, curve.x, curve.slope, **gradient)
        _line(axes, curve.x, curve.value, color=BLUE, label="function")
        axes.set_title(title, fontsize="medium")
        axes.tick_params(labelsize="x-small")
        axes.grid(alpha=0.3)
    for axes in panels[len(cards) :]:
        axes.set_axis_off()
    figure.supxlabel("x", fontsize="medium")
    _legend(figure, panels[0])
    return figure


def _draw_derivatives(axes: Axes, curve: Curve) -> None:
    """The gradient over the second derivative, and the values at the kinks.

    The second derivative is a wide, pale line below the gradient: where both are equal,
    as in elu for x < 0, both are visible.
    """
    if curve.second is not None:
        pale: Any = {"color": GREEN, "alpha": 0.35, "linewidth": 6}
        pale |= {"solid_capstyle": "butt", "label": "second derivative"}
        _line(axes, curve.x, curve.second, **pale)
    slope: Any = {"color": VERMILION, "linewidth": 2, "label": "gradient"}
    _line(axes, curve.x, curve.slope, **slope)
    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "zorder": 3}
    ring = dot | {"markersize": 11, "fillstyle": "none", "color": PURPLE}
    for i, kink in enumerate(curve.kinks):
        label = "PyTorch and jaxgrad at a kink" if i == 0 else None
        axes.plot(kink.x, kink.torch, color=BLACK, label=label, **dot)
        if kink.jax_nn is not None:
            label = "jax.nn at a kink" if i == 0 else None
            axes.plot(kink.x, kink.jax_nn, label=label, **ring)


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, **look: Any) -> None:
    """A curve that is not joined across a jump; a point between two jumps is a dot."""
    x, y = broken(x, y)
    marks = lone(y).tolist()
    dot: Any = {
        "marker": "o",
        "markersize": look.get("linewidth", 2),
        "markevery": marks,
    }
    axes.plot(x, y, **look, **(dot if marks else {}))


def _legend(figure: Figure, axes: Axes) -> None:
    """The legend of one panel, below the figure."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower right", ncols=len(labels), fontsize="small"
    )


def _without_noise(curve: Curve) -> Curve:
    """The curve without rounding errors: numbers that differ only by them are equal.

    A derivative is compared with its own largest value and with the average slope that
    the function, or its gradient, has across the figure.
    """
    width = float(np.ptp(curve.x)) or 1.0  # 1 for a single point
    value = _rounded(curve.value, _size(curve.value))
    slope_size = max(_size(curve.slope), float(np.ptp(value)) / width)
    slope = _rounded(curve.slope, slope_size)
    if curve.second is None:
        return curve._replace(value=value, slope=slope)
    second_size = max(_size(curve.second), slope_size / width)
    second = _rounded(curve.second, second_size)
    return curve._replace(value=value, slope=slope, second=second)


def _size(values: np.ndarray) -> float:
    return float(np.max(np.abs(values), initial=0, where=np.isfinite(values)))


def _rounded(values: np.ndarray, size: float) -> np.ndarray:
    """`values` in multiples of 100 rounding errors of a number of this size."""
    unit = 100 * np.finfo(values.dtype).eps * size
    return np.round(values / unit) * unit if unit > 0 else values
