"""The experiment on activations: curves, kinks, pictures, command line."""

import numpy as np
import pytest

from experiments import _frame
from experiments import activations as experiment
from experiments._activations import listed
from experiments._reproduction import plain
from jaxgrad import activations, plots


@pytest.fixture(scope="module")
def result():
    return experiment.run(experiment.Config())


def test_the_notebook_draws_19_functions_and_lists_25(result):
    row = result["drawn"].rows["3.40"]
    assert row["drawn"] == 19
    assert set(row["listed"]) == set(listed.LISTED)
    assert len(listed.LISTED) == 25


def test_rows_are_the_computed_numbers(result):
    rows = plain(experiment.reproduced(result))
    assert {f"3.{i}" for i in (40, *range(46, 64))} | {"3.C9"} == set(rows)
    relu, glu = (rows[row]["sums and ends"] for row in ("3.46", "3.55"))
    np.testing.assert_allclose(relu[:2], [1501.501502, 500], rtol=1e-6)
    np.testing.assert_allclose(rows["3.48"]["sums and ends"][1], 499)
    np.testing.assert_allclose(glu[:2], [-1220.813375, 249.4982676], rtol=1e-6)
    np.testing.assert_allclose(rows["3.C9"], -1223.1943, rtol=1e-6)
    log_sigmoid, softplus = rows["3.57"].values()
    np.testing.assert_allclose(log_sigmoid["y"], -np.array(softplus["y"])[::-1])
    assert len(log_sigmoid["y"]) == len(log_sigmoid["dy"]) == 1000


def test_sums_of_a_normalised_axis_do_not_depend_on_x(result):
    for title in ("Softmin", "LogSoftmax"):
        assert abs(result["drawn"].data[title].slope.sum()) < 1e-11
    softmax = result["drawn"].rows["3.63"]["softmax of 200 points"]
    np.testing.assert_allclose(softmax.sum(), 1)


@pytest.mark.parametrize("name", activations.CATALOGUE)
def test_the_slopes_of_a_card_match_its_values(result, name):
    """By differences, except across a kink or the jump of softsign's second slope."""
    curve = result["kinks"].data[name]
    step = curve.x[1] - curve.x[0]
    slope = (curve.value[2:] - curve.value[:-2]) / (2 * step)
    smooth = np.abs(curve.x[1:-1]) > 2 * step
    for kink in curve.kinks:
        smooth &= np.abs(curve.x[1:-1] - kink.x) > 2 * step
    np.testing.assert_allclose(curve.slope[1:-1][smooth], slope[smooth], atol=2e-4)
    second = (curve.slope[2:] - curve.slope[:-2]) / (2 * step)
    np.testing.assert_allclose(curve.second[1:-1][smooth], second[smooth], atol=1e-3)


def test_where_jax_nn_has_another_derivative(result):
    differing = {
        (name, kink.x)
        for name, curve in result["kinks"].data.items()
        for kink in curve.kinks
        if kink.jax_nn is not None and abs(kink.jax_nn - kink.torch) > 1e-6
    }
    assert differing == {("hardtanh", -1.0), ("hardtanh", 1.0), ("leaky_relu", 0.0)}


def test_kinks_follow_the_options_and_the_span():
    curve = plots.activation_curve("hardshrink", points=10, lambd=2.0)
    assert [kink.x for kink in curve.kinks] == [-2.0, 2.0]
    assert [kink.jax_nn for kink in curve.kinks] == [None, None]
    assert plots.activation_curve("relu", span=(1.0, 2.0), points=10).kinks == ()


def test_activation_card():
    figure = plots.activation_card("celu", alpha=2.0)
    assert [axes.get_title() for axes in figure.axes] == [
        "celu(alpha=2)",
        "celu(alpha=2): gradient",
    ]


@pytest.mark.message
def test_an_unknown_activation_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match="expected name to be one of 'threshold'"):
        plots.activation_card("gellu")


def test_pictures_and_tables(result, tmp_path, capsys):
    cards, drawn = result["kinks"].data, result["drawn"].data
    few = {name: cards[name] for name in ("relu", "hardtanh")}
    two = {title: drawn[title] for title in ("ReLU", "GLU of one axis")}
    small = result | {
        "kinks": result["kinks"]._replace(data=few),
        "drawn": result["drawn"]._replace(data=two),
    }
    main = _frame.experiment(
        "activations",
        experiment.Config,
        lambda config: iter(small.items()),
        experiment.figures,
    )
    main(["--output-dir", str(tmp_path)])
    stems = ["card_hardtanh", "card_relu", "notebook_glu_of_one_axis", "notebook_relu"]
    for suffix in ("png", "svg"):
        found = sorted(path.stem for path in tmp_path.glob(f"*.{suffix}"))
        assert found == [*stems, "overview"]
    printed = capsys.readouterr().out
    assert "hardtanh" in printed
    assert "differs" in printed


def test_every_curve_has_its_picture(result):
    names = experiment.figures(result)
    assert len(names) == 19 + 1 + len(activations.CATALOGUE) + 1


@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--points=3"], 2)])
def test_command_line(argv, code, capsys):
    with pytest.raises(SystemExit) as stop:
        experiment.main(argv)
    assert stop.value.code == code
    printed = capsys.readouterr()
    assert "activations" in printed.out + printed.err
