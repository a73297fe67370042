"""Surfaces, paths and races: what is marked, named and inside the picture."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgrad import plots
from jaxgrad.descent import SURFACES, race

BOWL, HIMMELBLAU = SURFACES["bowl"], SURFACES["himmelblau"]
NEAR = np.array([[-7.0, -1.0], [-3.0, 3.5], [12.0, -0.5], [0.0, 0.0]])


def limits(axes):
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return np.array([[left, bottom], [right, top]])


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_contours_show_the_whole_of_a_nearby_path():
    figure = plots.contours(BOWL, {"near, lr 1": NEAR})
    low, high = limits(figure.axes[0])
    assert ((low < NEAR) & (high > NEAR)).all()
    assert (low <= BOWL.bounds[0]).all()
    assert (high >= BOWL.bounds[1]).all()
    assert legend(figure) == ["minimum", "near, lr 1", "start"]


@pytest.mark.parametrize("end", [1e3, 1e30, np.inf, np.nan])
def test_a_path_that_runs_away_is_named_and_changes_nothing_else(end):
    far = np.vstack([NEAR[0], [end, end]])
    figure = plots.contours(BOWL, {"near": NEAR, "far": far})
    alone = plots.contours(BOWL, {"near": NEAR})
    np.testing.assert_array_equal(limits(figure.axes[0]), limits(alone.axes[0]))
    assert legend(figure)[1:3] == ["near", "far (leaves the picture)"]


def test_every_minimum_has_a_star_that_no_path_covers():
    (axes,) = plots.contours(HIMMELBLAU, {"one": NEAR, "other": NEAR}).axes
    lines = {str(line.get_label()): line for line in axes.lines}
    stars = np.column_stack(
        [lines["minimum"].get_xdata(), lines["minimum"].get_ydata()]
    )
    np.testing.assert_allclose(stars, np.array(HIMMELBLAU.minimum))
    assert lines["minimum"].get_zorder() > lines["one"].get_zorder()
    assert lines["one"].get_color() != lines["other"].get_color()


def test_paths_show_surface_minimum_and_start():
    x, y = (-80.0, 80.0), (-15.0, 15.0)
    path = {"a, lr 1": NEAR}
    figure = plots.paths(path, start=(-7, -1), xlim=x, ylim=y, of=BOWL)
    assert legend(figure) == ["minimum", "a step", "start"]
    assert figure.axes[0].get_title() == "a, lr 1"
    np.testing.assert_array_equal(limits(figure.axes[0]), [[-80, -15], [80, 15]])
    without = plots.paths(path, start=(-7, -1), xlim=x, ylim=y)
    assert legend(without) == ["a step", "start"]


def test_sensitivity_keeps_every_curve_inside_its_edges():
    starts, lrs = jnp.array([[3.0, 4.0]]), jnp.array([0.1, 0.5, 2.0])
    figure = plots.sensitivity([race({"sgd": optax.sgd}, BOWL, starts, lrs, 50)])
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    curve = np.asarray(axes.lines[0].get_ydata())
    assert ((low < curve) & (curve < high)).all()
    assert legend(figure) == ["sgd", "arrived below this"]


def test_a_surface_has_three_labelled_axes():
    (axes,) = plots.surface(BOWL).axes
    labels = [getattr(axes, f"get_{name}label")() for name in "xyz"]
    assert labels == ["x", "y", "f(x, y)"]
