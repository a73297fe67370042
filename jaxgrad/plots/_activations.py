"""A card for an activation: the function, its derivatives, the rule at each kink."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxgrad import activations
from jaxgrad._checks import check_choice
from jaxgrad.differentiation import derivatives


class Kink(NamedTuple):
    """A point without a derivative, and the value that each library chooses."""

    x: float
    torch: float  # the choice of PyTorch and jaxgrad
    jax_nn: float | None  # the choice of jax.nn, if it has the function


class Curve(NamedTuple):
    """A function of one variable with its derivatives, each of shape `(points,)`."""

    x: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    second: np.ndarray | None = None
    kinks: tuple[Kink, ...] = ()


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
    given = ", ".join(f"{key}={value:g}" for key, value in options.items())
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
            for kink in entry.kinks(**options)
            if span[0] <= kink <= span[1]
        )
        return Curve(np.asarray(x), value, slope, second, kinks)


def curve_card(title: str, curve: Curve) -> Figure:
    """A function on the left, its derivatives and their kinks on the right.

    Args:
        title: The title of the card.
        curve: The curve to draw.

    Returns: The figure, 12 x 4 inches.
    """
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(curve.x, curve.value)
    left.set(title=title, xlabel="x")
    _draw_derivatives(right, curve)
    right.set(title=f"{title}: gradient", xlabel="x")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    right.legend(fontsize="small")
    return figure


def overview(cards: Mapping[str, Curve], columns: int = 6) -> Figure:
    """All curves on one sheet, each with its gradient in a small panel.

    Args:
        cards: Curves by title.
        columns: The number of panels in a row.

    Returns: The figure, 2.6 x 2.2 inches for each panel.
    """
    rows = -(-len(cards) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, curve) in zip(panels, cards.items(), strict=False):
        axes.plot(curve.x, curve.value, label="function")
        axes.scatter(curve.x, curve.slope, s=1, color="tab:orange", label="gradient")
        axes.set_title(title, fontsize="medium")
        axes.tick_params(labelsize="x-small")
        axes.grid(alpha=0.3)
    for axes in panels[len(cards) :]:
        axes.set_axis_off()
    panels[0].legend(fontsize="x-small", markerscale=4)
    return figure


def _draw_derivatives(axes: Axes, curve: Curve) -> None:
    """Draw dots: a line would join the two sides of a kink."""
    axes.scatter(curve.x, curve.slope, s=2, color="tab:orange", label="gradient")
    if curve.second is not None:
        axes.scatter(
            curve.x, curve.second, s=1, color="tab:green", label="second derivative"
        )
    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "zorder": 3}
    ring = dot | {"markersize": 11, "fillstyle": "none", "color": "tab:blue"}
    for i, kink in enumerate(curve.kinks):
        label = "PyTorch and jaxgrad at a kink" if i == 0 else None
        axes.plot(kink.x, kink.torch, color="tab:red", label=label, **dot)
        if kink.jax_nn is not None:
            label = "jax.nn at a kink" if i == 0 else None
            axes.plot(kink.x, kink.jax_nn, label=label, **ring)
