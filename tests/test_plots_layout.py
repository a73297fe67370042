"""Every figure: nothing is clipped, every axis is labelled, one palette."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from jaxgrad import plots
from jaxgrad.descent import SURFACES, race
from jaxgrad.plots import Curve

X = np.linspace(-1, 1, 50)
PATH = np.array([[-7.0, -1.0], [-3.0, 1.0], [0.0, 0.0]])
FAR = np.array([[-7.0, -1.0], [400.0, 1.0]])
BOWL = SURFACES["bowl"]
LONG = "a label that says what the curve is and under which conditions it was measured"


def small_race():
    starts, lrs = jnp.array([[3.0, 4.0]]), jnp.array([0.1, 0.5])
    names = ("a", "b", "c", "d", "e", "f")
    return race(dict.fromkeys(names, optax.sgd), BOWL, starts, lrs, 3)


FIGURES = {
    "card": lambda: plots.activation_card("hardtanh"),
    "plain card": lambda: plots.curve_card("softmin", Curve(X, X**2, 2 * X)),
    "overview": lambda: plots.overview({"relu": plots.activation_curve("relu")}),
    "paths": lambda: plots.paths(
        {"Adagrad, lr 1": PATH}, start=(-7, -1), xlim=(-80, 80), ylim=(-15, 15), of=BOWL
    ),
    "contours": lambda: plots.contours(BOWL, {"Adagrad, lr 0.0123": PATH, "b": FAR}),
    "sensitivity": lambda: plots.sensitivity([small_race()] * 3),
    "surface": lambda: plots.surface(BOWL),
    "curves": lambda: plots.curves({LONG: X, "b": X**2}, title="a title", x=X),
    "confusion": lambda: plots.confusion(np.eye(3, dtype=int) * 10_000),
    "long titles": lambda: plots.curve_card(LONG, Curve(X, X**2, 2 * X)),
    "long title": lambda: plots.curves({"a": X}, title=f"{LONG}, {LONG}", x=X),
    "confused": lambda: plots.confusion(np.eye(2, dtype=int), title=LONG),
    "classes": lambda: plots.class_accuracy(X[:10] ** 2, X[:10] ** 2, title="classes"),
}


@pytest.fixture(scope="module")
def drawn():
    figures = {name: make() for name, make in FIGURES.items()}
    for figure in figures.values():
        figure.draw_without_rendering()
    return figures


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_clipped(drawn, name):
    figure = drawn[name]
    frame = figure.bbox.padded(1)
    legends = [*figure.legends, *filter(None, map(Axes.get_legend, figure.axes))]
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label]
        texts += [axes.zaxis.label] if name == "surface" else []
    for box in [*legends, *(text for text in texts if text.get_text())]:
        left, bottom, right, top = box.get_window_extent().extents
        assert frame.contains(left, bottom), box
        assert frame.contains(right, top), box


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"overview"}))
def test_a_legend_leaves_room_for_the_axes(drawn, name):
    areas = [axes.get_position() for axes in drawn[name].axes]
    assert sum(area.width * area.height for area in areas) > 0.3


@pytest.mark.parametrize(
    "name", sorted(set(FIGURES) - {"overview", "confusion", "confused"})
)
def test_every_axis_is_labelled(drawn, name):
    for axes in drawn[name].axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


@pytest.mark.parametrize("name", FIGURES)
def test_lines_have_colours_of_the_palette(drawn, name):
    lines = [line for axes in drawn[name].axes for line in axes.lines]
    colours = {to_hex(line.get_color()).upper() for line in lines}
    assert colours <= {*plots.OKABE_ITO, "#808080"}
