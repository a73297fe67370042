"""The contents of the figures of a classifier's errors."""

from typing import Any

import numpy as np

from jaxgrad import plots

MATRIX = np.array([[1000, 3, 0], [0, 50, 9], [1, 0, 70]])


def texts(axes):
    return [text.get_text() for text in axes.texts]


def ticks(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def test_the_confusion_matrix_shows_all_counts_except_zeros():
    figure = plots.confusion(MATRIX, names=["a", "b", "c"], title="T")
    axes = figure.axes[0]
    assert texts(axes) == ["1,000", "3", "50", "9", "1", "70"]
    assert (axes.get_title(), ticks(axes)) == ("T", ["a", "b", "c"])
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("label", "prediction")


def test_colours_show_only_errors():
    image = plots.confusion(MATRIX).axes[0].images[0]
    assert image.get_clim() == (0, 9)
    colours: Any = image.get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(colours), np.eye(3))


def test_a_matrix_without_errors_is_drawn():
    figure = plots.confusion(np.diag([2, 3]))
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    figure.canvas.draw_idle()


def test_class_accuracy_is_in_per_cent():
    axes = plots.class_accuracy(np.array([0.5, np.nan]), np.array([1.0, 0.25])).axes[0]
    recall, precision = (line.get_ydata() for line in axes.lines)
    np.testing.assert_array_equal(recall, [50, np.nan])
    np.testing.assert_array_equal(precision, [100, 25])
    assert ticks(axes) == ["0", "1"]


def test_a_gallery_has_a_caption_for_each_image():
    images = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2)
    figure = plots.gallery(images, ["x", "y", "z"], columns=2, title="T")
    assert [axes.get_title() for axes in figure.axes] == ["x", "y", "z", ""]
    for axes, image in zip(figure.axes, images, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert not figure.axes[3].axison


def test_an_empty_gallery_is_drawn():
    assert len(plots.gallery(np.zeros((0, 2, 2), np.uint8), []).axes) == 5


def test_curves_differ_in_colour_and_in_style():
    values = np.array([1.0, 2.0])
    lines = plots.curves(dict.fromkeys("abc", values), log=True).axes[0].lines
    assert len({line.get_color() for line in lines}) == 3
    assert len({line.get_linestyle() for line in lines}) == 3


def test_a_narrow_logarithmic_axis_has_plain_labels():
    figure = plots.curves({"a": np.array([0.3, 0.9])}, log=True)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels(minor=True)]
    assert {"0.3", "0.5", "0.9"} <= set(labels)


def test_a_wide_logarithmic_axis_has_powers_of_ten():
    figure = plots.curves({"a": np.array([1e-12, 1.0])}, log=True)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert any("10^{-" in label for label in labels)
