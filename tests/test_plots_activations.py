"""Cards of functions: what is joined, what is noise, and what covers what."""

from typing import Any

import numpy as np
import pytest

from jaxgrad import activations, plots
from jaxgrad.plots import Curve

X = np.linspace(-6, 6, 1000)


def drawn(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """The y values that a card draws: of the function and of its gradient."""
    left, right, *_ = plots.curve_card("f", curve).axes
    gradient = labelled(right, "gradient")
    return np.asarray(left.lines[0].get_ydata()), np.asarray(gradient.get_ydata())


def labelled(axes, label) -> Any:
    return next(line for line in axes.lines if line.get_label() == label)


def gaps(y, x=X):
    return int(np.isnan(drawn(Curve(x, y, np.zeros_like(y)))[0]).sum())


@pytest.mark.parametrize(
    ("y", "jumps"),
    [
        (np.where(np.abs(X) > 0.5, X, 0), 2),
        (np.where(X > 1, X, -1.0), 1),
        (np.floor(X / 2), 6),  # the last one between the last two points
        (np.sign(X), 1),
        (np.where(X < 0, np.exp(X), 1e-2), 1),
        (np.where(X > 5, 1e6, 0) + X, 1),
        (1 / X, 1),
        (X % 1, 12),
        (np.sign(X - X[400]), 2),  # with a point between its sides
        (np.where(X == X[10], 5.0, 0.0), 2),
    ],
)
def test_the_line_stops_at_a_jump(y, jumps):
    assert gaps(y) == jumps


@pytest.mark.parametrize(
    "y",
    [
        np.abs(X),
        np.sqrt(np.abs(X)),
        np.exp(5 * X),
        np.tanh(30 * X),
        np.sin(40 * X),
        np.clip(X, -0.05, 0.05),
        np.zeros_like(X),
        1 + 1e-16 * np.sin(X),
        np.cbrt(X - X[400]),
        1 / (1 + np.abs(X)) ** 2,
        X * np.exp(-(X**2)),
        np.arange(1000) % 2.0,  # one step up, one step down
    ],
)
def test_the_line_of_a_continuous_function_is_whole(y):
    assert gaps(y) == 0


def test_the_gradient_is_not_joined_across_a_jump_either():
    _, slope = drawn(Curve(X, np.abs(X), np.sign(X)))
    assert np.isnan(slope).sum() == 1


def test_a_point_between_two_jumps_is_a_dot():
    left, _ = plots.curve_card("sign", Curve(X, np.sign(X - X[400]), 0 * X)).axes
    line: Any = left.lines[0]
    (place,) = line.get_markevery()
    assert line.get_marker() == "o"
    assert np.asarray(line.get_ydata())[place] == 0
    left, _ = plots.curve_card("abs", Curve(X, np.abs(X), np.sign(X))).axes
    assert left.lines[0].get_marker() == "None"


@pytest.mark.parametrize(
    ("name", "options", "title"),
    [
        ("gelu", {"approximate": "tanh"}, "gelu(approximate=tanh)"),
        ("prelu", {"weight": np.full(1, 0.5)}, "prelu(weight=0.5)"),
        ("threshold", {"threshold": 1, "value": 1234.5}, "value=1,234.5)"),
    ],
)
def test_the_title_names_options_of_any_type(name, options, title):
    assert plots.activation_card(name, **options).axes[0].get_title().endswith(title)


@pytest.mark.parametrize("name", activations.CATALOGUE)
def test_only_two_activations_jump(name):
    jumps = {"hardshrink": 2, "threshold": 1}.get(name, 0)
    curve = plots.activation_curve(name)
    assert np.isnan(drawn(curve)[0]).sum() == jumps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_noise_is_drawn_as_zero(dtype):
    """The gradient of the sum of a softmin, which is 1."""
    shares = np.exp(-X.astype(dtype))
    shares /= shares.sum()
    noise = shares * np.finfo(dtype).eps / 7
    assert noise.all()
    value, slope = drawn(Curve(X.astype(dtype), shares, noise))
    assert not slope.any()
    np.testing.assert_allclose(value, shares, atol=1e-6)


def test_a_small_function_is_not_noise():
    value, slope = drawn(Curve(X, 1e-18 * np.sin(X), 1e-18 * np.cos(X)))
    np.testing.assert_allclose(value, 1e-18 * np.sin(X), atol=1e-30)
    np.testing.assert_allclose(slope, 1e-18 * np.cos(X), atol=1e-30)


def test_a_small_slope_next_to_a_large_value_is_not_noise():
    _, slope = drawn(Curve(X, 1e6 + 1e-3 * X, np.full_like(X, 1e-3)))
    np.testing.assert_allclose(slope, 1e-3)


@pytest.mark.parametrize("name", ["celu", "elu", "selu", "tanh"])
def test_the_gradient_lies_over_a_wider_second_derivative(name):
    _, right = plots.activation_card(name).axes
    second, gradient = right.lines[:2]
    assert second.get_label() == "second derivative"
    assert gradient.get_label() == "gradient"
    assert gradient.get_zorder() >= second.get_zorder()
    assert second.get_linewidth() > 2 * gradient.get_linewidth()
    assert (second.get_alpha() or 1) < 0.5


def test_the_overview_shows_both_curves_where_they_are_equal():
    (axes,) = plots.overview({"exp": Curve(X, np.exp(X), np.exp(X))}, columns=1).axes
    gradient, function = axes.lines
    assert gradient.get_linewidth() > function.get_linewidth()
    assert gradient.get_color() != function.get_color()


def test_the_axes_of_a_card_are_labelled():
    for axes in plots.activation_card("gelu").axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def test_a_gap_keeps_every_point_and_meets_infinities():
    x = np.arange(6.0)
    y = np.array([0.0, 0.0, 5.0, 5.0, np.inf, np.nan])
    broken_x, broken_y = plots.broken(x, y)
    assert broken_x.tolist() == [0, 1, 2, 2, 3, 4, 5]
    np.testing.assert_array_equal(broken_y, [0, 0, np.nan, 5, 5, np.inf, np.nan])
    steep = np.where(x < 4, np.exp(2 * x), np.nan)  # steep up to its end
    assert len(plots.broken(x, steep)[0]) == 6
    for few in ([], [1.0], [1.0, 2.0], [np.nan, np.nan]):
        assert len(plots.broken(np.arange(len(few)), np.array(few))[0]) == len(few)
